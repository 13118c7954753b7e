"""What `ftervit compare` refuses, and what it forgets when it is told to."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason='install PyTorch: pip install "ftervit[train]"')

from comparing import BUDGET, compare, results_in, teach  # noqa: E402
from training_photos import write_photos  # noqa: E402

from ftervit_deploy.cli import main  # noqa: E402
from ftervit_deploy.train import loop  # noqa: E402
from ftervit_deploy.train.guarding import alone_in  # noqa: E402


def test_overwriting_forgets_students_of_the_old_teacher(
    tiny_preset: str, photo_folder: Path, tmp_path: Path, phases: list[tuple[str, str]]
) -> None:
    out = tmp_path / "out"
    assert compare(photo_folder, out, "--schemes", "int8,ftervit") == 0
    assert compare(photo_folder, out, "--schemes", "ftervit", "--teacher-epochs", "5", "--overwrite") == 0
    old = (out / "int8").stat().st_mtime
    phases.clear()
    assert compare(photo_folder, out, "--schemes", "int8,ftervit", "--teacher-epochs", "5") == 0
    log = (out / "int8" / "training" / "log.jsonl").stat()
    assert log.st_mtime >= old
    assert ("int8", "training") in phases
    assert not any(entry == "ftervit" for entry, _ in phases)


def test_an_overwriting_comparison_that_is_stopped_goes_on(
    tiny_preset: str, photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    out = tmp_path / "out"
    assert compare(photo_folder, out, "--schemes", "int8") == 0
    with monkeypatch.context() as stopping:
        take_step = loop.Trainer._take_step

        def stopped(trainer: loop.Trainer, *batch: Any) -> float:
            if trainer.step == 4:
                raise KeyboardInterrupt
            return take_step(trainer, *batch)

        stopping.setattr(loop.Trainer, "_take_step", stopped)
        assert compare(photo_folder, out, "--schemes", "int8", "--teacher-epochs", "4", "--overwrite") == 2
    assert "The same command continues, without --overwrite." in capsys.readouterr().err
    assert compare(photo_folder, out, "--schemes", "int8", "--teacher-epochs", "4") == 0
    assert results_in(out)["rows"][0]["epochs"] == {"teacher": 4}


def test_photos_and_teacher_may_not_change_under_a_comparison(
    tiny_preset: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out, run = tmp_path / "data", tmp_path / "out", tmp_path / "run"
    write_photos(data, per_class=12)
    assert teach(data, run, "--epochs", "2") == 0
    used = [word for word in BUDGET[2:] if word not in ("--val-fraction", "0.25")]
    compare = ["compare", str(data), "--out", str(out), "--teacher", str(run), "--schemes", "int8", *used]
    assert main(compare) == 0
    assert teach(data, run, "--epochs", "3", "--overwrite") == 0
    capsys.readouterr()
    assert main(compare) == 2
    assert "has a teacher that this is not" in capsys.readouterr().err
    (data / "sign0" / "IMG_1.png").unlink()
    assert main(compare) == 2
    assert "have changed since the run" in capsys.readouterr().err


def test_a_comparison_has_no_teacher_of_its_own_named(
    tiny_preset: str, photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """--overwrite would remove it before anyone could learn from it."""
    out = tmp_path / "out"
    assert compare(photo_folder, out, "--schemes", "int8") == 0
    best = out / "teacher" / "teacher" / "best.safetensors"
    used = [*BUDGET[2:], "--out", str(out), "--schemes", "int8"]
    for teacher in (out / "teacher", best):
        options = ["--preset", "tiny", "--teacher", str(teacher), "--overwrite"]
        assert main(["compare", str(photo_folder), *used, *options]) == 2
        assert f"is that of the comparison in {out}" in capsys.readouterr().err
    assert best.exists()


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--schemes", "fp32"], "Only the teacher, fp32, is left"),
        (["--schemes", "int3"], "no scheme 'int3'"),
        (["--schemes", "int8,ftervt-s8"], "Did you mean 'ftervit-s8'?"),
        (["--schemes", "int8", "--split", "groups:" + "9" * 5000], "no split 'groups:9999"),
        (["--schemes", "int8", "--recover-from", "1,9"], "names epoch 9, and phase 1 has 2"),
        (["--schemes", "int8", "--recover-from", "1,x"], "no list of epochs"),
        (["--schemes", "int8", "--seeds", "1,0"], "--seeds names 0, by which ftervit is trained anyway"),
        (["--schemes", "int8", "--seeds", "1,-2"], "'1,-2' is no list of seeds"),
        (["--schemes", "int8", "--preset", "huge"], "no preset 'huge'"),
        (["--schemes", "int8", "--split", "thirds"], "no split 'thirds'"),
        (["--schemes", "int8", "--plot", "curves.txt"], "curves.txt is none of .png, .svg, .pdf"),
    ],
)
def test_mistakes_get_one_sentence_and_leave_nothing(
    more: list[str], sentence: str, tiny_preset: str, photo_folder: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert compare(photo_folder, tmp_path / "out", *more) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_comparison_needs_labels_and_one_process(
    tiny_preset: str, photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    assert teach(photo_folder, tmp_path / "run", "--epochs", "1") == 0
    flat = tmp_path / "flat"
    flat.mkdir()
    for number, photo in enumerate(sorted(photo_folder.rglob("*.png"))):
        (flat / f"{number}.png").write_bytes(photo.read_bytes())
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes((tmp_path / "run" / "teacher" / "best.safetensors").read_bytes())
    used = ["--schemes", "int8", "--teacher", str(weights), *BUDGET[2:], "--preset", "tiny"]
    assert main(["compare", str(flat), "--out", str(tmp_path / "out"), *used]) == 2
    assert "The photos have no labels" in capsys.readouterr().err
    assert not (tmp_path / "out" / "int8").exists(), "it is told before anything is trained"
    assert main(["compare", str(tmp_path / "nowhere"), "--out", str(tmp_path / "out"), *used]) == 2
    assert "There is no folder" in capsys.readouterr().err
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert compare(photo_folder, tmp_path / "two") == 2
    assert "runs in one process" in capsys.readouterr().err


def test_damaged_records_are_refused(
    tiny_preset: str, photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert compare(photo_folder, out, "--schemes", "int8") == 0
    path = out / "int8" / "row.json"
    row = json.loads(path.read_text())
    photos = row["recognised"]["photos"]
    one = {"photos": 1, "digits": "80"}
    for damage in (
        "{", "[" * 100_000, "{}", *(json.dumps({**row, **wrong}) for wrong in (
            {"recognised": {"photos": photos, "digits": "f"}}, {"recognised": None}, {"recognised": one},
            {"phase1_recognised": one}, {"bytes": "x"}, {"bytes": 0}, {"seconds": float("nan")}, {"top1": 50},
            {"engine_top1": "x"}, {"rules": 5}, {"epochs": {"training": "x"}}, {"group": "zzz"},
        ))
    ):  # fmt: skip
        path.write_text(damage)
        assert compare(photo_folder, out, "--schemes", "int8") == 2
        assert "row.json cannot be read" in capsys.readouterr().err
    path.write_text(json.dumps({**row, "name": "ftervit"}))
    assert compare(photo_folder, out, "--schemes", "int8") == 2
    assert "int8/row.json is that of ftervit" in capsys.readouterr().err
    fewer = {"photos": photos - 8, "digits": row["recognised"]["digits"][2:]}
    (out / "tervit").mkdir()
    judged = ("recognised", "phase1_recognised", "teacher_recognised")
    other = {**row, "name": "tervit", **dict.fromkeys(judged, fewer)}
    path.write_text(json.dumps(row))
    (out / "tervit" / "row.json").write_text(json.dumps(other))
    assert compare(photo_folder, out, "--schemes", "int8,tervit") == 2
    assert f"judged by {photos} photos and tervit by {photos - 8}" in capsys.readouterr().err
    log = out / "int8" / "recovery" / "log.jsonl"
    log.write_text("5")
    assert compare(photo_folder, out, "--schemes", "int8") == 2
    assert "log.jsonl does not say how many photos there were" in capsys.readouterr().err
    for damage in (
        "[]",
        '{"commands": 5, "task": {}}',
        '{"commands": [], "task": ' + '{"a":' * 900 + "1" + "}" * 901,
    ):
        (out / "comparison.json").write_text(damage)
        assert compare(photo_folder, out, "--schemes", "int8") == 2
        assert "comparison.json cannot be read" in capsys.readouterr().err


def test_overwrite_forgets_nothing_but_the_comparison(
    tiny_preset: str, photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = tmp_path / "runs"
    assert teach(photo_folder, runs / "mine", "--epochs", "1", "--val-fraction", "0.25") == 0
    teacher = runs / "mine" / "teacher" / "best.safetensors"
    compare = ["compare", str(photo_folder), "--out", str(runs), "--teacher", str(runs / "mine"), *BUDGET[2:]]
    compare += ["--schemes", "ftervit", "--overwrite"]
    for _ in range(2):  # the second time it is a comparison
        assert main(compare) == 0
        assert teacher.exists()
    row, best = runs / "ftervit" / "row.json", runs / "ftervit" / "training" / "best.safetensors"
    assert main([*compare, "--preset", "mcu_nano_66"]) == 2
    assert main([*compare, "--schedule-epochs", "1"]) == 2
    assert "The learning rate cannot fall in 1 epochs" in capsys.readouterr().err
    with alone_in(best.parent):
        assert main(compare) == 2
    assert "Another program is training" in capsys.readouterr().err
    assert row.exists()
    assert best.exists()


def test_contradictions_are_told_before_a_teacher_is_trained(
    tiny_preset: str, photo_folder: Path, tmp_path: Path, phases: list[tuple[str, str]]
) -> None:
    assert compare(photo_folder, tmp_path / "out", "--schemes", "int8", "--schedule-epochs", "1") == 2
    assert not phases
    assert not (tmp_path / "out").exists()


def test_names_that_are_no_text_are_no_obstacle(tiny_preset: str, photo_folder: Path, tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"photos-\xff")
    shutil.copytree(photo_folder, odd)
    assert compare(odd, tmp_path / "out", "--schemes", "int8") == 0
    assert "photos-?" in (tmp_path / "out" / "results.md").read_text()
