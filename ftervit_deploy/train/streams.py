"""Training photos that arrive one after the other, from a dataset too large for the disk."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import torch
from PIL import Image

from ..errors import DataError
from ..photos import load_photo_bytes
from .photosets import UNLABELLED, Batch, Decode, EpochPlan, ahead
from .sharing import Part

SHUFFLE_BUFFER = 2048
"""Photos among which the next one is drawn."""


@dataclass(frozen=True)
class BytesPhoto:
    """A photo as a file in memory; see `photosets.Stored`."""

    name: str
    label: int
    content: bytes

    def load(self) -> Image.Image:
        """See `photosets.Stored`."""
        return load_photo_bytes(self.name, self.content)


def bytes_photo(row: Mapping[str, Any], columns: tuple[str, str], name: str) -> BytesPhoto:
    """A row of a dataset as a photo; `columns` are those of image and label, the latter "" for none."""
    stored = row[columns[0]] or {}
    content = stored.get("bytes")
    if content is None and stored.get("path"):
        with open(stored["path"], "rb") as file:
            content = file.read()
    label = row[columns[1]] if columns[1] else UNLABELLED
    return BytesPhoto(name, UNLABELLED if label is None else int(label), content or b"")


@dataclass(frozen=True)
class PhotoStream:
    """A dataset that is read in order.

    Attributes:
        dataset: a `datasets.IterableDataset` whose images are not decoded.
        columns: of image and label.
        count: photos of an epoch; the stream starts again where it ends earlier.
        name: of the dataset.
    """

    dataset: Any
    columns: tuple[str, str]
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
        with ThreadPoolExecutor(self.threads) as pool:
            for step in range(steps):
                part = plan.share.part(min(plan.batch_size, len(self) - step * plan.batch_size))
                photos = list(islice(rows, part.rows.stop - part.rows.start))
                if not photos:
                    raise DataError(f"The stream {self.stream.name} is empty.", "Check its training split.")
                if step >= plan.first_step:
                    yield self._batch(photos, list(pool.map(self._attempt, photos)), part)

    def _rows(self, plan: EpochPlan) -> Iterator[BytesPhoto]:
        from datasets.distributed import split_dataset_by_node

        shuffled = self.stream.dataset.shuffle(seed=plan.seed % 2**32, buffer_size=SHUFFLE_BUFFER)
        shuffled.set_epoch(plan.epoch)
        if plan.share.processes > 1:
            shuffled = split_dataset_by_node(shuffled, plan.share.rank, plan.share.processes)
        for number, row in enumerate(shuffled.repeat(None)):
            path = (row[self.stream.columns[0]] or {}).get("path")
            name = f"{self.stream.name}, {path or f'no. {number} of shuffled epoch {plan.epoch}'}"
            yield bytes_photo(row, self.stream.columns, name)

    def _attempt(self, photo: BytesPhoto) -> np.ndarray | None:
        try:
            return self.decode(photo)
        except DataError as defect:
            digest = hashlib.sha256(photo.content).digest()
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
