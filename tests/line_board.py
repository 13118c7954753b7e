"""The virtual board for tests: built with sanitizers, started on a pseudo-terminal or TCP, reset, killed."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from c_compiler import RUNTIME, SANITIZERS, build, compiler

LINE_SOURCES = tuple(sorted((RUNTIME / "line").glob("*.c")))
APP_SOURCES = tuple(sorted((RUNTIME / "app").glob("*.c")))
POSIX_SOURCES = tuple(sorted((RUNTIME / "ports" / "posix").glob("*.c")))
ENGINE_SOURCES = tuple(sorted(path for folder in ("src", "host") for path in (RUNTIME / folder).rglob("*.c")))
LINE_INCLUDE = f"-I{RUNTIME / 'line'}"
APP_INCLUDE = f"-I{RUNTIME / 'app'}"
FLAGS = (
    LINE_INCLUDE, APP_INCLUDE, f"-I{RUNTIME / 'host'}", f"-I{RUNTIME / 'ports' / 'posix'}", "-pthread",
    "-D_POSIX_C_SOURCE=200809L",
)  # fmt: skip


def build_board(output: Path, *flags: str, engine: tuple[Path, ...] = ENGINE_SOURCES) -> Path:
    """Compiles ftv-board; `engine`: its engine's sources."""
    return build(compiler(), output, (*POSIX_SOURCES, *APP_SOURCES, *LINE_SOURCES, *engine), *FLAGS, *flags)


@functools.cache
def sanitized_board() -> Path:
    """ftv-board under AddressSanitizer and UndefinedBehaviorSanitizer, built once."""
    folder = Path(tempfile.mkdtemp(prefix="ftv-board-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return build_board(folder / "ftv-board", *SANITIZERS)


class Board:
    """A running virtual board.

    Attributes:
        url: its port, as a user names it.
    """

    def __init__(self, *arguments: object, program: Path | None = None) -> None:
        command = [str(program or sanitized_board()), *map(str, arguments)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        assert self.url, self._errors()

    def reset(self) -> None:
        """Press the reset button."""
        self._process.send_signal(signal.SIGHUP)

    def kill(self) -> None:
        """Pull the cable."""
        self._process.kill()
        self._process.wait(10)

    def stop(self) -> None:
        """End it; a sanitizer must not have complained."""
        if self._process.poll() is None:
            self._process.terminate()
        errors = self._errors()
        assert not errors, errors

    def _errors(self) -> str:
        return self._process.communicate(timeout=20)[1]


@contextmanager
def running_board(*arguments: object, program: Path | None = None) -> Iterator[Board]:
    """A board for the length of a block."""
    if sys.platform == "win32" or os.name != "posix":
        pytest.skip("hardware: the virtual board needs POSIX")
    board = Board(*arguments, program=program)
    try:
        yield board
    finally:
        board.stop()
