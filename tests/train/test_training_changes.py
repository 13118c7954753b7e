"""What a run refuses when photos, teacher or classes are others than when it began, and what it replaces."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from training_photos import TINY, write_photos

torch = pytest.importorskip("torch", reason='install PyTorch: pip install "ftervit[train]"')

from ftervit_deploy.architecture import PRESETS  # noqa: E402
from ftervit_deploy.errors import ConfigError, DataError, StoppedError, TrainError  # noqa: E402
from ftervit_deploy.train import loop  # noqa: E402
from ftervit_deploy.train.settings import PHASES, fitted  # noqa: E402
from ftervit_deploy.train.starts import Sources  # noqa: E402

Run = Callable[..., Any]


def _stopped_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    take_step = loop.Trainer._take_step

    def stopped(trainer: loop.Trainer, *batch: Any) -> float:
        if trainer.step == step:
            raise KeyboardInterrupt
        return take_step(trainer, *batch)

    monkeypatch.setattr(loop.Trainer, "_take_step", stopped)


def test_a_run_that_is_replaced_leaves_nothing_to_go_on_with(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("teacher", epochs=3)
    folder = tmp_path / "run" / "teacher"
    with monkeypatch.context() as stopping:
        _stopped_at(stopping, 1)
        with pytest.raises(StoppedError, match=r"0 complete epochs kept .* Start again\."):
            run("teacher", epochs=3, overwrite=True)
    assert not list(folder.glob("*.safetensors"))
    with pytest.raises(TrainError, match="nothing to resume"):
        run("teacher", epochs=3, resume=True)
    assert run("teacher", epochs=3).epochs == 3


def test_what_a_later_phase_was_made_from_is_not_replaced(run: Run, tmp_path: Path) -> None:
    run("teacher")
    run("training")
    with pytest.raises(TrainError, match=r"training came after .*teacher, and would no longer belong"):
        run("teacher", overwrite=True)
    shutil.rmtree(tmp_path / "run" / "training")
    assert run("teacher", overwrite=True).epochs == 2


def test_a_run_does_not_go_on_with_another_teacher(run: Run, tmp_path: Path) -> None:
    first = run("teacher", out=tmp_path / "first")
    second = run("teacher", out=tmp_path / "second", memory={"seed": 3}, epochs=3)
    run("training", sources=Sources(teacher=str(first.checkpoint)))
    again = run("training", sources=Sources(teacher=str(first.checkpoint)), resume=True)
    assert again.epochs == 2
    with pytest.raises(TrainError, match="has a teacher that this is not"):
        run("training", sources=Sources(teacher=str(second.checkpoint)), resume=True)


def test_a_recovery_with_another_teacher_says_so(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("teacher", out=tmp_path / "other", memory={"seed": 4})
    run("teacher")
    run("training")
    run("recovery", quiet=False)
    said = "Phase 1 learned from another teacher than this recovery does."
    assert said not in capsys.readouterr().err
    other = Sources(teacher=str(tmp_path / "other" / "teacher" / "best.safetensors"))
    run("recovery", sources=other, quiet=False, overwrite=True)
    assert said in capsys.readouterr().err


def test_a_recovery_does_not_go_on_from_other_weights(run: Run, tmp_path: Path) -> None:
    run("teacher")
    run("training")
    run("recovery")
    shutil.copytree(tmp_path / "run" / "teacher", tmp_path / "other" / "teacher")
    other = run("training", out=tmp_path / "other", epochs=3)
    with pytest.raises(TrainError, match="has weights to start with that this is not"):
        run("recovery", sources=Sources(init=str(other.checkpoint)), resume=True)


@pytest.mark.parametrize("what", ["teacher", "init"])
def test_weights_that_know_other_classes_are_refused_by_name(run: Run, what: str, tmp_path: Path) -> None:
    teacher = run("teacher")
    student = run("training")
    data = write_photos(tmp_path / "renamed")
    (data / "sign1").rename(data / "tool1")
    sources = {
        "teacher": Sources(teacher=str(teacher.checkpoint)),
        "init": Sources(teacher=str(_renamed(run, data, tmp_path)), init=str(student.checkpoint)),
    }[what]
    with pytest.raises(TrainError, match=r"knows other classes than the photos: 'sign1' where they have"):
        run("recovery" if what == "init" else "training", out=tmp_path / "x", data=data, sources=sources)


def _renamed(run: Run, data: Path, tmp_path: Path) -> Path:
    found: Path = run("teacher", out=tmp_path / "renamed-teacher", data=data).checkpoint
    return found


def test_a_teacher_of_as_many_other_classes_lends_no_head(run: Run, tmp_path: Path) -> None:
    first = run("teacher")
    data = write_photos(tmp_path / "renamed")
    (data / "sign1").rename(data / "tool1")
    run("teacher", out=tmp_path / "x", data=data, sources=Sources(init=str(first.checkpoint)), lr=1e-9)
    run("teacher", out=tmp_path / "y", sources=Sources(init=str(first.checkpoint)), lr=1e-9)
    from safetensors.numpy import load_file

    heads = {
        name: load_file(tmp_path / name / "teacher" / "best.safetensors")["head.weight"] for name in "xy"
    }
    old = load_file(first.checkpoint)["head.weight"]
    assert abs(heads["y"] - old).max() < 1e-6
    assert abs(heads["x"] - old).max() > 1e-3


def test_a_latent_student_is_no_teacher(run: Run, tmp_path: Path) -> None:
    run("teacher")
    student = run("training")
    with pytest.raises(TrainError, match="is a student of scheme ftervit-s8 and can be no teacher"):
        run("training", out=tmp_path / "x", sources=Sources(teacher=str(student.checkpoint)))


@pytest.mark.parametrize("resume", [False, True])
def test_photos_may_not_change_within_a_run(run: Run, tmp_path: Path, resume: bool) -> None:
    data = write_photos(tmp_path / "data", per_class=8)
    run("teacher", data=data)
    write_photos(tmp_path / "more", per_class=9)
    shutil.copyfile(tmp_path / "more" / "sign0" / "IMG_25.png", data / "sign0" / "IMG_25.png")
    with pytest.raises(TrainError, match=r"have changed since the run in .* began: sign\d/IMG_\d+.png was"):
        run("teacher" if resume else "training", data=data, resume=resume)
    assert run("teacher", data=data, overwrite=True).epochs == 2
    assert run("training", data=data).epochs == 2
    (data / "sign0" / "IMG_25.png").unlink()
    with pytest.raises(TrainError, match=r"IMG_25.png was among those for"):
        run("recovery", data=data)


def test_a_class_that_cannot_be_read_at_all_is_named(run: Run, tmp_path: Path) -> None:
    data = write_photos(tmp_path / "data", per_class=6)
    for photo in (data / "sign2").iterdir():
        photo.write_bytes(b"no photo")
    with pytest.raises(DataError, match="None of the training photos of class sign2 can be read"):
        run("teacher", data=data)


def test_a_huge_photo_and_one_in_another_format_are_skipped_by_name(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL import Image

    monkeypatch.setattr("ftervit_deploy.photos.MAX_PIXELS", 1_000_000)
    data = write_photos(tmp_path / "data", per_class=8)
    Image.new("RGB", (1200, 1000)).save(data / "sign0" / "huge[b].png")
    (data / "sign1" / "phone.HEIC").write_bytes(b"another format")
    run("teacher", data=data, quiet=False)
    told = capsys.readouterr().err
    assert "huge[b].png has more than 1 million pixels" in told
    assert "phone.HEIC is not a readable photo" in told
    assert "2 photos could not be read" in told
    lines = (tmp_path / "run" / "teacher" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line).get("skipped_photos") for line in lines] == [2, 2, 2, None]


def test_two_programs_do_not_train_in_one_folder(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_step = loop.Trainer._take_step

    def in_between(trainer: loop.Trainer, *batch: Any) -> float:
        if trainer.step == 7:
            with pytest.raises(TrainError, match=r"Another program is training in .*teacher now"):
                run("teacher", resume=True)
        return take_step(trainer, *batch)

    monkeypatch.setattr(loop.Trainer, "_take_step", in_between)
    assert run("teacher").epochs == 2
    monkeypatch.undo()
    monkeypatch.setitem(PRESETS, "tiny", TINY)
    assert run("teacher", resume=True).epochs == 2, "it is free again"


def test_too_little_memory_for_a_batch_is_one_sentence(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def greedy(*_: Any) -> Any:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(loop.Trainer, "_loss", greedy)
    with pytest.raises(TrainError, match=r"not enough memory for batches of 8 photos\. Lower --batch-size"):
        run("teacher")


def test_the_log_is_json_whatever_the_validation_finds(run: Run, tmp_path: Path) -> None:
    from ftervit_deploy.train.log import JsonLog

    JsonLog(tmp_path / "log.jsonl", None).write("epoch", epoch=1, val_loss=float("nan"), lr=float("inf"))
    assert json.loads((tmp_path / "log.jsonl").read_text()) == {
        "kind": "epoch", "epoch": 1, "val_loss": None, "lr": None,
    }  # fmt: skip


def test_labels_that_a_loss_needs_are_asked_for_at_once(run: Run, photo_folder: Path, tmp_path: Path) -> None:
    run("teacher")
    flat = tmp_path / "flat"
    flat.mkdir()
    shutil.copyfile(next(photo_folder.rglob("*.png")), flat / "1.png")
    with pytest.raises(ConfigError, match=r"The loss kl\+ce needs labels, and some photos have none"):
        run("training", memory={"unlabelled": str(flat)}, loss="kl+ce")
    assert not (tmp_path / "run" / "training").exists()


def test_a_short_phase_warms_up_for_a_short_time() -> None:
    from dataclasses import replace

    short = fitted(replace(PHASES["teacher"], epochs=30))
    assert (short.warmup_epochs, short.ramp_epochs) == (3, 10)
    asked = fitted(replace(PHASES["teacher"], epochs=30, warmup_epochs=12), asked=("warmup_epochs",))
    assert (asked.warmup_epochs, asked.ramp_epochs) == (12, 10)
    assert fitted(PHASES["teacher"]) == PHASES["teacher"]
