"""Several schemes trained on the same work: one split, one teacher, one seed, one budget, one table."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..architecture import Architecture
from ..checkpoint import read_checkpoint
from ..errors import ConfigError, DataError, StoppedError, TrainError
from ..files import write_atomic
from ..graph import build_graph
from ..image import scheme_bytes, write_image
from ..lower import lower
from ..schemes import SCHEMES, rules_of, scheme_named
from .distill import run_phase
from .phase import KEPT_NAME, SPLIT_NAME, STATE_NAME, PhaseResult, RunOptions, versions
from .results import ABLATIONS, BASE_NAME, METHODS, Results, Row
from .settings import PHASES, PhaseSettings, RunMemory, recall
from .starts import BEST_NAME, Sources
from .state import Description, read_run_checkpoint

TASK_NAME, ROW_NAME, IMAGE_NAME = "comparison.json", "row.json", "model.ftv"
TEACHER_NAME, TEACHER_FOLDER = "fp32", "teacher"
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
        group: METHODS or ABLATIONS.
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


def entries_of(task: Task, schemes: Sequence[str], ablations: bool) -> tuple[Entry, ...]:
    """The students to train, in order; the teacher is none of them.

    Raises:
        ConfigError: an unknown scheme, or none but the teacher's.
    """
    names = list(dict.fromkeys(scheme_named(name).name for name in schemes if name != TEACHER_NAME))
    if ablations and BASE_NAME not in names:
        names.append(BASE_NAME)
    if not names:
        raise ConfigError("Only the teacher, fp32, is left to compare.", "Name another scheme.")
    methods = [_method(task, name, METHODS) for name in names]
    more = _ablations(task, names) if ablations else []
    return (*methods, *more)


def _method(task: Task, scheme: str, group: str) -> Entry:
    """The base always keeps the epochs that ablations may ask for later."""
    training = task.phases["training"]
    if scheme == BASE_NAME:
        training = replace(training, keep_epochs=task.recover_from)
    return Entry(scheme, scheme, group, training, task.phases["recovery"])


def _ablations(task: Task, present: Sequence[str]) -> list[Entry]:
    training, recovery = task.phases["training"], task.phases["recovery"]
    with_labels = (replace(training, loss="kl+ce"), replace(recovery, loss="kl+ce"))
    longer = replace(training, epochs=training.epochs + recovery.epochs)
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


class Comparison:
    """A folder in which a task's models are trained one after the other; a killed one continues.

    Args:
        folder: for everything that the comparison makes.
        task: what the models have in common.
        command: what the user typed, for the results.
        options: how phases are run; `overwrite` forgets what is there.
        say: takes a sentence on what comes next.

    Raises:
        TrainError: the folder holds a comparison of another task.
    """

    def __init__(
        self, folder: Path, task: Task, command: str, options: RunOptions, say: Callable[[str], None]
    ) -> None:
        self.folder, self.task, self.options, self.say = folder, task, options, say
        known = () if options.overwrite else _known_commands(folder, task)
        self.commands = tuple(dict.fromkeys([*known, command]))

    def run(self, entries: Sequence[Entry]) -> Results:
        """Train what is not trained yet; results are on disk after every model.

        Raises:
            FtervitError: as `run_phase`.
        """
        if self.options.overwrite:
            self._forget(entries)
        try:
            return self._run(entries)
        except StoppedError as stopped:
            raise StoppedError(stopped.what, "The same command continues, without --overwrite.") from None

    def _forget(self, entries: Sequence[Entry]) -> None:
        for name in (TEACHER_FOLDER, *(entry.name for entry in entries)):
            (self.folder / name / ROW_NAME).unlink(missing_ok=True)
            for phase in PHASES:
                (self.folder / name / phase / STATE_NAME).unlink(missing_ok=True)

    def _run(self, entries: Sequence[Entry]) -> Results:
        teacher, taught = self._teacher()
        rows: list[Row] = []
        for number, entry in enumerate(entries, start=1):
            self.say(f"{entry.name}, {number} of {len(entries)}")
            rows.append(self._row(entry, teacher))
            everything = [_teacher_row(rows[0], taught, self._architecture(entries[0])), *rows]
            results = self._results(everything, entries[0], number == len(entries))
            results.write(self.folder)
        return results

    def _phase(self, name: str, settings: PhaseSettings, scheme: str, sources: Sources) -> PhaseResult:
        """Run or continue a phase in the run folder `name`."""
        folder = self.folder / name
        resume = (folder / settings.phase / STATE_NAME).exists()
        memory, options = replace(self.task.memory, scheme=scheme), replace(self.options, overwrite=False)
        result = run_phase(folder, memory, settings, sources, replace(options, resume=resume))
        record = {"commands": self.commands, "task": self.task.described()}
        write_atomic(self.folder / TASK_NAME, (json.dumps(record, indent=2) + "\n").encode())
        return result

    def _teacher(self) -> tuple[str, list[PhaseResult]]:
        """The teacher's weights, and the phases that made them."""
        if self.task.teacher:
            return self.task.teacher, []
        phases = [self.task.phases[name] for name in ("guide", "teacher") if name in self.task.phases]
        done = []
        for settings in phases:
            self.say(f"The {settings.phase}, for all")
            done.append(self._phase(TEACHER_FOLDER, settings, BASE_NAME, Sources()))
        return str(done[-1].checkpoint), done

    def _row(self, entry: Entry, teacher: str) -> Row:
        path = self.folder / entry.name / ROW_NAME
        if path.exists():
            row = Row.read(path)
            if row.task == self.task.fingerprint():
                return row
        row = self._trained(entry, teacher)
        row.write(path)
        return row

    def _trained(self, entry: Entry, teacher: str) -> Row:
        done: dict[str, PhaseResult] = {}
        start = self._start_of(entry)
        for settings in (entry.training, entry.recovery):
            if settings is not None:
                sources = Sources(teacher, str(start) if start else "")
                done[settings.phase] = self._phase(entry.name, settings, entry.scheme, sources)
        last = list(done.values())[-1]
        scheme, phase1 = scheme_named(entry.scheme), done.get("training")
        if last.top1 is None or last.teacher_top1 is None:
            raise DataError(
                "The photos have no labels, and methods are compared by accuracy.", "Name others."
            )
        return Row(
            name=entry.name, group=entry.group, scheme=scheme.name, change=entry.change,
            rules=rules_of(scheme), source=scheme.source, left_out=scheme.left_out,
            bytes=scheme_bytes(_description(last.checkpoint).architecture, scheme),
            image_bytes=self._packed(entry, last.packed), obstacle=scheme.obstacle(),
            phase1_top1=_description(start).accuracy if start else phase1.top1 if phase1 else None,
            recovery_top1=done["recovery"].top1 if "recovery" in done else None,
            top1=last.top1, teacher_top1=last.teacher_top1, zero_fraction=last.zero_fraction,
            epochs={name: result.epochs for name, result in done.items()},
            seconds=sum(result.seconds for result in done.values()), task=self.task.fingerprint(),
        )  # fmt: skip

    def _start_of(self, entry: Entry) -> Path | None:
        """The base's weights that an entry recovers; None where it has a phase 1 of its own."""
        return (
            self.folder / BASE_NAME / "training" / KEPT_NAME.format(entry.start_epoch)
            if entry.start_epoch
            else None
        )

    def _packed(self, entry: Entry, packed: Path | None) -> int | None:
        """Pack what the engine can run; returns the image's bytes."""
        if packed is None:
            return None
        image = write_image(lower(build_graph(read_checkpoint(str(packed)))), "t2")
        write_atomic(self.folder / entry.name / IMAGE_NAME, image)
        return len(image)

    def _architecture(self, entry: Entry) -> Architecture:
        phase = "recovery" if entry.recovery else "training"
        return _description(self.folder / entry.name / phase / BEST_NAME).architecture

    def _results(self, rows: list[Row], first: Entry, finished: bool) -> Results:
        split = json.loads((self.folder / first.name / SPLIT_NAME).read_text(encoding="utf-8"))
        photos = {kind: len(split[kind]) for kind in ("train", "validation")}
        memory = self.task.memory
        return Results(
            finished=finished, commands=self.commands, seed=memory.seed, data=Path(memory.data).name,
            split=memory.split, photos={**photos, "guarded": split["guarded"]}, preset=memory.preset,
            teacher=_in_words(self.task.teacher),
            settings={name: asdict(settings) for name, settings in self.task.phases.items()},
            versions=dict(versions()), rows=tuple(rows),
        )  # fmt: skip


def _in_words(teacher: str) -> str:
    """Where the teacher came from, and whether its photos are known."""
    run = Path(teacher).parent.parent
    if not teacher:
        return "trained for this comparison"
    return f"of the run {run.name}" if recall(run) else f"{teacher}, which may know the validation photos"


def _description(checkpoint: Path) -> Description:
    return read_run_checkpoint(checkpoint)[1]


def _teacher_row(student: Row, phases: Sequence[PhaseResult], architecture: Architecture) -> Row:
    scheme = SCHEMES[TEACHER_NAME]
    return Row(
        name=TEACHER_NAME, group=METHODS, scheme=scheme.name, change="", rules=rules_of(scheme),
        source=scheme.source, left_out="", bytes=scheme_bytes(architecture, scheme), image_bytes=None,
        obstacle=scheme.obstacle(), phase1_top1=None, recovery_top1=None, top1=student.teacher_top1,
        teacher_top1=student.teacher_top1, zero_fraction=None,
        epochs={result.phase: result.epochs for result in phases},
        seconds=sum(result.seconds for result in phases), task=student.task,
    )  # fmt: skip


def _known_commands(folder: Path, task: Task) -> tuple[str, ...]:
    """The commands that worked in the folder before, on the same task."""
    path = folder / TASK_NAME
    if not path.exists():
        return ()
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        commands, before = tuple(map(str, record["commands"])), dict(record["task"])
    except (OSError, ValueError, TypeError, KeyError) as defect:
        raise TrainError(f"{path} cannot be read ({defect}).", "Choose another --out.") from None
    wanted = _flattened(task.described())
    for name, value in _flattened(before).items():
        if wanted.get(name) != value:
            raise TrainError(
                f"The comparison in {folder} has {name} {value!r}, not {wanted.get(name)!r}.",
                "Choose another --out, or start again with --overwrite.",
            )
    return commands


def _flattened(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"a": {"b": 1}}`` as ``{"a b": 1}``."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat.update(_flattened(value, f"{prefix}{name} "))
        else:
            flat[f"{prefix}{name}"] = value
    return flat
