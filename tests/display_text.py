"""Text as the display of a board draws it, for comparison with what a display shows."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
from c_compiler import ROOT, RUNTIME, SANITIZERS, build, compiler
from line_board import APP_INCLUDE, LINE_INCLUDE

Draw = Callable[..., np.ndarray]


def build_draw(folder: Path) -> Draw:
    names = ("canvas", "font", "letters", "crop")
    sources = tuple(RUNTIME / "app" / f"ftv_{name}.c" for name in names)
    driver = ROOT / "tests" / "c" / "draw_text.c"
    program = build(compiler(), folder / "draw", (driver, *sources), LINE_INCLUDE, APP_INCLUDE, *SANITIZERS)

    def run(text: str, width: int, height: int, scale: int, rows: int = 8) -> np.ndarray:
        command = (program, *map(str, (width, height, scale, rows)), text)
        done = subprocess.run(command, capture_output=True)
        assert done.returncode == 0, done.stderr[-4000:]
        pixels = np.frombuffer(done.stdout, ">u2").reshape(height, width)
        assert set(np.unique(pixels)) <= {0, 0xFFFF}
        return pixels > 0

    return run


def inked(shown: np.ndarray, text: np.ndarray) -> bool:
    """Whether `text` (bool) stands somewhere in `shown` (bool), with nothing else in its place."""
    rows, columns = np.flatnonzero(text.any(1)), np.flatnonzero(text.any(0))
    text = text[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    windows = np.lib.stride_tricks.sliding_window_view(shown, text.shape)
    return bool((windows == text).all((2, 3)).any())
