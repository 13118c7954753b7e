"""What a run says: JSON lines for programs, a progress bar or plain lines for people."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from ..errors import RecordError
from ..files import cannot_write, write_atomic
from ..jsonfile import count_in, number_in, objects_of_lines
from ..plaintext import printable
from .runfolder import LOG_NAME
from .settings import MOST_EPOCHS

_LOSS = (-1.0, 1e6)
"""Nats; rounding takes a divergence a little below 0."""
_RANGES = {
    "loss": _LOSS, "val_loss": _LOSS, "val_divergence": _LOSS, "lr": (0.0, 1e6),
    "val_top1": (0.0, 1.0), "val_agreement": (0.0, 1.0), "teacher_top1": (0.0, 1.0),
    "zero_fraction": (0.0, 1.0), "seconds": (0.0, 1e12), "images_per_second": (0.0, 1e12),
}  # fmt: skip
"""Smallest and largest value of what an epoch's line says."""


class JsonLog:
    """`log.jsonl`: a configuration line, one line per epoch, within long ones progress lines, the result.

    Lines are flushed as they are written.
    """

    def __init__(self, path: Path, resumed: tuple[int, int] | None) -> None:
        """Open the log.

        Args:
            path: the file.
            resumed: None starts a new log; (epochs, steps) keeps what was written up to there.

        Raises:
            FileError: it cannot be written.
        """
        self.path = path
        kept = [] if resumed is None else [line for line in _lines(path) if _is_before(line, *resumed)]
        write_atomic(path, "".join(json.dumps(line) + "\n" for line in kept).encode())

    def write(self, kind: str, **values: Any) -> None:
        """Append one line: ``{"kind": kind, ...}``.

        Raises:
            FileError: it cannot be written; the run continues from its last state with --resume.
        """
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(_finite({"kind": kind, **values}), allow_nan=False) + "\n")
        except OSError as error:
            raise cannot_write(self.path, error) from error


def epochs_logged(folder: Path) -> list[dict[str, Any]]:
    """`sound_epochs` of the log in a phase's folder; none where there is no log."""
    return sound_epochs(_lines(folder / LOG_NAME))


def sound_epochs(lines: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The epoch lines of a log, as far as their number is one.

    None stands for whatever else a line does not say, or cannot mean: a top-1 of 50, a loss of 400 digits.
    """
    return [
        {**line, **{name: number_in(line.get(name), *bounds) for name, bounds in _RANGES.items()}}
        for line in lines
        if line.get("kind") == "epoch" and count_in(line.get("epoch"), 1, MOST_EPOCHS)
    ]


def result_logged(folder: Path) -> dict[str, Any]:
    """The result line of the log in a phase's folder; empty where the phase has not ended."""
    return next((line for line in _lines(folder / LOG_NAME) if line.get("kind") == "result"), {})


def photos_logged(folder: Path) -> dict[str, int]:
    """How many photos a phase that has ended trained, was validated and tested with, and left out.

    Raises:
        RecordError: its log does not say so.
    """
    tested = result_logged(folder).get("tested")
    said = configuration_logged(folder)
    found = {kind: said.get(f"{kind}_photos") for kind in ("train", "validation", "guarded")}
    found["test"] = tested.get("photos") if isinstance(tested, dict) else 0
    counts = {kind: count_in(count, 0, 10**12) for kind, count in found.items()}
    sound = {kind: count for kind, count in counts.items() if count is not None}
    if sound.keys() != counts.keys() or not sound["validation"]:
        raise RecordError(
            f"{folder / LOG_NAME} does not say how many photos there were.", "Start again with --overwrite."
        )
    return sound


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    """JSON knows no NaN and no infinity: null."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in values.items()
    }


def configuration_logged(folder: Path) -> dict[str, Any]:
    """The configuration line of the log in a phase's folder; empty where there is none."""
    return next((line for line in _lines(folder / LOG_NAME) if line.get("kind") == "configuration"), {})


def _is_before(line: dict[str, Any], epochs: int, steps: int) -> bool:
    """Epochs and progress whose number is none come too late as well."""
    if line.get("kind") == "epoch":
        return count_in(line.get("epoch"), 1, epochs) is not None
    if line.get("kind") == "progress":
        return count_in(line.get("step"), 1, steps) is not None
    return line.get("kind") != "result"


def _lines(path: Path) -> list[dict[str, Any]]:
    """The last one may have been cut off by a kill."""
    return list(objects_of_lines(path.read_bytes())) if path.exists() else []


def duration(seconds: float) -> str:
    """1:02:03 or 2:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def counted(count: int, noun: str) -> str:
    """1 photo, 2 photos."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


class Reporter:
    """Progress on the error stream: a live bar on a terminal, a line per epoch elsewhere, or nothing."""

    def __init__(
        self, phase: str, epochs: int, steps: int, quiet: bool, stream: TextIO | None = None
    ) -> None:
        self.stream = stream or sys.stderr
        self.phase, self.epochs, self.steps, self.quiet = phase, epochs, steps, quiet
        self.bar: Progress | None = None
        self.task: TaskID | None = None
        self.checked = ""
        if not quiet and self.stream.isatty():
            self.bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=14),
                TextColumn("{task.fields[note]}"),
                TimeRemainingColumn(),
                console=Console(file=self.stream),
            )

    def __enter__(self) -> Reporter:
        if self.bar is not None:
            self.bar.start()
            self.task = self.bar.add_task(self.phase, total=self.epochs * self.steps, note="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar is not None:
            self.bar.stop()

    def say(self, text: str) -> None:
        """A line for the reader."""
        if self.bar is not None:
            self.bar.console.print(printable(text), highlight=False, markup=False)
        elif not self.quiet:
            print(printable(text), file=self.stream, flush=True)

    def step(self, epoch: int, step: int, loss: float, images_per_second: float) -> None:
        """Step `step` of epoch `epoch` (both from 1) is done; loss and pace are the epoch's so far."""
        if self.bar is not None and self.task is not None:
            note = f"loss {loss:.4f}  {images_per_second:.0f} images/s\n{self.checked}"
            self.bar.update(
                self.task, completed=(epoch - 1) * self.steps + step, note=note,
                description=f"{self.phase} {epoch}/{self.epochs}",
            )  # fmt: skip

    def kept(self, epoch: int, step: int, loss: float, images_per_second: float) -> None:
        """The state was written within an epoch; a terminal's bar shows the rest already."""
        if self.bar is None:
            where = f"{self.phase} {epoch}/{self.epochs}  step {step} of {self.steps}"
            self.say(f"{where}  loss {loss:.4f}  {images_per_second:.0f} images/s")

    def epoch(self, values: dict[str, Any], seconds_left: float) -> None:
        """Epoch is done; `values` are those of its log line."""
        self.checked = _checked(values)
        if self.bar is not None and self.task is not None:
            note = f"loss {values['loss']:.4f}  {values['images_per_second']:.0f} images/s\n{self.checked}"
            self.bar.update(self.task, note=note, description=f"{self.phase} {values['epoch']}/{self.epochs}")
        else:
            pace = f"{values['images_per_second']:.0f} images/s, {duration(seconds_left)} left"
            head = f"{self.phase} {values['epoch']}/{self.epochs}"
            self.say(f"{head}  loss {values['loss']:.4f}  {self.checked}  {pace}")


def _checked(values: dict[str, Any]) -> str:
    """What the validation found; without labels, how often the teacher chooses the same class."""
    teacher = "" if values["teacher_top1"] is None else f" (teacher {values['teacher_top1']:.2%})"
    zeros = f"  zeros {values['zero_fraction']:.1%}" if values["zero_fraction"] else ""
    if values["val_top1"] is None:
        return f"as the teacher {values['val_agreement']:.2%}{zeros}"
    return f"top-1 {values['val_top1']:.2%}{teacher}{zeros}"
