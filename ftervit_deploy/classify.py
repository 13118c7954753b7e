"""The C engine on photos with classes; those that cannot be read are named and left out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .engine import Engine
from .errors import DataError
from .evaluate import Labels
from .photos import LabelledPhoto, load_photo, preprocess

BATCH = 64
"""Photos decoded at a time, so that memory stays bounded."""
Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Classified:
    """What the engine said of N photos.

    Attributes:
        photos: N of them.
        logits: int32 [N, classes], fixed point (NUMERICS.md).
        others: float32 [N, classes] of another model; None where none was asked.
        seconds: that the engine alone took.
        skipped: one sentence for every photo that could not be read.
    """

    photos: list[LabelledPhoto]
    logits: npt.NDArray[np.int32]
    others: Floats | None
    seconds: float
    skipped: list[str]

    @property
    def labels(self) -> Labels:
        """Class indices of the photos, int64 [N]."""
        return np.array([photo.label for photo in self.photos], np.int64)


def classify(
    engine: Engine, photos: Iterable[LabelledPhoto], other: Callable[[Pixels], Floats] | None = None
) -> Classified:
    """Run `photos` through the engine, and through another model where one is given.

    Args:
        engine: an open one.
        photos: with the indices of the model's classes.
        other: uint8 [B, H, W, 3], preprocessed -> logits float32 [B, classes].

    Raises:
        DataError: none of the photos can be read.
    """
    size, preprocessing = engine.architecture.image_size, engine.preprocessing
    kept: list[LabelledPhoto] = []
    skipped: list[str] = []
    ours, theirs, seconds = [], [], 0.0
    batch: list[Pixels] = []

    def run() -> float:
        pixels = np.stack(batch)
        batch.clear()
        started = time.perf_counter()
        ours.append(engine.logits(pixels))
        took = time.perf_counter() - started
        if other is not None:
            theirs.append(other(pixels))
        return took

    for photo in photos:
        try:
            batch.append(preprocess(load_photo(photo.path), size, preprocessing))
        except DataError as defect:
            skipped.append(str(defect))
            continue
        kept.append(photo)
        if len(batch) == BATCH:
            seconds += run()
    if batch:
        seconds += run()
    if not kept:
        raise DataError("None of the photos can be read.", skipped[0] if skipped else "")
    others = np.concatenate(theirs) if other is not None else None
    return Classified(kept, np.concatenate(ours), others, seconds, skipped)
