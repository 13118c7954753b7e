"""Single keys from a terminal, which is left as it was found."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

READ_BYTES = 64


@contextmanager
def keyboard() -> Iterator[Keyboard | None]:
    """Keys as they are pressed, without echo, for the length of a block; None where stdin is no terminal."""
    if sys.stdin is None or not sys.stdin.isatty():
        yield None
    elif sys.platform == "win32":
        yield Keyboard()
    else:
        with _single_keys(sys.stdin.fileno()):
            yield Keyboard()


class Keyboard:
    """`keyboard` gives one."""

    def pressed(self) -> str:
        """The characters typed since the last call."""
        if sys.platform == "win32":
            import msvcrt

            keys = ""
            while msvcrt.kbhit():
                keys += msvcrt.getwch()
            return keys
        import select

        handle = sys.stdin.fileno()
        if not select.select([handle], [], [], 0)[0]:
            return ""
        return os.read(handle, READ_BYTES).decode("utf-8", "replace")


@contextmanager
def _single_keys(handle: int) -> Iterator[None]:
    """Neither lines nor echo nor BSD's Ctrl-T; Ctrl-C still interrupts."""
    if sys.platform == "win32":
        raise AssertionError("POSIX terminals only")
    import termios

    before = termios.tcgetattr(handle)
    settings = termios.tcgetattr(handle)
    settings[3] &= ~(termios.ICANON | termios.ECHO | termios.IEXTEN)
    settings[6][termios.VMIN], settings[6][termios.VTIME] = 1, 0
    try:
        termios.tcsetattr(handle, termios.TCSADRAIN, settings)
        yield
    finally:
        termios.tcsetattr(handle, termios.TCSADRAIN, before)
