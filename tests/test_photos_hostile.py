"""A photo that is no photo gets a sentence, whatever it is; decoders say nothing of their own."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from photo_files import save_photo
from PIL import Image

from ftervit_deploy.architecture import Preprocessing
from ftervit_deploy.errors import DataError
from ftervit_deploy.photos import (
    MAX_FILE_BYTES,
    class_folders,
    find_photos,
    labelled_photos,
    load_photo,
    preprocess,
)

POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 72 72\n%%EndComments\nshowpage\n%%EOF\n"
SEVERAL = [Image.fromarray(np.full((20, 30, 3), level, np.uint8)) for level in (40, 200)]


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """One file of every format."""
    folder = tmp_path_factory.mktemp("originals")
    names = ("a.jpg", "a.png", "a.bmp", "a.gif", "a.ppm", "a.tif", "a.webp")
    return [save_photo(folder / name, seed=0, size=(24, 20)).read_bytes() for name in names]


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_any_damage_gives_pixels_or_a_sentence(
    data: st.DataObject, originals: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = bytearray(data.draw(st.sampled_from(originals)))
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.jpg"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    said = ""
    try:
        assert preprocess(load_photo(path), 16, Preprocessing()).shape == (16, 16, 3)
    except DataError as error:
        said = error.what
    assert not said or str(path) in said


def test_a_decoder_that_raises_anything_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save_photo(tmp_path / "a.jpg", seed=0)

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("decoding failed")

    monkeypatch.setattr(Image, "open", fail)
    with pytest.raises(DataError, match=r"a\.jpg is not a readable photo \(decoding failed\)"):
        load_photo(path)


def test_postscript_is_not_handed_to_an_interpreter(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(POSTSCRIPT)
    with pytest.raises(DataError, match="unknown format"):
        load_photo(path)


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".tif"])
def test_of_several_frames_the_first_counts(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"moving{suffix}"
    SEVERAL[0].save(path, save_all=True, append_images=SEVERAL[1:])
    assert abs(int(np.asarray(load_photo(path))[10, 15, 0]) - 40) < 5


def test_a_photo_with_a_second_picture_inside_is_read(tmp_path: Path) -> None:
    path = tmp_path / "phone.jpg"
    SEVERAL[0].save(path, format="MPO", save_all=True, append_images=SEVERAL[1:])
    assert load_photo(path).size == (30, 20)


@pytest.mark.parametrize("size", [(1, 1), (1, 10_000), (10_000, 1)])
def test_odd_sizes_are_resized(tmp_path: Path, size: tuple[int, int]) -> None:
    path = save_photo(tmp_path / "odd.png", seed=0, size=size)
    assert preprocess(load_photo(path), 16, Preprocessing()).shape == (16, 16, 3)


def test_decoders_keep_their_remarks_to_themselves(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    path = tmp_path / "a.png"
    exif = b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x12\x01\x02\0\xff\xff\xff\xff\xff\xff\xff\xff" * 4
    SEVERAL[0].convert("P").save(path, exif=exif, transparency=bytes(256))
    load_photo(path)
    assert not recwarn.list
    assert any(isinstance(handler, logging.NullHandler) for handler in logging.getLogger("PIL").handlers)
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(sys.platform == "win32", reason="hardware: POSIX file names and permissions")
def test_a_name_that_is_no_utf8_is_read(tmp_path: Path) -> None:
    path = Path(str(tmp_path / "a\udcff.jpg"))
    try:
        save_photo(path, seed=0)
    except OSError:
        return  # this file system takes UTF-8 only
    assert load_photo(path).size == (48, 40)


def test_a_folder_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Photos that are silently missing would make a measurement wrong."""
    save_photo(tmp_path / "cup" / "seen" / "a.jpg", seed=0)
    hidden = save_photo(tmp_path / "cup" / "unseen" / "b.jpg", seed=1).parent
    _make_unreadable(hidden, monkeypatch)
    for read in (lambda: labelled_photos(tmp_path), lambda: find_photos(tmp_path)):
        with pytest.raises(DataError, match="unseen cannot be read: Permission denied"):
            read()


def _make_unreadable(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For root too, who may read everything."""
    scandir = os.scandir

    def refusing(path: object) -> object:
        if Path(os.fsdecode(path)) == folder:  # type: ignore[arg-type]
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)  # type: ignore[call-overload]

    monkeypatch.setattr(os, "scandir", refusing)


@pytest.mark.skipif(sys.platform == "win32", reason="hardware: POSIX pipes and links")
def test_a_pipe_is_named_and_never_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would wait for somebody to write into it."""
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "link.png").symlink_to("pipe.png")
    assert [path.name for path in find_photos(tmp_path)] == ["link.png", "pipe.png"]
    monkeypatch.setattr(Image, "open", None)
    for path in find_photos(tmp_path):
        with pytest.raises(DataError, match=f"{path.name} is no regular file"):
            load_photo(path)


def test_a_file_larger_than_any_photo_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open(tmp_path / "a.png", "wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    monkeypatch.setattr(Image, "open", None)
    with pytest.raises(DataError, match=r"a\.png has more than 640 MB"):
        load_photo(tmp_path / "a.png")


@pytest.mark.skipif(sys.platform == "win32", reason="hardware: POSIX links")
def test_a_link_to_a_folder_above_is_no_class(tmp_path: Path) -> None:
    data = tmp_path / "data"
    save_photo(data / "cup" / "a.jpg", seed=0)
    save_photo(tmp_path / "pens" / "a.jpg", seed=1)
    for name, target in {"here": ".", "above": tmp_path, "pen": "../pens"}.items():
        (data / name).symlink_to(target)
    assert [path.name for path in class_folders(data)] == ["cup", "pen"]


def test_a_folder_named_like_a_photo_is_a_folder(tmp_path: Path) -> None:
    inside = save_photo(tmp_path / "album.jpg" / "a.jpg", seed=0)
    assert find_photos(tmp_path) == [inside]
