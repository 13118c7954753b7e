"""A run from photos to packed student: its files, its log, its resumption, and what it refuses."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from training_photos import TINY, write_photos

torch = pytest.importorskip("torch", reason='install PyTorch: pip install "ftervit[train]"')

from ftervit_deploy.architecture import PRESETS  # noqa: E402
from ftervit_deploy.checkpoint import read_checkpoint  # noqa: E402
from ftervit_deploy.errors import CheckpointError, ConfigError, DataError, TrainError  # noqa: E402
from ftervit_deploy.train import loop  # noqa: E402
from ftervit_deploy.train.evaluate import student_logits  # noqa: E402
from ftervit_deploy.train.log import Reporter  # noqa: E402
from ftervit_deploy.train.settings import LR_FLOOR, PHASES  # noqa: E402
from ftervit_deploy.train.starts import Sources  # noqa: E402
from ftervit_deploy.train.validation import Validation  # noqa: E402

Run = Callable[..., Any]
TESTS = Path(__file__).parent


def _log(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def _losses(folder: Path) -> list[tuple[float, float, float]]:
    return [(e["loss"], e["val_loss"], e["lr"]) for e in _log(folder) if e["kind"] == "epoch"]


def test_the_distillation_loss_is_the_forward_divergence() -> None:
    generator = np.random.default_rng(0)
    student, teacher = generator.normal(0, 2, (2, 5, 7))
    p, q = (np.exp(x) / np.exp(x).sum(1, keepdims=True) for x in (teacher, student))
    expected = (p * np.log(p / q)).sum(1).mean()
    loss = loop.distillation_loss(torch.from_numpy(student), torch.from_numpy(teacher))
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    assert float(loop.distillation_loss(torch.from_numpy(teacher), torch.from_numpy(teacher))) < 1e-6


def test_the_learning_rate_warms_up_and_falls_along_a_cosine() -> None:
    rates = [loop.learning_rate(step, 110, 10, 1e-3) for step in range(111)]
    assert rates[:10] == pytest.approx([1e-4 * n for n in range(1, 11)])
    assert rates[60] == pytest.approx(1e-3 * (1 + LR_FLOOR) / 2)
    assert rates[110] == pytest.approx(1e-3 * LR_FLOOR)


def test_a_phase_can_end_before_its_learning_rate_has_fallen(run: Run, tmp_path: Path) -> None:
    run("teacher", epochs=2, schedule_epochs=4, augment="none")
    whole = run("teacher", out=tmp_path / "whole", epochs=4, augment="none")
    ended, going_on = (_losses(tmp_path / name / "teacher") for name in ("run", "whole"))
    assert ended == going_on[:2]
    assert whole.epochs == 4
    with pytest.raises(ConfigError, match="cannot fall in 2 epochs of a phase that has 3"):
        run("teacher", out=tmp_path / "short", epochs=3, schedule_epochs=2)


def test_a_state_of_an_older_version_goes_on_with_what_it_did_not_know(run: Run, tmp_path: Path) -> None:
    run("teacher", augment="none")
    state = tmp_path / "run" / "teacher" / "state.safetensors"
    with safe_open(state, framework="numpy") as file:
        metadata, arrays = file.metadata(), load_file(state)
    configuration = json.loads(metadata["ftervit.configuration"])
    del configuration["schedule_epochs"]
    save_file(arrays, state, {**metadata, "ftervit.configuration": json.dumps(configuration)})
    assert run("teacher", augment="none", resume=True).epochs == 2
    with pytest.raises(TrainError, match="has schedule_epochs 0, not 5"):
        run("teacher", augment="none", resume=True, schedule_epochs=5)


def test_the_phases_are_those_of_the_paper() -> None:
    assert (PHASES["training"].lr, PHASES["training"].epochs) == (1e-4, 250)
    assert (PHASES["recovery"].lr, PHASES["recovery"].epochs) == (1e-5, 10)


def test_weight_decay_spares_biases_norms_and_positions() -> None:
    from ftervit_deploy.schemes import SCHEMES
    from ftervit_deploy.train.model import DeiT

    model = DeiT(TINY, SCHEMES["ftervit"])
    decayed, plain = loop.optimiser_for(model, PHASES["teacher"]).param_groups
    spared = {id(p) for n, p in model.named_parameters() if n.endswith("bias") or "norm" in n or "_" in n[:4]}
    spared |= {id(model.pos_embed), id(model.cls_token)}
    assert spared == {id(p) for p in plain["params"]}
    assert decayed["weight_decay"] > 0 == plain["weight_decay"]


def test_three_phases_lead_from_photos_to_a_packed_student(run: Run, tmp_path: Path) -> None:
    teacher = run("teacher", epochs=12, patch_drop=0.25, ema_decay=0.9, augment="light", ramp_epochs=4)
    assert teacher.top1 > 0.9
    student = run("training", epochs=6, augment="light")
    recovered = run("recovery", lr=1e-5, augment="light")
    assert student.top1 > 0.9
    assert recovered.top1 > 0.9
    assert recovered.teacher_top1 == teacher.top1
    assert 0.05 < recovered.zero_fraction < 0.7
    configuration, *epochs, result = _log(tmp_path / "run" / "training")
    assert configuration["seed"] == 3
    assert configuration["versions"]["torch"] == torch.__version__
    assert configuration["architecture"]["width"] == TINY.width
    assert [e["epoch"] for e in epochs] == [1, 2, 3, 4, 5, 6]
    assert (result["kind"], result["val_top1"], result["tested"]) == ("result", student.top1, None)
    assert epochs[-1].keys() >= {
        "phase", "loss", "lr", "images_per_second", "val_top1", "teacher_top1", "zero_fraction", "seconds",
    }  # fmt: skip
    _check_packed(recovered)


def _check_packed(result: Any) -> None:
    """The packed file is small, and the same model to the last bit."""
    latent, packed = read_checkpoint(str(result.checkpoint)), read_checkpoint(str(result.packed))
    assert (latent.ternary, packed.ternary) == (False, True)
    assert packed.labels == ("sign0", "sign1", "sign2")
    assert packed.scheme == "ftervit-s8"
    assert packed.architecture == latent.architecture == TINY
    images = np.random.default_rng(3).integers(0, 256, (70, 16, 16, 3), dtype=np.uint8)
    np.testing.assert_array_equal(student_logits(latent, images), student_logits(packed, images))
    assert student_logits(packed, images[:0]).shape == (0, 3)


def test_the_best_epoch_is_kept_and_patience_ends_a_phase(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = iter([0.5, 0.75, 0.75, 0.6, 0.75, 0.7])
    monkeypatch.setattr(
        "ftervit_deploy.train.validation.Examiner.validate", lambda *_: Validation(next(scores), 1.0)
    )
    result = run("teacher", epochs=6, patience=3, augment="none")
    assert (result.epoch, result.epochs, result.top1) == (2, 5, 0.75)


KILLED = """
import os, signal, sys
from pathlib import Path
from dataclasses import replace
sys.path.insert(0, sys.argv[1])
from training_photos import TINY
from ftervit_deploy.architecture import PRESETS
from ftervit_deploy import files
from ftervit_deploy.train import distill, loop, phase, settings, starts

PRESETS["tiny"] = TINY
take_step = loop.Trainer._take_step

def killed(trainer, batch, epoch):
    if epoch == 3 and trainer.step % trainer.steps == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return take_step(trainer, batch, epoch)

def killed_while_writing(path):
    if path.name.startswith(".state") and len(written) == 11:
        path.write_bytes(b"half of it")
        os.kill(os.getpid(), signal.SIGKILL)
    written.append(path)

written = []
if sys.argv[5] == "write":
    files._sync = killed_while_writing
else:
    loop.Trainer._take_step = killed
memory = settings.RunMemory(sys.argv[2], "tiny", "random", 0.25, 3, "ftervit-s8", True)
chosen = replace(
    settings.PHASES["teacher"], epochs=5, batch_size=8, seed=3, lr=3e-3, warmup_epochs=0, patch_drop=0.5
)
options = phase.RunOptions(1, 10**9, True, save_seconds=float(sys.argv[4]))
distill.run_phase(Path(sys.argv[3]), memory, chosen, starts.Sources(), options)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="hardware: this system has no SIGKILL")
@pytest.mark.parametrize(
    ("save_seconds", "moment", "step"),
    [(0, "step", 12), (0, "write", 7), (3600, "step", 10)],
    ids=["kept every step", "killed while writing", "kept every epoch"],
)
def test_a_killed_run_continues_with_the_losses_of_an_unbroken_one(
    run: Run, photo_folder: Path, tmp_path: Path, save_seconds: int, moment: str, step: int
) -> None:
    settings = {"epochs": 5, "patch_drop": 0.5}
    whole = run("teacher", out=tmp_path / "whole", **settings)
    broken = tmp_path / "broken"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    arguments = [sys.executable, "-c", KILLED, str(TESTS), str(photo_folder), str(broken)]
    arguments += [str(save_seconds), moment]
    assert subprocess.run(arguments, env=environment).returncode == -signal.SIGKILL
    assert _state_step(broken / "teacher") == step
    resumed = run("teacher", out=broken, resume=True, **settings)
    assert _losses(broken / "teacher") == _losses(tmp_path / "whole" / "teacher")
    first, second = (read_checkpoint(str(result.checkpoint)).arrays for result in (whole, resumed))
    assert all(np.array_equal(first[name], second[name]) for name in first)


def _state_step(folder: Path) -> int:
    """Optimiser steps up to the state from which a run in `folder` would continue."""
    from safetensors import safe_open

    with safe_open(folder / "state.safetensors", framework="numpy") as file:
        return int(json.loads(file.metadata()["ftervit.progress"])["step"])


def test_resuming_a_finished_phase_gives_its_result_again(run: Run) -> None:
    first = run("teacher")
    again = run("teacher", resume=True)
    assert (again.top1, again.epoch, again.epochs) == (first.top1, first.epoch, first.epochs)


def test_a_phase_is_neither_resumed_from_nothing_nor_replaced_by_accident(run: Run) -> None:
    with pytest.raises(TrainError, match="nothing to resume"):
        run("teacher", resume=True)
    run("teacher", epochs=1)
    with pytest.raises(TrainError, match="holds a run already"):
        run("teacher", epochs=1)
    with pytest.raises(TrainError, match="has epochs 1, not 2"):
        run("teacher", epochs=2, resume=True)
    assert run("teacher", epochs=2, overwrite=True).epochs == 2


def test_a_damaged_state_is_refused(run: Run, tmp_path: Path) -> None:
    run("teacher", epochs=1)
    state = tmp_path / "run" / "teacher" / "state.safetensors"
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(TrainError, match="cannot be read"):
        run("teacher", epochs=1, resume=True)


def test_a_student_needs_the_phase_before_it(run: Run) -> None:
    with pytest.raises(TrainError, match=r"There is no checkpoint .*teacher"):
        run("training")
    run("teacher", epochs=1)
    with pytest.raises(TrainError, match=r"There is no checkpoint .*training"):
        run("recovery")


def test_a_teacher_of_another_shape_or_with_other_classes_is_refused(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher = run("teacher", epochs=1)
    monkeypatch.setitem(PRESETS, "deeper", PRESETS["mcu_nano_64"])
    sources = Sources(teacher=str(teacher.checkpoint))
    with pytest.raises(TrainError, match="has image_size 16, but deeper with these photos has 64"):
        run("training", out=tmp_path / "other", preset="deeper", sources=sources)
    two = write_photos(tmp_path / "two", classes=2)
    with pytest.raises(TrainError, match="has classes 3, but tiny with these photos has 2"):
        run("training", out=tmp_path / "two-run", data=two, sources=sources)
    with pytest.raises(CheckpointError):
        run("training", out=tmp_path / "nothing", sources=Sources(teacher=str(tmp_path / "no.safetensors")))


def test_a_teacher_can_start_from_weights_for_other_classes(run: Run, tmp_path: Path) -> None:
    first = run("teacher", epochs=1)
    two = write_photos(tmp_path / "two", classes=2)
    sources = Sources(init=str(first.checkpoint))
    second = run(
        "teacher", out=tmp_path / "two-run", data=two, sources=sources, epochs=1, lr=1e-9, ema_decay=0.0
    )
    old, new = (read_checkpoint(str(result.checkpoint)).arrays for result in (first, second))
    np.testing.assert_allclose(new["blocks.0.attn.qkv.weight"], old["blocks.0.attn.qkv.weight"], atol=1e-6)
    assert new["head.weight"].shape == (2, TINY.width)


def test_a_loss_that_is_not_a_number_stops_the_run_and_keeps_the_best(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loss_of = loop.Trainer._loss

    def spoiled(trainer: loop.Trainer, *batch: Any) -> Any:
        return loss_of(trainer, *batch) * (float("nan") if trainer.step == 7 else 1.0)

    monkeypatch.setattr(loop.Trainer, "_loss", spoiled)
    with pytest.raises(TrainError, match="loss of phase teacher is not a number at step 8, epoch 2"):
        run("teacher", epochs=4)
    assert read_checkpoint(str(tmp_path / "run" / "teacher" / "best.safetensors")).architecture == TINY


def test_ctrl_c_says_how_to_continue(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    take_step = loop.Trainer._take_step

    def interrupted(trainer: loop.Trainer, *batch: Any) -> float:
        if trainer.step == 7:
            raise KeyboardInterrupt
        return take_step(trainer, *batch)

    monkeypatch.setattr(loop.Trainer, "_take_step", interrupted)
    with pytest.raises(TrainError, match=r"Stopped; 1 complete epoch.* Continue with --resume"):
        run("teacher", epochs=3)
    monkeypatch.undo()
    monkeypatch.setitem(PRESETS, "tiny", TINY)
    assert run("teacher", epochs=3, resume=True).epochs == 3


def test_a_failed_write_leaves_no_half_file(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("teacher", epochs=1)
    folder = tmp_path / "run" / "teacher"
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix == ".safetensors"}

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(Exception, match="no room on the disk"):
        run("teacher", epochs=2, overwrite=True)
    after = {
        path.name: path.read_bytes() for path in folder.iterdir() if path.name not in ("log.jsonl", ".lock")
    }
    assert after == before


def test_skipped_photos_and_progress_are_told(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_photos(tmp_path / "some", per_class=8)
    (data / "sign1" / "IMG_2.png").write_bytes(b"no photo")
    run("teacher", data=data, epochs=1, quiet=False)
    told = capsys.readouterr()
    assert "IMG_2.png is not a readable photo" in told.err
    assert "1 photo could not be read" in told.err
    assert "teacher 1/1" in told.err
    assert told.out == ""


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_names_in_brackets_stay_as_they_are_on_a_terminal() -> None:
    stream = _Terminal()
    with Reporter("teacher", 2, 5, quiet=False, stream=stream) as reporter:
        reporter.say("Skipped: IMG[copy].jpg [/b] \x1b[31m is not a readable photo")
    assert "IMG[copy].jpg [/b]" in stream.getvalue()


def test_a_terminal_sees_a_bar_with_accuracy() -> None:
    terminal = _Terminal()
    values = {"epoch": 1, "loss": 0.5, "val_top1": 0.75, "teacher_top1": 0.875, "zero_fraction": 0.37}
    with Reporter("training", 2, 10, quiet=False, stream=terminal) as reporter:
        reporter.epoch({**values, "images_per_second": 100.0}, 60.0)
        reporter.step(2, 10, 0.25, 120.0)
    assert "training 2/2" in terminal.getvalue()
    assert "loss 0.2500" in terminal.getvalue()
    assert "120 images/s" in terminal.getvalue()
    assert "top-1 75.00% (teacher 87.50%)" in terminal.getvalue()


def test_an_empty_folder_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no class folders"):
        run("teacher", data=tmp_path / "empty")
