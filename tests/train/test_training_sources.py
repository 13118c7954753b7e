"""What can be trained on, and from: datasets, streams, photos without labels, timm's names."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import write_photos
from dataset_files import CLASSES, keep_cache_in, write_dataset, write_rows
from PIL import Image

torch = pytest.importorskip("torch", reason='install PyTorch: pip install "ftervit[train]"')
datasets = pytest.importorskip("datasets", reason='install datasets: pip install "ftervit[datasets]"')

from ftervit_deploy.architecture import PRESETS, architecture_named, timm_repository  # noqa: E402
from ftervit_deploy.cli import main  # noqa: E402
from ftervit_deploy.errors import ConfigError, DataError, FtervitError, TrainError  # noqa: E402
from ftervit_deploy.photos import find_photos  # noqa: E402
from ftervit_deploy.train.data import SplitRule, split_photos, with_unlabelled  # noqa: E402
from ftervit_deploy.train.hubdata import HubData, split_dataset  # noqa: E402
from ftervit_deploy.train.photosets import UNLABELLED, EpochPlan, open_photos, source_of  # noqa: E402
from ftervit_deploy.train.sharing import Share  # noqa: E402
from ftervit_deploy.train.starts import Sources  # noqa: E402

Run = Callable[..., Any]
RULE = SplitRule(0, 0.25, 1)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_cache_in(tmp_path / "cache", monkeypatch)


def _split(folder: Path, **how: Any) -> Any:
    return split_dataset(HubData(str(folder), **how), RULE, (), 10**9)


def test_a_dataset_keeps_its_own_validation_split(tmp_path: Path) -> None:
    split = _split(write_dataset(tmp_path / "d", {"train": 12, "validation": 6}))
    assert (len(split.train), len(split.validation), split.labels) == (12, 6, CLASSES)
    assert [photo.label for photo in split.train[:4]] == [0, 1, 2, 0]
    assert split.train[1].load().size == (24, 20)
    assert np.asarray(split.train[1].load())[..., 1].mean() > 150


def test_a_dataset_without_one_is_split(tmp_path: Path) -> None:
    split = _split(write_dataset(tmp_path / "d", {"train": 24}))
    assert (len(split.train), len(split.validation)) == (18, 6)
    again = _split(tmp_path / "d")
    assert [photo.name for photo in split.train] == [photo.name for photo in again.train]
    assert not {photo.name for photo in split.train} & {photo.name for photo in split.validation}


def test_the_test_split_of_a_dataset_chooses_nothing(tmp_path: Path) -> None:
    split = _split(write_dataset(tmp_path / "d", {"train": 24, "test": 9}))
    assert (len(split.train), len(split.validation), len(split.test)) == (18, 6, 9)
    assert {photo.name.split()[1] for photo in split.test} == {"test"}
    split = _split(write_dataset(tmp_path / "e", {"train": 12, "validation": 3, "test": 6}))
    assert (len(split.train), len(split.validation), len(split.test)) == (12, 3, 6)


def test_a_stream_without_a_validation_split_holds_its_first_photos_back(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "d", {"train": 24, "test": 9})
    split = _split(folder, stream=True, epoch_photos=24)
    assert (len(split.validation), len(split.stream), len(split.test)) == (6, 24, 9)
    assert "its first 6 photos validate" in split.remarks[0]
    held_back = {photo.content for photo in split.validation}
    opened = split.stream.opened(lambda source: np.asarray(source.load()).transpose(2, 0, 1), 1)
    trained = [
        image.tobytes() for batch in opened.epoch(EpochPlan(3, 1, 6)) for image in batch.images.numpy()
    ]
    pixels = {np.asarray(photo.load()).transpose(2, 0, 1).tobytes() for photo in split.validation}
    assert len(held_back) == len(pixels) == 6
    assert len(set(trained)) == 18, "it starts again where it ends"
    assert not pixels & set(trained)


def test_first_photos_without_a_label_neither_validate_nor_train(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "d", {"train": 24})
    path = str(folder / "train-00000-of-00001.parquet")
    table = datasets.Dataset.from_parquet(path)
    kinds = [None if index == 1 else kind for index, kind in enumerate(table["kind"])]
    feature = table.features["kind"]
    table.remove_columns("kind").add_column("kind", kinds).cast_column("kind", feature).to_parquet(path)
    split = _split(folder, stream=True, epoch_photos=24)
    assert len(split.validation) == 5
    opened = split.stream.opened(lambda source: np.asarray(source.load()).transpose(2, 0, 1), 1)
    trained = {
        image.tobytes() for batch in opened.epoch(EpochPlan(3, 1, 6)) for image in batch.images.numpy()
    }
    judges = {np.asarray(photo.load()).transpose(2, 0, 1).tobytes() for photo in split.validation}
    assert len(trained) == 18
    assert not judges & trained


def test_a_stream_sorted_by_class_cannot_validate_with_its_first_photos(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "d", {"train": 24})
    table = datasets.Dataset.from_parquet(str(folder / "train-00000-of-00001.parquet"))
    table.sort("kind").to_parquet(folder / "train-00000-of-00001.parquet")
    with pytest.raises(DataError, match="first 6 photos show only 1 of its 3 classes"):
        _split(folder, stream=True, epoch_photos=24)


@pytest.mark.parametrize("stream", [False, True], ids=["downloaded", "streamed"])
def test_a_dataset_trains_a_teacher_and_its_student(
    stream: bool, tiny_preset: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_dataset(tmp_path / "d", {"train": 30, "validation": 9}, damaged=frozenset({4}))
    out = str(tmp_path / "run")
    flags = ["--preset", tiny_preset, "--out", out, "--epochs", "2", "--batch-size", "8", "--threads", "1"]
    if stream:
        flags += ["--stream", "--epoch-photos", "20"]
    assert main(["train", f"hub:{folder}", "--phase", "teacher", *flags]) == 0
    told = capsys.readouterr().err
    assert "is not a readable photo" in told
    counted = "1 photo could not be read and was" if stream else "2 photos could not be read and were"
    assert f"{counted} left out." in told
    assert main(["train", "--phase", "training", "--out", out, "--epochs", "1", "--json"]) == 0
    payload = json.loads(capsys.readouterr().out)
    assert Path(payload["packed"]).exists()
    memory = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (memory["data"], memory["stream"]) == (f"hub:{folder}", stream)


def test_a_folder_of_a_dataset_is_remembered_wherever_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ftervit_deploy.cli.train import located_data

    (tmp_path / "d").mkdir()
    monkeypatch.chdir(tmp_path)
    assert located_data("hub:d") == f"hub:{(tmp_path / 'd').resolve()}"
    assert located_data("hub:user/name") == "hub:user/name"


def test_a_damaged_photo_of_a_stream_is_named_once_and_teaches_nothing(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "d", {"train": 12, "validation": 3}, damaged=frozenset({4}))
    stream = _split(folder, stream=True, epoch_photos=12).stream
    opened = stream.opened(lambda source: np.asarray(source.load()).transpose(2, 0, 1), 1)
    for epoch in (1, 2, 3):
        batches = list(opened.epoch(EpochPlan(3, epoch, 6)))
        assert len(batches) == 2
        for batch in batches:
            brightest = batch.images.float().mean(dim=(2, 3)).argmax(dim=1)
            assert brightest.tolist() == batch.labels.tolist(), "every label is that of its own photo"
    assert len(opened.skipped) == 1


@pytest.mark.parametrize("stream", [False, True], ids=["downloaded", "streamed"])
def test_a_row_names_files_of_its_dataset_alone(stream: bool, tmp_path: Path) -> None:
    """A dataset may come from anywhere; what it names must not be any file of this disk, or never end."""
    folder = tmp_path / "d"
    secret = write_photos(tmp_path / "secret", classes=1, per_class=1) / "sign0" / "IMG_1.png"
    inside = write_photos(folder / "own", classes=1, per_class=1) / "sign0" / "IMG_1.png"
    os.mkfifo(folder / "pipe")
    (folder / "link.png").symlink_to(secret)
    kept = [str(inside), "own/sign0/IMG_1.png"]
    bad = [str(secret), "../secret/sign0/IMG_1.png", str(folder / "link.png"), str(folder / "pipe"),
           "/dev/zero", "nowhere.png", "a\0b", "hf://datasets/user/name/a.png"]  # fmt: skip
    write_rows(folder, 24, dict(enumerate([*kept, *bad])))
    split = _split(folder, stream=stream, epoch_photos=24 if stream else 0)
    found = [*split.validation, *split.train]
    if stream:
        opened = split.stream.opened(
            lambda source: np.asarray(source.load()).transpose(2, 0, 1)[:, :9, :9], 1
        )
        assert len(list(opened.epoch(EpochPlan(3, 1, 6)))) == 4
    photos = open_photos(found, lambda source: np.asarray(source.load())[:9, :9], 10**9, 1)
    skipped = {*photos.skipped, *(opened.skipped if stream else ())}
    assert len(skipped) == len(bad)
    for path in bad:
        assert any(path in said and " is no readable photo: " in said for said in skipped)


def test_methods_are_compared_on_a_stream(
    tiny_preset: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_dataset(tmp_path / "d", {"train": 24, "validation": 6, "test": 9})
    more = tmp_path / "more"
    more.mkdir()
    budget = ["--teacher-epochs", "1", "--epochs", "1", "--recovery-epochs", "1", "--batch-size", "8"]
    compare = ["compare", f"hub:{folder}", "--out", str(tmp_path / "out"), "--preset", tiny_preset, *budget]
    compare += ["--schemes", "ftervit", "--threads", "1", "--stream", "--epoch-photos", "16"]
    assert main([*compare, "--unlabelled", str(more)]) == 2
    assert "cannot join a stream" in capsys.readouterr().err
    assert main([*compare[:-3], "--unlabelled", str(more)]) == 2
    assert "holds no photos" in capsys.readouterr().err
    assert main([*compare, "--json"]) == 0
    results = json.loads(capsys.readouterr().out)
    assert results["photos"] == {"train": 16, "validation": 6, "test": 9, "guarded": 0}
    assert results["rows"][1]["recognised"]["photos"] == 9, "the test photos judge"


def test_methods_are_compared_on_a_dataset(
    tiny_preset: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_dataset(tmp_path / "d", {"train": 30, "test": 12}, damaged=frozenset({4}))
    table = datasets.Dataset.from_parquet(str(folder / "train-00000-of-00001.parquet"))
    both = table.add_column("other", table["kind"]).cast_column("other", table.features["kind"])
    both.to_parquet(folder / "train-00000-of-00001.parquet")
    (folder / "test-00000-of-00001.parquet").unlink()
    budget = ["--teacher-epochs", "1", "--epochs", "1", "--recovery-epochs", "1", "--batch-size", "8"]
    compare = ["compare", f"hub:{folder}", "--out", str(tmp_path / "out"), "--preset", tiny_preset, *budget]
    compare += ["--schemes", "ftervit", "--threads", "1", "--quiet"]
    assert main(compare) == 2
    assert "several columns of labels" in capsys.readouterr().err
    assert main([*compare, "--label-column", "kind", "--json"]) == 0
    results = json.loads(capsys.readouterr().out)
    assert results["photos"] == {"train": 24, "validation": 5, "test": 0, "guarded": 0}, "read, not listed"
    assert results["rows"][1]["engine_top1"] is not None


def _stream(folder: Path, processes: int = 1, first_step: int = 0) -> list[list[Any]]:
    """Labels and first pixels of the photos of every batch of an epoch, for each process."""
    stream = _split(folder, stream=True, epoch_photos=20).stream
    opened = stream.opened(lambda source: np.asarray(source.load()).transpose(2, 0, 1), 1)
    shares = [Share(rank, processes) for rank in range(processes)]
    plans = [EpochPlan(3, 1, 8, first_step, share) for share in shares]
    return [
        [(b.labels.tolist(), list(map(str, b.images[:, :, 0, :8].tolist()))) for b in opened.epoch(plan)]
        for plan in plans
    ]


def test_a_stream_repeats_itself_and_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "d", {"train": 16, "validation": 3})
    (epoch,) = _stream(folder)
    assert [len(labels) for labels, _ in epoch] == [8, 8, 4], "it starts again where it ends"
    assert [epoch] == _stream(folder)
    assert [epoch[2:]] == _stream(folder, first_step=2)


def test_processes_read_different_photos_of_a_stream(tmp_path: Path) -> None:
    first, second = _stream(write_dataset(tmp_path / "d", {"train": 24, "validation": 3}), processes=2)
    assert [len(labels) for labels, _ in first] == [4, 4, 2]
    seen = [{pixels for _, photos in epoch for pixels in photos} for epoch in (first, second)]
    assert len(seen[0]) == len(seen[1]) == 10
    assert not seen[0] & seen[1]


def test_datasets_that_cannot_serve_get_one_sentence(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "d", {"train": 12})
    with pytest.raises(DataError, match="no column 'photo', only picture, kind"):
        _split(folder, image_column="photo")
    with pytest.raises(DataError, match="no split `train`, only test"):
        _split(write_dataset(tmp_path / "e", {"test": 3}))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="cannot be opened"):
        _split(tmp_path / "empty")
    with pytest.raises(ConfigError, match="no file names"):
        split_dataset(HubData(str(folder)), SplitRule(4, 0.2, 0), (), 10**9)


def test_without_the_library_the_way_to_get_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(FtervitError, match=r'pip install "ftervit\[datasets\]"'):
        _split(tmp_path)


def _plain_folder(folder: Path, source: Path) -> Path:
    """The photos of `source`, without class folders."""
    folder.mkdir()
    for number, path in enumerate(sorted(source.rglob("*.png"))):
        (folder / f"{number}.png").write_bytes(path.read_bytes())
    return folder


def test_photos_without_labels_train_a_student(
    run: Run, photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    teacher = run("teacher", epochs=6)
    photos = _plain_folder(tmp_path / "plain", photo_folder)
    out = tmp_path / "unlabelled"
    sources = Sources(teacher=str(teacher.checkpoint))
    with pytest.raises(DataError, match="holds no class folders"):
        run("teacher", out=out, data=photos)
    student = run("training", out=out, data=photos, sources=sources, epochs=4, quiet=False)
    assert student.top1 is None
    assert student.agreement > 0.6
    assert "as the teacher" in capsys.readouterr().err
    lines = [json.loads(line) for line in (out / "training" / "log.jsonl").read_text().splitlines()]
    assert lines[0]["labels"] == ["sign0", "sign1", "sign2"]
    assert lines[1]["val_top1"] is None
    assert lines[-2]["val_divergence"] > 0
    assert run("recovery", out=out, data=photos, sources=sources, epochs=1).packed.exists()


def test_more_photos_join_those_with_labels(run: Run, photo_folder: Path, tmp_path: Path) -> None:
    run("teacher", epochs=1)
    more = _plain_folder(tmp_path / "more", photo_folder)
    run("training", epochs=1, memory={"unlabelled": str(more)})
    lines = (tmp_path / "run" / "training" / "log.jsonl").read_text().splitlines()
    configuration = json.loads(lines[0])
    counts = configuration["train_photos"], configuration["unlabelled_photos"]
    assert counts == (36 + 36, 36), "copies of the 12 photos that judge teach nothing"
    assert json.loads(lines[1])["val_top1"] is not None
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="holds no photos"):
        run("training", overwrite=True, memory={"unlabelled": str(tmp_path / "none")})


def test_photos_that_judge_do_not_come_back_without_labels(tmp_path: Path) -> None:
    write_photos(tmp_path / "data" / "train", per_class=8)
    write_photos(tmp_path / "data" / "test", per_class=3, seed=8)
    split = split_photos(tmp_path / "data", RULE)
    with pytest.raises(DataError, match="holds no photos but those of the split"):
        with_unlabelled(split, tmp_path / "data")
    fewer = with_unlabelled(replace(split, test=()), tmp_path / "data")
    taught = {photo.path for photo in fewer.train if photo.label == UNLABELLED}
    assert taught == {photo.path for photo in split.test}
    assert fewer.remarks == ("24 photos of data left out: the split has, or keeps out, the same.",)


def test_photos_that_border_validation_groups_do_not_come_back_without_labels(tmp_path: Path) -> None:
    folder = write_photos(tmp_path / "data", per_class=20)
    split = split_photos(folder, SplitRule(10, 0.2, 1))
    assert split.guarded
    more = tmp_path / "more"
    shutil.copytree(folder, more)
    Image.new("RGB", (32, 32)).save(more / "new.png")
    joined = with_unlabelled(split, more)
    kept_out = {photo.path.relative_to(folder) for photo in (*split.validation, *split.guarded)}
    taught = {photo.path.relative_to(more) for photo in joined.train if photo.label == UNLABELLED}
    assert taught == {path.relative_to(more) for path in find_photos(more)} - kept_out
    with pytest.raises(DataError, match="no photos but those of the split"):
        with_unlabelled(split, folder)


def test_photos_without_labels_need_a_teacher(run: Run, photo_folder: Path, tmp_path: Path) -> None:
    photos = _plain_folder(tmp_path / "plain", photo_folder)
    with pytest.raises(TrainError, match=r"need a teacher that exists\. Name one with --teacher"):
        run("training", data=photos)


@pytest.mark.parametrize("name", ["val", "validation"])
def test_an_imagenet_tree_is_taken_as_it_is(name: str, tmp_path: Path) -> None:
    write_photos(tmp_path / "train", per_class=4)
    write_photos(tmp_path / name, per_class=2)
    split = split_photos(tmp_path, RULE)
    assert (len(split.train), len(split.validation)) == (12, 6)


def test_a_photo_found_unreadable_late_is_replaced_and_named(photo_folder: Path) -> None:
    photos = split_photos(photo_folder, RULE).train
    missing = photos[5].path

    def decode(source: Any) -> np.ndarray:
        if source == missing:
            raise DataError(f"Photo {source} is gone.")
        return np.full((3, 4, 4), photos.index(next(p for p in photos if p.path == source)), np.uint8)

    opened = open_photos(photos, decode, 200, 1, check_all=False)
    assert opened.stored is None
    assert len(opened) == len(photos), "nobody looked at all of them"
    labels = {photo.path: photo.label for photo in photos}
    for batch in opened.epoch(EpochPlan(1, 1, 8)):
        numbers = batch.images[:, 0, 0, 0].tolist()
        assert 5 not in numbers
        assert batch.labels.tolist() == [labels[source_of(photos[number])] for number in numbers]
    assert opened.skipped == [f"Photo {missing} is gone."]


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("deit_base_patch16_384", (384, 16, 768, 12, 12, False)),
        ("timm/deit3_medium_patch16_224.fb_in22k_ft_in1k", (224, 16, 512, 12, 8, True)),
        ("deit3_huge_patch14_224", (224, 14, 1280, 32, 16, True)),
    ],
)
def test_names_of_timm_are_presets(name: str, shape: tuple[Any, ...]) -> None:
    a = architecture_named(name)
    assert (a.image_size, a.patch_size, a.width, a.depth, a.heads, a.layer_scale) == shape
    assert a.position_on_class_token is not a.layer_scale


def test_timm_and_our_presets_agree() -> None:
    assert architecture_named("deit_tiny_patch16_224") == PRESETS["deit_tiny_224"]
    assert architecture_named("deit3_small_patch16_384") == PRESETS["deit3_small_384"]


def test_a_teacher_by_the_name_of_timm_comes_from_its_repository(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert timm_repository("deit3_small_patch16_224.fb_in1k") == "timm/deit3_small_patch16_224.fb_in1k"
    assert timm_repository("signs") is None
    asked = []

    def download(repo: str, file: str, revision: Any, offline: bool) -> Any:
        asked.append((repo, file))
        raise FtervitError("The hub cannot be reached.")

    monkeypatch.setattr("ftervit_deploy.checkpoint.hub.download", download)
    with pytest.raises(FtervitError, match="cannot be reached"):
        run("training", sources=Sources(teacher="deit_tiny_patch16_224"))
    assert asked == [("timm/deit_tiny_patch16_224.fb_in1k", "model.safetensors")]


@pytest.mark.parametrize(
    ("name", "near"),
    [("mcu_mirco_64", "mcu_micro_64"), ("deit_smal_patch16_224", "deit_small_patch16_224")],
)
def test_an_unknown_preset_gets_the_nearest_names(name: str, near: str) -> None:
    with pytest.raises(ConfigError, match=f"Did you mean .*'{near}'"):
        architecture_named(name)
