"""What results/ says is what its logs say, and its README.md is made from its tables."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from ftervit_deploy.train.results import Results, Row

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


def _result(folder: Path, name: str, phase: str) -> dict[str, Any]:
    """What a phase ended with."""
    lines = (folder / "logs" / f"{name}.{phase}.jsonl").read_text().splitlines()
    found: dict[str, Any] = json.loads(lines[-1])
    assert found["kind"] == "result"
    return found


def _epochs(folder: Path, name: str, phase: str) -> list[dict[str, Any]]:
    path = folder / "logs" / f"{name}.{phase}.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [line for line in lines if line["kind"] == "epoch"]


def test_every_figure_follows_from_a_log() -> None:
    for folder in FOLDERS:
        _check_figures(folder)


def test_tables_and_sentences_follow_from_the_figures() -> None:
    for folder in FOLDERS:
        payload = json.loads((folder / "results.json").read_text())
        rows = tuple(Row.of(values) for values in payload["rows"])
        values = {own.name: payload[own.name] for own in fields(Results)}
        found = Results(**{**values, "commands": tuple(values["commands"]), "rows": rows})
        assert found.markdown() == (folder / "results.md").read_text(encoding="utf-8")
        assert json.loads(json.dumps(found.payload())) == payload


def _check_figures(folder: Path) -> None:
    results = json.loads((folder / "results.json").read_text())
    for row in results["rows"]:
        phases = {phase: _epochs(folder, row["name"], phase) for phase in row["epochs"]}
        assert row["epochs"] == {phase: len(epochs) for phase, epochs in phases.items()}
        seconds = sum(line["seconds"] for epochs in phases.values() for line in epochs)
        assert row["seconds"] == pytest.approx(seconds)
        last = list(phases.values())[-1]
        assert row["top1"] == pytest.approx(max(line["val_top1"] for line in last))
        judged = _result(folder, row["name"], list(phases)[-1])["tested"] or {"top1": row["top1"]}
        assert row["score"] == pytest.approx(judged["top1"], abs=1e-6)
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
