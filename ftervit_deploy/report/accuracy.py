"""The C engine on photos with classes: accuracy, confusion, and the photos it got wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class _Judges:
    """Photos that judge.

    Attributes:
        photos: with the indices of the model's classes.
        kind: what they are.
        data: where they are from, as a page may say it.
        role: what they were used for, a sentence; empty where nobody knows.
    """

    photos: Sequence[LabelledPhoto]
    kind: str
    data: str
    role: str = ""


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
    if data is not None:
        photos = _photos(data, subject.student.labels, split, complete=True)
        kind = "photos" if split is None else "validation photos"
        return _judged(subject, _Judges(photos, kind, data.resolve().name), pictures, track)
    try:
        judges = _own(subject)
        return _on_record(subject) if judges is None else _judged(subject, judges, pictures, track)
    except DataError as error:
        return Missing(_without_path(str(error), subject.data))


def _own(subject: Subject) -> _Judges | None:
    """The test or validation photos of the run; None where it is none, or remembers none."""
    kind = "test photos" if subject.test else "validation photos"
    chose = "They chose nothing" if subject.test else "They chose the epoch that was kept"
    role = f" {chose}{', and' if subject.test else ';'} none was learned from."
    names = subject.test or subject.validation
    if subject.rows is not None:
        data = subject.rows.dataset
        if len(subject.rows.photos) < subject.rows.total:
            data += f", evenly chosen of {subject.rows.total}"
        return _Judges(subject.rows.photos, kind, data, role)
    if subject.data is None or not names:
        return None
    photos = _photos(subject.data, subject.student.labels, names, complete=False)
    return _Judges(photos, kind, subject.data.resolve().name, role)


def _without_path(text: str, folder: Path | None) -> str:
    """A page may be published; nobody there needs to know where on a disk a folder was."""
    return text if folder is None else text.replace(str(folder), folder.name)


def _judged(subject: Subject, judges: _Judges, pictures: bool, track: Track) -> Accuracy:
    if not judges.photos:
        raise DataError("The photos that the split lists are not where they were.")
    with Engine(subject.image) as engine:
        found = classify(engine, track(judges.photos))
    left_out = f" {len(found.skipped)} more could not be read." if found.skipped else ""
    evidence = (
        f"The C engine on {len(found.photos)} {judges.kind} of {judges.data}, measured for this page."
        f"{judges.role}{left_out}"
    )
    return _accuracy(subject, found, judges.data, evidence, pictures)


def _on_record(subject: Subject) -> Accuracy | Missing:
    record = subject.measured
    if record is None and subject.no_rows:
        return Missing(subject.no_rows)
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
