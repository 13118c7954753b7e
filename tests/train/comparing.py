"""Running `ftervit compare` on a budget of seconds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ftervit_deploy.cli import main

BUDGET = [
    "--teacher-epochs", "3", "--epochs", "2", "--recovery-epochs", "1", "--batch-size", "16",
    "--augment", "none", "--lr", "3e-3", "--threads", "1", "--val-fraction", "0.25", "--quiet",
]  # fmt: skip


def compare(photos: Path, out: Path, *more: str, preset: str = "tiny") -> int:
    return main(["compare", str(photos), "--out", str(out), "--preset", preset, *BUDGET, *more])


def teach(photos: Path, out: Path, *more: str) -> int:
    """Train a teacher in a run folder of its own."""
    budget = ["--preset", "tiny", "--batch-size", "16", "--threads", "1", "--quiet"]
    return main(["train", str(photos), "--phase", "teacher", "--out", str(out), *budget, *more])


def results_in(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "results.json").read_text())
    return found


def without_times(results: dict[str, Any]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in results["rows"]]


def note_phases(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """(entry, phase) of everything that is trained or continued from now on."""
    from ftervit_deploy.train import comparison

    ran: list[tuple[str, str]] = []
    run_phase = comparison.run_phase

    def noted(out: Path, memory: Any, settings: Any, *rest: Any) -> Any:
        ran.append((out.name, settings.phase))
        return run_phase(out, memory, settings, *rest)

    monkeypatch.setattr(comparison, "run_phase", noted)
    return ran
