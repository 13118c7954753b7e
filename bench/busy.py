"""How much of the machine goes to other work."""

from __future__ import annotations

import os
import time
from pathlib import Path

from ftervit_deploy.machine import usable_cores

LOOK_SECONDS, QUIET_SHARE = 0.1, 0.15
_COUNTERS = Path("/proc/stat")


class Others:
    """Counts from its making on; always 0 where Linux's counters are missing."""

    def __init__(self) -> None:
        self._started, self._busy = time.perf_counter(), _busy_seconds()

    def share(self, own_seconds: float) -> float:
        """Of the machine's processor time, 0 to 1, what went to others than `own_seconds`."""
        if not _COUNTERS.is_file():
            return 0.0
        offered = (time.perf_counter() - self._started) * usable_cores()
        return min(max((_busy_seconds() - self._busy - own_seconds) / offered, 0.0), 1.0)


class Patience:
    """Waits for a quiet machine, `seconds` in all; then no more."""

    def __init__(self, seconds: float) -> None:
        self._left = seconds

    def wait(self) -> None:
        """Returns at the first LOOK_SECONDS in which others took less than QUIET_SHARE."""
        while self._left > 0 and _COUNTERS.is_file():
            others = Others()
            time.sleep(LOOK_SECONDS)
            if others.share(0) < QUIET_SHARE:
                return
            self._left -= LOOK_SECONDS


def _busy_seconds() -> float:
    """Of all cores, since boot: user, nice, system, interrupts, stolen."""
    if not _COUNTERS.is_file():
        return 0.0
    every_core, _, _ = _COUNTERS.read_text().partition("\n")
    user, nice, system, _idle, _waiting, *rest = map(int, every_core.split()[1:9])
    return (user + nice + system + sum(rest)) / os.sysconf("SC_CLK_TCK")
