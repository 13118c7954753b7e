"""What the training tests share: a tiny preset, runs in a temporary folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from training_photos import TINY, write_photos

from ftervit_deploy.architecture import PRESETS


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
    from ftervit_deploy.train.options import RunOptions
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


@pytest.fixture
def phases(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """(entry, phase) of everything that a comparison trains or continues."""
    from comparing import note_phases

    return note_phases(monkeypatch)
