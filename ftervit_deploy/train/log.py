"""What a run says: JSON lines for programs, a progress bar or plain lines for people."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from ..files import cannot_write, write_atomic
from ..plaintext import printable

LOG_NAME = "log.jsonl"


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
    """The epoch lines of the log in a phase's folder; none where there is no log."""
    return [line for line in _lines(folder / LOG_NAME) if line.get("kind") == "epoch"]


def result_logged(folder: Path) -> dict[str, Any]:
    """The result line of the log in a phase's folder; empty where the phase has not ended."""
    return next((line for line in _lines(folder / LOG_NAME) if line.get("kind") == "result"), {})


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
    if line.get("kind") == "epoch":
        return bool(line["epoch"] <= epochs)
    if line.get("kind") == "result":
        return False
    return line.get("kind") != "progress" or bool(line["step"] <= steps)


def _lines(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue  # a line cut off by a kill
    return found


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
