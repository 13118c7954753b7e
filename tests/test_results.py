"""What results/ says is what its logs say, and its README.md is made from its tables."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ftervit_deploy.train.findings import findings
from ftervit_deploy.train.paired import Recognised
from ftervit_deploy.train.results import METHODS, Results, Row

RESULTS = Path(__file__).parent.parent / "results"
FOLDERS = sorted(path.parent for path in RESULTS.glob("*/results.json"))


@pytest.fixture(autouse=True)
def _beside_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(RESULTS))


def _loaded(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, RESULTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_readme_is_made_from_the_tables() -> None:
    assert (RESULTS / "README.md").read_text(encoding="utf-8") == _loaded("summary").summary()


def test_the_front_page_shows_what_the_command_printed() -> None:
    path = RESULTS.parent / "README.md"
    text = path.read_text(encoding="utf-8")
    assert "$ sh results/cifar10.sh" in text
    assert _loaded("summary").front_page(text) == text


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
        found = Results.of(payload)
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


def _row(name: str, right: int, size: int, before: int | None = None) -> Row:
    """A model that recognises the first `right` of a thousand photos."""

    def first(count: int) -> Recognised:
        return Recognised.of(np.arange(1000) < count)

    return Row(
        name, METHODS, name, "", (), "", "", size, None, "", None, None, right / 1000, 0.9, first(right),
        None if before is None else first(before), first(900), None, None, {}, 0.0, "",
    )  # fmt: skip


def _verdicts(lines: Iterable[str]) -> dict[str, str]:
    cells = [line.strip("| ").split(" | ") for line in lines][2:]
    return {what: verdict for what, _, verdict in cells}


def _rows(*rows: Row) -> dict[str, Row]:
    return {row.name: row for row in rows}


def test_aims_are_met_or_missed_by_the_figures() -> None:
    aims = _loaded("verdicts").aims
    met = _rows(
        _row("fp32", 850, 4000), _row("ftervit", 835, 300, before=825), _row("tervit", 835, 301),
        _row("vit-1.58b", 836, 400), _row("q-vit-a8", 700, 300), _row("q-vit", 999, 100),
    )  # fmt: skip
    assert _verdicts(aims(met)) == {
        "A teacher of at least 85 %": "met",
        "ftervit within 1.5 points of it": "met",
        "ftervit's recovery worth at least 1 point": "met",
        "ftervit at least as accurate as tervit, in fewer bytes": "met",
        "ftervit at least as accurate as vit-1.58b, in fewer bytes": "missed",
        "ftervit at least as accurate as q-vit-a8, in fewer bytes": "missed",
    }
    missed = _rows(_row("fp32", 849, 4000), _row("ftervit-s8", 833, 300, before=824))
    assert _verdicts(aims(missed)) == {
        "A teacher of at least 85 %": "missed",
        "ftervit-s8 within 1.5 points of it": "missed",
        "ftervit-s8's recovery worth at least 1 point": "missed",
    }


def test_a_claim_is_shown_only_beyond_chance() -> None:
    claims = _loaded("verdicts").claims
    rows = _rows(
        _row("fp32", 900, 4000), _row("ftervit", 850, 300, before=846), _row("ftervit-absmax", 700, 300),
        _row("ftervit-kl+ce", 860, 300), _row("ftervit-recovery-from-5", 700, 300), _row("tervit", 850, 400),
        _row("ftervit-recovery-from-10", 850, 300), _row("ftervit-recovery-from-20", 840, 300),
    )  # fmt: skip
    found = _verdicts(claims(rows))
    assert found == {
        "A recovery (published: 2.4 to 4.1 points)": "no difference seen",
        "Scales by absmean, not absmax, which sends most weights to zero": "shown",
        "KL divergence alone, not cross-entropy beside it": "the opposite",
        "Recovery from an earlier epoch, 10, not from 20": "shown",
        "All of the model ternary, not as tervit has it": "no difference seen",
    }
    assert not list(claims(_rows(_row("fp32", 900, 4000), _row("tervit", 850, 400))))


def test_a_claim_is_shown_only_where_every_seed_shows_it() -> None:
    rows = _rows(
        _row("fp32", 900, 4000), _row("ftervit", 850, 300, before=800), _row("ftervit-kl+ce", 860, 300),
        _row("ftervit-norm-fp32", 880, 310), _row("ftervit-seed-1", 852, 300, before=850),
        _row("ftervit-seed-2", 862, 300, before=840), _row("tervit", 700, 400),
    )  # fmt: skip
    assert _verdicts(_loaded("verdicts").claims(rows)) == {
        "A recovery (published: 2.4 to 4.1 points)": "not by every seed",
        "KL divergence alone, not cross-entropy beside it": "not by every seed",
        "Ternary LayerNorms, not real ones": "the opposite",
        "All of the model ternary, not as tervit has it": "shown",
    }
    assert next(said for said in findings(rows) if said.startswith("Trained again")) == (
        "Trained again by seed 1 85.20 %, 2 86.20 %: the mean of all 3 is 85.47 %, their standard deviation "
        "0.64 points, the largest difference 1.20."
    )
