"""`python -m bench.serve ENTRY MODEL THREADS FOLDER`: a contestant's process; it answers on stdout.

ENTRY is `module:function`; `function(model, threads, folder)` gives an `Adapter`. A request is one line of
JSON, `{"batch": B, "runs": R}`: run a batch of B images once uncounted, then R times. The first request of a
batch size builds every candidate for it and keeps the fastest.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from .busy import Patience

Run = Callable[[], Any]
"""Classifies the batch that it was built for; gives logits [B, classes]."""

TRIALS, TRIAL_SECONDS = 5, 3.0
"""Candidates are compared at least so often, and at least so long."""
PATIENCE_SECONDS = 60
"""That a contestant waits, in all, for a quiet machine to compare its candidates on."""


@dataclass(frozen=True)
class Candidate:
    """One way to run a model.

    Attributes:
        variant: which file or arithmetic; beyond one image only the best variant of one image is built.
        mode: how a batch is laid out, "" for as it comes.
        build: makes it ready.
    """

    variant: str
    mode: str
    build: Callable[[], Run]

    @property
    def label(self) -> str:
        """Variant and mode."""
        return ", ".join(filter(None, [self.variant, self.mode]))


class Adapter(Protocol):
    """A library with a model loaded."""

    versions: dict[str, str]

    def candidates(self, batch: int) -> Iterable[Candidate]:
        """The ways to run a batch of `batch` images."""

    def agreement(self, logits: Any) -> float | None:
        """Correlation of one image's logits with the float model's; None where there is no such model."""


class Server:
    """Answers requests with an adapter."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter
        self._variant: str | None = None
        self._runs: dict[int, tuple[str, Run]] = {}
        self._failed: dict[str, str] = {}
        self._patience = Patience(PATIENCE_SECONDS)

    def answer(self, batch: int, runs: int) -> dict[str, Any]:
        """Seconds of each run, of the processor too; what runs; which candidates failed."""
        if batch not in self._runs:
            self._runs[batch] = self._best(batch)
        label, run = self._runs[batch]
        before = _processor_seconds()
        seconds = [_seconds(run) for _ in range(runs + 1)][1:]
        return {
            "seconds": seconds,
            "processor_seconds": _processor_seconds() - before,
            "as": label,
            "failed": self._failed,
            "versions": self._adapter.versions,
            "agreement": self._adapter.agreement(run()) if runs == 0 else None,
        }

    def _best(self, batch: int) -> tuple[str, Run]:
        built = [
            (candidate, run)
            for candidate in self._adapter.candidates(batch)
            if self._variant in (None, candidate.variant) and (run := self._built(candidate))
        ]
        if not built:
            raise RuntimeError(next(iter(self._failed.values()), "nothing to run"))
        winner, run = built[_fastest([run for _, run in built], self._patience)]
        self._variant = winner.variant
        return winner.label, run

    def _built(self, candidate: Candidate) -> Run | None:
        try:
            run = candidate.build()
            run()
        except Exception as error:
            traceback.print_exc()
            self._failed[candidate.label] = _in_short(error)
            return None
        return run


def _fastest(runs: list[Run], patience: Patience) -> int:
    """Index of the one with the shortest run; the runs are interleaved."""
    shortest = [float("inf")] * len(runs)
    trials, until = 0, time.perf_counter() + TRIAL_SECONDS
    while len(runs) > 1 and (trials < TRIALS or time.perf_counter() < until):
        patience.wait()
        shortest = [min(known, _seconds(run)) for known, run in zip(shortest, runs, strict=True)]
        trials += 1
    return shortest.index(min(shortest))


def _seconds(run: Run) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def _processor_seconds() -> float:
    return sum(os.times()[:2])


def _in_short(error: BaseException) -> str:
    first = next(iter(str(error).splitlines()), "")
    return f"{type(error).__name__}: {first}"[:160]


def _private_stdout() -> IO[str]:
    """Stdout for answers alone; what libraries print goes to stderr."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


def main() -> None:
    """Serve until stdin ends."""
    answers = _private_stdout()
    entry, model, threads, folder = sys.argv[1:]
    module, _, function = entry.partition(":")
    server = None
    for line in sys.stdin:
        try:
            if server is None:
                make = getattr(importlib.import_module(module), function)
                server = Server(make(model, int(threads), Path(folder)))
            answer = server.answer(**json.loads(line))
        except Exception as error:
            traceback.print_exc()
            answer = {"error": _in_short(error)}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
