"""What makes a step fast changes nothing but roundings, and its cost can be measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason='install PyTorch: pip install "ftervit[train]"')

from ftervit_deploy.train import layers, speed  # noqa: E402

Run = Callable[..., Any]


def _losses(folder: Path) -> list[float]:
    lines = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
    return [line["loss"] for line in lines if line["kind"] == "epoch"]


def test_compiled_models_give_the_same_losses(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Traced and run as they were traced; making machine code of it would take a minute."""
    compiled = []

    def traced(model: Any) -> Any:
        compiled.append(model)
        return compile_model(model, backend="eager")

    run("teacher", epochs=1)
    run("training", epochs=1, lr=1e-4)
    plain = _losses(tmp_path / "run" / "training")
    compile_model = torch.compile
    monkeypatch.setattr(torch, "compile", traced)
    run("training", epochs=1, lr=1e-4, overwrite=True, options={"compiled": True})
    assert len(compiled) == 2, "student and teacher"
    assert _losses(tmp_path / "run" / "training") == pytest.approx(plain, rel=1e-2)


def test_bfloat16_trains_as_well(run: Run, tmp_path: Path) -> None:
    run("teacher", epochs=6)
    assert run("training", epochs=4, precision="bf16").top1 > 0.6
    configuration = json.loads((tmp_path / "run/training/log.jsonl").read_text().splitlines()[0])
    assert (configuration["precision"], configuration["bfloat16"]) == ("bf16", True)


def test_a_step_quantises_each_weight_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("teacher", epochs=1)
    quantised, steps = [], 0
    quantise = layers.fake_quantise_weight

    def counted(weight: Any, rule: Any) -> Any:
        if torch.is_grad_enabled():
            quantised.append(weight.data_ptr())
        return quantise(weight, rule)

    monkeypatch.setattr(layers, "fake_quantise_weight", counted)
    run("training", epochs=1)
    steps = 5
    assert len(quantised) == steps * len(set(quantised))


def test_the_cost_of_distillation_is_measured(tiny_preset: str) -> None:
    cost = speed.step_cost(tiny_preset, 4, 3)
    assert cost.plain_s > 0
    assert cost.quartiles[0] <= cost.ratio <= cost.quartiles[1]
