"""The phases of a run: teacher, training (distillation) and recovery (arXiv 2605.21171, section 3)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ..architecture import architecture_named
from ..checkpoint.labels import label_defect
from ..errors import ConfigError, DataError, TrainError
from ..files import write_atomic
from ..jsonfile import count_in, read_record
from ..photos import LabelledPhoto
from .data import (
    Split,
    SplitRule,
    has_no_classes,
    split_photos,
    split_unlabelled,
    with_unlabelled,
)
from .hubdata import PREFIX, HubData, is_hub_data, split_dataset
from .log import configuration_logged, counted, epochs_logged, result_logged
from .options import RunOptions
from .phase import Phase, PhaseResult
from .photosets import UNLABELLED, Photo
from .runfolder import BEST_NAME, SPLIT_NAME, STATE_NAME
from .settings import MOST_EPOCHS, PHASE_NAMES, STUDENT_PHASES, PhaseSettings, RunMemory, remember
from .sharing import new_accelerator
from .starts import TEACHER, Sources, Start, start_of, teacher_labels


def run_phase(
    out: Path, memory: RunMemory, settings: PhaseSettings, sources: Sources, options: RunOptions
) -> PhaseResult:
    """Run one phase in `out`/<phase> and leave its best checkpoint there.

    Several processes that Accelerate started run it together; the first of them writes.

    Raises:
        ConfigError: an impossible setting.
        DataError: photos that cannot serve.
        CheckpointError: weights that cannot serve.
        TrainError: a run that cannot start or continue, or photos that have changed since an earlier phase.
        FileError: something cannot be written.
    """
    if options.threads:
        torch.set_num_threads(options.threads)
    accelerator = new_accelerator()
    folder = out / settings.phase
    _check_folder(folder, options)
    architecture_named(memory.preset)  # before anything is read
    split = open_split(out, memory, settings.phase, sources, options.memory_bytes)
    earlier = PHASE_NAMES[: PHASE_NAMES.index(settings.phase)]
    if options.resume or any((out / name / BEST_NAME).exists() for name in earlier):
        check_same_photos(out, split, memory.data)
    if settings.loss != "kl" and any(photo.label == UNLABELLED for photo in split.train):
        raise ConfigError(f"The loss {settings.loss} needs labels, and some photos have none.", "Use kl.")
    start = start_of(out, split.labels, memory, settings, sources)
    doubts = (*_unfinished(out, settings.phase, sources), *_taught_otherwise(out, settings.phase, start))
    split = replace(split, remarks=(*split.remarks, *doubts))
    phase = Phase(folder, memory, settings, start, split, options, accelerator)

    def begin() -> None:
        remember(out, memory)
        write_atomic(out / SPLIT_NAME, split_json(split, memory.data))
        options.on_begin()

    accelerator.wait_for_everyone()  # nobody may find the run that is only now being made
    if accelerator.is_main_process:
        _make_folder(folder)
    return phase.run(begin)


def _unfinished(out: Path, phase: str, sources: Sources) -> Iterator[str]:
    """A sentence where the phase that this one builds on has not ended."""
    before = {"teacher": "guide", "training": "teacher", "recovery": "training"}.get(phase)
    named = sources.init if phase == "recovery" else sources.teacher
    log = out / before if before else None
    if log is None or named or not (log / BEST_NAME).exists() or result_logged(log):
        return
    epochs, of = len(epochs_logged(log)), count_in(configuration_logged(log).get("epochs"), 1, MOST_EPOCHS)
    if epochs and of:
        yield f"The phase {before} has not ended: its best of {epochs} of {of} epochs is taken."


def _taught_otherwise(out: Path, phase: str, start: Start) -> Iterator[str]:
    """A sentence where a recovery has another teacher than the student's own phase 1."""
    if phase != "recovery" or start.sources.init:
        return
    then = configuration_logged(out / "training").get("weights")
    known = then.get(TEACHER) if isinstance(then, dict) else None
    if known is not None and known != start.weights.get(TEACHER):
        yield "Phase 1 learned from another teacher than this recovery does."


def open_split(out: Path, memory: RunMemory, phase: str, sources: Sources, memory_bytes: int) -> Split:
    """The photos of a phase; those without labels for students alone.

    Args:
        out: the run folder.
        memory: which photos.
        phase: a name in PHASES.
        sources: of the teacher, whose classes are those of photos without labels.
        memory_bytes: most memory for the validation photos of a stream.

    Raises:
        ConfigError, DataError, FtervitError: see `run_phase`.
    """
    student = phase in STUDENT_PHASES
    rule = SplitRule.parse(memory.split, memory.val_fraction, memory.seed)
    if memory.epoch_photos and not memory.stream:
        raise ConfigError("--epoch-photos is for streams.", "Add --stream, or leave it out.")
    if is_hub_data(memory.data):
        data = HubData(
            memory.data.removeprefix(PREFIX), memory.image_column, memory.label_column, memory.stream,
            memory.epoch_photos,
        )  # fmt: skip
        split = split_dataset(data, rule, lambda: teacher_labels(out, sources), memory_bytes)
    elif memory.stream or memory.image_column or memory.label_column:
        raise ConfigError(
            "--stream, --image-column and --label-column are for datasets.", "Name one as hub:user/name."
        )
    elif student and has_no_classes(Path(memory.data)):
        split = split_unlabelled(Path(memory.data), rule, teacher_labels(out, sources))
    else:
        split = split_photos(Path(memory.data), rule)
    what = label_defect(split.labels)
    if what:
        raise DataError(what, "Rename its folder, or the class in the dataset.")
    if not student:
        split = _with_labels(split, memory.data, phase)
    if student and memory.unlabelled:
        split = with_unlabelled(split, Path(memory.unlabelled))
    return split


def _with_labels(split: Split, data: str, phase: str) -> Split:
    """`split` without training photos whose class nobody knows."""
    if not split.labelled:
        raise DataError(
            f"The photos of {data} have no labels, which phase {phase} learns from.",
            "Give --teacher and --phase training.",
        )
    train = tuple(photo for photo in split.train if photo.label != UNLABELLED)
    left = len(split.train) - len(train)
    if not left:
        return split
    remark = f"{counted(left, 'photo')} without a label left out of phase {phase}, which learns from labels."
    return replace(split, train=train, remarks=(*split.remarks, remark))


def check_same_photos(out: Path, split: Split, data: str) -> None:
    """What an earlier phase learned from must not be validated with, nor the other way round.

    Args:
        out: a run folder, in which something was trained.
        split: of the photos as they are now.
        data: where they are.

    Raises:
        TrainError: they are others than when the run began.
        RecordError: nobody can tell, because split.json is damaged.
    """
    before = _known_split(out / SPLIT_NAME)
    for kind, photos in _photos_of(split, data).items():
        known = before.get(kind, photos)
        gone, new = set(known) - set(photos), set(photos) - set(known)
        if gone or (new and kind != "unlabelled"):
            name = sorted(gone or new)[0]
            raise TrainError(
                f"The photos of {data} have changed since the run in {out} began: {name} "
                f"{'was' if gone else 'was not'} among those for {kind}.",
                "Begin a new run with another --out, or put the photos back.",
            )


@dataclass(frozen=True)
class _KnownSplit:
    """Names of photos by kind, as `split_json` has them; None where a run of an older version has no such."""

    train: tuple[str, ...] | None = None
    validation: tuple[str, ...] | None = None
    test: tuple[str, ...] | None = None
    unlabelled: tuple[str, ...] | None = None


def _known_split(path: Path) -> dict[str, tuple[str, ...]]:
    """The names in a split.json by kind; none where there is no such file."""
    if not path.exists():
        return {}
    hint = "Begin a new run with another --out, or delete the file if no photo has changed."
    found = vars(read_record(path, _KnownSplit, hint))
    return {kind: names for kind, names in found.items() if names is not None}


def _check_folder(folder: Path, options: RunOptions) -> None:
    state = folder / STATE_NAME
    if options.resume and not state.exists():
        instead = "with --overwrite" if (folder / BEST_NAME).exists() else "without --resume"
        raise TrainError(f"There is nothing to resume in {folder}.", f"Start {instead}.")
    if options.resume:
        return
    if (state.exists() or (folder / BEST_NAME).exists()) and not options.overwrite:
        resume = "--resume or " if state.exists() else ""
        raise TrainError(f"{folder} holds a run already.", f"Give {resume}--overwrite.")
    later = PHASE_NAMES[PHASE_NAMES.index(folder.name) + 1 :]
    made = next((name for name in later if (folder.parent / name / BEST_NAME).exists()), None)
    if made is not None:
        raise TrainError(
            f"{folder.parent / made} came after {folder}, and would no longer belong to it.",
            f"Remove {folder.parent / made} first, or choose another --out.",
        )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as defect:
        raise TrainError(f"{folder} cannot be made ({defect.strerror}).", "Choose another --out.") from None


def _photos_of(split: Split, data: str) -> dict[str, list[str]]:
    """Names by kind; training photos without labels are a kind of their own."""
    photos = {
        "train": [photo for photo in split.train if photo.label != UNLABELLED],
        "validation": split.validation, "test": split.test,
        "unlabelled": [photo for photo in split.train if photo.label == UNLABELLED],
    }  # fmt: skip
    return {kind: [_name(photo, data) for photo in some] for kind, some in photos.items()}


def split_json(split: Split, data: str) -> bytes:
    """What a run folder remembers of its photos: their names by kind, relative to `data`."""
    return (json.dumps({"guarded": len(split.guarded), **_photos_of(split, data)}, indent=1) + "\n").encode()


def _name(photo: Photo, data: str) -> str:
    """Relative to DATA where it lies in there."""
    if not isinstance(photo, LabelledPhoto):
        return photo.name
    inside = photo.path.is_relative_to(data)
    return (photo.path.relative_to(data) if inside else photo.path).as_posix()
