"""A contest: workers asked in turns, so that the machine is the same for all of them."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from .busy import Others, Patience
from .rounds import Round
from .worker import WorkerError

SWEEPS, SWEEP_RUNS = 2, 2
"""How often the batch sizes are gone through, and the runs of each, of which the shortest counts."""

PATIENCE_SECONDS = 240
"""That a contest waits, in all, for a quiet machine."""


class Asked(Protocol):
    """bench.worker.Worker, or a stand-in."""

    def ask(self, batch: int, runs: int) -> dict[str, Any]:
        """A request of bench.serve and its answer; WorkerError if there is none."""

    def close(self) -> None:
        """Ends it."""


class Contest:
    """Holds the contestants' workers; a context manager.

    Args:
        start: by name, what starts its worker; it may raise WorkerError.

    Attributes:
        answers: by name and batch size, the answer of bench.serve when that size was built.
        failed: by name, why a contestant is out.
    """

    def __init__(self, start: Mapping[str, Callable[[], Asked]]) -> None:
        self.answers: dict[tuple[str, int], dict[str, Any]] = {}
        self.failed: dict[str, str] = {}
        self._workers: dict[str, Asked] = {}
        self._order = random.Random(0)
        self._patience = Patience(PATIENCE_SECONDS)
        for name, begin in start.items():
            try:
                self._workers[name] = begin()
            except WorkerError as error:
                self.failed[name] = str(error)
            else:
                self._build(name, 1)

    def __enter__(self) -> Contest:
        return self

    def __exit__(self, *_: object) -> None:
        for name in self.names():
            self._workers.pop(name).close()

    def names(self) -> list[str]:
        """Who is in, in the order of `start`."""
        return list(self._workers)

    def rounds(self, batches: Mapping[str, int], count: int, runs: int) -> list[Round]:
        """Everybody's turn, `count` times, each time in another order; who fails meanwhile is in none."""
        played = [self._round(batches, runs) for _ in range(count)]
        return [
            Round({name: round_.seconds[name] for name in self._workers}, round_.others) for round_ in played
        ]

    def best_batches(self, sizes: Mapping[str, Sequence[int]]) -> dict[str, int]:
        """The batch size with the shortest run per image, for each that is in; all are built on the way."""
        for name in self.names():
            for size in sizes[name]:
                self._build(name, size)
        shortest: dict[tuple[str, int], float] = {}
        for _ in range(SWEEPS):
            for key in ((name, size) for name in self.names() for size in sizes[name]):
                self._patience.wait()
                for answer in self._ask(*key, SWEEP_RUNS):
                    run = min(answer["seconds"]) / key[1]
                    shortest[key] = min(run, shortest.get(key, run))
        return {name: min(sizes[name], key=lambda size: shortest[name, size]) for name in self.names()}

    def _round(self, batches: Mapping[str, int], runs: int) -> Round:
        self._patience.wait()
        others, own = Others(), 0.0
        seconds: dict[str, float] = {}
        for name in self._order.sample(self.names(), len(self._workers)):
            for answer in self._ask(name, batches[name], runs):
                own += answer["processor_seconds"]
                seconds[name] = statistics.median(answer["seconds"]) / batches[name]
        return Round(seconds, others.share(own))

    def _build(self, name: str, batch: int) -> None:
        for answer in self._ask(name, batch, 0):
            self.answers[name, batch] = answer

    def _ask(self, name: str, batch: int, runs: int) -> list[dict[str, Any]]:
        """The answer, or none if the contestant is out."""
        if name not in self._workers:
            return []
        try:
            return [self._workers[name].ask(batch, runs)]
        except WorkerError as error:
            self.failed[name] = str(error)
            self._workers.pop(name).close()
            return []
