"""The guide is an optional convolutional network from which a teacher learns."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from training_photos import TINY

torch = pytest.importorskip("torch", reason='install PyTorch: pip install "ftervit[train]"')

from ftervit_deploy.train import loop  # noqa: E402
from ftervit_deploy.train.guide import build_guide  # noqa: E402


@pytest.mark.parametrize("side", [16, 17, 64])
def test_the_guide_takes_images_of_any_size(side: int) -> None:
    guide = build_guide(TINY)
    images = torch.randn(2, 3, side, side)
    assert guide(images).shape == (2, TINY.classes)
    assert torch.equal(guide(images), guide(images, torch.zeros(2, 1, dtype=torch.long)))
    assert torch.equal(guide(images), build_guide(TINY)(images))
    assert not torch.equal(guide(images), build_guide(TINY, seed=1)(images))


def test_a_teacher_learns_from_the_guide_of_its_run(
    run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guide = run("guide", epochs=6, augment="light", ema_decay=0.0)
    assert guide.packed is None
    assert guide.top1 > 0.9
    compared: list[int] = []
    divergence = loop.distillation_loss
    monkeypatch.setattr(
        loop, "distillation_loss", lambda s, t: (compared.append(len(t)), divergence(s, t))[1]
    )
    teacher = run("teacher", epochs=1)
    assert sum(compared) == 36, "the divergence from the guide is the loss of every photo"
    assert teacher.teacher_top1 == guide.top1
    assert teacher.packed is None
    entries = [json.loads(line) for line in (tmp_path / "run/teacher/log.jsonl").read_text().splitlines()]
    assert entries[-2]["teacher_top1"] == guide.top1
