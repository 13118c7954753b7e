"""The benchmark compares like with like, and says whom it left out. Nothing is timed here."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench import chip, commands, host, scalar, training
from bench.__main__ import MODULES
from bench.contest import Contest
from bench.rounds import Round, fastest_peer, quietest, standings
from bench.serve import Candidate, Server
from bench.table import Group, Row, as_text, figure, report
from bench.worker import Worker, WorkerError

OURS = host.OURS


class Canned:
    """A worker whose images take `seconds` each, in batches of `batch` half of that; fails after `turns`."""

    def __init__(self, seconds: float, batch: int = 8, turns: int = 1000) -> None:
        self._seconds, self._batch, self._turns = seconds, batch, turns
        self.closed = False

    def ask(self, batch: int, runs: int) -> dict[str, Any]:
        self._turns -= 1
        if self._turns < 0:
            raise WorkerError("ended with status -9")
        seconds = self._seconds * batch * (0.5 if batch == self._batch else 1)
        return {
            "seconds": [seconds] * runs,
            "processor_seconds": 0.0,
            "as": f"way of {batch}",
            "failed": {"other way": "ValueError: no"},
            "versions": {"library": "1.2"},
            "agreement": 0.5,
        }

    def close(self) -> None:
        self.closed = True


def _missing() -> Canned:
    raise WorkerError("not installed: make peers")


@pytest.fixture(autouse=True)
def machine_without_counters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a quiet machine."""
    monkeypatch.setattr("bench.busy._COUNTERS", Path("no such file"))


def _start(**workers: Canned) -> dict[str, Callable[[], Canned]]:
    return {name: lambda worker=worker: worker for name, worker in workers.items()}


def test_the_ratio_is_the_median_of_the_rounds_ratios_not_the_ratio_of_medians() -> None:
    rounds = [Round({OURS: ours, "peer": peer}, 0) for ours, peer in ((1, 2), (10, 15), (4, 4))]
    found = standings(rounds, OURS)
    assert found["peer"].ratio == 1.5
    assert found["peer"].quartiles == (1.25, 1.75)
    assert found["peer"].seconds == 4
    assert found[OURS].ratio == 1


def test_one_round_is_enough() -> None:
    assert standings([Round({OURS: 1, "peer": 3}, 0)], OURS)["peer"].quartiles == (3, 3)


def test_the_quieter_half_counts_whatever_its_outcome() -> None:
    rounds = [Round({OURS: index}, others) for index, others in enumerate((0.5, 0.1, 0.9, 0.0, 0.2))]
    assert [round_.seconds[OURS] for round_ in quietest(rounds)] == [3, 1, 4]


def test_the_fastest_peer_is_not_ourselves() -> None:
    found = standings([Round({OURS: 1, "slow": 3, "quick": 2}, 0)], OURS)
    assert fastest_peer(found, OURS) == "quick"
    assert fastest_peer({OURS: found[OURS]}, OURS) is None


def test_each_runs_at_its_own_best_batch() -> None:
    with Contest(_start(ftervit=Canned(1, batch=8), peer=Canned(1, batch=32))) as contest:
        assert contest.best_batches({"ftervit": host.BATCHES, "peer": host.BATCHES}) == {OURS: 8, "peer": 32}


def test_who_fails_on_the_way_is_in_no_round_and_its_process_is_ended() -> None:
    weak = Canned(1, turns=3)
    with Contest(_start(ftervit=Canned(1), weak=weak)) as contest:
        rounds = contest.rounds({OURS: 1, "weak": 1}, count=4, runs=2)
    assert [set(round_.seconds) for round_ in rounds] == [{OURS}] * 4
    assert contest.failed == {"weak": "ended with status -9"}
    assert weak.closed


def test_the_table_names_who_is_missing_and_misses_the_aim(monkeypatch: pytest.MonkeyPatch) -> None:
    start = {**_start(ftervit=Canned(1), peer=Canned(1.4)), "absent": _missing}
    contestants = [host.Contestant(name, "") for name in start]
    monkeypatch.setattr(host, "CONTESTANTS", contestants)
    with Contest(start) as contest:
        group = host.table("Model", contest, host.play(contest, rounds=2))
    by_name = {row.name: row for row in group.rows}
    assert by_name["peer"].figures["ms"] == 1400
    assert by_name["peer"].figures["ours faster, batch"] == pytest.approx(1.4)
    assert by_name["absent"].figures["ms"] == "not run"
    assert by_name["the fastest peer, aim 1.5"].missed
    text = as_text(group)
    assert "absent: not run: not installed: make peers" in text
    assert "peer: library 1.2; way of 1; batch 8: way of 8" in text
    assert "without other way (ValueError: no)" in text
    assert text.count("MISSED") == 1


def test_without_any_peer_the_aim_is_missed() -> None:
    with Contest({**_start(ftervit=Canned(1)), "absent": _missing}) as contest:
        group = host.table("Model", contest, host.play(contest, rounds=2))
    assert group.rows[-1].missed


def test_without_ourselves_there_is_no_ratio_but_a_reason() -> None:
    with Contest({OURS: _missing, **_start(peer=Canned(1))}) as contest:
        group = host.table("Model", contest, host.play(contest, rounds=2))
    assert group.rows[-1].missed
    assert any("ftervit: not run" in note for note in group.notes)


@pytest.mark.parametrize(
    ("value", "aim", "missed"),
    [
        (2.0, {"at_most": 1.0}, True),
        (1.0, {"at_most": 1.0}, False),
        (2.0, {"at_least": 3.0}, True),
        (2.0, {}, False),
    ],
)
def test_a_figure_misses_its_aim_and_says_what_it_is(
    value: float, aim: dict[str, float], missed: bool
) -> None:
    row = figure("a", value, "s", kind="modelled", source="here", **aim)
    assert row.missed is missed
    assert ("MISSED" in as_text(Group("t", [row]))) is missed
    assert row.figures["kind"] == "modelled"


@pytest.mark.slow
def test_the_chips_figures_are_modelled_each_with_its_source() -> None:
    (group,) = chip.groups()
    aims = [row.figures["aim"] for row in group.rows if row.figures["aim"]]
    assert aims == [
        "at most 11",
        "at most 5.5",
        "at least 13.5",
        "at most 1.1",
        "at most 0.33",
        "at least 30",
    ]
    assert {row.figures["kind"] for row in group.rows} == {"modelled"}
    assert all(row.figures["source"] for row in group.rows)


def test_without_an_engine_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTERVIT_LIBRARY", "/nowhere/libftv.so")
    (group,) = chip.groups()
    assert not group.rows
    assert group.notes == [
        "Not modelled: There is no library /nowhere/libftv.so, which FTERVIT_LIBRARY names."
    ]


def test_without_an_emulator_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scalar, "is_there", lambda: False)
    (group,) = scalar.groups()
    assert not group.rows
    assert group.notes == [f"Not counted: {scalar.MISSING}."]
    assert as_text(group).count("\n") == 1


@pytest.mark.slow
def test_the_modelled_figures_of_the_chip_reach_their_aims() -> None:
    (group,) = chip.groups()
    assert [row.name for row in group.rows if row.missed] == []
    with_aims = [row for row in group.rows if row.figures["aim"]]
    assert len(with_aims) == 6, "FC1 on one core and on two, linear layers, three images"


def test_every_group_is_part_of_make_bench() -> None:
    assert set(MODULES) == {commands, chip, scalar, host, training}


def test_a_missed_aim_is_the_exit_status(capsys: pytest.CaptureFixture[str]) -> None:
    missed = Group("t", [Row("r", {"s": 1.0}, missed=True)])
    assert report([missed], as_json=True) == 1
    assert json.loads(capsys.readouterr().out)["groups"][0]["rows"][0]["missed"] is True
    assert report([Group("t", [Row("r", {"s": 12345.6, "n": 3})])], as_json=False) == 0
    assert "12346  3" in capsys.readouterr().out


class _Adapter:
    def __init__(self) -> None:
        self.versions = {"library": "1"}

    def candidates(self, batch: int) -> list[Candidate]:
        return [
            Candidate("broken", "", self._broken),
            Candidate("works", "", lambda: lambda: [batch]),
            Candidate("works", "in pieces", lambda: lambda: [batch]),
        ]

    def agreement(self, logits: Any) -> None:
        return None

    @staticmethod
    def _broken() -> Callable[[], Any]:
        raise ValueError("no such operator\nat length")


def test_a_candidate_that_fails_is_named_and_another_runs() -> None:
    answer = Server(_Adapter()).answer(batch=2, runs=3)
    assert len(answer["seconds"]) == 3
    assert answer["as"].startswith("works")
    assert answer["failed"] == {"broken": "ValueError: no such operator"}


def test_a_worker_answers_until_it_is_closed_and_says_why_it_cannot(tmp_path: Path) -> None:
    (tmp_path / "canned_adapter.py").write_text(
        "from test_bench import _Adapter\n"
        "def make(model, threads, folder):\n"
        "    print('libraries print')\n"
        "    return _Adapter()\n"
    )
    paths = {"PYTHONPATH": f"{tmp_path}:{Path(__file__).parent}"}
    good = ["canned_adapter:make", "model", "1", str(tmp_path)]
    with Worker(Path(sys.executable), good, paths, tmp_path / "log") as worker:
        assert len(worker.ask(1, 2)["seconds"]) == 2
        assert len(worker.ask(1, 1)["seconds"]) == 1
    bad = ["no_such_module:make", *good[1:]]
    with (
        Worker(Path(sys.executable), bad, paths, tmp_path / "log") as worker,
        pytest.raises(WorkerError, match="no_such_module"),
    ):
        worker.ask(1, 1)


def test_an_environment_that_is_not_there_is_a_reason(tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match="make peers"):
        Worker(tmp_path / "python", [], {}, tmp_path / "log")
