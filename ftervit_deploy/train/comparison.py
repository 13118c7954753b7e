"""Several schemes trained on the same work: one split, one teacher, one budget, one table."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..architecture import Architecture, architecture_named
from ..charts import Curve, Placed, draw_comparison
from ..checkpoint import read_checkpoint
from ..errors import DataError, RecordError, StoppedError, TrainError
from ..files import write_atomic
from ..graph import build_graph
from ..image import scheme_bytes, write_image
from ..jsonfile import read_record
from ..lower import lower
from ..machine import describe_machine
from ..schemes import SCHEMES, rules_of, scheme_named
from .data import Split
from .distill import check_same_photos, open_split, run_phase, split_json
from .findings import BASE_NAME, TEACHER_NAME
from .guarding import alone_in
from .judging import Judge
from .log import configuration_logged, epochs_logged, photos_logged
from .options import RunOptions
from .phase import PhaseResult, versions
from .results import METHODS, Results, Row
from .runfolder import BEST_NAME, SPLIT_NAME, STATE_NAME, kept_name, remove_weights
from .settings import PHASE_NAMES, STUDENT_PHASES, PhaseSettings, check_settings, recall
from .starts import Sources, digest_of
from .state import Description, read_run_checkpoint
from .task import Entry, Task

TASK_NAME, ROW_NAME, IMAGE_NAME = "comparison.json", "row.json", "model.ftv"
TEACHER_FOLDER = "teacher"


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
        self._judge: Judge | None = None
        self._split: Split | None = None
        self._key = ""
        known = () if options.overwrite else _known_commands(folder, task)
        self.commands = tuple(dict.fromkeys([*known, command]))

    def run(self, entries: Sequence[Entry]) -> Results:
        """Train what is not trained yet; results are on disk after every model.

        Raises:
            FtervitError: as `run_phase`.
        """
        self._check(entries)
        if self.options.overwrite:
            self._forget()
        try:
            return self._run(entries)
        except StoppedError as stopped:
            raise StoppedError(stopped.what, "The same command continues, without --overwrite.") from None

    def _check(self, entries: Sequence[Entry]) -> None:
        """Refuse what contradicts itself before anything is forgotten or trained.

        Raises:
            FtervitError: see `run`.
        """
        architecture_named(self.task.memory.preset)
        for entry in entries:
            for settings in filter(None, (entry.training, entry.recovery)):
                check_settings(settings, taught=True)
        if self.task.teacher:
            read_checkpoint(self.task.teacher)
            if (self.folder / TEACHER_FOLDER).resolve() in Path(self.task.teacher).resolve().parents:
                raise TrainError(
                    f"The teacher {self.task.teacher} is that of the comparison in {self.folder}.",
                    "Leave --teacher out, or choose another --out.",
                )

    def _forget(self) -> None:
        """Everything that a later call would go on with, of students that are not named now as well.

        Raises:
            TrainError: the folder is no comparison, or a program is training in it.
        """
        if not (self.folder / TASK_NAME).is_file():
            return
        own = [path for path in self.folder.iterdir() if _is_entry(path.name)]
        phases = [path / phase for path in own for phase in PHASE_NAMES if (path / phase).is_dir()]
        with ExitStack() as locks:
            for folder in phases:
                locks.enter_context(alone_in(folder))
            (self.folder / TASK_NAME).unlink()
            for path in own:
                (path / ROW_NAME).unlink(missing_ok=True)
                (path / SPLIT_NAME).unlink(missing_ok=True)
            for folder in phases:
                remove_weights(folder)

    def _run(self, entries: Sequence[Entry]) -> Results:
        taught = self._teacher()
        self._split = self._opened(taught.weights)
        photos = hashlib.sha256(split_json(self._split, self.task.memory.data)).hexdigest()[:16]
        weights = digest_of(read_checkpoint(taught.weights).dense())
        self._key = f"{self.task.fingerprint()}-{photos}-{weights}"
        rows: list[Row] = []
        for number, entry in enumerate(entries, start=1):
            self.say(f"{entry.name}, {number} of {len(entries)}")
            rows.append(self._row(entry, taught.weights))
            _check_same_photos(rows[0], rows[-1])
            everything = [_teacher_row(rows[0], taught, self._architecture(entries[0])), *rows]
            results = self._results(everything, entries[0], taught, number == len(entries))
            results.write(self.folder)
            if self.options.plot is not None:
                points = [
                    Placed(row.name, row.bytes, row.score) for row in everything if row.group == METHODS
                ]
                draw_comparison(self._curves(rows, entries), points, self.options.plot)
        return results

    def _opened(self, teacher: str) -> Split:
        """The photos that all students learn from and are judged by.

        Raises:
            DataError: they have no labels.
            TrainError: the teacher's run had others.
        """
        memory = self.task.memory
        split = open_split(self.folder, memory, "training", Sources(teacher), self.options.memory_bytes)
        if not split.labelled:
            raise DataError(
                "The photos have no labels, and methods are compared by accuracy.", "Name others."
            )
        run = Path(teacher).parent.parent
        if recall(run):
            check_same_photos(run, split, memory.data)
        return split

    def _curves(self, rows: Sequence[Row], entries: Sequence[Entry]) -> list[Curve]:
        """Validation top-1 after every epoch of the students that are done, the base in all groups."""
        curves: list[Curve] = []
        for row, entry in zip(rows, entries, strict=False):
            points: list[tuple[int, float]] = []
            first = entry.start_epoch
            for phase in STUDENT_PHASES:
                epochs = epochs_logged(self.folder / entry.name / phase)
                judged = [line for line in epochs if line["val_top1"] is not None]
                points += [(first + line["epoch"], line["val_top1"]) for line in judged]
                first += len(epochs)
            beside = dict.fromkeys(own.group for own in rows) if row.name == BASE_NAME else (row.group,)
            recovery = row.epochs.get("recovery", 0)
            curves += [Curve(row.name, group, tuple(points), recovery) for group in beside]
        return curves

    def _phase(self, name: str, settings: PhaseSettings, scheme: str, sources: Sources) -> PhaseResult:
        """Run or continue a phase in the run folder `name`."""
        folder = self.folder / name
        resume = (folder / settings.phase / STATE_NAME).exists()
        memory = replace(self.task.memory, scheme=scheme)
        command = self.commands[-1]  # a phase that was killed before its first state begins anew
        options = replace(self.options, overwrite=not resume, resume=resume, plot=None, command=command)
        return run_phase(folder, memory, settings, sources, replace(options, on_begin=self._record))

    def _record(self) -> None:
        """What this folder compares, once the first phase has begun."""
        record = _Record(self.commands, self.task.described())
        write_atomic(self.folder / TASK_NAME, (json.dumps(asdict(record), indent=2) + "\n").encode())

    def _teacher(self) -> _Taught:
        """The teacher's weights, and the phases that made them."""
        if self.task.teacher:
            return _of_run(self.task.teacher)
        phases = [self.task.phases[name] for name in ("guide", "teacher") if name in self.task.phases]
        done = []
        for settings in phases:
            self.say(f"The {settings.phase}, for all")
            done.append(self._phase(TEACHER_FOLDER, settings, BASE_NAME, Sources()))
        epochs = {result.phase: result.epochs for result in done}
        return _Taught(str(done[-1].checkpoint), epochs, sum(result.seconds for result in done), ())

    def _row(self, entry: Entry, teacher: str) -> Row:
        path = self.folder / entry.name / ROW_NAME
        if path.exists():
            row = Row.read(path)
            if row.name != entry.name:
                raise RecordError(f"{path} is that of {row.name}.", "Delete it, and it is made again.")
            if row.task == self._key:
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
            raise TrainError(f"{last.checkpoint} does not say its accuracy.", "Start again with --overwrite.")
        description = _description(last.checkpoint)
        judge = self._judged(description)
        before = start or (phase1.checkpoint if phase1 else None)
        image_bytes, engine_top1 = self._packed(entry, last, judge)
        return Row(
            name=entry.name, group=entry.group, scheme=scheme.name, change=entry.change,
            rules=rules_of(scheme), source=scheme.source, left_out=scheme.left_out,
            bytes=scheme_bytes(description.architecture, scheme),
            image_bytes=image_bytes, obstacle=scheme.obstacle(),
            phase1_top1=_description(start).accuracy if start else phase1.top1 if phase1 else None,
            recovery_top1=done["recovery"].top1 if "recovery" in done else None,
            top1=last.top1, teacher_top1=last.teacher_top1,
            recognised=judge.student(last.checkpoint),
            phase1_recognised=judge.student(before) if before else None,
            teacher_recognised=judge.teacher(teacher),
            engine_top1=engine_top1, zero_fraction=last.zero_fraction,
            epochs={name: result.epochs for name, result in done.items()},
            seconds=sum(result.seconds for result in done.values()), task=self._key,
        )  # fmt: skip

    def _start_of(self, entry: Entry) -> Path | None:
        """The base's weights that an entry recovers; None where it has a phase 1 of its own."""
        return (
            self.folder / BASE_NAME / "training" / kept_name(entry.start_epoch) if entry.start_epoch else None
        )

    def _packed(self, entry: Entry, last: PhaseResult, judge: Judge) -> tuple[int | None, float | None]:
        """Pack and judge what the engine can run; returns the image's bytes and its top-1."""
        if last.packed is None:
            return None, None
        image = write_image(lower(build_graph(read_checkpoint(str(last.packed)))), "t2")
        write_atomic(self.folder / entry.name / IMAGE_NAME, image)
        return len(image), judge.engine(image).top1

    def _judged(self, description: Description) -> Judge:
        """The photos that judge; decoded once."""
        if self._judge is None:
            assert self._split is not None
            about = description.architecture, description.preprocessing
            self._judge = Judge(self._split, *about, self.options.memory_bytes)
        return self._judge

    def _architecture(self, entry: Entry) -> Architecture:
        phase = "recovery" if entry.recovery else "training"
        return _description(self.folder / entry.name / phase / BEST_NAME).architecture

    def _results(self, rows: list[Row], first: Entry, taught: _Taught, finished: bool) -> Results:
        log = self.folder / first.name / ("recovery" if first.recovery else "training")
        memory = self.task.memory
        return Results(
            finished=finished, commands=(*taught.commands, *self.commands), seed=memory.seed,
            data=Path(memory.data).name, split=memory.split,
            photos=photos_logged(log), preset=memory.preset,
            teacher=_in_words(self.task.teacher),
            settings={name: asdict(settings) for name, settings in self.task.phases.items()},
            machine=describe_machine(), versions=dict(versions()), rows=tuple(rows),
        )  # fmt: skip


@dataclass(frozen=True)
class _Taught:
    """The teacher: its weights, epochs by phase, seconds, and the commands that made it, as far as known."""

    weights: str
    epochs: dict[str, int]
    seconds: float
    commands: tuple[str, ...]


def _of_run(weights: str) -> _Taught:
    """A finished teacher; of a run folder's, what its logs say."""
    run = Path(weights).parent.parent
    phases = {phase: epochs_logged(run / phase) for phase in ("guide", "teacher")} if recall(run) else {}
    epochs = {phase: len(lines) for phase, lines in phases.items() if lines}
    seconds = sum(line["seconds"] or 0.0 for lines in phases.values() for line in lines)
    commands = (configuration_logged(run / phase).get("command") for phase in epochs)
    return _Taught(weights, epochs, seconds, tuple(c for c in commands if isinstance(c, str) and c))


def _in_words(teacher: str) -> str:
    """Where the teacher came from, and whether its photos are known."""
    run = Path(teacher).parent.parent
    if not teacher:
        return "trained for this comparison"
    return f"of the run {run.name}" if recall(run) else f"{teacher}, which may know the validation photos"


def _is_entry(name: str) -> bool:
    """A folder of this name is a comparison's own: of the teacher, a scheme or a variant of the base."""
    return name == TEACHER_FOLDER or name in SCHEMES or name.startswith(f"{BASE_NAME}-")


def _check_same_photos(first: Row, row: Row) -> None:
    """Differences are those of two models on the same photos."""
    counts = first.recognised.photos, row.recognised.photos
    if counts[0] != counts[1]:
        raise DataError(
            f"{first.name} was judged by {counts[0]} photos and {row.name} by {counts[1]}.",
            "Delete the row.json of each: they are judged again, not trained.",
        )


def _description(checkpoint: Path) -> Description:
    return read_run_checkpoint(checkpoint)[1]


def _teacher_row(student: Row, taught: _Taught, architecture: Architecture) -> Row:
    scheme = SCHEMES[TEACHER_NAME]
    return Row(
        name=TEACHER_NAME, group=METHODS, scheme=scheme.name, change="", rules=rules_of(scheme),
        source=scheme.source, left_out="", bytes=scheme_bytes(architecture, scheme), image_bytes=None,
        obstacle=scheme.obstacle(), phase1_top1=None, recovery_top1=None, top1=student.teacher_top1,
        teacher_top1=student.teacher_top1, recognised=student.teacher_recognised, phase1_recognised=None,
        teacher_recognised=student.teacher_recognised, engine_top1=None, zero_fraction=None,
        epochs=taught.epochs, seconds=taught.seconds, task=student.task,
    )  # fmt: skip


@dataclass(frozen=True)
class _Record:
    """What a comparison's folder remembers: the commands that worked in it, and `Task.described`."""

    commands: tuple[str, ...]
    task: dict[str, Any]


def _known_commands(folder: Path, task: Task) -> tuple[str, ...]:
    """The commands that worked in the folder before, on the same task.

    Raises:
        RecordError: its memory is damaged.
        TrainError: it was another task.
    """
    path = folder / TASK_NAME
    if not path.exists():
        return ()
    record = read_record(path, _Record, "Choose another --out.")
    wanted = _flattened(task.described())
    for name, value in _flattened(record.task).items():
        if wanted.get(name) != value:
            raise TrainError(
                f"The comparison in {folder} has {name} {value!r}, not {wanted.get(name)!r}.",
                "Choose another --out, or start again with --overwrite.",
            )
    return record.commands


def _flattened(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"a": {"b": 1}}`` as ``{"a b": 1}``."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat.update(_flattened(value, f"{prefix}{name} "))
        else:
            flat[f"{prefix}{name}"] = value
    return flat
