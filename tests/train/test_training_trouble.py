"""What goes wrong while training is named, and what was reached before is kept."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import TINY
from training_photos import write_photos

torch = pytest.importorskip("torch", reason='install PyTorch: pip install "ftervit[train]"')

from ftervit_deploy.checkpoint import read_checkpoint  # noqa: E402
from ftervit_deploy.errors import DataError, FtervitError, TrainError  # noqa: E402
from ftervit_deploy.files import FileError  # noqa: E402
from ftervit_deploy.train import loop, phase  # noqa: E402
from ftervit_deploy.train.guarding import alone_in  # noqa: E402
from ftervit_deploy.train.starts import Sources  # noqa: E402

Run = Callable[..., Any]


def _spoil(monkeypatch: pytest.MonkeyPatch, spoil: Callable[[loop.Trainer], None], at: int = 7) -> None:
    """Calls `spoil` before optimiser step `at`, counted from 0."""
    prepared = loop.Trainer._prepared

    def spoiled(trainer: loop.Trainer, *batch: Any) -> Any:
        if trainer.step == at:
            spoil(trainer)
        return prepared(trainer, *batch)

    monkeypatch.setattr(loop.Trainer, "_prepared", spoiled)


def _best(tmp_path: Path) -> Any:
    return read_checkpoint(str(tmp_path / "run" / "teacher" / "best.safetensors"))


def test_a_weight_that_is_not_a_number_is_named(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(trainer: loop.Trainer) -> None:
        trainer.model.get_parameter("blocks.1.mlp.fc1.weight").data[0, 0] = float("nan")

    _spoil(monkeypatch, spoil)
    with pytest.raises(TrainError, match=r"at step 8, epoch 2 in blocks\.1\.mlp\.fc1\.weight\. The best"):
        run("teacher", epochs=4)
    assert _best(tmp_path).architecture == TINY


def test_the_layer_that_computes_what_is_not_a_number_is_named(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(trainer: loop.Trainer) -> None:
        trainer.model.get_parameter("blocks.0.attn.proj.bias").data += 3e38
        trainer.model.get_parameter("blocks.0.attn.proj.weight").data += 1e38

    _spoil(monkeypatch, spoil)
    with pytest.raises(TrainError, match=r"epoch 2 in blocks\.0\.attn\.proj"):
        run("teacher", epochs=4)


def test_a_teacher_is_named_when_it_is_to_blame(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("teacher", epochs=1)

    def spoil(trainer: loop.Trainer) -> None:
        assert trainer.teacher is not None
        trainer.teacher.get_parameter("norm.bias").data[:] = float("inf")

    _spoil(monkeypatch, spoil)
    with pytest.raises(TrainError, match=r"at step 8, epoch 2 in teacher's norm"):
        run("training", epochs=4)


def test_a_gradient_that_is_not_a_number_stops_before_the_step(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(trainer: loop.Trainer) -> None:
        trainer.model.get_parameter("head.bias").register_hook(lambda gradient: gradient * float("nan"))

    _spoil(monkeypatch, spoil)
    with pytest.raises(TrainError, match=r"gradient of phase teacher .* at step 8, epoch 2 in head\.bias"):
        run("teacher", epochs=4)
    monkeypatch.undo()
    assert _best(tmp_path).architecture == TINY


def test_a_run_that_does_not_fit_the_disk_is_not_begun(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(phase.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(
        TrainError, match=r"The run needs .* MB in .*teacher; 0 MB are free\. Free some space"
    ):
        run("teacher")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="hardware: this system has no /dev/full")
def test_a_disk_that_fills_up_while_the_log_is_written_is_told(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("teacher", epochs=1)
    log = tmp_path / "run" / "teacher" / "log.jsonl"

    def spoil(trainer: loop.Trainer) -> None:
        log.unlink(missing_ok=True)
        log.symlink_to("/dev/full")

    _spoil(monkeypatch, spoil, at=0)
    with pytest.raises(FileError, match=r"There is no room on the disk for .*log\.jsonl"):
        run("teacher", epochs=1, overwrite=True)
    assert _best(tmp_path).architecture == TINY


def test_what_a_killed_write_left_is_removed(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "run" / "teacher"
    folder.mkdir(parents=True)
    left = folder / ".state.safetensors.abc123.tmp"
    left.write_bytes(b"half")
    run("teacher", epochs=1)
    assert not left.exists()


def test_weights_of_another_scheme_are_refused(run: Run, tmp_path: Path) -> None:
    run("teacher", epochs=1)
    student = run("training", epochs=1)
    other = {"scheme": "ftervit"}
    sources = Sources(str(tmp_path / "run" / "teacher" / "best.safetensors"), str(student.checkpoint))
    with pytest.raises(FtervitError, match="was trained with scheme ftervit-s8, not ftervit"):
        run("recovery", out=tmp_path / "other", sources=sources, memory=other)


def test_recovery_starts_from_any_checkpoint_latent_or_packed(run: Run, tmp_path: Path) -> None:
    teacher = run("teacher", epochs=2)
    student = run("training", epochs=2)
    for number, source in enumerate((student.checkpoint, student.packed)):
        sources = Sources(str(teacher.checkpoint), str(source))
        out = tmp_path / f"recovered{number}"
        recovered = run("recovery", out=out, sources=sources, epochs=1, lr=1e-12, augment="none")
        assert recovered.top1 == pytest.approx(student.top1)
        assert recovered.zero_fraction == pytest.approx(student.zero_fraction)


def test_weights_that_the_last_step_spoils_are_not_kept(run: Run, tmp_path: Path) -> None:
    run("teacher", epochs=1)
    before = (tmp_path / "run" / "teacher" / "best.safetensors").read_bytes()
    with pytest.raises(
        TrainError, match=r"(weights|loss|gradient) of phase training (are|is) not .* epoch 1"
    ):
        run("training", epochs=1, batch_size=64, lr=1e39)
    assert not (tmp_path / "run" / "training" / "best.safetensors").exists()
    assert (tmp_path / "run" / "teacher" / "best.safetensors").read_bytes() == before


def test_a_new_run_removes_nothing_but_what_a_run_left(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "run" / "teacher"
    run("teacher", epochs=1, keep_epochs=(1,))
    (folder / "mine.safetensors").write_bytes(b"mine")
    (folder / "epoch-mine.safetensors").write_bytes(b"mine")
    (folder / "state.safetensors").unlink()
    with pytest.raises(TrainError, match=r"holds a run already\. Give --overwrite"):
        run("teacher", epochs=1)
    with pytest.raises(TrainError, match=r"nothing to resume in .* Start with --overwrite"):
        run("teacher", epochs=1, resume=True)
    assert (folder / "best.safetensors").exists()
    run("teacher", epochs=1, overwrite=True)
    assert (folder / "mine.safetensors").exists()
    assert (folder / "epoch-mine.safetensors").exists()
    assert not (folder / "epoch-0001.safetensors").exists()


def test_a_phase_that_others_came_after_is_not_begun_again(run: Run, tmp_path: Path) -> None:
    for name in ("teacher", "training"):
        run(name, epochs=1)
    with pytest.raises(TrainError, match=r"teacher came after .*, and would no longer belong to it"):
        run("guide", epochs=1)
    (tmp_path / "run" / "teacher" / "state.safetensors").unlink()
    with pytest.raises(TrainError, match=r"training came after .*, and would no longer belong to it"):
        run("teacher", epochs=1, overwrite=True)


def test_a_phase_that_has_not_ended_is_named_where_the_next_one_takes_it(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("teacher", epochs=3)
    log = tmp_path / "run" / "teacher" / "log.jsonl"
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:3]))
    run("training", epochs=1, quiet=False)
    assert "The phase teacher has not ended: its best of 2 of 3 epochs is taken." in capsys.readouterr().err


def test_test_photos_that_cannot_be_read_are_told_before_the_first_epoch(run: Run, tmp_path: Path) -> None:
    write_photos(tmp_path / "data" / "train", per_class=8)
    for photo in write_photos(tmp_path / "data" / "test", per_class=2).rglob("*.png"):
        photo.write_bytes(b"no photo")
    with pytest.raises(DataError, match="None of the test photos can be read"):
        run("teacher", data=tmp_path / "data")
    assert not (tmp_path / "run").exists()


def test_of_two_programs_that_begin_together_one_leaves_no_trace(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "run" / "teacher"
    folder.mkdir(parents=True)
    with alone_in(folder), pytest.raises(TrainError, match="Another program is training"):
        run("teacher", data=write_photos(tmp_path / "other", per_class=8))
    assert not (tmp_path / "run" / "run.json").exists()
    assert not (tmp_path / "run" / "split.json").exists()
