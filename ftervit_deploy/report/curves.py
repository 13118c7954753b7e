"""Training curves, from the logs that `ftervit train` writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..jsonfile import count_in, number_in
from ..train.log import sound_epochs
from ..train.settings import MOST_EPOCHS, STUDENT_PHASES, WHOLE_IMAGES_SHARE
from .contents import Epoch, Missing, Phase
from .logs import configuration, read_entries
from .subject import Subject


def student_phases(subject: Subject) -> tuple[Phase, ...] | Missing:
    """The phases that trained the ternary student."""
    phases = tuple(read_phase(name, path) for name, path in subject.logs if name in STUDENT_PHASES)
    phases = tuple(phase for phase in phases if phase.epochs)
    if phases:
        return phases
    if subject.folder is None:
        return Missing("An image or a checkpoint alone has no training log; name the run folder.")
    return Missing("The run folder holds no log of the student's training.")


def teacher_phases(subject: Subject) -> tuple[Phase, ...]:
    """The phases before it, as far as there are logs."""
    phases = (read_phase(name, path) for name, path in subject.logs if name not in STUDENT_PHASES)
    return tuple(phase for phase in phases if phase.epochs)


def read_phase(name: str, path: Path) -> Phase:
    """The epochs of a log; lines that are cut off or of another kind are left out.

    Raises:
        FileError: the log cannot be read.
    """
    entries = read_entries(path)
    epochs = tuple(_epoch(line) for line in sound_epochs(entries))
    return Phase(name, epochs, _tested(entries), _whole_from(configuration(entries)))


def _epoch(line: Mapping[str, Any]) -> Epoch:
    return Epoch(
        line["epoch"], line["loss"], line["val_top1"], line["teacher_top1"], line["lr"],
        line["zero_fraction"], line["val_loss"], line["val_agreement"],
    )  # fmt: skip


def _tested(entries: Sequence[Mapping[str, Any]]) -> tuple[int, float] | None:
    for entry in entries:
        found = entry.get("tested")
        if entry.get("kind") == "result" and isinstance(found, dict):
            photos, top1 = count_in(found.get("photos"), 1, 10**12), number_in(found.get("top1"), 0, 1)
            return None if photos is None or top1 is None else (photos, top1)
    return None


def _whole_from(settings: Mapping[str, Any]) -> int:
    epochs = count_in(settings.get("epochs"), 1, MOST_EPOCHS)
    drop = number_in(settings.get("patch_drop"), 0, 1)
    return int(epochs * (1 - WHOLE_IMAGES_SHARE)) + 1 if epochs and drop else 0
