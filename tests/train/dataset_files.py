"""Datasets as the hub has them, in files of a folder."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

datasets = pytest.importorskip("datasets", reason='install datasets: pip install "ftervit[datasets]"')

CLASSES = ("cup", "key", "pen")


def png(label: int, seed: int) -> bytes:
    """A photo, by its colour one of CLASSES."""
    pixels = np.random.default_rng(seed).integers(0, 80, (20, 24, 3))
    pixels[..., label] += 150
    content = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(content, "PNG")
    return content.getvalue()


def write_dataset(
    folder: Path, splits: dict[str, int], labelled: bool = True, damaged: frozenset[int] = frozenset()
) -> Path:
    """Parquet files as the hub has them: the photos of a split by its name, those in `damaged` unreadable."""
    folder.mkdir()
    for number, (name, count) in enumerate(splits.items()):
        labels = [index % len(CLASSES) for index in range(count)]
        photos = [
            {"bytes": b"no photo" if index in damaged else png(label, 1000 * number + index), "path": None}
            for index, label in enumerate(labels)
        ]
        features = {"picture": datasets.Image(), "kind": datasets.ClassLabel(names=list(CLASSES))}
        columns: dict[str, Any] = {"picture": photos, "kind": labels}
        if not labelled:
            del features["kind"], columns["kind"]
        table = datasets.Dataset.from_dict(columns, features=datasets.Features(features))
        table.to_parquet(folder / f"{name}-00000-of-00001.parquet")
    return folder


def write_rows(folder: Path, count: int, paths: Mapping[int, str], names: Sequence[str] = CLASSES) -> Path:
    """A Parquet file of `count` photos, those in `paths` as names of files, without a copy of them."""
    import pyarrow
    from pyarrow.parquet import write_table

    labels = [index % len(names) for index in range(count)]
    photos = [
        {"bytes": None if index in paths else png(label, index), "path": paths.get(index)}
        for index, label in enumerate(labels)
    ]
    features = {"picture": datasets.Image(), "kind": datasets.ClassLabel(names=list(names))}
    schema = datasets.Features(features).arrow_schema
    columns = {"picture": photos, "kind": labels}
    folder.mkdir(exist_ok=True)
    write_table(pyarrow.Table.from_pydict(columns, schema), folder / "train-00000-of-00001.parquet")
    return folder


def keep_cache_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `datasets` reads, and leaves behind, is this test's own."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", folder)
    monkeypatch.setattr(datasets.config, "SLEEP_TIME_ON_THREADS_SHUTDOWN", 0, raising=False)
