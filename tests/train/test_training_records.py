"""Curves as a picture, TensorBoard's files, progress within an epoch."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason='install PyTorch: pip install "ftervit[train]"')

from ftervit_deploy.errors import TrainError  # noqa: E402

Run = Callable[..., Any]


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_curves_of_all_phases_are_drawn(run: Run, tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("matplotlib", reason='install Matplotlib: pip install "ftervit[plot]"')
    run("teacher", epochs=2)
    picture = tmp_path / f"curves.{suffix}"
    run("training", epochs=2, options={"plot": picture})
    content = picture.read_bytes()
    assert content.startswith(b"\x89PNG") if suffix == "png" else b"</svg>" in content


def test_files_for_tensorboard_hold_the_epochs(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason='install TensorBoard: pip install "ftervit[tensorboard]"')
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run("teacher", epochs=2, options={"tensorboard": True})
    folder = tmp_path / "run" / "teacher"
    written = EventAccumulator(str(folder / "tensorboard")).Reload()
    logged = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()][1:-1]
    losses = [(event.step, event.value) for event in written.Scalars("loss")]
    assert losses == [(line["epoch"], pytest.approx(line["loss"])) for line in logged]


def test_without_tensorboard_the_way_to_get_it_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(TrainError, match=r'pip install "ftervit\[tensorboard\]"'):
        run("teacher", epochs=1, options={"tensorboard": True})


def test_long_epochs_tell_where_they_are(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("teacher", epochs=1, options={"save_seconds": 0.0}, quiet=False)
    assert "teacher 1/1  step 3 of 5  loss " in capsys.readouterr().err
    lines = [json.loads(line) for line in (tmp_path / "run/teacher/log.jsonl").read_text().splitlines()]
    assert [line["kind"] for line in lines] == ["configuration", *["progress"] * 4, "epoch", "result"]
    assert [line["step"] for line in lines[1:-1]] == [1, 2, 3, 4, 5]
