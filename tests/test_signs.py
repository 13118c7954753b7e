"""The bundled demonstration keeps what the README says of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ftervit_deploy import reference
from ftervit_deploy.checkpoint import read_checkpoint
from ftervit_deploy.engine import Engine
from ftervit_deploy.evaluate import agreement, logit_cosine
from ftervit_deploy.graph import build_graph
from ftervit_deploy.image import read_image, write_image
from ftervit_deploy.lower import lower
from ftervit_deploy.photos import labelled_photos, load_photo, preprocess
from ftervit_deploy.resources import signs_folder

SIGNS = signs_folder()
FEW_HUNDRED_KB = 500_000


def _pixels() -> np.ndarray:
    model = read_image((SIGNS / "signs.ftv").read_bytes())
    _, photos = labelled_photos(SIGNS / "photos")
    size = model.architecture.image_size
    return np.stack([preprocess(load_photo(p.path), size, model.preprocessing) for p in photos])


def _top1(phase: str) -> float:
    lines = (SIGNS / "log" / f"{phase}.jsonl").read_text().splitlines()
    epochs = [record for record in map(json.loads, lines) if record["kind"] == "epoch"]
    return max(record["val_top1"] for record in epochs)


def test_the_bundled_image_is_what_pack_makes_of_the_bundled_checkpoint() -> None:
    fresh = write_image(lower(build_graph(read_checkpoint("signs"))), "t2")
    assert fresh == (SIGNS / "signs.ftv").read_bytes()


def test_engine_and_numpy_definition_give_the_same_logits_on_the_photos() -> None:
    pixels = _pixels()
    with Engine(SIGNS / "signs.ftv") as engine:
        ours = engine.logits(pixels)
    truth = reference.forward(read_image((SIGNS / "signs.ftv").read_bytes()), pixels)
    np.testing.assert_array_equal(ours, truth)


def test_engine_agrees_with_the_pytorch_student_on_the_photos() -> None:
    pytest.importorskip("torch", reason="install ftervit[train]")
    from ftervit_deploy.train.evaluate import student_logits

    pixels = _pixels()
    with Engine(SIGNS / "signs.ftv") as engine:
        ours = engine.logits(pixels)
    theirs = student_logits(read_checkpoint("signs"), pixels)
    assert agreement(ours, theirs) == 1.0
    assert logit_cosine(ours, theirs) > 0.999


def test_the_sample_photos_are_recognised() -> None:
    _, photos = labelled_photos(SIGNS / "photos")
    with Engine(SIGNS / "signs.ftv") as engine:
        predicted = engine.logits(_pixels()).argmax(axis=1)
    assert len(photos) == 12
    assert [photo.label for photo in photos] == predicted.tolist()


def test_the_logged_accuracies_meet_the_aims() -> None:
    engine = json.loads((SIGNS / "log" / "eval.json").read_text())
    assert _top1("teacher") >= 0.97
    assert _top1("recovery") >= _top1("teacher") - 0.01
    assert abs(engine["top1"] - engine["against_top1"]) <= 0.002
    assert engine["agreement"] >= 0.995
    assert engine["logit_cosine"] >= 0.999


def test_sample_photos_were_not_trained_on() -> None:
    split = json.loads((SIGNS / "log" / "split.json").read_text())
    shown = {f"{path.parent.name}/{path.stem}" for path in (SIGNS / "photos").glob("*/*.jpg")}
    assert shown <= {str(Path(name).with_suffix("")) for name in split["validation"]}
    assert not set(split["validation"]) & set(split["train"])


def test_checkpoint_and_image_are_a_few_hundred_kilobytes() -> None:
    files = [SIGNS / "student.safetensors", SIGNS / "signs.ftv"]
    assert sum(path.stat().st_size for path in files) < FEW_HUNDRED_KB
