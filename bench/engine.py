"""`python -m bench.engine IMAGE`: seconds of one photo through the C engine, as JSON."""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np

from ftervit_deploy.engine import Engine

REPEATS = 7
THREADS = 2


def main(image: Path) -> None:
    """Median of REPEATS runs, after one that is not counted."""
    with Engine(image, threads=THREADS) as engine:
        size = engine.architecture.image_size
        pixels = np.random.default_rng(0).integers(0, 256, (1, size, size, 3), np.uint8)
        taken = [_seconds(engine, pixels) for _ in range(REPEATS + 1)][1:]
    print(json.dumps({"seconds": statistics.median(taken), "repeats": REPEATS, "threads": THREADS}))


def _seconds(engine: Engine, pixels: np.ndarray) -> float:
    started = time.perf_counter()
    engine.logits(pixels)
    return time.perf_counter() - started


if __name__ == "__main__":
    main(Path(sys.argv[1]))
