"""Training photos that arrive one after the other, from a dataset too large for the disk."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import torch
from PIL import Image

from ..errors import DataError
from ..photos import load_photo_bytes
from ..plaintext import reason_of
from .photosets import UNLABELLED, Batch, Decode, EpochPlan, ahead
from .rowfiles import RowFiles
from .sharing import Part

SHUFFLE_BUFFER = 2048
"""Photos among which the next one is drawn."""
READERS = 16
"""Files of a stream that are read at the same time: from the hub, each takes its time to come."""


@dataclass(frozen=True)
class NamedRow:
    """A row of a dataset, and what its photo is called."""

    row: Mapping[str, Any]
    name: str


@dataclass(frozen=True)
class BytesPhoto:
    """A photo as a file in memory; see `photosets.Stored`.

    Attributes:
        problem: why the file was not read, a sentence; empty where it was.
    """

    name: str
    label: int
    content: bytes
    problem: str = ""

    def load(self) -> Image.Image:
        """See `photosets.Stored`."""
        if self.problem:
            raise DataError(self.problem)
        return load_photo_bytes(self.name, self.content)


def class_index(label: int | None, classes: int, name: str) -> int:
    """The class of a row called `name`, from what its column of labels holds; null and -1 are UNLABELLED.

    Raises:
        DataError: it is none of `classes`.
    """
    if label is None or label == UNLABELLED:
        return UNLABELLED
    if not 0 <= label < classes:
        raise DataError(
            f"{name} has the label {label}, and there are {classes} classes.",
            "Mend the dataset, or name another --label-column.",
        )
    return int(label)


@dataclass(frozen=True)
class RowReader:
    """How a row of a dataset becomes a photo.

    Attributes:
        image, label: columns; `label` is "" where there is none.
        files: those that a row may name instead of holding one.
        classes: how many there are.
    """

    image: str
    label: str
    files: RowFiles
    classes: int = 0

    def photo(self, named: NamedRow) -> BytesPhoto:
        """The photo of a row; one that cannot be read says so when it is loaded.

        Raises:
            DataError: see `class_index`.
        """
        row, name = named.row, named.name
        stored = row[self.image] or {}
        known = class_index(row[self.label], self.classes, name) if self.label else UNLABELLED
        content, path = stored.get("bytes"), stored.get("path")
        if content is not None or not path:
            return BytesPhoto(name, known, content or b"")
        try:
            return BytesPhoto(name, known, self.files.read(path))
        except DataError as defect:
            return BytesPhoto(name, known, b"", f"{name} is no readable photo: {defect.what}")


@dataclass(frozen=True)
class PhotoStream:
    """A dataset that is read in order.

    Attributes:
        dataset: a `datasets.IterableDataset` whose images are not decoded.
        reader: of its rows.
        count: photos of an epoch; the stream starts again where it ends earlier.
        name: of the dataset.
    """

    dataset: Any
    reader: RowReader
    count: int
    name: str

    def __len__(self) -> int:
        return self.count

    def opened(self, decode: Decode, threads: int) -> StreamSet:
        """As a source of batches."""
        return StreamSet(self, decode, threads)


@dataclass
class StreamSet:
    """A stream as a source of batches; see `photosets.PhotoSource`.

    The order depends on the seed, the epoch and the number of processes, each of which reads its own part.
    """

    stream: PhotoStream
    decode: Decode
    threads: int
    skipped: list[str] = field(default_factory=list)
    _unreadable: set[bytes] = field(default_factory=set)

    def __len__(self) -> int:
        return self.stream.count

    def epoch(self, plan: EpochPlan) -> Iterator[Batch]:
        """As many photos as an epoch has, from the stream shuffled anew."""
        return ahead(self._batches(plan))

    def _batches(self, plan: EpochPlan) -> Iterator[Batch]:
        rows = self._rows(plan)
        steps = -(-len(self) // plan.batch_size)
        with ThreadPoolExecutor(READERS) as readers, ThreadPoolExecutor(self.threads) as decoders:
            for step in range(steps):
                part = plan.share.part(min(plan.batch_size, len(self) - step * plan.batch_size))
                named = list(islice(rows, part.rows.stop - part.rows.start))
                if not named:
                    raise DataError(f"The stream {self.stream.name} is empty.", "Check its training split.")
                if step >= plan.first_step:
                    photos = list(readers.map(self.stream.reader.photo, named))
                    yield self._batch(photos, list(decoders.map(self._attempt, photos)), part)

    def _rows(self, plan: EpochPlan) -> Iterator[NamedRow]:
        from datasets.distributed import split_dataset_by_node

        shuffled = self.stream.dataset.shuffle(seed=plan.seed % 2**32, buffer_size=SHUFFLE_BUFFER)
        shuffled.set_epoch(plan.epoch)
        if plan.share.processes > 1:
            shuffled = split_dataset_by_node(shuffled, plan.share.rank, plan.share.processes)
        for number, row in enumerate(unbroken(shuffled.repeat(None), self.stream.name)):
            path = (row[self.stream.reader.image] or {}).get("path")
            name = f"{self.stream.name}, {path or f'no. {number} of shuffled epoch {plan.epoch}'}"
            yield NamedRow(row, name)

    def _attempt(self, photo: BytesPhoto) -> np.ndarray | None:
        try:
            return self.decode(photo)
        except DataError as defect:
            told = photo.content or photo.problem.encode("utf-8", "backslashreplace")
            digest = hashlib.sha256(told).digest()
            if digest not in self._unreadable:  # it comes again in every epoch, at another place
                self._unreadable.add(digest)
                self.skipped.append(defect.what)
            return None

    def _batch(self, photos: list[BytesPhoto], images: list[np.ndarray | None], part: Part) -> Batch:
        """Where one cannot be read, the first of the batch that can be takes its place, label and all."""
        first = next((index for index, image in enumerate(images) if image is not None), None)
        if first is None:
            raise DataError("None of the photos of a batch can be read.", self.skipped[-1])
        chosen = [first if image is None else index for index, image in enumerate(images)]
        stacked = np.stack([image for index in chosen if (image := images[index]) is not None])
        labels = torch.tensor([photos[index].label for index in chosen])
        return Batch(torch.from_numpy(stacked), labels, part)


def unbroken(rows: Iterable[Mapping[str, Any]], name: str) -> Iterator[Mapping[str, Any]]:
    """The rows of the stream `name`.

    Raises:
        DataError: no more come, though there are some: the network is gone, or a file is damaged.
    """
    try:
        yield from rows
    except Exception as defect:  # of whichever file format, or of the hub's client
        raise DataError(
            f"The stream {name} broke off: {reason_of(defect)}",
            "Try again when it can be read; a run that has begun goes on with --resume.",
        ) from None
