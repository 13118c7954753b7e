"""Medians of runs that take turns."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence

ROUNDS = 11
SLICE_S = 0.02
"""A turn lasts at least so long."""


def median_seconds(runs: Sequence[Callable[[], object]], rounds: int = ROUNDS) -> list[float]:
    """Of one call of each, over rounds in which each has a turn; so all of them meet the same machine."""
    loops = [_loops(run) for run in runs]
    taken: list[list[float]] = [[] for _ in runs]
    for _ in range(rounds):
        for run, count, seconds in zip(runs, loops, taken, strict=True):
            seconds.append(_seconds(run, count))
    return [statistics.median(seconds) for seconds in taken]


def _loops(run: Callable[[], object]) -> int:
    _seconds(run, 1)
    return max(1, math.ceil(SLICE_S / max(_seconds(run, 1), 1e-9)))


def _seconds(run: Callable[[], object], count: int) -> float:
    started = time.perf_counter()
    for _ in range(count):
        run()
    return (time.perf_counter() - started) / count
