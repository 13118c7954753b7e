"""Training curves, from the logs that `ftervit train` writes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..train.settings import STUDENT_PHASES, WHOLE_IMAGES_SHARE
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
    return Phase(name, tuple(_epochs(entries)), _tested(entries), _whole_from(configuration(entries)))


def _epochs(entries: Sequence[Mapping[str, Any]]) -> Iterator[Epoch]:
    for entry in entries:
        number = entry.get("epoch")
        if entry.get("kind") != "epoch" or not isinstance(number, int):
            continue
        yield Epoch(
            number, _number(entry.get("loss")), _number(entry.get("val_top1")),
            _number(entry.get("teacher_top1")), _number(entry.get("lr")), _number(entry.get("zero_fraction")),
            _number(entry.get("val_loss")), _number(entry.get("val_agreement")),
        )  # fmt: skip


def _tested(entries: Sequence[Mapping[str, Any]]) -> tuple[int, float] | None:
    for entry in entries:
        found = entry.get("tested")
        if entry.get("kind") == "result" and isinstance(found, dict):
            photos, top1 = _number(found.get("photos")), _number(found.get("top1"))
            return None if photos is None or top1 is None else (int(photos), top1)
    return None


def _whole_from(settings: Mapping[str, Any]) -> int:
    epochs, drop = _number(settings.get("epochs")), _number(settings.get("patch_drop"))
    return int(epochs * (1 - WHOLE_IMAGES_SHARE)) + 1 if epochs and drop else 0


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
