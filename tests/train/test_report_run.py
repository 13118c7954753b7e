"""A report of a whole run folder: everything is there, teacher and student side by side."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from training_photos import write_photos

from ftervit_deploy.cli import main
from ftervit_deploy.errors import DataError
from ftervit_deploy.photos import LabelledPhoto
from ftervit_deploy.publish import publication
from ftervit_deploy.report import Missing, Report, Request, gather, open_subject, render
from ftervit_deploy.report.contents import Accuracy, Filters, Importance, Rollout
from ftervit_deploy.report.photographs import chosen_photos
from ftervit_deploy.report.rows import with_rows
from ftervit_deploy.train.data import SplitRule, split_photos
from ftervit_deploy.train.starts import Sources
from ftervit_deploy.train.state import read_run_checkpoint, write_checkpoint


@pytest.fixture
def folder(run: Callable[..., Any], tmp_path: Path) -> Path:
    for phase in ("teacher", "training", "recovery"):
        run(phase)
    return tmp_path / "run"


def _gathered(folder: Path, **options: Any) -> Report:
    return gather(open_subject(str(folder)), Request(probes=2, importance_photos=6, **options))


@pytest.mark.slow
def test_a_run_folder_gives_every_part(folder: Path) -> None:
    report = _gathered(folder)
    assert not any(isinstance(part, Missing) for _, part in report.parts())
    assert isinstance(report.filters, Filters)
    assert len(report.filters.cosines) == 16
    assert 0 < report.filters.feature_cosine <= 1  # type: ignore[operator]
    assert isinstance(report.importance, Importance)
    assert report.importance.model == "the FP32 teacher"
    assert sum(layer.taylor_share for layer in report.importance.layers) == pytest.approx(1)
    assert isinstance(report.rollout, Rollout)
    assert all(look.teacher is not None and 0 < (look.cosine or 0) <= 1 for look in report.rollout.looks)
    assert 0 < (report.rollout.other_cosine or 0) <= 1
    assert isinstance(report.accuracy, Accuracy)
    assert report.accuracy.images == 12, "the validation photos alone"
    assert {photo.name.split("/")[0] for photo in report.accuracy.worst} <= {"sign0", "sign1", "sign2"}
    page = render(report).decode()
    assert all(f'id="chart-{name}"' in page for name in ("confusion", "curves-top1", "cosines"))


def test_test_photos_are_what_a_run_is_measured_on(run: Callable[..., Any], tmp_path: Path) -> None:
    write_photos(tmp_path / "data" / "train", per_class=8)
    write_photos(tmp_path / "data" / "test", per_class=3)
    for phase in ("teacher", "training"):
        run(phase, data=tmp_path / "data", epochs=1)
    report = _gathered(tmp_path / "run")
    assert isinstance(report.accuracy, Accuracy)
    assert report.accuracy.images == 9
    assert "9 test photos of data" in report.accuracy.evidence
    assert isinstance(report.importance, Importance)


def test_photos_outside_the_data_are_not_shown(run: Callable[..., Any], tmp_path: Path) -> None:
    """Whoever made the run may have listed any photo of this disk."""
    data = write_photos(tmp_path / "data", per_class=8)
    secret = write_photos(tmp_path / "secret", classes=1, per_class=1) / "sign0" / "IMG_1.png"
    for phase in ("teacher", "training"):
        run(phase, data=data, epochs=1)
    names = ["../secret/sign0/IMG_1.png", str(secret), "sign0/\0", "sign0/IMG_1.png"]
    (tmp_path / "run" / "split.json").write_text(json.dumps({"validation": names}))
    chosen = chosen_photos((), open_subject(str(tmp_path / "run")), 9)
    assert [photo.path for photo in chosen] == [data / "sign0" / "IMG_1.png"]


def test_photos_that_training_skipped_are_no_obstacle(run: Callable[..., Any], tmp_path: Path) -> None:
    data = write_photos(tmp_path / "data", per_class=8)
    split = split_photos(data, SplitRule(0, 0.25, 3))
    bad = split.validation[0]
    assert isinstance(bad, LabelledPhoto)
    bad.path.write_bytes(b"no photo")
    for phase in ("teacher", "training"):
        run(phase, data=data, epochs=1)
    report = _gathered(tmp_path / "run")
    assert isinstance(report.accuracy, Accuracy)
    assert report.accuracy.images == 5
    assert report.accuracy.evidence.endswith("1 more could not be read.")
    assert isinstance(report.importance, Importance)
    (data / "empty").mkdir()
    report = _gathered(tmp_path / "run")
    assert isinstance(report.accuracy, Missing)
    assert "holds no photos" in report.accuracy.why
    assert render(report)


def test_a_run_without_labels_gives_a_report(
    run: Callable[..., Any], photo_folder: Path, tmp_path: Path
) -> None:
    teacher = run("teacher", out=tmp_path / "other")
    flat = tmp_path / "flat"
    flat.mkdir()
    for number, photo in enumerate(sorted(photo_folder.rglob("*.png"))):
        shutil.copyfile(photo, flat / f"{number}.png")
    run("training", data=flat, sources=Sources(teacher=str(teacher.checkpoint)))
    report = _gathered(tmp_path / "run")
    assert isinstance(report.accuracy, Missing)
    assert isinstance(report.importance, Importance)
    assert report.importance.model == "the FP32 teacher", "the log names its file"
    assert "the model's own answers" in report.importance.loss
    assert not isinstance(report.student_phases, Missing)
    (phase,) = report.student_phases
    assert phase.best is not None
    assert phase.best.top1 is None
    assert 0 < (phase.best.judged or 0) <= 1
    page = render(report).decode()
    assert "% as the teacher in epoch" in page
    assert str(tmp_path) not in page
    metrics = publication(open_subject(str(tmp_path / "run")), report, b"", "me/mine", "mit").metrics
    assert "answers as the teacher's after training, in PyTorch" in [metric.what for metric in metrics]


def test_a_run_on_a_dataset_is_measured_on_its_photos(
    run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = pytest.importorskip("dataset_files")
    files.keep_cache_in(tmp_path / "cache", monkeypatch)
    dataset = files.write_dataset(tmp_path / "things", {"train": 24, "test": 9}, damaged=frozenset({2}))
    for phase in ("teacher", "training"):
        run(phase, data=Path(f"hub:{dataset}"), epochs=1)
    (tmp_path / "photos").mkdir()
    subject = with_rows(open_subject(str(tmp_path / "run")), tmp_path / "photos")
    report = gather(subject, Request(probes=1, importance_photos=6))
    assert not any(isinstance(part, Missing) for _, part in report.parts())
    assert isinstance(report.accuracy, Accuracy)
    assert report.accuracy.images == 8
    assert report.accuracy.evidence.startswith("The C engine on 8 test photos of things, measured")
    assert sum(map(sum, report.accuracy.confusion)) == 8
    assert isinstance(report.importance, Importance)
    assert "against the photos' classes" in report.importance.loss


def test_a_dataset_that_is_gone_says_so(run: Callable[..., Any], tmp_path: Path) -> None:
    for phase in ("teacher", "training"):
        run(phase, epochs=1)
    memory = json.loads((tmp_path / "run" / "run.json").read_text())
    for data, shown in (("./nowhere", "./nowhere"), (str(tmp_path / "gone"), "gone")):
        (tmp_path / "run" / "run.json").write_text(json.dumps({**memory, "data": f"hub:{data}"}))
        subject = with_rows(open_subject(str(tmp_path / "run")), tmp_path)
        assert f"The dataset {shown} cannot be opened" in subject.no_rows
        assert str(tmp_path) not in subject.no_rows, "a page may be published"
    report = gather(subject, Request(pictures=False))
    assert isinstance(report.accuracy, Missing)
    assert report.accuracy.why == subject.no_rows


def test_what_is_no_run_of_a_packed_student_says_what_it_is(run: Callable[..., Any], tmp_path: Path) -> None:
    for phase in ("teacher", "training"):
        run(phase, epochs=1, scheme="int8")
    with pytest.raises(DataError, match="has the scheme int8, and a report is of what the engine can run"):
        open_subject(str(tmp_path / "run"))
    (tmp_path / "run" / "comparison.json").write_text("{}")
    with pytest.raises(DataError, match=r"is a comparison\. Name one of its students"):
        open_subject(str(tmp_path / "run"))


def test_a_teacher_of_other_classes_answers_for_itself(folder: Path, tmp_path: Path) -> None:
    arrays, description = read_run_checkpoint(folder / "teacher" / "best.safetensors")
    other = tmp_path / "other.safetensors"
    write_checkpoint(other, arrays, replace(description, labels=("cat", "dog", "owl")))
    report = gather(open_subject(str(folder), str(other)), Request(probes=1, importance_photos=4))
    assert isinstance(report.importance, Importance)
    assert "the model's own answers" in report.importance.loss


def test_an_unfinished_recovery_is_not_shown_as_the_model_s(run: Callable[..., Any], tmp_path: Path) -> None:
    for phase in ("teacher", "training", "recovery"):
        run(phase, epochs=1)
    (tmp_path / "run" / "recovery" / "student.safetensors").unlink()
    phases = _gathered(tmp_path / "run").student_phases
    assert not isinstance(phases, Missing)
    assert [phase.name for phase in phases] == ["training"]


def test_a_run_whose_photos_are_gone_still_gives_a_report(folder: Path) -> None:
    memory = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**memory, "data": str(folder / "nowhere")}))
    report = _gathered(folder)
    missing = {name for name, part in report.parts() if isinstance(part, Missing)}
    assert missing == {"importance", "roll-out", "accuracy"}
    assert "its validation photos" in report.methods_note
    assert [method.kind for method in report.methods if method.name == "run"] == ["measured"]


def test_a_student_without_its_teacher_looks_alone(folder: Path) -> None:
    shutil.rmtree(folder / "teacher")
    report = _gathered(folder)
    assert isinstance(report.rollout, Rollout)
    assert "--teacher" in report.rollout.note
    assert all(look.teacher is None for look in report.rollout.looks)
    assert isinstance(report.importance, Importance)
    assert "ternary student" in report.importance.model
    assert "--teacher" in report.filters.note  # type: ignore[union-attr]


def test_the_command_writes_the_page_and_says_what_it_lacks(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    options = ["--probes", "1", "--board", "esp32s3-eye", "--no-photos", "-o", str(page), "--json"]
    assert main(["report", str(folder), *options]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["bytes"] == page.stat().st_size < 2_000_000
    assert record["missing"].keys() == {"roll-out"}
    assert record["images"] == 12
    assert 0 < record["zero_fraction"] < 1
    assert 0 < record["feature_cosine"] <= 1
    assert record["attention_cosine"] is None, "--no-photos"
    assert sum(layer["taylor_squared_share"] for layer in record["importance"]["layers"]) == pytest.approx(1)
