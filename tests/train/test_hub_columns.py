"""Columns of a dataset: which hold photos and classes, and labels that are none of its classes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dataset_files import CLASSES, keep_cache_in, write_dataset

torch = pytest.importorskip("torch", reason='install PyTorch: pip install "ftervit[train]"')
datasets = pytest.importorskip("datasets", reason='install datasets: pip install "ftervit[datasets]"')

from ftervit_deploy.cli import main  # noqa: E402
from ftervit_deploy.errors import DataError, TrainError  # noqa: E402
from ftervit_deploy.train.data import SplitRule  # noqa: E402
from ftervit_deploy.train.hubdata import HubData, split_dataset  # noqa: E402
from ftervit_deploy.train.photosets import UNLABELLED, EpochPlan  # noqa: E402


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_cache_in(tmp_path / "cache", monkeypatch)


def _no_teacher() -> Sequence[str]:
    raise TrainError("Photos without labels need a teacher that exists.", "Name one with --teacher.")


def _split(folder: Path, **how: Any) -> Any:
    return split_dataset(HubData(str(folder), **how), SplitRule(0, 0.25, 1), _no_teacher, 10**9)


def _with_column(folder: Path, name: str, values: Sequence[object], without: str = "") -> Path:
    """The dataset with one more column, and maybe without another."""
    path = write_dataset(folder, {"train": len(values)}) / "train-00000-of-00001.parquet"
    table = datasets.Dataset.from_parquet(str(path))
    if without:
        table = table.remove_columns(without)
    feature = datasets.Value("string") if values[0] is None else None
    table.add_column(name, list(values), feature=feature).to_parquet(path)
    return folder


def _relabelled(folder: Path, label: int) -> Path:
    """24 photos, the last of which has another label than its column can name."""
    path = write_dataset(folder, {"train": 24, "validation": 3}) / "train-00000-of-00001.parquet"
    table = datasets.Dataset.from_parquet(str(path)).to_dict()
    import pyarrow
    from pyarrow.parquet import write_table

    features = datasets.Features(picture=datasets.Image(), kind=datasets.ClassLabel(names=list(CLASSES)))
    table["kind"][-1] = label
    write_table(pyarrow.Table.from_pydict(table, features.arrow_schema), path)
    return folder


@pytest.mark.parametrize("label", [3, 99, -7])
@pytest.mark.parametrize("stream", [False, True], ids=["downloaded", "streamed"])
def test_a_label_that_is_no_class_is_named(stream: bool, label: int, tmp_path: Path) -> None:
    folder = _relabelled(tmp_path / "d", label)
    with pytest.raises(DataError, match=f"d train.* has the label {label}, and there are 3 classes"):
        split = _split(folder, stream=stream, epoch_photos=24 if stream else 0)
        opened = split.stream.opened(lambda source: np.zeros((3, 4, 4), np.uint8), 1)
        list(opened.epoch(EpochPlan(3, 1, 6)))


def test_minus_one_is_no_label(tmp_path: Path) -> None:
    assert _split(_relabelled(tmp_path / "d", -1)).train[-1].label == UNLABELLED


@pytest.mark.parametrize(
    ("chosen", "sentence"),
    [
        ({"image_column": "kind"}, "Column kind of .* holds no images. Name another --image-column"),
        ({"image_column": "more"}, "Column more of .* holds no images"),
        ({"label_column": "picture"}, "Column picture of .* holds no classes. Name another --label-column"),
        ({"label_column": "more"}, "Column more of .* holds no classes"),
    ],
)
def test_a_column_that_cannot_serve_is_named(chosen: dict[str, str], sentence: str, tmp_path: Path) -> None:
    folder = _with_column(tmp_path / "d", "more", [0.5] * 12)
    with pytest.raises(DataError, match=sentence):
        _split(folder, **chosen)


def test_words_are_classes_and_null_is_no_label(tmp_path: Path) -> None:
    words = [None, *(["None", "pen"] * 12)][:24]
    split = _split(_with_column(tmp_path / "d", "word", words), label_column="word")
    assert split.labels == ("None", "pen")
    labels = {photo.name.split()[-1]: photo.label for photo in (*split.train, *split.validation)}
    assert [labels[number] for number in ("0", "1", "2")] == [UNLABELLED, 0, 1]
    empty = _with_column(tmp_path / "e", "word", [None] * 12)
    with pytest.raises(DataError, match=r"Column word of .* is empty"):
        _split(empty, label_column="word")


def test_columns_that_may_hold_the_classes_are_proposed(
    tiny_preset: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = _with_column(tmp_path / "d", "word", ["cup", "pen"] * 6, without="kind")
    run = ["train", f"hub:{folder}", "--phase", "teacher", "--preset", tiny_preset]
    assert main([*run, "--out", str(tmp_path / "run")]) == 2
    told = capsys.readouterr().err
    assert "does not say which column has its classes" in told
    assert "--label-column (word)" in told


def test_a_comparison_keeps_the_hub_client_quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_VERBOSITY", "info")
    monkeypatch.delenv("HF_HUB_VERBOSITY")
    assert main(["compare", str(tmp_path / "nowhere"), "--out", str(tmp_path / "out")]) == 2
    assert os.environ["HF_HUB_VERBOSITY"] == "error"
