"""What is reported on: an image, a checkpoint, or a run folder with everything that training left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from ..checkpoint import Checkpoint, read_checkpoint
from ..errors import DataError, RecordError
from ..files import read_file
from ..graph import build_graph
from ..image import read_image, read_info, write_image
from ..jsonfile import Share, Within, read_object, record_of
from ..lower import lower
from ..models import MODELS
from ..photos import LabelledPhoto
from ..raising import raised
from ..schemes import SCHEMES, scheme_named
from ..train.runfolder import BEST_NAME, LOG_NAME, PACKED_NAME
from ..train.settings import STUDENT_PHASES
from .logs import configuration, read_entries

TEACHER_PHASES = ("guide", "teacher")
IMAGE_SUFFIX = ".ftv"


@dataclass(frozen=True)
class Measured:
    """A record of `ftervit eval`: photos and shares of them.

    Raises:
        ValueError: the share of the first five is less than that of the first.
    """

    images: Annotated[int, Within(1, 1e12)]
    top1: Share
    top5: Share

    def __post_init__(self) -> None:
        if self.top5 < self.top1:
            raise ValueError(f"top5: {self.top5} is less than top1")


@dataclass(frozen=True)
class Rows:
    """Photos of a dataset, as files.

    Attributes:
        dataset: its name.
        photos: with the indices of its classes.
        total: how many there are, of which `photos` are evenly chosen.
    """

    dataset: str
    photos: tuple[LabelledPhoto, ...]
    total: int


@dataclass(frozen=True)
class Subject:
    """A model and what is known of its making.

    Attributes:
        name: for people.
        image: the `.ftv` file's bytes.
        student: the same weights as a checkpoint.
        checkpoint_file: where the student's packed checkpoint lies; None for an image alone.
        teacher: the FP32 model it learned from; None where it is not at hand.
        logs: log file of each phase that has one.
        data: folder of the photos it was trained on; None where it is unknown or gone.
        validation, test: names of its validation and test photos, relative to `data`.
        rows: where it was trained on a dataset, those of its photos that judge it (see `rows.with_rows`).
        no_rows: why there are none, though it was trained on a dataset.
        photos: a folder of photos that belongs to the model; None where there is none.
        measured: accuracy on record.
        folder: the run folder; None for an image or a checkpoint alone.
    """

    name: str
    image: bytes
    student: Checkpoint
    checkpoint_file: Path | None = None
    teacher: Checkpoint | None = None
    logs: tuple[tuple[str, Path], ...] = ()
    data: Path | None = None
    validation: tuple[str, ...] = ()
    photos: Path | None = None
    measured: Measured | None = None
    folder: Path | None = None
    test: tuple[str, ...] = ()
    rows: Rows | None = None
    no_rows: str = ""


def open_subject(source: str, teacher: str | None = None) -> Subject:
    """The model that `source` names.

    Args:
        source: a `.ftv` image, a run folder of `ftervit train`, or whatever `ftervit pack` reads.
        teacher: checkpoint of its FP32 model, where the run folder does not hold it.

    Raises:
        FtervitError: whatever is wrong with it.
    """
    given = _full_precision(teacher) if teacher else None
    path = Path(source)
    bundled = MODELS[source].bundled if source in MODELS and not path.is_file() else None
    if bundled is not None:
        from ..resources import data_file

        return _of_folder(data_file(bundled).parent, given, source, source)
    if path.is_dir():
        return _of_folder(path, given)
    if source.endswith(IMAGE_SUFFIX):
        image = read_file(path, "image")
        return Subject(path.name, image, _student_of_image(image), teacher=given)
    checkpoint = read_checkpoint(source)
    file = path if path.is_file() else None
    return Subject(Path(source).name, packed_image(checkpoint), checkpoint, file, given)


def _full_precision(source: str) -> Checkpoint:
    """A teacher; one that does not name its scheme, as timm's do not, must not pass for a latent student.

    Raises:
        DataError: its weights are ternary.
    """
    found = read_checkpoint(source)
    if found.ternary:
        raise DataError(f"The teacher {source} is ternary itself.", "Name the FP32 model.")
    return replace(found, scheme="fp32")


def packed_image(checkpoint: Checkpoint) -> bytes:
    """The image that `ftervit pack` makes of a checkpoint by default.

    Raises:
        CheckpointError: it cannot be packed.
    """
    return write_image(lower(build_graph(checkpoint, scheme_named(checkpoint.scheme))))


def _student_of_image(image: bytes) -> Checkpoint:
    info, model = read_info(image), read_image(image)
    return Checkpoint(
        raised(model),
        model.architecture,
        info.meta.preprocessing,
        info.labels,
        info.meta.scheme,
        ternary=True,
    )


def _of_folder(folder: Path, teacher: Checkpoint | None, name: str = "", alias: str = "") -> Subject:
    """A run folder: PHASE/log.jsonl and PHASE/*.safetensors, or log/PHASE.jsonl beside the student."""
    file = _student_file(folder)
    student = read_checkpoint(alias or str(file))
    photos = folder / "photos"
    used = (
        STUDENT_PHASES[: STUDENT_PHASES.index(file.parent.name) + 1]
        if file.parent != folder
        else STUDENT_PHASES
    )
    if teacher is None and (own := _teacher_file(folder, used)) is not None:
        teacher = _full_precision(str(own))
    return Subject(
        name or folder.resolve().name, packed_image(student), student, file, teacher, _logs(folder, used),
        _data(folder), _listed(folder, "validation"), photos if photos.is_dir() else None, _measured(folder),
        folder, _listed(folder, "test"),
    )  # fmt: skip


def _student_file(folder: Path) -> Path:
    places = [folder / phase for phase in reversed(STUDENT_PHASES)] + [folder]
    for place in places:
        if (place / PACKED_NAME).is_file():
            return place / PACKED_NAME
    if (folder / "comparison.json").is_file():
        names = sorted(path.parent.parent.name for path in folder.glob(f"*/*/{PACKED_NAME}"))
        example = f", such as {folder / names[-1]}" if names else ""
        raise DataError(
            f"{folder} is a comparison.", f"Name one of its students that an image can hold{example}."
        )
    trained = next((name for name in STUDENT_PHASES if (folder / name / BEST_NAME).is_file()), None)
    scheme = _json(folder / "run.json").get("scheme")
    if trained and isinstance(scheme, str) and scheme in SCHEMES and SCHEMES[scheme].obstacle():
        raise DataError(
            f"The student of {folder} has the scheme {scheme}, and a report is of what the engine can run: "
            f"{SCHEMES[scheme].obstacle()}.",
            "`ftervit compare` tells what it reached, and `ftervit schemes` its bytes.",
        )
    raise DataError(
        f"{folder} holds no trained student.",
        "Name a run folder in which `ftervit train --phase training` has ended, an image or a checkpoint.",
    )


def _teacher_file(folder: Path, phases: Sequence[str]) -> Path | None:
    """The teacher of the run folder, else the file that the log of its student's last phase names."""
    own = folder / "teacher" / BEST_NAME
    if own.is_file():
        return own
    for phase, path in reversed(_logs(folder, phases)):
        if phase in STUDENT_PHASES:
            source = configuration(read_entries(path)).get("teacher_source")
            return _found(source, folder) if isinstance(source, str) and source else None
    return None


def _found(name: str, folder: Path) -> Path | None:
    """A file that a command named, seen from here or from a folder above `folder`, where it may have run."""
    places = (Path(name), *(parent / name for parent in folder.resolve().parents))
    return next((place for place in places if place.is_file()), None)


def _logs(folder: Path, students: Sequence[str]) -> tuple[tuple[str, Path], ...]:
    """Of the teacher's phases and of those of the student that made it."""
    found = []
    for phase in (*TEACHER_PHASES, *students):
        for path in (folder / phase / LOG_NAME, folder / "log" / f"{phase}.jsonl"):
            if path.is_file():
                found.append((phase, path))
                break
    return tuple(found)


def _json(path: Path) -> dict[str, Any]:
    """An object in a file that another program wrote; empty where it is none."""
    try:
        return read_object(path, "") if path.is_file() else {}
    except RecordError:
        return {}


def _data(folder: Path) -> Path | None:
    named = _json(folder / "run.json").get("data")
    return Path(named) if isinstance(named, str) and Path(named).is_dir() else None


def _listed(folder: Path, kind: str) -> tuple[str, ...]:
    """Names of the ``validation`` or ``test`` photos."""
    for path in (folder / "split.json", folder / "log" / "split.json"):
        names = _json(path).get(kind)
        if isinstance(names, list):
            return tuple(name for name in names if isinstance(name, str))
    return ()


def _measured(folder: Path) -> Measured | None:
    for path in (folder / "eval.json", folder / "log" / "eval.json"):
        try:
            return record_of(Measured, _json(path))
        except ValueError:
            continue
    return None
