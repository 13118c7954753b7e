"""What a person or a program sees: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..plaintext import one_line, printable

if TYPE_CHECKING:
    from rich.status import Status

_Function = TypeVar("_Function", bound=Callable[..., Any])
_Item = TypeVar("_Item")
PROGRESS_AFTER_S = 0.7
"""Progress appears for whatever lasts longer, on a terminal only."""


class Output:
    """How this run speaks. The flags are set by `output_options` while click parses."""

    def __init__(self) -> None:
        self.json = False
        self.quiet = False
        self.verbose = False

    def result(self, payload: object, text: Callable[[], str]) -> None:
        """Print the command's result: `payload` with --json, else what `text` returns."""
        if self.json:
            print(json.dumps(payload, allow_nan=False))
        else:
            print(text())

    def note(self, message: str) -> None:
        """Tell a person something on stderr, unless --quiet."""
        if not self.quiet:
            print(message, file=sys.stderr)

    def detail(self, message: str) -> None:
        """Tell a person something on stderr, with --verbose only."""
        if self.verbose:
            print(message, file=sys.stderr)

    def error(self, what: str, hint: str = "") -> None:
        """Print one error line on stderr, and the way out on the next."""
        print(f"ftervit: error: {one_line(what)}", file=sys.stderr)
        if hint:
            print(f"  {one_line(hint)}", file=sys.stderr)
        if self.verbose and sys.exc_info()[0] is not None:
            traceback.print_exc()

    def defect(self, error: BaseException) -> None:
        """Print one line about a defect of ours and how to report it; the traceback with --verbose."""
        what = one_line(f"{type(error).__name__}: {error}")
        print(f"ftervit: defect: {what}", file=sys.stderr)
        if self.verbose:
            traceback.print_exception(error)
        print(
            "  This is our mistake. Please report it with the command, `ftervit --version` "
            "and what it prints with --verbose.",
            file=sys.stderr,
        )

    def interrupted(self) -> None:
        """Say that the user stopped the command."""
        print("\nftervit: interrupted, nothing half-written is left.", file=sys.stderr)

    @property
    def shows_progress(self) -> bool:
        """True on a terminal, unless --quiet."""
        return sys.stderr.isatty() and not self.quiet

    def hush_the_hub(self) -> None:
        """Keep the hub client, before its import, to what this run may say on stderr."""
        if not self.shows_progress:
            os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        if not self.verbose:
            os.environ.setdefault("HF_HUB_VERBOSITY", "error")

    @contextmanager
    def step(self, description: str) -> Iterator[None]:
        """Show a spinner while the body runs, if it runs long."""
        self.detail(description)
        if not self.shows_progress:
            yield
            return
        spinner = _DelayedSpinner(description)
        try:
            yield
        finally:
            spinner.stop()

    @contextmanager
    def bar(self, description: str) -> Iterator[Callable[[int, int], None]]:
        """A function that takes steps done and steps in all, for a bar on a terminal; none with --verbose."""
        if not self.shows_progress or self.verbose:
            yield lambda done, total: None
            return
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task(description, total=None)
            yield lambda done, total: progress.update(task, completed=done, total=total)

    @contextmanager
    def progress(self, description: str, total: int) -> Iterator[Callable[[int], None]]:
        """A bar of bytes on a terminal; the body calls what it gets with how many of `total` are done."""
        self.detail(description)
        if not self.shows_progress:
            yield lambda done: None
            return
        bar = _ByteBar(description, total)
        try:
            yield bar.update
        finally:
            bar.stop()

    def track(self, items: Sequence[_Item], description: str) -> Iterable[_Item]:
        """`items`, with a progress bar on a terminal if going through them takes long."""
        return _tracked(items, description) if self.shows_progress else items


class _DelayedSpinner:
    """A spinner on stderr that appears after PROGRESS_AFTER_S."""

    def __init__(self, description: str) -> None:
        self._description = description
        self._status: Status | None = None
        self._timer = threading.Timer(PROGRESS_AFTER_S, self._start)
        self._timer.daemon = True
        self._timer.start()

    def _start(self) -> None:
        from rich.console import Console

        self._status = Console(stderr=True).status(self._description)
        self._status.start()

    def stop(self) -> None:
        self._timer.cancel()
        self._timer.join()
        if self._status is not None:
            self._status.stop()


class _ByteBar:
    """A bar on stderr with bytes, speed and what is left; it goes when it is done."""

    def __init__(self, description: str, total: int) -> None:
        from rich import progress
        from rich.console import Console

        self._bar = progress.Progress(
            progress.TextColumn("{task.description}"), progress.BarColumn(), progress.DownloadColumn(),
            progress.TransferSpeedColumn(), progress.TimeRemainingColumn(),
            console=Console(stderr=True), transient=True,
        )  # fmt: skip
        self._task = self._bar.add_task(description, total=total)
        self._bar.start()

    def update(self, done: int) -> None:
        self._bar.update(self._task, completed=done)

    def stop(self) -> None:
        self._bar.stop()


def _tracked(items: Sequence[_Item], description: str) -> Iterator[_Item]:
    started = time.monotonic()
    done = 0
    for item in items:
        if time.monotonic() - started > PROGRESS_AFTER_S:
            break
        yield item
        done += 1
    else:
        return
    yield from _with_bar(items, description, done)


def _with_bar(items: Sequence[_Item], description: str, done: int) -> Iterator[_Item]:
    from rich.console import Console
    from rich.progress import track

    yield from track(
        items[done:], description, total=len(items), completed=done,
        console=Console(stderr=True), transient=True,
    )  # fmt: skip


def output_options(function: _Function) -> _Function:
    """Add --json, --quiet and --verbose, which set the context's `Output`."""
    for declaration, name, description in (
        (("-v", "--verbose"), "verbose", "Say more on stderr; tracebacks with errors."),
        (("-q", "--quiet"), "quiet", "Say nothing but results and errors."),
        (("--json",), "json", "Print the result as JSON on stdout, and nothing else there."),
    ):
        function = click.option(
            *declaration, is_flag=True, expose_value=False, callback=_setter(name), help=description
        )(function)
    return function


def _setter(name: str) -> Callable[[click.Context, click.Parameter, bool], None]:
    def set_flag(context: click.Context, parameter: click.Parameter, value: bool) -> None:
        output = context.ensure_object(Output)
        if value:
            setattr(output, name, True)

    return set_flag


def colour_depth(stream: Any = None) -> int:
    """Bits of colour the terminal behind `stream` (stdout) shows: 0, 8 or 24."""
    stream = sys.stdout if stream is None else stream
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not stream.isatty():
        return 0
    return 24 if os.environ.get("COLORTERM", "").lower() in ("truecolor", "24bit") else 8


def bold(text: str) -> str:
    """`text` in bold where stdout shows colours."""
    return f"\x1b[1m{text}\x1b[0m" if colour_depth() else text


def dim(text: str) -> str:
    """`text` dimmed where stdout shows colours."""
    return f"\x1b[2m{text}\x1b[0m" if colour_depth() else text


def table(rows: Sequence[Sequence[str]], headings: Sequence[str] = (), left: int = 1) -> str:
    """Aligned columns of plain text, the first `left` of them flush left, the others flush right."""
    cells = [[printable(cell) for cell in row] for row in ([headings, *rows] if headings else rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))] if cells else []
    lines = [
        "  ".join(
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]
    if headings:
        lines[0] = bold(lines[0])
    return "\n".join(lines)


def megabytes(size_bytes: float) -> str:
    """A size in decimal megabytes or kilobytes, as people compare models."""
    if size_bytes < 1e6:
        return f"{size_bytes / 1e3:.1f} kB"
    return f"{size_bytes / 1e6:.2f} MB"


def percent(fraction: float) -> str:
    """A fraction from 0 to 1 as a percentage with one decimal."""
    return f"{100 * fraction:.1f} %"
