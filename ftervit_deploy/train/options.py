"""How a phase is run, whatever it computes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RunOptions:
    """How a phase is run, without effect on its result.

    Attributes:
        threads: of computation and of decoding; 0 leaves the choice to PyTorch.
        memory_bytes: most memory for decoded training photos.
        quiet: no progress.
        resume: continue a run that was stopped.
        overwrite: replace a run that is there.
        save_seconds: between states written within an epoch; one is written after every epoch.
        compiled: have PyTorch compile the models.
        tensorboard: write TensorBoard's files, too.
        plot: where curves are drawn.
        command: what the user typed, for the log.
        on_begin: called once the run's folder is there, before it trains.
    """

    threads: int = 0
    memory_bytes: int = 4_000_000_000
    quiet: bool = False
    resume: bool = False
    overwrite: bool = False
    save_seconds: float = 600.0
    compiled: bool = False
    tensorboard: bool = False
    plot: Path | None = None
    command: str = ""
    on_begin: Callable[[], None] = lambda: None
