"""Where esptool's words and progress go: to whoever runs a command, never to stdout."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, redirect_stdout
from typing import Any, ClassVar, Protocol

Progress = Callable[[int, int], None]
"""Called with how much is done, and of how much."""


class Report(Protocol):
    """What flashing tells a person; the CLI's `Output` is one."""

    def note(self, message: str) -> None:
        """Something worth knowing."""

    def detail(self, message: str) -> None:
        """Something for who wants to know more."""

    def progress(self, description: str, total: int, /) -> AbstractContextManager[Callable[[int], None]]:
        """A bar while the body runs; the body calls what it gets with how much of `total` is done."""


class _Sinks:
    """Who listens now; esptool has one logger for the whole process."""

    installed: ClassVar[bool] = False
    words: ClassVar[Callable[[str], None] | None] = None
    progress: ClassVar[Progress | None] = None


def install(report: Report) -> None:
    """Import esptool, and have its log lines told as details."""
    import sys

    with redirect_stdout(sys.stderr):  # it may speak of its configuration file
        from esptool.logger import log
    _Sinks.words = report.detail
    if not _Sinks.installed:
        log.set_logger(_make_logger())
        _Sinks.installed = True


@contextmanager
def progress_to(progress: Progress) -> Iterator[None]:
    """Have esptool's progress told to `progress` while the body runs."""
    _Sinks.progress = progress
    try:
        yield
    finally:
        _Sinks.progress = None


def _make_logger() -> Any:
    """Some versions of esptool take the logger, others its class alone: it has no state of its own."""
    from esptool.logger import TemplateLogger

    class Logger(TemplateLogger):  # type: ignore[misc]
        def print(self, *args: object, **kwargs: object) -> None:
            _tell(" ".join(map(str, args)))

        def note(self, message: str) -> None:
            _tell(message)

        def warning(self, message: str, suggestion: str | None = None) -> None:
            _tell(message)

        def error(self, message: str, suggestion: str | None = None) -> None:
            _tell(message)

        def stage(self, finish: bool = False) -> None:
            """Lines are never taken back."""

        def progress_bar(
            self, cur_iter: int, total_iters: int, prefix: str = "", suffix: str = "", bar_length: int = 30
        ) -> None:
            if _Sinks.progress is not None:
                _Sinks.progress(cur_iter, total_iters)

        def set_verbosity(self, verbosity: str) -> None:
            """Who listens decides."""

    return Logger()


def _tell(text: str) -> None:
    line = text.strip()
    if line.strip(".") and _Sinks.words is not None:
        _Sinks.words(f"esptool: {line}")
