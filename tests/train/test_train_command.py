"""`ftervit train` on the command line: what it remembers, prints and refuses."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest
from training_photos import write_photos

torch = pytest.importorskip("torch", reason='install PyTorch: pip install "ftervit[train]"')

from ftervit_deploy.cli import main  # noqa: E402

FAST = ["--epochs", "1", "--batch-size", "8", "--threads", "1"]


def _error(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main(["train", *map(str, arguments)]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "Traceback" not in told.err
    return told.err


def test_later_phases_need_only_the_run_folder(
    tiny_preset: str, photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "run")
    first = ["train", str(photo_folder), "--phase", "teacher", "--preset", tiny_preset, "--out", out, *FAST]
    assert main([*first, "--seed", "5", "--split", "groups:4", "--scheme", "ftervit"]) == 0
    assert "Teacher: " in capsys.readouterr().out
    assert main(["train", "--phase", "training", "--out", out, "--json", *FAST]) == 0
    payload: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert payload["phase"] == "training"
    assert 0 <= payload["top1"] <= 1
    assert Path(payload["packed"]).exists()
    assert main(["train", "--phase", "recovery", "--out", out, "--quiet", *FAST]) == 0
    told = capsys.readouterr()
    assert "Teacher: " in told.out
    assert "Student: " in told.out
    assert told.err == ""
    memory = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (memory["seed"], memory["split"], memory["scheme"]) == (5, "groups:4", "ftervit")
    split = json.loads((tmp_path / "run" / "split.json").read_text())
    assert split["guarded"] > 0
    assert (photo_folder / split["validation"][0]).exists()
    assert "has seed 5, not 6" in _error(capsys, "--phase", "training", "--out", out, "--seed", 6)


def test_mistakes_get_one_sentence(
    tiny_preset: str, photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--phase", "teacher", "--out", tmp_path / "run", *FAST]
    assert "No folder of photos is named" in _error(capsys, *out)
    assert "There is no folder" in _error(capsys, tmp_path / "nowhere", *out)
    assert "hub: alone names no dataset" in _error(capsys, "hub:", *out)
    assert "no preset 'big'" in _error(capsys, photo_folder, *out, "--preset", "big")
    assert "no scheme 'int3'" in _error(capsys, photo_folder, *out, "--scheme", "int3")
    assert "nothing to quantise" in _error(capsys, photo_folder, *out, "--scheme", "fp32")
    assert "no augmentation 'wild'" in _error(capsys, photo_folder, *out, "--augment", "wild")
    assert "no split 'thirds'" in _error(capsys, photo_folder, *out, "--split", "thirds")
    assert "exclude each other" in _error(capsys, photo_folder, *out, "--resume", "--overwrite")
    assert "--epoch-photos is for streams" in _error(capsys, photo_folder, *out, "--epoch-photos", 9)
    assert "are for datasets" in _error(capsys, photo_folder, *out, "--stream")
    assert "There is no folder" in _error(capsys, photo_folder, *out, "--unlabelled", tmp_path / "nowhere")
    assert "is none of .png" in _error(capsys, photo_folder, *out, "--plot", tmp_path / "curves.txt")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["cup\u00a0red", "pen\u200c", "x" * 201])
@pytest.mark.parametrize("command", ["train --phase teacher", "compare"])
def test_a_class_that_cannot_be_packed_is_named_before_training(
    name: str, command: str, tiny_preset: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_photos(tmp_path / "data")
    (data / "sign1").rename(data / name)
    out = tmp_path / "out"
    assert main([*command.split(), str(data), "--preset", tiny_preset, "--out", str(out)]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert re.search(r"The class name '(cup\\xa0red|pen\\u200c|x{60}…)' (has|is longer)", told)
    assert "Rename its folder, or the class in the dataset." in told
    assert not list(tmp_path.rglob("log.jsonl"))


def test_a_class_of_a_dataset_that_cannot_be_packed_is_named(
    tiny_preset: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = pytest.importorskip("dataset_files")
    files.keep_cache_in(tmp_path / "cache", monkeypatch)
    folder = files.write_rows(tmp_path / "d", 12, {}, ("cup", "pen\x1b[31m"))
    assert r"'pen\x1b[31m' has a character that does not print, U+001B" in _error(
        capsys,
        f"hub:{folder}",
        "--phase",
        "teacher",
        "--preset",
        tiny_preset,
        "--out",
        tmp_path / "out",
        *FAST,
    )


def test_test_photos_are_looked_at_when_a_phase_has_ended(
    tiny_preset: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = tmp_path / "data", tmp_path / "run"
    write_photos(data / "train", per_class=8)
    write_photos(data / "test", per_class=5)
    (data / "test" / "sign1" / "IMG_2.png").write_bytes(b"no photo")
    flags = ["--out", str(out), "--epochs", "2", "--batch-size", "8", "--threads", "1"]
    teach = ["train", str(data), "--phase", "teacher", "--preset", tiny_preset, "--lr", "3e-3", *flags]
    assert main([*teach, "--json"]) == 0
    told = capsys.readouterr()
    tested = json.loads(told.out)["tested"]
    assert tested["photos"] == 14
    assert tested["teacher_top1"] is None
    assert "IMG_2.png" in told.err
    assert main(["train", "--phase", "training", *flags]) == 0
    text = capsys.readouterr().out
    assert "on 14 photos that chose nothing, its teacher" in text
    assert main(["train", "--phase", "training", *flags, "--resume", "--json"]) == 0
    again = json.loads(capsys.readouterr().out)["tested"]
    assert again["teacher_top1"] == tested["top1"]
    lines = [json.loads(line) for line in (out / "training" / "log.jsonl").read_text().splitlines()]
    assert [line["kind"] for line in lines] == ["configuration", "epoch", "epoch", "result"]
    assert lines[-1]["tested"] == again
    assert lines[0]["command"].startswith("ftervit train --phase training --out")
    assert "cores" in lines[0]["machine"]


def test_more_photos_may_come_with_a_later_phase_and_are_remembered(
    tiny_preset: str, photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--out", str(tmp_path / "run"), *FAST]
    teacher = ["train", str(photo_folder), "--phase", "teacher", "--preset", tiny_preset, *out]
    assert main(teacher) == 0
    more = write_photos(tmp_path / "more", per_class=5, seed=9)
    assert main(["train", "--phase", "training", "--unlabelled", str(more), *out]) == 0
    assert "(15 without labels)" in capsys.readouterr().err
    assert main(["train", "--phase", "recovery", *out]) == 0
    assert "(15 without labels)" in capsys.readouterr().err
    other = ["--phase", "recovery", "--unlabelled", photo_folder / "sign1", *out, "--overwrite"]
    assert "has unlabelled" in _error(capsys, *other)


def test_a_damaged_memory_is_refused(
    photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.json").write_text("{")
    assert "run.json cannot be read" in _error(capsys, photo_folder, "--phase", "teacher", "--out", tmp_path)


def test_without_torch_the_way_to_get_it_is_told(
    photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "torch" else find_spec(name, *rest)
    )
    error = _error(capsys, photo_folder, "--phase", "teacher", "--out", tmp_path / "run")
    assert "Training needs PyTorch, which is not installed." in error
    assert 'pip install "ftervit[train]"' in error


def test_the_help_tells_the_defaults_of_every_phase(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "[default: guide 60, teacher 300, training 250, recovery 10]" in told
    assert "[default: guide 0.002, teacher 0.001, training 0.0001, recovery 1e-05]" in told
    assert "or `three-crop`. [default: strong]" in told
    assert main(["compare", "--help"]) == 0
    assert "Peak learning rate of phase 1. [default: 0.0001]" in " ".join(capsys.readouterr().out.split())
