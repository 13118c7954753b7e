"""What the training tests share: made-up photos, a tiny preset, runs in a temporary folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ftervit_deploy.architecture import PRESETS, Architecture

TINY = Architecture(16, 4, 16, 2, 2, 32, 3)
CLASSES = 3
PER_CLASS = 16


def write_photos(folder: Path, classes: int = CLASSES, per_class: int = PER_CLASS, side: int = 20) -> Path:
    """Class folders of noisy photos, one colour per class, names IMG_1... running through the classes."""
    generator = np.random.default_rng(7)
    for number in range(classes * per_class):
        label = number % classes
        pixels = generator.integers(0, 80, (side, side + 4, 3))
        pixels[..., label % 3] += 150
        path = folder / f"sign{label}" / f"IMG_{number + 1}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(path)
    return folder


@pytest.fixture(scope="session")
def photo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("photos"))


@pytest.fixture
def tiny_preset(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setitem(PRESETS, "tiny", TINY)
    return "tiny"


@pytest.fixture
def run(tiny_preset: str, photo_folder: Path, tmp_path: Path) -> Callable[..., Any]:
    """run(phase, out=..., data=..., resume=..., ...) -> PhaseResult of a tiny model."""
    from dataclasses import replace

    from ftervit_deploy.train.distill import run_phase
    from ftervit_deploy.train.phase import RunOptions
    from ftervit_deploy.train.settings import PHASES, RunMemory
    from ftervit_deploy.train.starts import Sources

    def run(
        phase: str,
        out: Path = tmp_path / "run",
        data: Path = photo_folder,
        sources: Any = Sources(),  # noqa: B008
        resume: bool = False,
        overwrite: bool = False,
        memory_bytes: int = 10**9,
        preset: str = tiny_preset,
        quiet: bool = True,
        scheme: str = "ftervit-s8",
        memory: Mapping[str, Any] = {},
        options: Mapping[str, Any] = {},
        **settings: Any,
    ) -> Any:
        known = {"data": str(data), "preset": preset, "split": "random", "val_fraction": 0.25, "seed": 3}
        remembered = RunMemory(**{**known, "scheme": scheme, "flip": True, **memory})
        chosen = {"epochs": 2, "batch_size": 8, "seed": 3, "lr": 3e-3, "warmup_epochs": 0, **settings}
        how = RunOptions(1, memory_bytes, quiet, resume, overwrite, **options)
        return run_phase(out, remembered, replace(PHASES[phase], **chosen), sources, how)

    return run
