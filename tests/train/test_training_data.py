"""A folder of photos is split so that groups stay apart, decoded once, and bad photos are counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from training_photos import write_photos

torch = pytest.importorskip("torch", reason='install PyTorch: pip install "ftervit[train]"')

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from ftervit_deploy.architecture import Architecture, Preprocessing  # noqa: E402
from ftervit_deploy.errors import ConfigError, DataError  # noqa: E402
from ftervit_deploy.photos import LabelledPhoto  # noqa: E402
from ftervit_deploy.train.data import (  # noqa: E402
    GUARD_NAMES,
    SplitRule,
    _split_by_groups,
    split_photos,
)
from ftervit_deploy.train.photosets import open_photos, training_decoder, validation_decoder  # noqa: E402

ARCH = Architecture(16, 4, 16, 2, 2, 32, 3)


@settings(max_examples=40, deadline=None)
@given(
    count=st.integers(20, 200),
    group=st.integers(1, 50),
    fraction=st.floats(0.05, 0.5),
    seed=st.integers(0, 99),
)
def test_no_training_photo_is_near_a_validation_group(
    count: int, group: int, fraction: float, seed: int
) -> None:
    photos = [LabelledPhoto(Path(f"{n % 10}/IMG_{n}.JPG"), n % 10) for n in range(count)]
    train, validation, guarded = _split_by_groups(photos, SplitRule(group, fraction, seed))
    numbers = [{int(p.path.stem[4:]) for p in part} for part in (train, validation)]
    assert all(abs(a - b) > GUARD_NAMES for a in numbers[0] for b in numbers[1])
    assert len(train) + len(validation) + len(guarded) == count
    starts = {n // group for n in numbers[1]}
    assert numbers[1] == {n for n in range(count) if n // group in starts}, "groups are held out whole"


def test_a_random_split_keeps_the_share_of_every_class(photo_folder: Path) -> None:
    split = split_photos(photo_folder, SplitRule(0, 0.25, 1))
    assert [sum(p.label == label for p in split.validation) for label in range(3)] == [4, 4, 4]
    assert not set(split.train) & set(split.validation)
    assert len(split.train) + len(split.validation) == 48
    assert split == split_photos(photo_folder, SplitRule(0, 0.25, 1))
    assert split != split_photos(photo_folder, SplitRule(0, 0.25, 2))


def test_folders_train_and_val_are_taken_as_they_are(tmp_path: Path) -> None:
    write_photos(tmp_path / "train", per_class=4)
    write_photos(tmp_path / "val", per_class=2)
    split = split_photos(tmp_path, SplitRule())
    assert (len(split.train), len(split.validation)) == (12, 6)
    (tmp_path / "val" / "sign2").rename(tmp_path / "val" / "other")
    with pytest.raises(DataError, match="missing in"):
        split_photos(tmp_path, SplitRule())


def test_test_photos_choose_nothing(tmp_path: Path) -> None:
    write_photos(tmp_path / "train", per_class=8)
    write_photos(tmp_path / "test", per_class=3)
    split = split_photos(tmp_path, SplitRule(0, 0.25, 1))
    assert (len(split.train), len(split.validation), len(split.test)) == (18, 6, 9)
    assert {photo.path.parts[-3] for photo in (*split.train, *split.validation)} == {"train"}
    assert {photo.path.parts[-3] for photo in split.test} == {"test"}
    alone = split_photos(tmp_path / "train", SplitRule(0, 0.25, 1))
    assert (split.train, split.validation) == (alone.train, alone.validation)
    write_photos(tmp_path / "val", per_class=2)
    split = split_photos(tmp_path, SplitRule())
    assert (len(split.train), len(split.validation), len(split.test)) == (24, 6, 9)
    (tmp_path / "test" / "sign0").rename(tmp_path / "test" / "sign7")
    with pytest.raises(DataError, match="Class sign0 is missing in"):
        split_photos(tmp_path, SplitRule())


def test_one_class_and_too_few_photos_are_refused(tmp_path: Path) -> None:
    one = write_photos(tmp_path / "one", classes=1)
    with pytest.raises(DataError, match="one class only"):
        split_photos(one, SplitRule())
    few = write_photos(tmp_path / "few", per_class=1)
    with pytest.raises(DataError, match="left to validate with"):
        split_photos(few, SplitRule(0, 0.1, 0))
    with pytest.raises(DataError, match="without training photos"):
        split_photos(few, SplitRule(1, 0.34, 0))


@pytest.mark.parametrize("text", ["groups", "groups:0", "groups:-3", "groups:x", "", "half"])
def test_an_unknown_split_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="no split"):
        SplitRule.parse(text, 0.15, 0)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -1.0, float("nan")])
def test_an_impossible_share_is_refused(fraction: float) -> None:
    with pytest.raises(ConfigError, match="impossible"):
        SplitRule.parse("random", fraction, 0)


def test_unreadable_photos_are_named_and_left_out(tmp_path: Path) -> None:
    write_photos(tmp_path, per_class=3)
    (tmp_path / "sign1" / "IMG_2.png").write_bytes(b"no photo")
    split = split_photos(tmp_path, SplitRule(0, 0.34, 0))
    everything = (*split.train, *split.validation)
    opened = open_photos(everything, training_decoder(ARCH, Preprocessing()), 10**9, 2)
    assert len(opened) == 8
    assert len(opened.skipped) == 1
    assert "IMG_2.png" in opened.skipped[0]
    assert sorted(opened.labels.tolist()) == [0, 0, 0, 1, 1, 2, 2, 2]


def test_no_readable_photo_at_all_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"")
    with pytest.raises(DataError, match="None of the photos"):
        open_photos([LabelledPhoto(tmp_path / "x.png", 0)], training_decoder(ARCH, Preprocessing()), 10**9, 1)


@pytest.mark.parametrize("decoder", [training_decoder, validation_decoder])
def test_photos_beyond_the_memory_allowed_give_the_same_batches(photo_folder: Path, decoder: object) -> None:
    photos = split_photos(photo_folder, SplitRule(0, 0.25, 1)).train
    decode = decoder(ARCH, Preprocessing())  # type: ignore[operator]
    kept, decoded = (open_photos(photos, decode, memory, 2) for memory in (10**9, 5_000))
    assert kept.stored is not None
    assert decoded.stored is None
    order = torch.randperm(len(photos))
    for chunk in torch.split(order, 7):
        assert all(map(torch.equal, kept.batch(chunk), decoded.batch(chunk)))
    indices = torch.tensor([5, 0, 17])
    for first, second in zip(kept.batch(indices), decoded.batch(indices), strict=True):
        assert torch.equal(first, second)


def test_photos_that_are_kept_take_their_memory_once(photo_folder: Path) -> None:
    photos = split_photos(photo_folder, SplitRule(0, 0.25, 1)).train
    decode = validation_decoder(ARCH, Preprocessing())
    each = ARCH.image_size**2 * 3
    assert open_photos(photos, decode, len(photos) * each, 2).stored_bytes == len(photos) * each
    assert open_photos(photos, decode, len(photos) * each - 1, 2).stored_bytes == 0


def test_training_photos_have_a_margin(photo_folder: Path) -> None:
    path = next(photo_folder.rglob("*.png"))
    assert training_decoder(ARCH, Preprocessing())(path).shape == (3, 18, 18)
    assert validation_decoder(ARCH, Preprocessing())(path).dtype == np.uint8
    assert validation_decoder(ARCH, Preprocessing())(path).shape == (3, 16, 16)
