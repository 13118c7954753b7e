"""`ftervit compare`: one split, one teacher, one budget; stopped, it continues; added to, it grows."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason='install PyTorch: pip install "ftervit[train]"')

from training_photos import write_photos  # noqa: E402

from ftervit_deploy.architecture import PRESETS, Preprocessing  # noqa: E402
from ftervit_deploy.cli import main  # noqa: E402
from ftervit_deploy.image import read_info, scheme_bytes  # noqa: E402
from ftervit_deploy.schemes import SCHEMES  # noqa: E402
from ftervit_deploy.train import comparison, judging, loop  # noqa: E402
from ftervit_deploy.train.data import SplitRule  # noqa: E402
from ftervit_deploy.train.data import split_photos as data_split  # noqa: E402
from ftervit_deploy.train.guarding import alone_in  # noqa: E402
from ftervit_deploy.train.paired import Recognised  # noqa: E402

BUDGET = [
    "--teacher-epochs", "3", "--epochs", "2", "--recovery-epochs", "1", "--batch-size", "16",
    "--augment", "none", "--lr", "3e-3", "--threads", "1", "--val-fraction", "0.25", "--quiet",
]  # fmt: skip


def _compare(photos: Path, out: Path, *more: str, preset: str = "tiny") -> int:
    return main(["compare", str(photos), "--out", str(out), "--preset", preset, *BUDGET, *more])


def _results(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "results.json").read_text())
    return found


def _without_times(results: dict[str, Any]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in results["rows"]]


@pytest.fixture
def phases(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """(entry, phase) of everything that is trained or continued."""
    ran: list[tuple[str, str]] = []
    run_phase = comparison.run_phase

    def noted(out: Path, memory: Any, settings: Any, *rest: Any) -> Any:
        ran.append((out.name, settings.phase))
        return run_phase(out, memory, settings, *rest)

    monkeypatch.setattr(comparison, "run_phase", noted)
    return ran


def test_all_methods_and_ablations_stand_in_one_table(
    tiny_preset: str, photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    phases: list[tuple[str, str]],
) -> None:  # fmt: skip
    assert _compare(photo_folder, tmp_path / "all", "--ablations", "--json") == 0
    told = capsys.readouterr()
    payload = json.loads(told.out)
    assert payload == _results(tmp_path / "all")
    assert payload["finished"] is True
    rows = {row["name"]: row for row in payload["rows"]}
    assert list(rows) == [
        "fp32", "int8", "tervit", "vit-1.58b", "q-vit", "q-vit-a8", "ftervit",
        "ftervit-patch-tensor", "ftervit-norm-fp32", "ftervit-absmax", "ftervit-kl+ce",
        "ftervit-recovery-from-1", "ftervit-recovery-from-2", "ftervit-phase-1-only",
    ]  # fmt: skip
    assert phases.count(("teacher", "teacher")) == 1
    arch = PRESETS["tiny"]
    for row in rows.values():
        assert row["bytes"] == scheme_bytes(arch, SCHEMES[row["scheme"]])
        assert row["score"] == pytest.approx(row["top1"], abs=1e-6), "validation photos judge without others"
        assert row["difference"] == row["score"] - rows["fp32"]["score"]
        image = tmp_path / "all" / row["name"] / "model.ftv"
        if row["image_bytes"]:
            assert row["image_bytes"] == image.stat().st_size
            assert read_info(image.read_bytes()).meta.scheme == row["scheme"]
        else:
            assert row["obstacle"]
            assert not image.exists()
            _check_refused(tmp_path / "all" / row["name"], row, capsys)
    assert rows["fp32"]["epochs"] == {"teacher": 3}
    assert rows["int8"]["epochs"] == {"training": 2, "recovery": 1}
    assert rows["ftervit-recovery-from-1"]["epochs"] == {"recovery": 1}
    assert rows["ftervit-phase-1-only"]["epochs"] == {"training": 3}
    losses = {
        name: _configuration(tmp_path / "all" / name / "training") for name in ("ftervit", "ftervit-kl+ce")
    }
    assert [c["loss"] for c in losses.values()] == ["kl", "kl+ce"]
    assert len({(c["seed"], c["train_photos"], c["lr"], c["teacher_source"]) for c in losses.values()}) == 1
    text = (tmp_path / "all" / "results.md").read_text()
    ablations = text.split("## Ablations")[1].split("## What")[0].splitlines()
    assert [line.split(" | ")[0] for line in ablations[4:7]] == [
        "| fp32",
        "| ftervit",
        "| ftervit-patch-tensor",
    ]
    assert "- left out of the published method: training in 8 bits first" in text
    assert payload["commands"][0] in text
    assert f"torch {torch.__version__}" in text


def _check_refused(folder: Path, row: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    """`ftervit pack` says in one sentence why not."""
    if row["name"] == "fp32":
        return
    best = folder / "recovery" / "best.safetensors"
    assert main(["pack", str(best), "-o", str(folder / "model.ftv")]) == 2
    assert f"of the scheme '{row['scheme']}' cannot be packed: {row['obstacle']}." in capsys.readouterr().err
    assert not (folder / "model.ftv").exists()


def _configuration(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "log.jsonl").read_text().splitlines()[0])
    return found


def test_a_stopped_comparison_continues_and_ends_as_an_unbroken_one(
    tiny_preset: str, photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch, phases: list[tuple[str, str]],
) -> None:  # fmt: skip
    chosen = ("--schemes", "q-vit,ftervit")
    assert _compare(photo_folder, tmp_path / "whole", *chosen) == 0
    with monkeypatch.context() as stopping:
        take_step = loop.Trainer._take_step

        def stopped(trainer: loop.Trainer, *batch: Any) -> float:
            if (
                trainer.settings.phase == "training"
                and trainer.model.scheme.name == "ftervit"
                and trainer.step == 4
            ):
                raise KeyboardInterrupt
            return take_step(trainer, *batch)

        stopping.setattr(loop.Trainer, "_take_step", stopped)
        assert _compare(photo_folder, tmp_path / "broken", *chosen) == 2
    assert "The same command continues" in capsys.readouterr().err
    assert _results(tmp_path / "broken")["finished"] is False
    phases.clear()
    assert _compare(photo_folder, tmp_path / "broken", *chosen) == 0
    assert ("q-vit", "training") not in phases
    whole, broken = _results(tmp_path / "whole"), _results(tmp_path / "broken")
    assert _without_times(broken) == _without_times(whole)
    assert broken["finished"] is True


def test_schemes_can_be_added_but_the_task_cannot_change(
    tiny_preset: str, photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    phases: list[tuple[str, str]],
) -> None:  # fmt: skip
    out = tmp_path / "grown"
    assert _compare(photo_folder, out, "--schemes", "int8") == 0
    phases.clear()
    assert _compare(photo_folder, out, "--schemes", "int8,tervit") == 0
    assert [entry for entry, _ in phases] == ["teacher", "tervit", "tervit"]
    assert len(_results(out)["commands"]) == 2
    capsys.readouterr()
    assert _compare(photo_folder, out, "--schemes", "int8", "--epochs", "4") == 2
    assert "has training epochs 2, not 4" in capsys.readouterr().err
    assert _compare(photo_folder, out, "--schemes", "int8", "--epochs", "4", "--overwrite") == 0
    assert _results(out)["rows"][1]["epochs"]["training"] == 4


def test_a_teacher_can_come_from_a_run(
    tiny_preset: str, photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    budget = ["--epochs", "3", "--batch-size", "16", "--threads", "1", "--quiet"]
    made = [
        "train",
        str(photo_folder),
        "--phase",
        "teacher",
        "--preset",
        "tiny",
        "--out",
        str(run),
        "--seed",
        "4",
    ]
    assert main([*made, *budget]) == 0
    used = ["--schemes", "ftervit", "--teacher", str(run), *BUDGET[2:]]
    assert main(["compare", str(photo_folder), "--out", str(tmp_path / "out"), *used]) == 2
    assert "has val_fraction 0.15, not 0.25" in capsys.readouterr().err
    used = [word for word in used if word not in ("--val-fraction", "0.25")]
    assert main(["compare", str(photo_folder), "--out", str(tmp_path / "out"), *used]) == 0
    results = _results(tmp_path / "out")
    assert (results["seed"], results["preset"], results["teacher"]) == (4, "tiny", "of the run run")
    assert [command.split()[1] for command in results["commands"]] == ["train", "compare"]
    assert results["rows"][0]["epochs"] == {"teacher": 3}
    assert results["rows"][0]["seconds"] > 0
    assert not (tmp_path / "out" / "teacher").exists()
    split = (run / "split.json").read_text()
    assert (tmp_path / "out" / "ftervit" / "split.json").read_text() == split
    assert (
        main(["compare", str(photo_folder), "--out", str(tmp_path / "x"), *used, "--teacher-epochs", "2"])
        == 2
    )
    assert "none is trained" in capsys.readouterr().err


def test_test_photos_judge_in_pytorch_and_in_the_engine(
    tiny_preset: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    write_photos(data / "train", per_class=12)
    write_photos(data / "test", per_class=7)
    picture = out / "curves.svg"
    chosen = ("--schemes", "int8", "--ablations", "--precision", "bf16", "--plot", str(picture))
    dropping = ("--patch-drop", "0.25", "--schedule-epochs", "5")
    assert _compare(data, out, *chosen, *dropping) == 0
    results = _results(out)
    settings = results["settings"]
    drops = {phase: settings[phase]["patch_drop"] for phase in ("teacher", "training", "recovery")}
    assert drops == {"teacher": 0.25, "training": 0.25, "recovery": 0.0}, "a recovery looks at everything"
    falling = {phase: settings[phase]["schedule_epochs"] for phase in ("teacher", "training", "recovery")}
    assert falling == {"teacher": 0, "training": 5, "recovery": 0}
    assert results["photos"] == {"train": 27, "validation": 9, "test": 21, "guarded": 0}
    assert "cores" in results["machine"]
    rows = {row["name"]: row for row in results["rows"]}
    teacher = rows["fp32"]
    for name, row in rows.items():
        assert row["difference"] == pytest.approx(row["score"] - teacher["score"])
        ours, theirs = (Recognised(**found["recognised"]) for found in (row, teacher))
        assert row["score"] == ours.top1
        assert row["difference_error"] == ours.error_beside(theirs)
        assert row["teacher_recognised"] == teacher["recognised"]
        if name != "fp32":
            assert _configuration(_last_phase(out / name))["bfloat16"] is True
            tested = _tested(_last_phase(out / name))
            assert tested == pytest.approx(
                {"photos": 21, "top1": row["score"], "teacher_top1": teacher["score"]}, abs=1e-6
            )
        if row["image_bytes"]:
            capsys.readouterr()
            assert main(["eval", str(out / name / "model.ftv"), str(data / "test"), "--json"]) == 0
            assert json.loads(capsys.readouterr().out)["top1"] == row["engine_top1"]
        else:
            assert row["engine_top1"] is None
    base, later = rows["ftervit"], rows["ftervit-recovery-from-2"]
    kept = out / "ftervit" / "training" / "epoch-0002.safetensors"
    before = judging.Judge(
        data_split(data, SplitRule(0, 0.25, 0)), PRESETS["tiny"], Preprocessing(), 10**9
    ).student(kept)
    assert Recognised(**later["phase1_recognised"]) == before
    assert base["phase1_score"] == pytest.approx(_tested(out / "ftervit" / "training")["top1"], abs=1e-6)
    assert rows["ftervit-phase-1-only"]["phase1_recognised"] == rows["ftervit-phase-1-only"]["recognised"]
    text = (out / "results.md").read_text()
    assert "Top-1 on 21 test photos, best epoch on 9 others: one photo is 4.76 points, one standard" in text
    said = text.split("## What that says")[1].split("## What is")[0]
    assert (
        f"- ftervit: {100 * base['score']:.2f} %, {100 * base['difference']:+.2f} "
        f"±{100 * base['difference_error']:.2f} points to its teacher" in said
    )
    assert f"worth {100 * (base['score'] - base['phase1_score']):+.2f} ±" in said
    assert "With real LayerNorms, not ternary ones: " in said
    assert f"2 {100 * later['score']:.2f} % (" in said.split("Recovered from epoch 1 ")[1]
    drawn = picture.read_text()
    assert all(f"<!-- {name} -->" in drawn for name in ("int8", "ftervit", "ftervit-norm-fp32"))


def _tested(folder: Path) -> dict[str, Any]:
    """What the phase itself found on the test photos."""
    result: dict[str, Any] = json.loads((folder / "log.jsonl").read_text().splitlines()[-1])
    found: dict[str, Any] = result["tested"]
    return found


def _last_phase(folder: Path) -> Path:
    return folder / ("recovery" if (folder / "recovery").exists() else "training")


def test_overwriting_forgets_students_of_the_old_teacher(
    tiny_preset: str, photo_folder: Path, tmp_path: Path, phases: list[tuple[str, str]]
) -> None:
    out = tmp_path / "out"
    assert _compare(photo_folder, out, "--schemes", "int8,ftervit") == 0
    assert _compare(photo_folder, out, "--schemes", "ftervit", "--teacher-epochs", "5", "--overwrite") == 0
    old = (out / "int8").stat().st_mtime
    phases.clear()
    assert _compare(photo_folder, out, "--schemes", "int8,ftervit", "--teacher-epochs", "5") == 0
    log = (out / "int8" / "training" / "log.jsonl").stat()
    assert log.st_mtime >= old
    assert ("int8", "training") in phases
    assert not any(entry == "ftervit" for entry, _ in phases)


def test_an_overwriting_comparison_that_is_stopped_goes_on(
    tiny_preset: str, photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    out = tmp_path / "out"
    assert _compare(photo_folder, out, "--schemes", "int8") == 0
    with monkeypatch.context() as stopping:
        take_step = loop.Trainer._take_step

        def stopped(trainer: loop.Trainer, *batch: Any) -> float:
            if trainer.step == 4:
                raise KeyboardInterrupt
            return take_step(trainer, *batch)

        stopping.setattr(loop.Trainer, "_take_step", stopped)
        assert _compare(photo_folder, out, "--schemes", "int8", "--teacher-epochs", "4", "--overwrite") == 2
    assert "The same command continues, without --overwrite." in capsys.readouterr().err
    assert _compare(photo_folder, out, "--schemes", "int8", "--teacher-epochs", "4") == 0
    assert _results(out)["rows"][0]["epochs"] == {"teacher": 4}


def test_photos_and_teacher_may_not_change_under_a_comparison(
    tiny_preset: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out, run = tmp_path / "data", tmp_path / "out", tmp_path / "run"
    write_photos(data, per_class=12)
    teach = [
        "train",
        str(data),
        "--phase",
        "teacher",
        "--preset",
        "tiny",
        "--out",
        str(run),
        "--threads",
        "1",
    ]
    assert main([*teach, "--epochs", "2", "--batch-size", "16", "--quiet"]) == 0
    used = [word for word in BUDGET[2:] if word not in ("--val-fraction", "0.25")]
    compare = ["compare", str(data), "--out", str(out), "--teacher", str(run), "--schemes", "int8", *used]
    assert main(compare) == 0
    assert main([*teach, "--epochs", "3", "--batch-size", "16", "--quiet", "--overwrite"]) == 0
    capsys.readouterr()
    assert main(compare) == 2
    assert "has a teacher that this is not" in capsys.readouterr().err
    (data / "sign0" / "IMG_1.png").unlink()
    assert main(compare) == 2
    assert "have changed since the run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--schemes", "fp32"], "Only the teacher, fp32, is left"),
        (["--schemes", "int3"], "no scheme 'int3'"),
        (["--schemes", "int8,ftervt-s8"], "Did you mean 'ftervit-s8'?"),
        (["--schemes", "int8", "--split", "groups:" + "9" * 5000], "no split 'groups:9999"),
        (["--schemes", "int8", "--recover-from", "1,9"], "names epoch 9, and phase 1 has 2"),
        (["--schemes", "int8", "--recover-from", "1,x"], "no list of epochs"),
        (["--schemes", "int8", "--preset", "huge"], "no preset 'huge'"),
        (["--schemes", "int8", "--split", "thirds"], "no split 'thirds'"),
        (["--schemes", "int8", "--plot", "curves.txt"], "curves.txt is none of .png, .svg, .pdf"),
    ],
)
def test_mistakes_get_one_sentence_and_leave_nothing(
    more: list[str], sentence: str, tiny_preset: str, photo_folder: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert _compare(photo_folder, tmp_path / "out", *more) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_comparison_needs_labels_and_one_process(
    tiny_preset: str, photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    made = [
        "train",
        str(photo_folder),
        "--phase",
        "teacher",
        "--preset",
        "tiny",
        "--out",
        str(tmp_path / "run"),
    ]
    assert main([*made, "--epochs", "1", "--batch-size", "16", "--threads", "1", "--quiet"]) == 0
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
    assert _compare(photo_folder, tmp_path / "two") == 2
    assert "runs in one process" in capsys.readouterr().err


def test_damaged_records_are_refused(
    tiny_preset: str, photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert _compare(photo_folder, out, "--schemes", "int8") == 0
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
        assert _compare(photo_folder, out, "--schemes", "int8") == 2
        assert "row.json cannot be read" in capsys.readouterr().err
    path.write_text(json.dumps({**row, "name": "ftervit"}))
    assert _compare(photo_folder, out, "--schemes", "int8") == 2
    assert "int8/row.json is that of ftervit" in capsys.readouterr().err
    fewer = {"photos": photos - 8, "digits": row["recognised"]["digits"][2:]}
    (out / "tervit").mkdir()
    judged = ("recognised", "phase1_recognised", "teacher_recognised")
    other = {**row, "name": "tervit", **dict.fromkeys(judged, fewer)}
    path.write_text(json.dumps(row))
    (out / "tervit" / "row.json").write_text(json.dumps(other))
    assert _compare(photo_folder, out, "--schemes", "int8,tervit") == 2
    assert f"judged by {photos} photos and tervit by {photos - 8}" in capsys.readouterr().err
    log = out / "int8" / "recovery" / "log.jsonl"
    log.write_text("5")
    assert _compare(photo_folder, out, "--schemes", "int8") == 2
    assert "log.jsonl does not say how many photos there were" in capsys.readouterr().err
    for damage in (
        "[]",
        '{"commands": 5, "task": {}}',
        '{"commands": [], "task": ' + '{"a":' * 900 + "1" + "}" * 901,
    ):
        (out / "comparison.json").write_text(damage)
        assert _compare(photo_folder, out, "--schemes", "int8") == 2
        assert "comparison.json cannot be read" in capsys.readouterr().err


def test_overwrite_forgets_nothing_but_the_comparison(
    tiny_preset: str, photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    teach = ["train", str(photo_folder), "--phase", "teacher", "--preset", tiny_preset, "--epochs", "1"]
    runs = tmp_path / "runs"
    assert (
        main([*teach, "--out", str(runs / "mine"), "--threads", "1", "--quiet", "--val-fraction", "0.25"])
        == 0
    )
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
    assert _compare(photo_folder, tmp_path / "out", "--schemes", "int8", "--schedule-epochs", "1") == 2
    assert not phases
    assert not (tmp_path / "out").exists()


def test_names_that_are_no_text_are_no_obstacle(tiny_preset: str, photo_folder: Path, tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"photos-\xff")
    shutil.copytree(photo_folder, odd)
    assert _compare(odd, tmp_path / "out", "--schemes", "int8") == 0
    assert "photos-?" in (tmp_path / "out" / "results.md").read_text()
