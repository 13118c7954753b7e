"""The C engine on photos with classes: accuracy, confusion, and the photos it got wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..classify import Classified, classify
from ..engine import Engine
from ..errors import DataError
from ..evaluate import match_classes, probabilities, score
from ..photos import LabelledPhoto, labelled_photos, listed_photos
from ..resources import data_file
from .contents import Accuracy, Missing, Phase, WorstPhoto
from .photographs import shown
from .subject import Subject

WORST_SHOWN = 12
LARGEST_MATRIX = 40
"""Models with more classes get their most frequent confusions in a table instead."""

Track = Callable[[Sequence[LabelledPhoto]], Iterable[LabelledPhoto]]
"""Passes photos through, and shows progress if it likes."""


def measured(
    subject: Subject, data: Path | None, split: Sequence[str] | None, pictures: bool, track: Track
) -> Accuracy | Missing:
    """Run the engine on `data`, or on the test or validation photos that the run remembers.

    Args:
        data: folder of class folders; None for the run's own.
        split: names relative to `data` that count; None for all in `data`.
        pictures: show the worst photos.
        track: see Track.

    Raises:
        DataError: `data` was named and cannot serve.
    """
    own = data is None
    folder = subject.data if data is None else data
    names = subject.test or subject.validation if own else split
    if folder is None or (own and not names):
        return _on_record(subject)
    try:
        photos = _photos(folder, subject.student.labels, names, complete=not own)
        if not photos:
            raise DataError("The photos that the split lists are not where they were.")
        with Engine(subject.image) as engine:
            found = classify(engine, track(photos))
    except DataError as error:
        if not own:
            raise
        return Missing(str(error))
    kind, role = _kind(subject, own, bool(names))
    left_out = f" {len(found.skipped)} more could not be read." if found.skipped else ""
    name = folder.resolve().name
    evidence = (
        f"The C engine on {len(found.photos)} {kind} of {name}, measured for this page.{role}{left_out}"
    )
    return _accuracy(subject, found, name, evidence, pictures)


def _kind(subject: Subject, own: bool, listed: bool) -> tuple[str, str]:
    """What photos they are, and a sentence on what they were used for."""
    if not own:
        return "validation photos" if listed else "photos", ""
    if subject.test:
        return "test photos", " They chose nothing, and none was learned from."
    return "validation photos", " They chose the epoch that was kept; none was learned from."


def _on_record(subject: Subject) -> Accuracy | Missing:
    record = subject.measured
    if record is None:
        return Missing("No photos with classes are at hand; name a folder of class folders with --data.")
    return Accuracy(
        record.images, record.top1, record.top5, "",
        f"The C engine on {record.images} photos, as `ftervit eval` recorded it beside the model.",
        (), (), "The record has no confusion matrix; --data measures again.",
    )  # fmt: skip


def _photos(
    folder: Path, labels: Sequence[str], names: Sequence[str] | None, complete: bool
) -> list[LabelledPhoto]:
    if names is None:
        folders, photos = labelled_photos(folder)
    else:
        folders, photos = listed_photos(folder, names, complete)
    wordnet = data_file("imagenet_wordnet_ids.txt").read_text("ascii").split()
    classes = match_classes(folders, labels, wordnet)
    return [LabelledPhoto(photo.path, classes[photo.label]) for photo in photos]


def _accuracy(subject: Subject, done: Classified, data: str, evidence: str, pictures: bool) -> Accuracy:
    found = score(done.logits, done.labels)
    confusion = tuple(tuple(int(count) for count in row) for row in found.confusion)
    worst = tuple(_worst(subject, done.photos, probabilities(done.logits))) if pictures else ()
    note = "" if pictures else "Photos are left out of this page."
    return Accuracy(found.images, found.top1, found.top5, data, evidence, confusion, worst, note)


def _worst(
    subject: Subject, photos: Sequence[LabelledPhoto], shares: npt.NDArray[np.float64]
) -> Iterable[WorstPhoto]:
    """Surest mistakes first, then those right ones that had the least probability."""
    labels = np.array([photo.label for photo in photos])
    predicted, own = shares.argmax(axis=1), shares[np.arange(len(labels)), labels]
    wrong = predicted != labels
    order = np.lexsort((np.where(wrong, -shares.max(axis=1), own), ~wrong))
    names = subject.student.labels
    for index in order[:WORST_SHOWN]:
        photo = photos[index]
        picture = shown(photo.path, subject.student.preprocessing)
        yield WorstPhoto(
            f"{photo.path.parent.name}/{photo.path.name}", picture, names[photo.label],
            names[predicted[index]], float(shares[index].max()), float(own[index]),
        )  # fmt: skip


def from_log(phases: Sequence[Phase]) -> tuple[float, str] | None:
    """The best validation accuracy of the newest phase, and which epoch it is; None without logs."""
    for phase in reversed(phases):
        best = phase.best
        if best is not None and best.top1 is not None:
            return best.top1, f"log of phase {phase.name}, epoch {best.epoch}"
    return None
