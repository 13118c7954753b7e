"""`ftervit compare`: one split, one teacher, one budget; stopped, it continues; added to, it grows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason='install PyTorch: pip install "ftervit[train]"')

from comparing import BUDGET, compare, results_in, teach, without_times  # noqa: E402
from training_photos import write_photos  # noqa: E402

from ftervit_deploy.architecture import PRESETS, Preprocessing  # noqa: E402
from ftervit_deploy.charts import Curve  # noqa: E402
from ftervit_deploy.cli import main  # noqa: E402
from ftervit_deploy.image import read_info, scheme_bytes  # noqa: E402
from ftervit_deploy.schemes import SCHEMES  # noqa: E402
from ftervit_deploy.train import comparison, judging, loop  # noqa: E402
from ftervit_deploy.train.data import SplitRule  # noqa: E402
from ftervit_deploy.train.data import split_photos as data_split  # noqa: E402
from ftervit_deploy.train.paired import Recognised  # noqa: E402


def test_all_methods_and_ablations_stand_in_one_table(
    tiny_preset: str, photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    phases: list[tuple[str, str]],
) -> None:  # fmt: skip
    assert compare(photo_folder, tmp_path / "all", "--ablations", "--json") == 0
    told = capsys.readouterr()
    payload = json.loads(told.out)
    assert payload == results_in(tmp_path / "all")
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


def test_seeds_train_the_same_student_again(
    tiny_preset: str, photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch, phases: list[tuple[str, str]],
) -> None:  # fmt: skip
    drawn: list[list[Curve]] = []
    monkeypatch.setattr(comparison, "draw_comparison", lambda curves, *_: drawn.append(curves))
    out = tmp_path / "out"
    assert compare(photo_folder, out, "--schemes", "int8,ftervit") == 0
    plot = ("--plot", str(tmp_path / "curves.svg"))
    assert compare(photo_folder, out, "--schemes", "int8", "--seeds", "5,3,5", "--json", *plot) == 0
    rows = {row["name"]: row for row in results_in(out)["rows"]}
    assert list(rows) == ["fp32", "int8", "ftervit", "ftervit-seed-5", "ftervit-seed-3"]
    assert phases.count(("ftervit", "training")) == 1, "only what is new is trained"
    names = ("ftervit", "ftervit-seed-5", "ftervit-seed-3")
    begun = [_configuration(out / name / "training") for name in names]
    assert [c["seed"] for c in begun] == [0, 5, 3]
    assert len({(c["scheme"], c["lr"], c["train_photos"], c["teacher_source"]) for c in begun}) == 1
    assert len({(out / name / "split.json").read_bytes() for name in names}) == 1, "the split stays"
    ended = [(out / name / "recovery" / "log.jsonl").read_text().splitlines()[-2] for name in names]
    assert len({json.loads(line)["loss"] for line in ended}) == 3, "other random numbers"
    text = (out / "results.md").read_text()
    repeats = text.split("## Repeats")[1].split("## What")[0].splitlines()
    assert [line.split(" | ")[0] for line in repeats[4:]][:4] == [f"| {name}" for name in ("fp32", *names)]
    assert "- Trained again by seed 5 " in text
    assert [(curve.group, curve.name) for curve in drawn[-1]] == [
        ("methods", "int8"), ("methods", "ftervit"), *(("repeats", name) for name in names)
    ]  # fmt: skip
    assert "not in ±, but shows in the repeats of ftervit." in text


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
    assert compare(photo_folder, tmp_path / "whole", *chosen) == 0
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
        assert compare(photo_folder, tmp_path / "broken", *chosen) == 2
    assert "The same command continues" in capsys.readouterr().err
    assert results_in(tmp_path / "broken")["finished"] is False
    phases.clear()
    assert compare(photo_folder, tmp_path / "broken", *chosen) == 0
    assert ("q-vit", "training") not in phases
    whole, broken = results_in(tmp_path / "whole"), results_in(tmp_path / "broken")
    assert without_times(broken) == without_times(whole)
    assert broken["finished"] is True


def test_schemes_can_be_added_but_the_task_cannot_change(
    tiny_preset: str, photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    phases: list[tuple[str, str]],
) -> None:  # fmt: skip
    out = tmp_path / "grown"
    assert compare(photo_folder, out, "--schemes", "int8") == 0
    phases.clear()
    assert compare(photo_folder, out, "--schemes", "int8,tervit") == 0
    assert [entry for entry, _ in phases] == ["teacher", "tervit", "tervit"]
    assert len(results_in(out)["commands"]) == 2
    capsys.readouterr()
    assert compare(photo_folder, out, "--schemes", "int8", "--epochs", "4") == 2
    assert "has training epochs 2, not 4" in capsys.readouterr().err
    assert compare(photo_folder, out, "--schemes", "int8", "--epochs", "4", "--overwrite") == 0
    assert results_in(out)["rows"][1]["epochs"]["training"] == 4


def test_a_teacher_can_come_from_a_run(
    tiny_preset: str, photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert teach(photo_folder, run, "--epochs", "3", "--seed", "4") == 0
    used = ["--schemes", "ftervit", "--teacher", str(run), *BUDGET[2:]]
    assert main(["compare", str(photo_folder), "--out", str(tmp_path / "out"), *used]) == 2
    assert "has val_fraction 0.15, not 0.25" in capsys.readouterr().err
    used = [word for word in used if word not in ("--val-fraction", "0.25")]
    assert main(["compare", str(photo_folder), "--out", str(tmp_path / "out"), *used]) == 0
    results = results_in(tmp_path / "out")
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
    assert compare(data, out, *chosen, *dropping) == 0
    results = results_in(out)
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
