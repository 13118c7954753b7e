"""What a comparison is asked for: what its models have in common, and which students it trains."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from ..errors import ConfigError
from ..schemes import scheme_named
from .findings import BASE_NAME, SEEDED, TEACHER_NAME
from .results import ABLATIONS, METHODS, REPEATS
from .settings import PhaseSettings, RunMemory

METHOD_NAMES = ("fp32", "int8", "tervit", "vit-1.58b", "q-vit", "q-vit-a8", "ftervit")
"""What is compared unless others are named."""
ABLATED_SCHEMES = ("ftervit-patch-tensor", "ftervit-norm-fp32", "ftervit-absmax")


@dataclass(frozen=True)
class Task:
    """What all models of a comparison have in common.

    Attributes:
        memory: data, split, seed and preset; its scheme is replaced by each model's own.
        phases: settings by phase: ``teacher``, ``training``, ``recovery`` and, where one is wanted,
            ``guide``.
        teacher: weights of a finished teacher, or empty: one is trained.
        recover_from: epochs of phase 1 from which the ablations' recoveries start.
    """

    memory: RunMemory
    phases: dict[str, PhaseSettings]
    teacher: str
    recover_from: tuple[int, ...]

    def described(self) -> dict[str, Any]:
        """Plain values, the same for the same task."""
        memory = {name: value for name, value in asdict(self.memory).items() if name != "scheme"}
        phases = {name: asdict(settings) for name, settings in self.phases.items()}
        described = {"teacher": self.teacher, **memory, **phases, "recovery-from": self.recover_from}
        plain: dict[str, Any] = json.loads(json.dumps(described))
        return plain

    def fingerprint(self) -> str:
        """Hex digits that differ for another task."""
        return hashlib.sha256(json.dumps(self.described(), sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Entry:
    """One student of a comparison.

    Attributes:
        name: of its row and folder.
        scheme: a name in SCHEMES.
        group: METHODS, ABLATIONS or REPEATS.
        training: settings of phase 1; None where it recovers from another entry's weights.
        recovery: settings of phase 2; None where phase 1 is all.
        start_epoch: of the base's phase 1, whose weights it recovers; 0 for its own.
        change: how it is trained differently from the others.
    """

    name: str
    scheme: str
    group: str
    training: PhaseSettings | None
    recovery: PhaseSettings | None
    start_epoch: int = 0
    change: str = ""


def entries_of(
    task: Task, schemes: Sequence[str], ablations: bool, seeds: Sequence[int] = ()
) -> tuple[Entry, ...]:
    """The students to train, in order; the teacher is none of them.

    Args:
        task: what they have in common.
        schemes: names in SCHEMES.
        ablations: also the base with one rule changed at a time.
        seeds: by which the base is trained again.

    Raises:
        ConfigError: an unknown scheme, none but the teacher's, or the task's own seed among `seeds`.
    """
    names = list(dict.fromkeys(scheme_named(name).name for name in schemes if name != TEACHER_NAME))
    if task.memory.seed in seeds:
        raise ConfigError(
            f"--seeds names {task.memory.seed}, by which {BASE_NAME} is trained anyway.", "Name others."
        )
    if (ablations or seeds) and BASE_NAME not in names:
        names.append(BASE_NAME)
    if not names:
        raise ConfigError("Only the teacher, fp32, is left to compare.", "Name another scheme.")
    methods = [_method(task, name, METHODS) for name in names]
    more = _ablations(task, names) if ablations else []
    return (*methods, *more, *(_repeat(task, seed) for seed in dict.fromkeys(seeds)))


def _method(task: Task, scheme: str, group: str) -> Entry:
    """The base always keeps the epochs that ablations may ask for later."""
    training = task.phases["training"]
    if scheme == BASE_NAME:
        training = replace(training, keep_epochs=task.recover_from)
    return Entry(scheme, scheme, group, training, task.phases["recovery"])


def _repeat(task: Task, seed: int) -> Entry:
    """The base with other random numbers: the same split and teacher, another order and augmentation."""
    training, recovery = (replace(task.phases[phase], seed=seed) for phase in ("training", "recovery"))
    return Entry(f"{SEEDED}{seed}", BASE_NAME, REPEATS, training, recovery, change=f"seed {seed}")


def _ablations(task: Task, present: Sequence[str]) -> list[Entry]:
    training, recovery = task.phases["training"], task.phases["recovery"]
    with_labels = (replace(training, loss="kl+ce"), replace(recovery, loss="kl+ce"))
    epochs = training.epochs + recovery.epochs
    falling = max(epochs, training.schedule_epochs) if training.schedule_epochs else 0
    longer = replace(training, epochs=epochs, schedule_epochs=falling)
    return [
        *(_method(task, name, ABLATIONS) for name in ABLATED_SCHEMES if name not in present),
        Entry(f"{BASE_NAME}-kl+ce", BASE_NAME, ABLATIONS, *with_labels, 0, "KL divergence and cross-entropy"),
        *(
            Entry(
                f"{BASE_NAME}-recovery-from-{epoch}", BASE_NAME, ABLATIONS, None, recovery, epoch,
                f"recovery from epoch {epoch} of {training.epochs}",
            )
            for epoch in task.recover_from
        ),
        Entry(
            f"{BASE_NAME}-phase-1-only", BASE_NAME, ABLATIONS, longer, None,
            change=f"{longer.epochs} epochs of phase 1, no recovery",
        ),
    ]  # fmt: skip
