"""Photos of the dataset that a run was trained on, for a report of it."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import FtervitError
from ..files import FileError
from ..photos import LabelledPhoto
from ..train.settings import RunMemory, recall
from .photographs import spread
from .subject import Rows, Subject

if TYPE_CHECKING:
    from ..train.hubdata import HubRow
    from ..train.streams import BytesPhoto

MOST = 10_000
"""Photos that are written to disk for a report, at most."""
_HELD_BYTES = 2_000_000_000
"""Most memory for the photos of a stream."""


def with_rows(subject: Subject, folder: Path) -> Subject:
    """`subject`, with the test or validation photos of the dataset it was trained on written into `folder`.

    Any other subject stays as it is; where the dataset cannot be had, `no_rows` says why.

    Raises:
        FileError: `folder` cannot be written.
    """
    if subject.folder is None:
        return subject
    data = ""
    try:
        known = recall(subject.folder)
        data = str(known.get("data", "")).removeprefix("hub:")
        return _with_rows(subject, subject.folder, known, folder)
    except FileError:
        raise
    except FtervitError as error:
        return replace(subject, no_rows=_without_paths(str(error), subject.folder, data))


def _without_paths(text: str, run: Path, data: str) -> str:
    """A page may be published: where on a disk the run, or a dataset in a folder, was stays here."""
    if Path(data).is_absolute():
        text = text.replace(data, Path(data).name)
    return text.replace(f"{run}/", "")


def _with_rows(subject: Subject, run: Path, known: dict[str, Any], folder: Path) -> Subject:
    if not str(known.get("data", "")).startswith("hub:"):
        return subject
    if not all(importlib.util.find_spec(name) for name in ("torch", "datasets")):
        missing = 'Photos of a dataset need `pip install "ftervit[train,datasets]"`.'
        return replace(subject, no_rows=missing)
    from ..train.distill import check_same_photos, open_split
    from ..train.starts import Sources

    memory = RunMemory(**known)
    split = open_split(run, memory, "training", Sources(), _HELD_BYTES)
    check_same_photos(run, split, memory.data)
    judges = split.test or split.validation
    if not split.labelled:
        return replace(subject, no_rows="The photos of the dataset have no classes.")
    photos = []
    for number, photo in enumerate(spread(judges, MOST)):
        path = folder / f"{number:06}"
        _write(path, photo)  # type: ignore[arg-type]  # of a dataset they are of these kinds
        photos.append(LabelledPhoto(path, photo.label))
    name = memory.data.removeprefix("hub:")
    shown = Path(name).name if Path(name).is_dir() else name
    return replace(subject, rows=Rows(shown, tuple(photos), len(judges)))


def _write(path: Path, photo: HubRow | BytesPhoto) -> None:
    try:
        path.write_bytes(photo.content)
    except OSError as error:
        raise FileError(f"{path} cannot be written: {error.strerror}.", "Free some space.") from None
