"""Ctrl-C and other signals end what a command does, and what it holds is put back."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


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
