"""What `ftervit report` gathers, and what its page is."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from report_cases import HOSTILE, bundled, hostile
from safetensors.numpy import save_file

from ftervit_deploy.architecture import PRESETS
from ftervit_deploy.cli import main
from ftervit_deploy.errors import DataError
from ftervit_deploy.files import FileError
from ftervit_deploy.report import Missing, Request, gather, open_subject, render
from ftervit_deploy.report.contents import Accuracy, Epoch, Filters, Look, Phase, Rollout, WorstPhoto
from ftervit_deploy.report.curves import read_phase
from ftervit_deploy.report.onboards import board_fits, named_boards
from ftervit_deploy.report.page import MOST_BYTES
from ftervit_deploy.report.rows import with_rows
from ftervit_deploy.report.subject import Measured
from ftervit_deploy.report.weights import reference_sizes
from ftervit_deploy.resources import signs_folder
from synthetic import random_checkpoint_arrays

SIGNS = signs_folder()


def test_deit_tiny_shrinks_to_the_papers_leftovers() -> None:
    full, with_floats, with_halves, ternary = reference_sizes().formats
    assert full.bytes == 4 * 5_717_416
    assert 0.37 < with_halves.leftover < 0.39, "FTerViT: 38 to 39 %"
    assert with_floats.leftover > with_halves.leftover
    assert 0.08 < ternary.leftover < 0.11, "FTerViT: 10 %"
    assert ternary.bytes == pytest.approx(1.55e6, rel=0.03), "FTerViT: 1.53 to 1.6 MB"


def test_bytes_of_an_image_add_up_to_its_file() -> None:
    assert bundled().sizes.formats[-1].bytes == (SIGNS / "signs.ftv").stat().st_size


def test_the_bundled_model_has_its_curves_zeros_and_recorded_accuracy() -> None:
    report = bundled()
    assert not isinstance(report.student_phases, Missing)
    assert [phase.name for phase in report.student_phases] == ["training", "recovery"]
    assert [phase.name for phase in report.teacher_phases] == ["guide", "teacher"]
    assert isinstance(report.accuracy, Accuracy)
    assert report.accuracy.top1 == pytest.approx(0.979, abs=1e-3)
    assert "recorded" in report.accuracy.evidence
    assert 0.3 < sum(z.zeros for z in report.zeros) / sum(z.weights for z in report.zeros) < 0.33
    assert [m.name for m in report.methods if m.kind == "measured"] == ["signs"]
    assert report.boards[0].milliseconds is not None


def test_an_image_alone_says_why_parts_are_missing() -> None:
    report = gather(open_subject(str(SIGNS / "signs.ftv")), Request())
    missing = {name: part.why for name, part in report.parts() if isinstance(part, Missing)}
    assert missing.keys() == {"importance", "roll-out", "curves", "accuracy"}
    assert "--photos" in missing["importance"]
    assert "--data" in missing["accuracy"]
    assert "run folder" in missing["curves"]
    page = render(report).decode()
    assert all(why in page for why in missing.values())


def test_accuracy_is_measured_where_photos_with_classes_are_named() -> None:
    report = gather(open_subject(str(SIGNS / "signs.ftv")), Request(data=SIGNS / "photos"))
    accuracy = report.accuracy
    assert isinstance(accuracy, Accuracy)
    assert (accuracy.images, accuracy.top1) == (12, 1.0)
    assert np.trace(np.array(accuracy.confusion)) == 12
    assert len(accuracy.worst) == 12
    hardest = [photo.actual_probability for photo in accuracy.worst]
    assert hardest == sorted(hardest)


def test_no_photo_is_on_a_page_without_photos() -> None:
    request = Request(photos=[SIGNS / "photos"], data=SIGNS / "photos", pictures=False, probes=1,
                      importance_photos=1)  # fmt: skip
    report = gather(open_subject(str(SIGNS / "signs.ftv")), request)
    page = render(report).decode()
    assert "data:image/webp" not in page
    assert "IMG_" not in page
    assert isinstance(report.rollout, Missing)


def test_photos_that_are_not_there_are_named() -> None:
    with pytest.raises(DataError, match=r"no photo .*nowhere\.jpg"):
        gather(open_subject("signs"), Request(photos=[Path("nowhere.jpg")]))


def test_a_teacher_that_names_no_scheme_is_full_precision_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "timm.safetensors"
    save_file(random_checkpoint_arrays(PRESETS["mcu_nano_64"]), path)
    subject = open_subject(str(path), teacher=str(path))
    assert (subject.student.scheme, subject.teacher.scheme) == ("ftervit", "fp32")  # type: ignore[union-attr]
    found = gather(subject, Request(photos=[SIGNS / "photos"], probes=1, importance_photos=1)).filters
    assert isinstance(found, Filters)
    assert found.feature_cosine is not None
    assert found.feature_cosine < 0.999, "student and teacher are the same weights, but only one is ternary"


def test_a_ternary_teacher_is_refused() -> None:
    with pytest.raises(DataError, match="ternary itself"):
        open_subject("signs", teacher="signs")


def test_a_folder_without_a_student_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no trained student"):
        open_subject(str(tmp_path))


def test_a_damaged_log_gives_the_epochs_that_can_be_read(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    lines = [
        {"kind": "configuration"},
        {"kind": "epoch", "epoch": 1, "loss": 1.0, "val_top1": 0.5},
        {"kind": "epoch", "epoch": 2, "loss": "high", "val_top1": True},
        {"kind": "epoch", "epoch": "three"},
    ]
    text = "\n".join(json.dumps(line) for line in lines)
    log.write_bytes(text.encode() + b'\n[1]\n{"kind": "epoch", "epoch": 3, "loss": NaN}\n\xff{"kind": "ep')
    epochs = read_phase("training", log).epochs
    assert [epoch.epoch for epoch in epochs] == [1, 2, 3]
    assert [epoch.loss for epoch in epochs] == [1.0, None, None]
    assert [epoch.top1 for epoch in epochs] == [0.5, None, None]


def test_what_a_log_cannot_mean_is_not_repeated(tmp_path: Path) -> None:
    long, deep = "9" * 400, "[" * 100_000
    log = tmp_path / "log.jsonl"
    log.write_text(
        f'{{"kind": "configuration", "epochs": {long}, "patch_drop": 0.5}}\n{deep}\n'
        f'{{"kind": "epoch", "epoch": {long}, "loss": 1}}\n{{"kind": "epoch", "epoch": 1e999}}\n'
        f'{{"kind": "epoch", "epoch": 1, "loss": {long}, "val_loss": 1e308, "val_top1": 50, "lr": NaN}}\n'
        '{"kind": "result", "tested": {"photos": Infinity, "top1": 0.5}}\n'
    )
    phase = read_phase("training", log)
    assert phase == Phase("training", (Epoch(1, None, None, None, None, None),))
    assert render(replace(bundled(), student_phases=(phase,)))


@pytest.mark.parametrize(
    "record",
    [
        '{"images": Infinity, "top1": 0.5, "top5": 0.6}',
        '{"images": 5, "top1": NaN, "top5": 0.6}',
        '{"images": 5, "top1": 0.5, "top5": 50}',
        '{"images": 5, "top1": 0.5, "top5": 0.4}',
        '{"images": 0, "top1": 0.5, "top5": 0.6}',
        '{"images": 5, "top1": "0.5", "top5": 0.6}',
        "[" * 100_000,
    ],
    ids=["endless", "NaN", "5000 %", "less", "none", "text", "deep"],
)
def test_an_impossible_record_counts_as_none(record: str, tmp_path: Path) -> None:
    (tmp_path / "student.safetensors").write_bytes((SIGNS / "student.safetensors").read_bytes())
    (tmp_path / "eval.json").write_text('{"images": 5, "top1": 0.5, "top5": 1}')
    assert open_subject(str(tmp_path)).measured == Measured(5, 0.5, 1.0)
    (tmp_path / "eval.json").write_text(record)
    assert open_subject(str(tmp_path)).measured is None


def test_a_damaged_memory_is_told_without_its_folder(tmp_path: Path) -> None:
    (tmp_path / "student.safetensors").write_bytes((SIGNS / "student.safetensors").read_bytes())
    (tmp_path / "run.json").write_text('{"data": 5}')
    told = with_rows(open_subject(str(tmp_path)), tmp_path).no_rows
    assert told.startswith("run.json cannot be read (data: 5 is not text).")
    assert str(tmp_path) not in told


class _Elements(HTMLParser):
    """Tags and attributes of a page, as a browser would find them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_a_page_of_many_classes_and_photos_stays_under_two_megabytes() -> None:
    rng = np.random.default_rng(0)
    classes = 40
    confusion = tuple(tuple(int(n) for n in row) for row in rng.integers(1, 9, (classes, classes)))
    detailed = [rng.integers(0, 256, (176, 176, 3), np.uint8) for _ in range(4)]
    epoch = Epoch(1, 0.5, 0.4, 0.9, 1e-3, 0.3)
    base = bundled()
    report = replace(
        base,
        labels=tuple(f"a class with a long name {n}" for n in range(classes)),
        accuracy=Accuracy(
            99, 0.8, 1.0, "d", "e", confusion,
            tuple(WorstPhoto(f"{n}.jpg", detailed[n % 4], "a", "b", 0.9, 0.1) for n in range(12)), "",
        ),
        rollout=Rollout(tuple(Look("x", *detailed[:3], 0.5) for _ in range(6)), ""),
        student_phases=(Phase("training", tuple(replace(epoch, epoch=n + 1) for n in range(5000))),),
    )  # fmt: skip
    assert len(render(report)) <= 2_000_000


def test_the_best_epoch_is_the_one_that_training_keeps() -> None:
    epochs = [Epoch(n, 0.1, top1, None, 0.1, 0.3, loss) for n, top1, loss in
              ((1, 0.9, 0.5), (2, 0.95, 0.4), (3, 0.95, 0.2), (4, 0.95, None))]  # fmt: skip
    best = Phase("training", tuple(epochs)).best
    assert best is not None
    assert best.epoch == 3


def test_every_described_board_is_estimated_for() -> None:
    boards = named_boards([])
    names = [board.name for board in boards]
    assert {"esp32s3-eye", "m5stack-cores3"} <= set(names)
    assert names.index("esp32s3-eye") < names.index("esp32s3-devkitc-n8r8"), "cameras first"
    assert "qemu-esp32s3" not in names, "an emulator's speed says nothing"
    fits = board_fits("signs", (SIGNS / "signs.ftv").read_bytes(), boards)
    assert [fit.board for fit in fits] == [board.name for board in boards]
    assert any(fit.milliseconds for fit in fits)


def test_a_split_that_is_not_all_there_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = next((SIGNS / "photos").rglob("*.jpg")).relative_to(SIGNS / "photos").as_posix()
    (tmp_path / "split.json").write_text(json.dumps({"validation": [name, "0/gone.jpg"]}))
    chosen = ["--data", str(SIGNS / "photos"), "--split", str(tmp_path / "split.json"), "--probes", "1"]
    assert main(["report", "signs", "-o", str(tmp_path / "x.html"), *chosen]) == 2
    assert "holds 1 of the 2 validation photos" in capsys.readouterr().err
    assert not (tmp_path / "x.html").exists()


def test_a_folder_that_is_not_there_is_told_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "signs", "-o", str(tmp_path / "nowhere" / "x.html")]) == 2
    assert "There is no folder" in capsys.readouterr().err


def test_where_the_loss_falls_because_no_patch_is_left_out_is_told(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    first = {"kind": "configuration", "epochs": 10, "patch_drop": 0.5}
    log.write_text("\n".join(map(json.dumps, [first, {"kind": "epoch", "epoch": 1, "loss": 1.0}])))
    phase = read_phase("training", log)
    assert phase.whole_from == 9
    assert b"From epoch 9 of training no patch" in render(replace(bundled(), student_phases=(phase,)))


def test_a_damaged_log_with_a_loss_below_zero_is_drawn() -> None:
    phases = (Phase("training", (Epoch(1, -0.5, 0.4, None, 0.1, 0.3), Epoch(2, 0.5, 0.4, None, 0.1, 0.3))),)
    assert render(replace(bundled(), student_phases=phases))


def test_hostile_names_stay_text() -> None:
    page = render(hostile()).decode()
    elements = _Elements()
    elements.feed(page)
    scripts = [attributes for tag, attributes in elements.tags if tag == "script"]
    assert len(scripts) == 3
    assert not any("src" in attributes for attributes in scripts)
    assert not any(name.startswith("on") for _, attributes in elements.tags for name in attributes)
    for name in HOSTILE:
        assert name not in page


def test_names_that_are_not_utf8_are_drawn_all_the_same() -> None:
    named = replace(bundled(), name="caf\udce9.jpg", labels=("\udcff",), facts=(("photo", "\udce9.png"),))
    assert "caf?.jpg" in render(named).decode()


def test_a_page_refers_to_nothing_outside_itself() -> None:
    elements = _Elements()
    elements.feed(render(bundled()).decode())
    for tag, attributes in elements.tags:
        for name in ("src", "href"):
            assert (attributes.get(name) or "data:").startswith(("data:", "#")), (tag, attributes)


def test_a_page_stays_under_two_megabytes_or_is_refused() -> None:
    report = bundled()
    assert len(render(report)) < MOST_BYTES
    noise = np.random.default_rng(0).integers(0, 255, (900, 900, 3)).astype(np.uint8)
    assert isinstance(report.accuracy, Accuracy)
    photos = (WorstPhoto("noise", noise, "0", "1", 0.9, 0.1),) * 40
    with pytest.raises(FileError, match="fewer photos"):
        render(replace(report, accuracy=replace(report.accuracy, worst=photos)))


def test_many_classes_get_a_table_instead_of_a_matrix() -> None:
    report = bundled()
    labels = tuple(f"class {index}" for index in range(100))
    confusion = tuple(tuple(int(i == j) + 3 * int((i, j) == (4, 7)) for j in range(100)) for i in range(100))
    assert isinstance(report.accuracy, Accuracy)
    page = render(
        replace(report, labels=labels, accuracy=replace(report.accuracy, confusion=confusion))
    ).decode()
    assert 'id="chart-confusion"' not in page
    assert re.search(r"class 4</td><td class=\"text\">class 7</td><td>3<", page)
