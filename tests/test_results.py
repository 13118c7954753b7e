"""What results/ says is what its logs say, and its README.md is made from its tables."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

RESULTS = Path(__file__).parent.parent / "results"
FOLDERS = sorted(path.parent for path in RESULTS.glob("*/results.json"))


def _loaded(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, RESULTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_readme_is_made_from_the_tables() -> None:
    assert (RESULTS / "README.md").read_text(encoding="utf-8") == _loaded("summary").summary()


def _epochs(folder: Path, name: str, phase: str) -> list[dict[str, Any]]:
    path = folder / "logs" / f"{name}.{phase}.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [line for line in lines if line["kind"] == "epoch"]


def test_every_figure_follows_from_a_log() -> None:
    for folder in FOLDERS:
        _check_figures(folder)


def _check_figures(folder: Path) -> None:
    results = json.loads((folder / "results.json").read_text())
    for row in results["rows"]:
        phases = {phase: _epochs(folder, row["name"], phase) for phase in row["epochs"]}
        assert row["epochs"] == {phase: len(epochs) for phase, epochs in phases.items()}
        seconds = sum(line["seconds"] for epochs in phases.values() for line in epochs)
        assert row["seconds"] == pytest.approx(seconds)
        last = list(phases.values())[-1]
        assert row["top1"] == pytest.approx(max(line["val_top1"] for line in last))
        if row["name"] != "fp32":
            assert row["teacher_top1"] == pytest.approx(last[0]["teacher_top1"])
    hours = sum(row["seconds"] for row in results["rows"]) / 3600
    assert results["hours"] == pytest.approx(hours)
    assert (folder / "curves.svg").read_text().startswith("<?xml")


def test_nothing_there_names_a_place_on_a_machine() -> None:
    for path in RESULTS.rglob("*"):
        if path.suffix in (".json", ".jsonl", ".md", ".svg", ".sh"):
            text = path.read_text(encoding="utf-8")
            assert not any(place in text for place in ("/home/", "/root/", "/work/", "/tmp/")), path
