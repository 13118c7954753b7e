"""What a comparison shows of the paper's claims, and whether it meets the aims set for CIFAR-10.

Differences are in points of top-1 on the same photos, with their standard errors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ftervit_deploy.train.findings import BASE_NAME, CHANGES, RECOVERED, TEACHER_NAME, points, trainings
from ftervit_deploy.train.paired import Recognised
from ftervit_deploy.train.results import Row

Rows = Mapping[str, Row]

STUDENTS = (BASE_NAME, f"{BASE_NAME}-s8")
COMPARABLE = ("tervit", "vit-1.58b", "q-vit-a8")
"""Other methods with at most two bits a weight in the encoder and, like ours, eight bits an activation."""
TEACHER_AIM, DISTANCE_AIM, RECOVERY_AIM = 0.85, 0.015, 0.01
CHANCE = 0.05
"""A difference that chance alone gives more often is none."""
Pair = tuple[Recognised, Recognised]
"""What the paper's way recognises, and what the other does."""

_WAYS = {
    "ftervit-absmax": "Scales by absmean, not absmax, which sends most weights to zero",
    "ftervit-patch-tensor": "A scale for each filter of the patch embedding, not one for all",
    "ftervit-norm-fp32": "Ternary LayerNorms, not real ones",
    "ftervit-kl+ce": "KL divergence alone, not cross-entropy beside it",
    "ftervit-phase-1-only": "Recovery, not as many epochs more of phase 1",
}
assert _WAYS.keys() == CHANGES.keys()


def claims(rows: Rows) -> Iterator[str]:
    """A table of the paper's ways beside what they replace; nothing where no row allows one.

    Args:
        rows: by name.
    """
    found = list(_gains(rows))
    if found:
        yield "| the paper's way (FTerViT, arXiv 2605.21171) | points gained | |"
        yield "| --- | ---: | --- |"
        yield from (f"| {way} | {points(*pairs[0])} | {_verdict(pairs)} |" for way, pairs in found)


def _gains(rows: Rows) -> Iterator[tuple[str, list[Pair]]]:
    """The paper's ways, each beside another by one training after the other, that of the base's row first."""
    bases = trainings(rows)
    if not bases:
        return
    recovered = [
        (row.recognised, row.phase1_recognised) for row in bases if row.phase1_recognised is not None
    ]
    if recovered:
        yield "A recovery (published: 2.4 to 4.1 points)", recovered
    for name, way in _WAYS.items():
        if name in rows:
            yield way, _beside(bases, rows[name])
    epochs = sorted(int(name.removeprefix(RECOVERED)) for name in rows if name.startswith(RECOVERED))
    if len(epochs) > 1:
        earlier, later = (rows[f"{RECOVERED}{epoch}"].recognised for epoch in epochs[-2:])
        yield f"Recovery from an earlier epoch, {epochs[-2]}, not from {epochs[-1]}", [(earlier, later)]
    for name in COMPARABLE:
        if name in rows:
            yield f"All of the model ternary, not as {name} has it", _beside(bases, rows[name])


def _beside(bases: Sequence[Row], other: Row) -> list[Pair]:
    return [(row.recognised, other.recognised) for row in bases]


def _verdict(pairs: Sequence[Pair]) -> str:
    """What all trainings agree in."""
    found = [_shown(*pair) for pair in pairs]
    return found[0] if len(set(found)) == 1 else "not by every seed"


def _shown(ours: Recognised, theirs: Recognised) -> str:
    if ours.chance_beside(theirs) > CHANCE:
        return "no difference seen"
    return "shown" if ours.top1 > theirs.top1 else "the opposite"


def aims(rows: Rows) -> Iterator[str]:
    """A table of the aims, each met or missed.

    Args:
        rows: by name, the teacher among them.
    """
    yield "| aim | here | |"
    yield "| --- | ---: | --- |"
    teacher = rows[TEACHER_NAME].recognised
    yield _aim(
        f"A teacher of at least {100 * TEACHER_AIM:.0f} %",
        f"{100 * teacher.top1:.2f} %",
        teacher.top1 - TEACHER_AIM,
    )
    for name in STUDENTS:
        if name in rows:
            yield from _student_aims(name, rows[name], teacher)
            yield from (_rival_aim(rows[name], rows[rival]) for rival in COMPARABLE if rival in rows)


def _student_aims(name: str, student: Row, teacher: Recognised) -> Iterator[str]:
    own = student.recognised
    yield _aim(
        f"{name} within {100 * DISTANCE_AIM:.1f} points of it",
        points(own, teacher), own.top1 - teacher.top1 + DISTANCE_AIM,
    )  # fmt: skip
    before = student.phase1_recognised
    if before is not None:
        yield _aim(
            f"{name}'s recovery worth at least {100 * RECOVERY_AIM:.0f} point",
            points(own, before), own.top1 - before.top1 - RECOVERY_AIM,
        )  # fmt: skip


def _rival_aim(ours: Row, theirs: Row) -> str:
    share = f"{100 * ours.bytes / theirs.bytes:.1f} % of its bytes"
    margin = ours.score - theirs.score if ours.bytes < theirs.bytes else -1.0
    return _aim(
        f"{ours.name} at least as accurate as {theirs.name}, in fewer bytes",
        f"{points(ours.recognised, theirs.recognised)}, {share}", margin,
    )  # fmt: skip


def _aim(aim: str, here: str, margin: float) -> str:
    """A row; `margin`: how far it is met, 0 to 1, at least 0 if it is."""
    return f"| {aim} | {here} | {'met' if margin >= -1e-9 else 'missed'} |"
