"""The phases of a run: teacher, training (distillation) and recovery (arXiv 2605.21171, section 3)."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from ..architecture import architecture_named
from ..errors import ConfigError, DataError, TrainError
from ..files import write_atomic
from ..photos import LabelledPhoto
from .data import Split, SplitRule, has_no_classes, split_photos, split_unlabelled, with_unlabelled
from .hubdata import PREFIX, HubData, is_hub_data, split_dataset
from .phase import SPLIT_NAME, STATE_NAME, Phase, PhaseResult, RunOptions
from .photosets import Photo
from .settings import PhaseSettings, RunMemory, remember
from .sharing import new_accelerator
from .starts import STUDENT_PHASES, Sources, start_of, teacher_labels


def run_phase(
    out: Path, memory: RunMemory, settings: PhaseSettings, sources: Sources, options: RunOptions
) -> PhaseResult:
    """Run one phase in `out`/<phase> and leave its best checkpoint there.

    Several processes that Accelerate started run it together; the first of them writes.

    Raises:
        ConfigError: an impossible setting.
        DataError: photos that cannot serve.
        CheckpointError: weights that cannot serve.
        TrainError: a run that cannot start or continue.
    """
    if options.threads:
        torch.set_num_threads(options.threads)
    accelerator = new_accelerator()
    folder = out / settings.phase
    _check_folder(folder, options)
    arch = architecture_named(memory.preset)
    split = open_split(out, memory, settings.phase, sources, options.memory_bytes)
    start = start_of(out, arch.with_classes(len(split.labels)), memory, settings, sources)
    phase = Phase(folder, memory, settings, start, split, options, accelerator)
    accelerator.wait_for_everyone()  # nobody may find the run that is only now being made
    if accelerator.is_main_process:
        _make_folder(folder)
        remember(out, memory)
        write_atomic(out / SPLIT_NAME, _split_json(split, memory.data))
    accelerator.wait_for_everyone()
    return phase.run()


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
        classes = teacher_labels(out, sources) if student else ()
        split = split_dataset(data, rule, classes, memory_bytes)
    elif memory.stream or memory.image_column or memory.label_column:
        raise ConfigError(
            "--stream, --image-column and --label-column are for datasets.", "Name one as hub:user/name."
        )
    elif student and has_no_classes(Path(memory.data)):
        split = split_unlabelled(Path(memory.data), rule, teacher_labels(out, sources))
    else:
        split = split_photos(Path(memory.data), rule)
    if not student and not split.labelled:
        raise DataError(
            f"The photos of {memory.data} have no labels, which phase {phase} learns from.",
            "Give --teacher and --phase training.",
        )
    if student and memory.unlabelled:
        if split.stream is not None:
            raise ConfigError("--unlabelled photos cannot join a stream.", "Leave out one of them.")
        split = with_unlabelled(split, Path(memory.unlabelled))
    return split


def _check_folder(folder: Path, options: RunOptions) -> None:
    state = folder / STATE_NAME
    if options.resume and not state.exists():
        raise TrainError(f"There is nothing to resume in {folder}.", "Start without --resume.")
    if state.exists() and not (options.resume or options.overwrite):
        raise TrainError(f"{folder} holds a run already.", "Give --resume or --overwrite.")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as defect:
        raise TrainError(f"{folder} cannot be made ({defect.strerror}).", "Choose another --out.") from None


def _split_json(split: Split, data: str) -> bytes:
    names = {
        kind: [_name(photo, data) for photo in photos]
        for kind, photos in (("train", split.train), ("validation", split.validation), ("test", split.test))
    }
    return (json.dumps({"guarded": split.guarded, **names}, indent=1) + "\n").encode()


def _name(photo: Photo, data: str) -> str:
    """Relative to DATA where it lies in there."""
    if not isinstance(photo, LabelledPhoto):
        return photo.name
    inside = photo.path.is_relative_to(data)
    return (photo.path.relative_to(data) if inside else photo.path).as_posix()
