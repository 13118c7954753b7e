"""Single keys from a terminal, which is left as it was found."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

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


class Ending:
    """`ending_in_order` gives one."""

    def __init__(self) -> None:
        self._asked = False

    def interrupt(self, _number: int, _frame: FrameType | None) -> None:
        """A signal's handler."""
        self._asked = True
        raise KeyboardInterrupt

    def check(self) -> None:
        """Once per turn of a loop: pyserial, closing a socket, swallows every exception.

        Raises:
            KeyboardInterrupt: a signal came, though what it raised went unheard.
        """
        if self._asked:
            raise KeyboardInterrupt


@contextmanager
def ending_in_order() -> Iterator[Ending]:
    """Ctrl-C, SIGTERM and a closed terminal end the block alike, so that what it holds is put back.

    A signal that is ignored, as `nohup` has SIGHUP, stays ignored.
    """
    ending = Ending()
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    heeded = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, ending.interrupt) for number in heeded}
    try:
        yield ending
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
