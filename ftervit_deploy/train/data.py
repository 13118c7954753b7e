"""Training data: photos to learn from and photos to check with, from a folder."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from ..errors import ConfigError, DataError
from ..photos import (
    LabelledPhoto,
    find_photos,
    folders_in,
    labelled_photos,
    natural_key,
    photo_sets,
    read_photo_file,
)
from .log import counted
from .photosets import UNLABELLED, Photo
from .streams import PhotoStream

GUARD_NAMES = 5
"""Training photos within so many names of a validation block are left out (split by groups)."""
_P = TypeVar("_P", bound=Photo)


@dataclass(frozen=True)
class Split:
    """Photos to learn from and photos to check with.

    Attributes:
        labels: class names; a photo's label is an index into them.
        train, validation: the photos; their labels are UNLABELLED where nobody named their classes.
        test: photos that nothing is chosen by; looked at once, when a phase has ended. Empty where the data
            have none.
        guarded: photos left out because they border a validation block.
        stream: what training photos come from instead of `train`, one after the other.
        remarks: sentences about what was read, for the user.
    """

    labels: tuple[str, ...]
    train: tuple[Photo, ...]
    validation: tuple[Photo, ...]
    test: tuple[Photo, ...] = ()
    guarded: tuple[Photo, ...] = ()
    stream: PhotoStream | None = None
    remarks: tuple[str, ...] = ()

    @property
    def labelled(self) -> bool:
        """The validation photos have labels."""
        return any(photo.label != UNLABELLED for photo in self.validation)


@dataclass(frozen=True)
class SplitRule:
    """How one folder is split.

    Attributes:
        group: 0 for a random choice within every class; N for whole blocks of N consecutive names.
        fraction: share of the validation photos, 0 to 1.
        seed: of the choice.
    """

    group: int = 0
    fraction: float = 0.15
    seed: int = 0

    @staticmethod
    def parse(text: str, fraction: float, seed: int) -> SplitRule:
        """From ``random`` or ``groups:N``.

        Raises:
            ConfigError: neither, or a fraction outside 0 to 1.
        """
        if not 0.0 < fraction < 1.0:
            raise ConfigError(f"A validation share of {fraction} is impossible.", "Choose 0 to 1.")
        kind, _, size = text.partition(":")
        if text == "random":
            return SplitRule(0, fraction, seed)
        if kind == "groups" and re.fullmatch(r"0*[1-9][0-9]{0,8}", size[:20]) and len(size) <= 20:
            return SplitRule(int(size), fraction, seed)
        shown = repr(text if len(text) <= 40 else f"{text[:40]}…")
        raise ConfigError(f"There is no split {shown}.", "Use `random` or `groups:40` (40 names).")


def split_photos(folder: Path, rule: SplitRule) -> Split:
    """Read `folder`: its folders ``train``, ``val`` and ``test``, or its class folders.

    Where no validation photos are given, those to learn from are split by `rule`.

    Raises:
        DataError: no folder, no photos, one class only, an empty class, classes that differ.
    """
    sets = photo_sets(folder)
    if sets is None:
        return _split_by_rule(folder, rule)
    if sets.validation is None:
        split = _split_by_rule(sets.train, rule)
    else:
        split = _split_as_given(sets.train, sets.validation)
    if sets.test is None:
        return split
    return replace(split, test=_photos_of(sets.test, sets.train, split.labels))


def _split_by_rule(folder: Path, rule: SplitRule) -> Split:
    labels, photos = labelled_photos(folder)
    _check_classes(folder, labels)
    if rule.group:
        train, validation, guarded = _split_by_groups(photos, rule)
    else:
        train, validation, guarded = *_split_at_random(photos, rule), []
    split = Split(tuple(labels), tuple(train), tuple(validation), guarded=tuple(guarded))
    _check_split(folder, split)
    return split


def _split_as_given(training: Path, checking: Path) -> Split:
    labels, train = labelled_photos(training)
    _check_classes(training, labels)
    return Split(tuple(labels), tuple(train), _photos_of(checking, training, labels))


def _photos_of(folder: Path, training: Path, labels: Sequence[str]) -> tuple[LabelledPhoto, ...]:
    """The photos of a folder with the classes of the folder `training`, `labels`."""
    found, photos = labelled_photos(folder)
    if found != list(labels):
        odd = sorted(set(labels) ^ set(found))[0]
        raise DataError(f"Class {odd} is missing in {training} or {folder}.", "Give both the same.")
    return tuple(photos)


def has_no_classes(folder: Path) -> bool:
    """The folder holds photos, but no class folders: nobody has labelled them."""
    if not folder.is_dir() or folders_in(folder):
        return False
    return bool(find_photos(folder))


def split_unlabelled(folder: Path, rule: SplitRule, labels: Sequence[str]) -> Split:
    """Photos without labels; `labels` are the classes of the teacher, which they are shown to.

    Raises:
        DataError: too few photos.
    """
    photos = [LabelledPhoto(path, UNLABELLED) for path in find_photos(folder)]
    return split_listed(photos, rule, labels, str(folder))


def split_listed(photos: Sequence[Photo], rule: SplitRule, labels: Sequence[str], where: str) -> Split:
    """`photos` split by a random choice within every class; `where` names them in errors.

    Raises:
        DataError: too few photos, or a class without any.
    """
    train, validation = _split_at_random(photos, rule)
    split = Split(tuple(labels), tuple(train), tuple(validation))
    if not validation or not train:
        raise DataError(f"{where} holds too few photos to learn from and to validate with.", "Add photos.")
    if split.labelled:
        _check_classes(where, labels)
        _check_split(where, split)
    return split


def more_photos(folder: Path, stream: bool) -> list[Path]:
    """The photos in `folder` and below, whatever they show.

    Raises:
        ConfigError: the others are a stream, which no more can join.
        DataError: there are none.
    """
    if stream:
        raise ConfigError("--unlabelled photos cannot join a stream.", "Leave out one of them.")
    found = find_photos(folder)
    if not found:
        raise DataError(f"{folder} holds no photos.", "Name a folder of photos with --unlabelled.")
    return found


def with_unlabelled(split: Split, folder: Path) -> Split:
    """`split` with more photos to learn from, those of `more_photos`.

    Those that the split has already are left out by place; those that judge, or border what judges, by
    content too, because they must not teach.

    Raises:
        ConfigError, DataError: see `more_photos`; there are no others.
    """
    found = more_photos(folder, stream=split.stream is not None)
    kept_out = _paths((*split.validation, *split.test, *split.guarded))
    known = {path.resolve() for path in (*kept_out, *_paths(split.train))}
    new = _without_copies([path for path in found if path.resolve() not in known], kept_out)
    if not new:
        raise DataError(
            f"{folder} holds no photos but those of the split.", "Name another folder with --unlabelled."
        )
    photos = tuple(LabelledPhoto(path, UNLABELLED) for path in new)
    left_out = len(found) - len(new)
    told = f"{counted(left_out, 'photo')} of {folder.name} left out: the split has, or keeps out, the same."
    remarks = (*split.remarks, told) if left_out else split.remarks
    return replace(split, train=(*split.train, *photos), remarks=remarks)


def _paths(photos: Sequence[Photo]) -> list[Path]:
    return [photo.path for photo in photos if isinstance(photo, LabelledPhoto)]


def _without_copies(photos: Sequence[Path], others: Sequence[Path]) -> list[Path]:
    """Those of `photos` whose content none of `others` has."""
    sizes = {size for path in others if (size := _size(path)) is not None}
    digests = {_digest(path) for path in others} if any(_size(path) in sizes for path in photos) else set()
    return [path for path in photos if _size(path) not in sizes or _digest(path) not in digests]


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _digest(path: Path) -> bytes:
    """Of its content; of its name where it cannot be read, which training tells."""
    try:
        return hashlib.sha256(read_photo_file(path)).digest()
    except (OSError, DataError):
        return str(path).encode("utf-8", "surrogateescape")


def _check_classes(folder: Path | str, labels: Sequence[str]) -> None:
    if len(labels) < 2:
        raise DataError(f"{folder} holds one class only ({labels[0]}).", "Add a second class folder.")


def _check_split(folder: Path | str, split: Split) -> None:
    if not split.validation:
        raise DataError(f"No photo of {folder} is left to validate with.", "Raise the validation share.")
    missing = sorted(set(range(len(split.labels))) - {photo.label for photo in split.train})
    if missing:
        raise DataError(
            f"The split leaves class {split.labels[missing[0]]} of {folder} without training photos.",
            "Add photos, or choose smaller groups or a smaller validation share.",
        )


def _split_at_random(photos: Sequence[_P], rule: SplitRule) -> tuple[list[_P], list[_P]]:
    train: list[_P] = []
    validation: list[_P] = []
    for label in sorted({photo.label for photo in photos}):
        members = [photo for photo in photos if photo.label == label]
        random.Random(f"{rule.seed}/{label}").shuffle(members)
        count = round(len(members) * rule.fraction)
        validation.extend(members[:count])
        train.extend(members[count:])
    return train, validation


def _split_by_groups(
    photos: Sequence[LabelledPhoto], rule: SplitRule
) -> tuple[list[LabelledPhoto], list[LabelledPhoto], list[LabelledPhoto]]:
    """Blocks of consecutive names over all classes; whole blocks are held out.

    Returns: those to train with, those held out, and the guarded ones between them.
    """
    ordered = sorted(photos, key=lambda photo: (natural_key(photo.path.name), photo.label))
    blocks = [
        range(start, min(start + rule.group, len(ordered))) for start in range(0, len(ordered), rule.group)
    ]
    count = max(1, round(len(blocks) * rule.fraction))
    chosen = random.Random(f"{rule.seed}/groups").sample(blocks, count)
    held_out = {index for block in chosen for index in block}
    near = {index + step for index in held_out for step in range(-GUARD_NAMES, GUARD_NAMES + 1)} - held_out
    train = [photo for index, photo in enumerate(ordered) if index not in held_out and index not in near]
    validation = [ordered[index] for index in sorted(held_out)]
    guarded = [ordered[index] for index in sorted(near) if 0 <= index < len(ordered)]
    return train, validation, guarded
