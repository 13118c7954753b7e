"""What the rows of a comparison say, in sentences made from their figures alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import mean, stdev
from typing import Protocol, TypeVar

from .paired import Recognised

TEACHER_NAME, BASE_NAME = "fp32", "ftervit"
"""The row that all learn from, and the scheme that the ablations change."""
RIVALS = ("tervit", "vit-1.58b", "q-vit", "q-vit-a8")
"""Other methods with at most two bits a weight in the encoder."""
CHANGES = {
    "ftervit-patch-tensor": "one scale for the whole patch embedding, not one per channel",
    "ftervit-norm-fp32": "real LayerNorms, not ternary ones",
    "ftervit-absmax": "scales by absmax, not absmean",
    "ftervit-kl+ce": "cross-entropy beside the KL divergence",
    "ftervit-phase-1-only": "more of phase 1, not the recovery",
}
RECOVERED, SEEDED = f"{BASE_NAME}-recovery-from-", f"{BASE_NAME}-seed-"
"""Names of rows, without the epoch and the seed."""


class Scored(Protocol):
    """What of a row is looked at; see `results.Row`."""

    @property
    def name(self) -> str:
        """Of the row."""

    @property
    def bytes(self) -> int:
        """Of the model."""

    @property
    def recognised(self) -> Recognised:
        """Which photos."""

    @property
    def phase1_recognised(self) -> Recognised | None:
        """The same before the recovery."""

    @property
    def engine_top1(self) -> float | None:
        """Top-1 in the C engine, 0 to 1."""


_S = TypeVar("_S", bound=Scored)


def findings(rows: Mapping[str, Scored]) -> Iterator[str]:
    """Sentences on the fully ternary student, its rivals, and what each ablation changes.

    Args:
        rows: by name, the teacher among them.
    """
    teacher, base = rows[TEACHER_NAME], rows.get(BASE_NAME)
    if base is None:
        return
    engine = "" if base.engine_top1 is None else f"; {_percent(base.engine_top1)} in the C engine"
    yield (
        f"{BASE_NAME}: {_percent(base.recognised.top1)}, {_beside(base, teacher)} to its teacher, in "
        f"{_share(base, teacher)} of its bytes{engine}."
    )
    if base.phase1_recognised is not None:
        yield f"Its recovery is worth {points(base.recognised, base.phase1_recognised)} points."
    yield from _repeats(trainings(rows))
    for name in RIVALS:
        if name in rows:
            rival = rows[name]
            yield f"Beside {name}: {_beside(base, rival)}, in {_share(base, rival)} of its bytes."
    for name, change in CHANGES.items():
        if name in rows:
            yield f"With {change}: {_beside(rows[name], base)}."
    told = [
        f"{row.name.removeprefix(RECOVERED)} {_percent(row.recognised.top1)} "
        f"({points(row.recognised, row.phase1_recognised)} points)"
        for row in rows.values()
        if row.name.startswith(RECOVERED) and row.phase1_recognised is not None
    ]
    if told:
        yield f"Recovered from epoch {', '.join(told)}."


def trainings(rows: Mapping[str, _S]) -> list[_S]:
    """The base's row and those of the same training by other seeds; none without the base."""
    again = [row for name, row in rows.items() if name.startswith(SEEDED)]
    return [rows[BASE_NAME], *again] if BASE_NAME in rows else []


def _repeats(all_trainings: Sequence[Scored]) -> Iterator[str]:
    """How far a seed alone moves the base."""
    again = all_trainings[1:]
    if not again:
        return
    tops = [row.recognised.top1 for row in all_trainings]
    told = [f"{row.name.removeprefix(SEEDED)} {_percent(row.recognised.top1)}" for row in again]
    yield (
        f"Trained again by seed {', '.join(told)}: the mean of all {len(tops)} is {_percent(mean(tops))}, "
        f"their standard deviation {100 * stdev(tops):.2f} points, the largest difference "
        f"{100 * (max(tops) - min(tops)):.2f}."
    )


def points(ours: Recognised, theirs: Recognised) -> str:
    """The difference of two top-1 on the same photos, and its standard error, in points."""
    return f"{100 * (ours.top1 - theirs.top1):+.2f} ±{100 * ours.error_beside(theirs):.2f}"


def _beside(row: Scored, other: Scored) -> str:
    return f"{points(row.recognised, other.recognised)} points"


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _share(row: Scored, other: Scored) -> str:
    return f"{100 * row.bytes / other.bytes:.1f} %"
