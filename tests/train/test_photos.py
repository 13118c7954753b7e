"""Photos are found, decoded and preprocessed as stated, and defective ones are refused in a sentence."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ftervit_deploy.architecture import Preprocessing
from ftervit_deploy.errors import ConfigError, DataError
from ftervit_deploy.photos import (
    class_folders,
    find_photos,
    labelled_photos,
    load_photo,
    natural_key,
    preprocess,
)


def _photo(path: Path, width: int = 30, height: int = 20, mode: str = "RGB") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(noise).convert(mode).save(path)
    return path


def test_names_sort_by_their_numbers() -> None:
    assert sorted(["img_10.jpg", "IMG_9.jpg", "img_2.jpg", "a.jpg"], key=natural_key) == [
        "a.jpg", "img_2.jpg", "IMG_9.jpg", "img_10.jpg",
    ]  # fmt: skip


def test_photos_are_found_below_a_folder_without_hidden_and_other_files(tmp_path: Path) -> None:
    for name in ("b/2.png", "10.JPG", "9.jpeg", ".hidden/3.png", ".4.png"):
        _photo(tmp_path / name)
    (tmp_path / "notes.txt").write_text("x")
    assert [path.name for path in find_photos(tmp_path)] == ["2.png", "9.jpeg", "10.JPG"]


def test_class_folders_come_in_natural_order(tmp_path: Path) -> None:
    for name in ("10", "9", ".git", "2"):
        (tmp_path / name).mkdir()
    assert [path.name for path in class_folders(tmp_path)] == ["2", "9", "10"]


def test_labels_are_indices_of_class_names(tmp_path: Path) -> None:
    for name in ("cat/1.png", "dog/1.png", "dog/2.png"):
        _photo(tmp_path / name)
    names, photos = labelled_photos(tmp_path)
    assert names == ["cat", "dog"]
    assert [(photo.path.parent.name, photo.label) for photo in photos] == [("cat", 0), ("dog", 1), ("dog", 1)]


def test_an_empty_class_a_missing_folder_and_no_classes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no class folders"):
        labelled_photos(tmp_path)
    (tmp_path / "cat").mkdir()
    with pytest.raises(DataError, match=r"cat holds no photos"):
        labelled_photos(tmp_path)
    with pytest.raises(DataError, match="There is no folder"):
        labelled_photos(tmp_path / "nowhere")


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    photo = Image.new("RGB", (30, 20))
    exif = Image.Exif()
    exif[0x0112] = 6
    photo.save(tmp_path / "turned.jpg", exif=exif)
    assert load_photo(tmp_path / "turned.jpg").size == (20, 30)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1"])
def test_every_colour_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    path = _photo(tmp_path / ("photo.tif" if mode == "CMYK" else "photo.png"), mode=mode)
    assert load_photo(path).mode == "RGB"


def test_sixteen_bit_greys_are_scaled_not_clipped(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 4), 0x8000, dtype=np.uint16)).save(tmp_path / "grey.png")
    assert np.asarray(load_photo(tmp_path / "grey.png")).max() == 0x80


@pytest.mark.parametrize(
    ("dtype", "white"), [(np.float32, 1), (np.float32, 255), (np.int32, 255), (np.int32, 65_535)]
)
def test_greys_of_32_bits_are_scaled_by_the_white_that_holds_them(
    tmp_path: Path, dtype: type, white: int
) -> None:
    ramp = np.linspace(0, white, 256).reshape(16, 16)
    Image.fromarray(ramp.astype(dtype)).save(tmp_path / "grey.tif")
    np.testing.assert_array_equal(
        np.asarray(load_photo(tmp_path / "grey.tif"))[..., 1].ravel(), np.arange(256)
    )


@pytest.mark.parametrize(
    "greys", [[-1.0, 1.0], [0.0, 4e3], [0.0, np.nan], np.array([0, 65_536]), np.array([-1, 255])]
)
def test_greys_of_32_bits_without_a_clear_white_are_refused(tmp_path: Path, greys: Any) -> None:
    values = np.array([greys])
    kept = values.astype(np.float32 if values.dtype.kind == "f" else np.int32)
    Image.fromarray(kept).save(tmp_path / "grey.tif")
    with pytest.raises(DataError, match=r"grey\.tif has greys from .* which leaves open what white is"):
        load_photo(tmp_path / "grey.tif")


def _defective(folder: Path) -> dict[str, Path]:
    whole = _photo(folder / "whole.png").read_bytes()
    files = {"text": b"no photo", "empty": b"", "cut": whole[: len(whole) // 2]}
    for name, content in files.items():
        (folder / f"{name}.png").write_bytes(content)
    return {name: folder / f"{name}.png" for name in [*files, "absent"]}


@pytest.mark.parametrize("defect", ["text", "empty", "cut", "absent"])
def test_what_is_no_photo_is_refused_by_name(tmp_path: Path, defect: str) -> None:
    path = _defective(tmp_path)[defect]
    with pytest.raises(DataError, match=f"{defect}.png"):
        load_photo(path)


@pytest.mark.parametrize("side", [9_000, 40_000])
def test_a_decompression_bomb_is_refused_before_decoding(tmp_path: Path, side: int) -> None:
    path = _photo(tmp_path / "bomb.png")
    content = bytearray(path.read_bytes())
    content[16:24] = struct.pack(">II", side, side)  # the size in the header, and its checksum
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    path.write_bytes(content)
    with pytest.raises(DataError, match="million pixels"):
        load_photo(path)


@pytest.mark.parametrize("crop_fraction", [1.0, 0.875])
def test_preprocessing_resizes_the_shorter_side_and_crops_the_centre(crop_fraction: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    photo = Image.fromarray(noise)
    side = round(32 / crop_fraction)
    resized = np.asarray(photo.resize((round(90 * side / 60), side), Image.Resampling.BICUBIC))
    top, left = round((side - 32) / 2), round((resized.shape[1] - 32) / 2)
    found = preprocess(photo, 32, Preprocessing(crop_fraction=crop_fraction))
    np.testing.assert_array_equal(found, resized[top : top + 32, left : left + 32])


def test_a_very_long_photo_does_not_take_the_memory() -> None:
    found = preprocess(Image.new("RGB", (60_000, 1), "red"), 64, Preprocessing())
    assert found.shape == (64, 64, 3)
    assert (found == (255, 0, 0)).all()


def test_bilinear_differs_from_bicubic_and_others_are_refused() -> None:
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8))
    bicubic, bilinear = (
        preprocess(photo, 32, Preprocessing(interpolation=i)) for i in ("bicubic", "bilinear")
    )
    assert not np.array_equal(bicubic, bilinear)
    with pytest.raises(ConfigError, match="no interpolation 'nearest'"):
        preprocess(photo, 32, Preprocessing(interpolation="nearest"))
