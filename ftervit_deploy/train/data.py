"""Training data: a folder of photos, split into training and validation, decoded once into memory."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..architecture import Architecture, Preprocessing
from ..errors import ConfigError, DataError
from ..photos import (
    LabelledPhoto,
    centre_crop,
    labelled_photos,
    load_photo,
    natural_key,
    preprocess,
    resize_shorter_side,
)

GUARD_NAMES = 5
"""Training photos within so many names of a validation block are left out (split by groups)."""
DECODE_WINDOW = 256
STORED_MARGIN = 1.15
"""Side of a stored training photo over the side that fills the model's input."""


@dataclass(frozen=True)
class Split:
    """Photos to learn from and photos to check with.

    Attributes:
        labels: class names; a photo's label is an index into them.
        train, validation: the photos.
        guarded: how many photos were left out because they border a validation block.
    """

    labels: tuple[str, ...]
    train: tuple[LabelledPhoto, ...]
    validation: tuple[LabelledPhoto, ...]
    guarded: int = 0


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
        if kind == "groups" and size.isascii() and size.isdigit() and int(size) > 0:
            return SplitRule(int(size), fraction, seed)
        raise ConfigError(f"There is no split {text!r}.", "Use `random` or `groups:40` (40 names).")


def split_photos(folder: Path, rule: SplitRule) -> Split:
    """Read `folder`: its own ``train`` and ``val`` folders, or its class folders split by `rule`.

    Raises:
        DataError: no folder, no photos, one class only, an empty class, classes that differ.
    """
    if (folder / "train").is_dir() and (folder / "val").is_dir():
        return _split_as_given(folder)
    labels, photos = labelled_photos(folder)
    _check_classes(folder, labels)
    if rule.group:
        train, validation, guarded = _split_by_groups(photos, rule)
    else:
        train, validation, guarded = *_split_at_random(photos, rule), 0
    split = Split(tuple(labels), tuple(train), tuple(validation), guarded)
    _check_split(folder, split)
    return split


def _split_as_given(folder: Path) -> Split:
    labels, train = labelled_photos(folder / "train")
    val_labels, validation = labelled_photos(folder / "val")
    _check_classes(folder / "train", labels)
    if labels != val_labels:
        odd = sorted(set(labels) ^ set(val_labels))[0]
        raise DataError(f"Class {odd} is missing in {folder}/train or {folder}/val.", "Give both the same.")
    return Split(tuple(labels), tuple(train), tuple(validation))


def _check_classes(folder: Path, labels: Sequence[str]) -> None:
    if len(labels) < 2:
        raise DataError(f"{folder} holds one class only ({labels[0]}).", "Add a second class folder.")


def _check_split(folder: Path, split: Split) -> None:
    if not split.validation:
        raise DataError(f"No photo of {folder} is left to validate with.", "Raise the validation share.")
    missing = sorted(set(range(len(split.labels))) - {photo.label for photo in split.train})
    if missing:
        raise DataError(
            f"The split leaves class {split.labels[missing[0]]} of {folder} without training photos.",
            "Add photos, or choose smaller groups or a smaller validation share.",
        )


def _split_at_random(
    photos: Sequence[LabelledPhoto], rule: SplitRule
) -> tuple[list[LabelledPhoto], list[LabelledPhoto]]:
    train: list[LabelledPhoto] = []
    validation: list[LabelledPhoto] = []
    for label in sorted({photo.label for photo in photos}):
        members = [photo for photo in photos if photo.label == label]
        random.Random(f"{rule.seed}/{label}").shuffle(members)
        count = round(len(members) * rule.fraction)
        validation.extend(members[:count])
        train.extend(members[count:])
    return train, validation


def _split_by_groups(
    photos: Sequence[LabelledPhoto], rule: SplitRule
) -> tuple[list[LabelledPhoto], list[LabelledPhoto], int]:
    """Blocks of consecutive names over all classes; whole blocks are held out."""
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
    return train, validation, len(ordered) - len(train) - len(validation)


@dataclass
class PhotoSet:
    """Photos of one purpose as a source of batches.

    Attributes:
        labels: int64 [N].
        stored: uint8 [N, 3, S, S], or None where the photos do not fit the memory allowed;
            they are then decoded for every batch.
        photos: paths, N of them.
        decode: path -> uint8 [3, S, S].
        threads: decoding threads.
        skipped: one sentence for every photo that could not be read.
    """

    labels: Tensor
    stored: Tensor | None
    photos: list[LabelledPhoto]
    decode: Callable[[Path], np.ndarray]
    threads: int
    skipped: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.photos)

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """(uint8 [B, 3, S, S], int64 [B]) of the photos at `indices`, int64 [B]."""
        if self.stored is not None:
            return self.stored[indices], self.labels[indices]
        paths = [self.photos[index].path for index in indices.tolist()]
        with ThreadPoolExecutor(self.threads) as pool:
            images = np.stack(list(pool.map(self.decode, paths)))
        return torch.from_numpy(images), self.labels[indices]

    def batches(self, order: Tensor, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of the photos at `order`, int64 [N], in that order; the next is decoded ahead."""
        chunks = torch.split(order, batch_size)
        with ThreadPoolExecutor(1) as ahead:
            coming = ahead.submit(self.batch, chunks[0])
            for chunk in chunks[1:]:
                ready, coming = coming.result(), ahead.submit(self.batch, chunk)
                yield ready
            yield coming.result()


def training_decoder(arch: Architecture, preprocessing: Preprocessing) -> Callable[[Path], np.ndarray]:
    """Decoder that leaves a margin for augmentation: the whole shorter side, a centred square."""
    side = round(arch.image_size / preprocessing.crop_fraction * STORED_MARGIN)

    def decode(path: Path) -> np.ndarray:
        resized = resize_shorter_side(load_photo(path), side, preprocessing.interpolation)
        return _channels_first(np.asarray(centre_crop(resized, side, side), dtype=np.uint8))

    return decode


def validation_decoder(arch: Architecture, preprocessing: Preprocessing) -> Callable[[Path], np.ndarray]:
    """Decoder that does exactly what the deployed model's preprocessing does."""

    def decode(path: Path) -> np.ndarray:
        return _channels_first(preprocess(load_photo(path), arch.image_size, preprocessing))

    return decode


def _channels_first(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(image.transpose(2, 0, 1))


def open_photos(
    photos: Sequence[LabelledPhoto],
    decode: Callable[[Path], np.ndarray],
    memory_bytes: int,
    threads: int,
) -> PhotoSet:
    """Decode `photos` once; those that cannot be read are named in `skipped` and left out.

    Args:
        photos: what to decode.
        decode: path -> uint8 [3, S, S].
        memory_bytes: above this the decoded photos are not kept.
        threads: decoding threads.

    Raises:
        DataError: none of the photos can be read.
    """
    kept: list[LabelledPhoto] = []
    images: list[np.ndarray] = []
    skipped: list[str] = []
    held_bytes, fits = 0, True
    for photo, result in zip(photos, _decoded(photos, decode, threads), strict=True):
        if isinstance(result, DataError):
            skipped.append(result.what)
            continue
        kept.append(photo)
        held_bytes += result.nbytes
        fits = held_bytes <= memory_bytes
        if fits:
            images.append(result)
        else:
            images.clear()
    if not kept:
        raise DataError("None of the photos can be read.", skipped[0] if skipped else "")
    labels = torch.tensor([photo.label for photo in kept])
    stored = torch.from_numpy(np.stack(images)) if fits else None
    return PhotoSet(labels, stored, kept, decode, threads, skipped)


def _decoded(
    photos: Sequence[LabelledPhoto], decode: Callable[[Path], np.ndarray], threads: int
) -> Iterator[np.ndarray | DataError]:
    """Decoded photos or what is wrong with them, in order, `DECODE_WINDOW` at a time."""

    def attempt(photo: LabelledPhoto) -> np.ndarray | DataError:
        try:
            return decode(photo.path)
        except DataError as defect:
            return defect

    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(photos), DECODE_WINDOW):
            yield from pool.map(attempt, photos[start : start + DECODE_WINDOW])
