"""Photos as a source of batches: decoded once into memory where they fit, else for every batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..architecture import Architecture, Preprocessing
from ..errors import DataError
from ..photos import LabelledPhoto, centre_crop, load_photo, preprocess, resize_shorter_side
from .sharing import Part, Share, generator_of

DECODE_WINDOW = 256
STORED_MARGIN = 1.15
"""Side of a stored training photo over the side that fills the model's input."""
_T = TypeVar("_T")
UNLABELLED = -1
"""The label of a photo without one."""


class Stored(Protocol):
    """A photo that is no file of its own, such as a row of a dataset."""

    @property
    def label(self) -> int:
        """Index of its class, or UNLABELLED."""

    @property
    def name(self) -> str:
        """What a person may find it by."""

    def load(self) -> Image.Image:
        """Decoded completely, mode RGB.

        Raises:
            DataError: it is not readable.
        """


Photo = LabelledPhoto | Stored
Decode = Callable[[Path | Stored], np.ndarray]
"""A photo's file or row -> uint8 [3, S, S]."""


def source_of(photo: Photo) -> Path | Stored:
    """What a decoder takes."""
    return photo.path if isinstance(photo, LabelledPhoto) else photo


def _opened(source: Path | Stored) -> Image.Image:
    return load_photo(source) if isinstance(source, Path) else source.load()


def training_decoder(arch: Architecture, preprocessing: Preprocessing) -> Decode:
    """Decoder that leaves a margin for augmentation: the whole shorter side, a centred square."""
    side = round(arch.image_size / preprocessing.crop_fraction * STORED_MARGIN)

    def decode(source: Path | Stored) -> np.ndarray:
        resized = resize_shorter_side(_opened(source), side, preprocessing.interpolation)
        return _channels_first(np.asarray(centre_crop(resized, side, side), dtype=np.uint8))

    return decode


def validation_decoder(arch: Architecture, preprocessing: Preprocessing) -> Decode:
    """Decoder that does exactly what the deployed model's preprocessing does."""

    def decode(source: Path | Stored) -> np.ndarray:
        return _channels_first(preprocess(_opened(source), arch.image_size, preprocessing))

    return decode


def _channels_first(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(image.transpose(2, 0, 1))


@dataclass(frozen=True)
class EpochPlan:
    """An epoch, or what is left of it, as one process sees it.

    Attributes:
        seed: of the run.
        epoch: from 1; seed and epoch decide the order.
        batch_size: photos of a step, over all processes.
        first_step: steps of this epoch that were taken before.
        share: which process this is.
    """

    seed: int
    epoch: int
    batch_size: int
    first_step: int = 0
    share: Share = field(default_factory=Share)


@dataclass(frozen=True)
class Batch:
    """A process's part of a batch: uint8 [n, 3, S, S], int64 [n]."""

    images: Tensor
    labels: Tensor
    part: Part


class PhotoSource(Protocol):
    """Training photos, however many there are.

    Attributes:
        skipped: one sentence for every photo that could not be read so far.
    """

    skipped: list[str]

    def __len__(self) -> int:
        """Photos of an epoch."""

    def epoch(self, plan: EpochPlan) -> Iterator[Batch]:
        """The batches of `plan`, the next one prepared ahead."""


@dataclass
class PhotoSet:
    """Photos of one purpose as a source of batches.

    Attributes:
        labels: int64 [N].
        stored: uint8 [N, 3, S, S], or None where the photos do not fit the memory allowed;
            they are then decoded for every batch.
        photos: N of them.
        decode: photo -> uint8 [3, S, S].
        threads: decoding threads.
        skipped: one sentence for every photo that could not be read.
    """

    labels: Tensor
    stored: Tensor | None
    photos: list[Photo]
    decode: Decode
    threads: int
    skipped: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.photos)

    @property
    def stored_bytes(self) -> int:
        """Memory of the decoded photos."""
        return 0 if self.stored is None else self.stored.nbytes

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """(uint8 [B, 3, S, S], int64 [B]) of the photos at `indices`, int64 [B].

        Where one cannot be read, the next that can be takes its place.
        """
        if self.stored is not None:
            return self.stored[indices], self.labels[indices]
        with ThreadPoolExecutor(self.threads) as pool:
            found = list(pool.map(self._readable, indices.tolist()))
        images = np.stack([image for image, _ in found])
        return torch.from_numpy(images), self.labels[[index for _, index in found]]

    def _readable(self, index: int) -> tuple[np.ndarray, int]:
        for candidate in range(index, index + len(self)):
            chosen = candidate % len(self)
            try:
                return self.decode(source_of(self.photos[chosen])), chosen
            except DataError as defect:
                if defect.what not in self.skipped:
                    self.skipped.append(defect.what)
        raise DataError("None of the photos can be read.", self.skipped[0])

    def epoch(self, plan: EpochPlan) -> Iterator[Batch]:
        """All photos once, in an order that depends on seed and epoch only."""
        order = torch.randperm(len(self), generator=generator_of(plan.seed, "order", plan.epoch))
        chunks = torch.split(order, plan.batch_size)[plan.first_step :]
        return ahead(self._batch(chunk, plan.share.part(len(chunk))) for chunk in chunks)

    def _batch(self, indices: Tensor, part: Part) -> Batch:
        images, labels = self.batch(indices[part.rows])
        return Batch(images, labels, part)


def ahead(items: Iterator[_T]) -> Iterator[_T]:
    """`items`, each made while the one before is used."""
    with ThreadPoolExecutor(1) as worker:
        coming = worker.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = worker.submit(next, items, None)
            yield item


def open_photos(
    photos: Sequence[Photo], decode: Decode, memory_bytes: int, threads: int, check_all: bool = True
) -> PhotoSet:
    """Decode `photos` once; those that cannot be read are named in `skipped` and left out.

    Args:
        photos: what to decode.
        decode: photo -> uint8 [3, S, S].
        memory_bytes: above this the decoded photos are not kept.
        threads: decoding threads.
        check_all: read all of them now; else, once they do not fit, the rest is looked at when it is used.

    Raises:
        DataError: none of the photos can be read.
    """
    kept: list[Photo] = []
    skipped: list[str] = []
    stored: np.ndarray | None = None
    looked, fits = 0, True
    for photo, result in zip(photos, _decoded(photos, decode, threads), strict=False):
        looked += 1
        if isinstance(result, DataError):
            skipped.append(result.what)
            continue
        if stored is None and fits:
            fits = len(photos) * result.nbytes <= memory_bytes
            stored = np.empty((len(photos), *result.shape), np.uint8) if fits else None
        if stored is not None:
            stored[len(kept)] = result
        kept.append(photo)
        if not fits and not check_all:
            break
    kept.extend(photos[looked:])
    if not kept:
        raise DataError("None of the photos can be read.", skipped[0] if skipped else "")
    labels = torch.tensor([photo.label for photo in kept])
    images = None if stored is None else torch.from_numpy(stored[: len(kept)])
    return PhotoSet(labels, images, kept, decode, threads, skipped)


def _decoded(photos: Sequence[Photo], decode: Decode, threads: int) -> Iterator[np.ndarray | DataError]:
    """Decoded photos or what is wrong with them, in order, `DECODE_WINDOW` at a time."""

    def attempt(photo: Photo) -> np.ndarray | DataError:
        try:
            return decode(source_of(photo))
        except DataError as defect:
            return defect

    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(photos), DECODE_WINDOW):
            yield from pool.map(attempt, photos[start : start + DECODE_WINDOW])
