"""The student's loss, and the epochs that a phase keeps for others to start from."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason='install PyTorch: pip install "ftervit[train]"')

from ftervit_deploy.errors import ConfigError  # noqa: E402
from ftervit_deploy.train.starts import Sources  # noqa: E402
from ftervit_deploy.train.state import read_run_checkpoint  # noqa: E402

Run = Callable[..., Any]


def _log(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_kl_and_ce_is_the_sum_of_both(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("teacher", epochs=2)
    losses: dict[str, float] = {}
    entropies: list[float] = []
    cross_entropy = torch.nn.functional.cross_entropy

    def noted(logits: Any, targets: Any, **more: Any) -> Any:
        value = cross_entropy(logits, targets, **more)
        if logits.requires_grad:
            entropies.append(float(value.detach()))
        return value

    monkeypatch.setattr(torch.nn.functional, "cross_entropy", noted)
    for loss in ("kl", "kl+ce"):
        entropies.clear()
        run("training", loss=loss, epochs=1, batch_size=64, augment="none", overwrite=True)
        losses[loss] = _log(tmp_path / "run" / "training")[1]["loss"]
        assert len(entropies) == (loss == "kl+ce")
    assert losses["kl+ce"] == pytest.approx(losses["kl"] + entropies[0], rel=1e-4)


def test_a_loss_that_a_phase_cannot_have_is_refused(run: Run) -> None:
    with pytest.raises(ConfigError, match="phase teacher learns from labels alone"):
        run("teacher", loss="kl+ce")
    with pytest.raises(ConfigError, match="no loss 'mse'"):
        run("teacher", loss="mse")


def test_photos_without_labels_have_no_cross_entropy(run: Run, photo_folder: Path, tmp_path: Path) -> None:
    run("teacher", epochs=1)
    more = tmp_path / "more"
    more.mkdir()
    (more / "a.png").write_bytes(next(photo_folder.rglob("*.png")).read_bytes())
    with pytest.raises(ConfigError, match=r"The loss kl\+ce needs labels"):
        run("training", loss="kl+ce", epochs=1, memory={"unlabelled": str(more)})


def test_recovery_can_start_from_epochs_that_were_kept(run: Run, tmp_path: Path) -> None:
    run("teacher", epochs=1)
    run("training", epochs=4, keep_epochs=(1, 3))
    folder = tmp_path / "run" / "training"
    assert sorted(path.name for path in folder.glob("epoch-*")) == [
        "epoch-0001.safetensors", "epoch-0003.safetensors",
    ]  # fmt: skip
    log = {entry["epoch"]: entry["val_top1"] for entry in _log(folder) if entry["kind"] == "epoch"}
    for epoch in (1, 3):
        kept = folder / f"epoch-{epoch:04}.safetensors"
        _, description = read_run_checkpoint(kept)
        assert (description.epoch, description.accuracy) == (epoch, pytest.approx(log[epoch], abs=1e-6))
        run("recovery", epochs=1, sources=Sources(init=str(kept)), overwrite=True)
    with pytest.raises(ConfigError, match="Epoch 9 cannot be kept: the phase has 4"):
        run("teacher", out=tmp_path / "new", epochs=4, keep_epochs=(9,))
