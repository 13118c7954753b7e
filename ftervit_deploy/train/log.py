"""What a run says: JSON lines for programs, a progress bar or plain lines for people."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn


class JsonLog:
    """`log.jsonl`: a configuration line, then one line per epoch; lines are flushed as they are written."""

    def __init__(self, path: Path, keep_epochs: int | None) -> None:
        """Open the log.

        Args:
            path: the file.
            keep_epochs: None starts a new log; N keeps the configuration and epochs up to N.
        """
        self.path = path
        kept = [] if keep_epochs is None else _lines_up_to(path, keep_epochs)
        path.write_text("".join(kept), encoding="utf-8")

    def write(self, kind: str, **values: Any) -> None:
        """Append one line: ``{"kind": kind, ...}``."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kind, **values}) + "\n")


def _lines_up_to(path: Path, epoch: int) -> list[str]:
    if not path.exists():
        return []
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # a line cut off by a kill
        if entry.get("kind") != "epoch" or entry["epoch"] <= epoch:
            kept.append(line if line.endswith("\n") else line + "\n")
    return kept


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
        if not quiet and self.stream.isatty():
            self.bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
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
            self.bar.console.print(text, highlight=False)
        elif not self.quiet:
            print(text, file=self.stream, flush=True)

    def step(self, epoch: int, step: int) -> None:
        """Step `step` of epoch `epoch` (both from 1) is done."""
        if self.bar is not None and self.task is not None:
            self.bar.update(self.task, completed=(epoch - 1) * self.steps + step)

    def epoch(self, values: dict[str, Any], seconds_left: float) -> None:
        """Epoch is done; `values` are those of its log line."""
        teacher = "" if values["teacher_top1"] is None else f" (teacher {values['teacher_top1']:.2%})"
        zeros = f"  zeros {values['zero_fraction']:.1%}" if values["zero_fraction"] else ""
        note = f"loss {values['loss']:.4f}  top-1 {values['val_top1']:.2%}{teacher}{zeros}"
        if self.bar is not None and self.task is not None:
            self.bar.update(self.task, note=note, description=f"{self.phase} {values['epoch']}/{self.epochs}")
        else:
            pace = f"{values['images_per_second']:.0f} images/s, {duration(seconds_left)} left"
            self.say(f"{self.phase} {values['epoch']}/{self.epochs}  {note}  {pace}")
