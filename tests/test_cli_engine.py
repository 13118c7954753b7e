"""run, eval and demo: predictions for people and programs, and what a wrong photo or folder gets."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from photo_files import save_photo
from safetensors.numpy import save_file

from ftervit_deploy import resources
from ftervit_deploy.architecture import Architecture
from ftervit_deploy.cli import main
from ftervit_deploy.cli.pictures import half_blocks, side_by_side
from ftervit_deploy.errors import DataError
from ftervit_deploy.evaluate import agreement, logit_cosine, match_classes, probabilities, ranked, score
from ftervit_deploy.photos import load_photo
from synthetic import random_checkpoint_arrays

TINY = Architecture(image_size=16, patch_size=8, width=64, depth=2, heads=1, hidden=128, classes=3)
CLASSES = ["cup", "key", "pen"]
ClassFolders = Callable[..., Path]


def _checkpoint(path: Path, labels: list[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(random_checkpoint_arrays(TINY), path, {"ftervit.labels": json.dumps(labels)})
    return path


@pytest.fixture
def image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A tiny model of cups, keys and pens that has learnt nothing."""
    source, target = _checkpoint(tmp_path / "tiny.safetensors", CLASSES), tmp_path / "tiny.ftv"
    assert main(["pack", str(source), "-o", str(target)]) == 0
    capsys.readouterr()
    return target


def _json(capsys: pytest.CaptureFixture[str], *arguments: object) -> Any:
    status = main([*map(str, arguments), "--json"])
    out, err = capsys.readouterr()
    assert status == 0, err
    return json.loads(out)


def _mistake(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    status = main([*map(str, arguments)])
    out, err = capsys.readouterr()
    assert (status, out) == (2, ""), err
    assert err.splitlines()[-1].startswith(("ftervit: error: ", "  "))
    return err


def test_run_prints_what_programs_rely_on(
    image: Path, photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (record,) = _json(capsys, "run", image, photo)
    assert set(record) == {"image", "top", "milliseconds"}
    assert record["image"] == str(photo)
    assert [set(guess) for guess in record["top"]] == [{"index", "label", "probability"}] * 3
    chances = [guess["probability"] for guess in record["top"]]
    assert chances == sorted(chances, reverse=True)
    assert sum(chances) == pytest.approx(1)
    assert all(guess["label"] == CLASSES[guess["index"]] for guess in record["top"])


def test_run_prints_as_many_classes_as_asked(
    image: Path, photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(_json(capsys, "run", image, photo, "--top", 1)[0]["top"]) == 1


def test_run_takes_the_model_from_the_flag_and_photos_from_folders(
    image: Path, class_folders: ClassFolders, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(_json(capsys, "run", "--model", image, class_folders(CLASSES))) == 6


def test_run_takes_the_model_of_this_folder_before_the_bundled_one(
    image: Path, photo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(image.parent)
    image.rename("model.ftv")
    assert _json(capsys, "run", photo)[0]["top"][0]["label"] in CLASSES


def test_threads_do_not_change_a_prediction(
    image: Path, photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tops = [_json(capsys, "run", image, photo, "--threads", n)[0]["top"] for n in (0, 1, 3)]
    assert tops[0] == tops[1] == tops[2]


def test_run_prints_label_and_probability_for_a_person(
    image: Path, photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(image), str(photo)]) == 0
    out = capsys.readouterr().out
    assert all(label in out for label in CLASSES)
    assert "%" in out


@pytest.mark.parametrize("content", [None, b"", b"no photo", b"\xff\xd8\xff\xe0" + bytes(50)])
def test_a_photo_that_is_no_photo_is_named(
    content: bytes | None, image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = image.with_name("odd.jpg")
    if content is not None:
        path.write_bytes(content)
    assert str(path) in _mistake(capsys, "run", image, path)


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "flipped", "text"])
def test_an_image_that_is_none_is_named(
    damage: str, image: Path, photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = bytearray(image.read_bytes())
    content[-40] ^= 4
    damaged = {"empty": b"", "cut": content[:-16], "flipped": content, "text": b"hello" * 100}
    if damage == "missing":
        image.unlink()
    else:
        image.write_bytes(damaged[damage])
    assert str(image) in _mistake(capsys, "run", image, photo)


def test_eval_prints_what_programs_rely_on(
    image: Path, class_folders: ClassFolders, capsys: pytest.CaptureFixture[str]
) -> None:
    record = _json(capsys, "eval", image, class_folders(CLASSES))
    assert list(record) == ["images", "top1", "top5", "images_per_second", "skipped"]
    assert record["images"] == 6
    assert 0 <= record["top1"] <= record["top5"] == 1
    assert record["images_per_second"] > 0


def test_eval_agrees_with_run(
    image: Path, class_folders: ClassFolders, capsys: pytest.CaptureFixture[str]
) -> None:
    data = class_folders(CLASSES)
    predictions = _json(capsys, "run", image, data)
    right = [p["top"][0]["label"] == Path(p["image"]).parent.name for p in predictions]
    assert _json(capsys, "eval", image, data)["top1"] == pytest.approx(np.mean(right))


def test_eval_matches_folders_by_name_not_by_order(
    image: Path, class_folders: ClassFolders, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only some of the classes, so that the folders' own indices would be wrong."""
    data = class_folders(["Key", "pen"])
    predictions = _json(capsys, "run", image, data)
    right = [p["top"][0]["label"] == Path(p["image"]).parent.name.lower() for p in predictions]
    assert _json(capsys, "eval", image, data)["top1"] == pytest.approx(np.mean(right))


def test_eval_takes_model_and_data_from_the_project_file(
    image: Path,
    class_folders: ClassFolders,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    class_folders(CLASSES)
    (image.parent / "ftervit.toml").write_text('model = "tiny.ftv"\ndata = "classes"\n')
    monkeypatch.chdir(image.parent)
    assert _json(capsys, "eval")["images"] == 6


def test_eval_prints_a_confusion_matrix(
    image: Path, class_folders: ClassFolders, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", str(image), str(class_folders(CLASSES))]) == 0
    assert "true \\ predicted" in capsys.readouterr().out


@pytest.mark.parametrize("fault", ["missing", "empty", "no photos", "unknown class", "no data"])
def test_data_that_cannot_serve_is_one_sentence(
    fault: str, image: Path, class_folders: ClassFolders, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(image.parent)
    folder = image.parent / "data"
    if fault == "unknown class":
        folder = class_folders([*CLASSES, "spoon"])
    elif fault != "missing":
        folder.mkdir()
    if fault == "no photos":
        (folder / "cup").mkdir()
    _mistake(capsys, "eval", image, *([] if fault == "no data" else [folder]))


def test_against_compares_with_pytorch(
    image: Path, class_folders: ClassFolders, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch", reason="install ftervit[train]")
    source = image.with_suffix(".safetensors")
    record = _json(capsys, "eval", image, class_folders(CLASSES), "--against", source)
    assert list(record)[5:] == ["agreement", "logit_cosine", "against_top1"]
    assert 0 <= record["agreement"] <= 1
    assert record["logit_cosine"] > 0.99


def test_split_restricts_to_the_validation_photos_of_a_run(
    image: Path, class_folders: ClassFolders, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = class_folders(CLASSES)
    one = next(data.glob("cup/*")).relative_to(data).as_posix()
    split = tmp_path / "split.json"
    split.write_text(json.dumps({"train": [], "validation": [one]}))
    assert _json(capsys, "eval", image, data, "--split", split)["images"] == 1
    split.write_text(json.dumps({"validation": [one, "cup/gone.jpg"]}))
    assert "1 of the 2 validation photos" in _mistake(capsys, "eval", image, data, "--split", split)
    for damage in ("[]", "[" * 100_000, "{}", '{"validation": 5}', '{"validation": [{}]}'):
        split.write_text(damage)
        assert "is no split.json" in _mistake(capsys, "eval", image, data, "--split", split)


def test_against_without_pytorch_says_what_to_install(
    image: Path,
    class_folders: ClassFolders,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    said = _mistake(capsys, "eval", image, class_folders(CLASSES), "--against", "x")
    assert "ftervit[train]" in said


def test_nothing_but_training_imports_pytorch(image: Path, photo: Path, class_folders: ClassFolders) -> None:
    """Every other command in one process, and then a look at what it has imported."""
    source, weights = image.with_suffix(".safetensors"), image.with_name("weights.safetensors")
    commands = [
        ["models"],
        ["pack", source, "-o", image],
        ["inspect", image],
        ["unpack", image, "-o", weights],
        ["run", image, photo],
        ["eval", image, class_folders(CLASSES)],
    ]
    program = (
        "import json, sys; from ftervit_deploy.cli import main; "
        "print(max(main(command) for command in json.loads(sys.argv[1])), 'torch' in sys.modules)"
    )
    arguments = json.dumps([[str(word) for word in command] for command in commands])
    command = [sys.executable, "-c", program, arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 False"


def _write_log(log: Path) -> None:
    log.mkdir()
    (log / "eval.json").write_text(json.dumps({"images": 240, "top1": 0.975, "agreement": 1.0}))
    for phase, top1 in (("teacher", 0.981), ("training", 0.952), ("recovery", 0.976)):
        epochs = [{"kind": "configuration"}, *({"kind": "epoch", "val_top1": v} for v in (top1, 0.5))]
        (log / f"{phase}.jsonl").write_text("\n".join(map(json.dumps, epochs)) + "\n")


@pytest.fixture
def signs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for the bundled demonstration."""
    folder = tmp_path / "signs"
    _checkpoint(folder / "student.safetensors", CLASSES)
    for seed, name in enumerate(CLASSES):
        save_photo(folder / "photos" / name / "a.jpg", seed)
    _write_log(folder / "log")
    monkeypatch.setattr(resources, "signs_folder", lambda: folder)
    monkeypatch.setattr("ftervit_deploy.checkpoint.sources.data_file", lambda name: tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return folder


def test_the_demonstration_shows_predictions_beside_true_labels(
    signs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo"]) == 0
    out = capsys.readouterr().out
    assert all(f"$ ftervit {command}" in out for command in ("pack", "inspect", "run"))
    assert out.count("a.jpg") == 3
    assert all(top1 in out for top1 in ("98.1 %", "95.2 %", "97.6 %", "97.5 %"))
    assert "\x1b" not in out
    assert (signs.parent / "signs.ftv").is_file()


def test_the_demonstration_has_json(signs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records = _json(capsys, "demo")
    assert [record["label"] for record in records] == CLASSES


@pytest.mark.parametrize("depth", [8, 24])
def test_a_picture_has_two_pixels_a_character(photo: Path, depth: int) -> None:
    lines = half_blocks(load_photo(photo), 8, depth)
    assert [line.count("▀") for line in lines] == [8] * 4
    assert all(line.endswith("\x1b[0m") for line in lines)


def test_pictures_stand_side_by_side() -> None:
    assert side_by_side([["ab", "cd"], ["ef", "gh"]], [["1"], ["long"]], 2) == "ab  ef\ncd  gh\n1   lo"


def test_equal_logits_rank_the_lower_index_first() -> None:
    assert ranked(np.array([[1, 3, 3, 2]], np.int32), 4).tolist() == [[1, 2, 3, 0]]


def test_probabilities_are_the_softmax_of_q16_logits() -> None:
    logits = np.array([[0, 65536, -(1 << 30)]], np.int32)
    expected = [1 / (1 + np.e), np.e / (1 + np.e), 0]
    np.testing.assert_allclose(probabilities(logits)[0], expected, atol=1e-12)


def test_score_counts_by_true_and_predicted_class() -> None:
    logits = np.array([[2, 1, 0], [0, 2, 1], [2, 0, 1]], np.int32)
    found = score(logits, np.array([0, 1, 2]))
    assert found.top1 == pytest.approx(2 / 3)
    assert found.top5 == 1
    assert found.confusion.tolist() == [[1, 0, 0], [0, 1, 0], [1, 0, 0]]


def test_agreement_and_cosine_compare_row_by_row() -> None:
    ours = np.array([[3, 0], [0, 2]], np.int32)
    theirs = np.array([[1, 0], [1, 0]], np.float32)
    assert agreement(ours, theirs) == 0.5
    assert logit_cosine(ours, theirs) == 0.5


def test_folders_match_labels_wordnet_ids_or_indices() -> None:
    assert match_classes(["Tench", "goldfish"], ["tench", "goldfish"]) == [0, 1]
    assert match_classes(["n2"], ["tench", "goldfish"], ["n1", "n2"]) == [1]
    assert match_classes(["1"], ["tench", "goldfish"]) == [1]
    with pytest.raises(DataError, match="'1'"):
        match_classes(["1"], ["0", "2"])


def test_the_wordnet_ids_ship() -> None:
    ids = resources.data_file("imagenet_wordnet_ids.txt").read_text("ascii").split()
    assert len(set(ids)) == 1000
    assert ids[0] == "n01440764"


def test_names_of_files_do_not_reach_the_terminal_raw(
    image: Path, photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = photo.rename(photo.with_name("\x1b[31mred.jpg"))
    assert main(["run", str(image), str(odd)]) == 0
    assert "\x1b" not in capsys.readouterr().out


def test_sets_of_photos_are_told_from_classes(
    image: Path, class_folders: ClassFolders, capsys: pytest.CaptureFixture[str]
) -> None:
    classes = class_folders(CLASSES, photos=2)
    sets = classes.with_name("sets")
    for name in ("train", "val", "test"):
        shutil.copytree(classes, sets / name)
    (sets / "test" / CLASSES[0] / "1.png").unlink()
    assert main(["eval", str(image), str(sets)]) == 0
    told = capsys.readouterr()
    assert "The photos of" in told.err
    assert re.search(r"photos +5\n", told.out)
    split = image.with_name("split.json")
    split.write_text(json.dumps({"train": [], "validation": [f"val/{CLASSES[1]}/0.png"]}))
    assert _json(capsys, "eval", image, sets, "--split", split)["images"] == 1


def test_photos_that_cannot_be_read_are_named_and_counted(
    image: Path, class_folders: ClassFolders, capsys: pytest.CaptureFixture[str]
) -> None:
    data = class_folders(CLASSES, photos=2)
    (data / CLASSES[1] / "0.png").write_bytes(b"no photo")
    (data / CLASSES[2] / "phone.heic").write_bytes(b"a photo in another format")
    (data / CLASSES[2] / "gone.jpg").symlink_to(data / "nowhere.jpg")
    assert main(["eval", str(image), str(data)]) == 0
    told = capsys.readouterr()
    assert re.search(r"photos +5, 3 that cannot be read left out\n", told.out)
    assert all(f"{name}" in told.err for name in ("0.png", "phone.heic", "gone.jpg"))
    assert _json(capsys, "eval", image, data)["skipped"] == 3
    for photo in data.rglob("*.png"):
        photo.write_bytes(b"no photo")
    assert "None of the photos can be read." in _mistake(capsys, "eval", image, data)


def test_a_class_folder_that_is_no_utf_8_is_refused(
    image: Path, class_folders: ClassFolders, capsys: pytest.CaptureFixture[str]
) -> None:
    data = class_folders(CLASSES)
    os.mkdir(os.fsencode(data) + b"/caf\xe9")
    assert "is not UTF-8. Rename it." in " ".join(_mistake(capsys, "eval", image, data).split())


def test_a_split_without_validation_photos_is_one_sentence(
    image: Path, class_folders: ClassFolders, capsys: pytest.CaptureFixture[str]
) -> None:
    split = image.with_name("split.json")
    split.write_text(json.dumps({"train": [], "validation": []}))
    assert "0 of the 0" in _mistake(capsys, "eval", image, class_folders(CLASSES), "--split", split)


def test_quiet_leaves_results_and_errors_alone(
    image: Path, photo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(image.parent)
    image.rename("model.ftv")
    assert main(["run", str(photo)]) == 0
    assert "Using model.ftv" in capsys.readouterr().err
    assert main(["run", str(photo), "--quiet"]) == 0
    out, err = capsys.readouterr()
    assert (bool(out), err) == (True, "")


def test_verbose_says_where_each_setting_came_from(
    image: Path, photo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FTERVIT_TOP", "2")
    assert main(["run", str(image), str(photo), "--verbose"]) == 0
    err = capsys.readouterr().err
    assert "top = 2 (FTERVIT_TOP)" in err
    assert f"model = {image} (--model)" in err


def test_labels_that_differ_in_case_alone_stay_apart() -> None:
    assert match_classes(["a", "A"], ["A", "a"]) == [1, 0]


def test_accents_match_in_either_unicode_form() -> None:
    assert match_classes(["cafe\u0301"], ["tea", "caf\u00e9"]) == [1]
