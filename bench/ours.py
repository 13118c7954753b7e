"""The C engine as a contestant of bench.host."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ftervit_deploy import __version__
from ftervit_deploy.architecture import PRESETS
from ftervit_deploy.engine import Engine
from ftervit_deploy.image import write_image
from ftervit_deploy.lower import lower

from .serve import Candidate, Run

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from synthetic import random_graph


class Ours:
    """A random ternary model of the same shape."""

    def __init__(self, model: str, threads: int, folder: Path) -> None:
        self._engine = Engine(write_image(lower(random_graph(PRESETS[model])), "t2"), threads=threads)
        self.versions = {"ftervit": __version__}

    def candidates(self, batch: int) -> Iterator[Candidate]:
        """The engine's one way to run a batch."""
        yield Candidate("t2", "", lambda: self._run(batch))

    def agreement(self, logits: Any) -> None:
        """None: a ternary model is not the float model rounded."""

    def _run(self, batch: int) -> Run:
        side = self._engine.architecture.image_size
        pixels = np.random.default_rng(0).integers(0, 256, (batch, side, side, 3), np.uint8)
        return lambda: self._engine.logits(pixels)
