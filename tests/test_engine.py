"""The C engine equals NUMERICS.md's NumPy definition to the last bit, at every site of every layer."""

from __future__ import annotations

import multiprocessing
import threading
from pathlib import Path

import numpy as np
import pytest
from engine_cases import (
    ODD,
    PRESET_DEPTHS,
    assert_same,
    constant,
    extreme_models,
    hostile_model,
    noise,
    preset_model,
    reference_trace,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from image_models import TINY, random_model

from ftervit_deploy.architecture import Preprocessing
from ftervit_deploy.engine import Engine, available_kernels
from ftervit_deploy.errors import EngineError, ImageFormatError
from ftervit_deploy.image import write_image
from ftervit_deploy.lower import IntegerModel, lower
from ftervit_deploy.reference import forward
from synthetic import random_graph

ENCODINGS = ("t2", "t5")
KERNELS = available_kernels()
FAST = [name for name in KERNELS if name != "ref"]
EXTREMES = dict(extreme_models())
SLOW_FOR_REF = {"deit_small_224", "deit3_small_224", "deit3_small_384"}


def _check(model: IntegerModel, pixels: np.ndarray, kernels: str, threads: tuple[int, ...]) -> None:
    expected = reference_trace(model, pixels)
    for encoding in ENCODINGS:
        data = write_image(model, encoding)
        for count in threads:
            with Engine(data, threads=count, kernels=kernels) as engine:
                assert_same(engine.trace(pixels), expected)


@pytest.mark.parametrize("kernels", FAST)
@pytest.mark.parametrize("preset", PRESET_DEPTHS)
def test_every_preset_equals_the_definition(preset: str, kernels: str) -> None:
    model = preset_model(preset)
    few = (1, 2, 3) if preset.startswith("mcu") else (2,)
    _check(model, noise(model.architecture), kernels, few)


@pytest.mark.parametrize("preset", [name for name in PRESET_DEPTHS if name not in SLOW_FOR_REF])
def test_every_preset_equals_the_definition_with_the_plain_kernels(preset: str) -> None:
    model = preset_model(preset)
    _check(model, noise(model.architecture, 1), "ref", (2,))


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("shape", ODD)
def test_odd_shapes_equal_the_definition(shape: str, kernels: str) -> None:
    architecture = ODD[shape]
    _check(lower(random_graph(architecture, 1)), noise(architecture), kernels, (1, 3))
    _check(random_model(architecture, 2), noise(architecture, 2), kernels, (2,))


@pytest.mark.parametrize("case", EXTREMES)
def test_operands_at_the_ends_of_their_ranges_equal_the_definition(case: str) -> None:
    for kernels in KERNELS:
        _check(EXTREMES[case], noise(EXTREMES[case].architecture), kernels, (2,))


@pytest.mark.parametrize("value", [0, 128, 255])
def test_images_of_one_colour_equal_the_definition(value: int) -> None:
    model = preset_model("mcu_nano_64")
    for kernels in FAST:
        _check(model, constant(model.architecture, value), kernels, (1,))


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_any_numbers_that_an_image_may_hold_equal_the_definition(seed: int) -> None:
    model = hostile_model(seed)
    for kernels in FAST:
        _check(model, noise(model.architecture, seed), kernels, (1 + seed % 3,))


def test_a_batch_gives_each_image_its_own_logits() -> None:
    model = preset_model("mcu_nano_64")
    batch = np.stack([noise(model.architecture, seed) for seed in (1, 2, 1)])
    with Engine(write_image(model)) as engine:
        logits = engine.logits(batch)
        assert logits.dtype == np.int32
        np.testing.assert_array_equal(logits, forward(model, batch))
        assert engine.logits(batch[:0]).shape == (0, 10)


@pytest.mark.parametrize("kernels", FAST)
def test_a_batch_shared_out_among_threads_gives_the_same_logits(kernels: str) -> None:
    model = preset_model("mcu_nano_64")
    batch = np.stack([noise(model.architecture, seed) for seed in range(7)])
    expected = forward(model, batch)
    for threads in (1, 2, 3, 8):
        with Engine(write_image(model), threads=threads, kernels=kernels) as engine:
            for images in (7, 2, 1):
                np.testing.assert_array_equal(engine.logits(batch[:images]), expected[:images])


def test_the_fastest_kernels_are_the_default() -> None:
    data = write_image(random_model(TINY))
    assert KERNELS[-3:] == ("portable", "scalar", "ref")
    with Engine(data) as engine:
        assert engine.kernels == KERNELS[0]
    with Engine(data, kernels="ref") as engine:
        assert engine.kernels == "ref"


def test_pixels_need_not_lie_side_by_side() -> None:
    model = random_model(TINY)
    pixels = noise(model.architecture)
    with Engine(write_image(model)) as engine:
        mirrored = engine.logits(pixels[None, :, ::-1])
        np.testing.assert_array_equal(mirrored, forward(model, pixels[None, :, ::-1]))


def test_the_engine_knows_the_model(tmp_path: Path) -> None:
    model = random_model(TINY)
    path = tmp_path / "model.ftv"
    path.write_bytes(write_image(model))
    with Engine(path) as engine:
        assert engine.architecture == TINY
        assert engine.preprocessing == Preprocessing(crop_fraction=0.9)
        assert engine.labels == model.labels


def test_several_threads_may_share_an_engine() -> None:
    model = preset_model("mcu_nano_64")
    batches = [noise(model.architecture, seed)[None] for seed in range(4)]
    expected = [forward(model, batch) for batch in batches]
    wrong: list[int] = []
    with Engine(write_image(model), threads=2) as engine:

        def repeat(index: int) -> None:
            for _ in range(10):
                if not np.array_equal(engine.logits(batches[index]), expected[index]):
                    wrong.append(index)

        callers = [threading.Thread(target=repeat, args=(index,)) for index in range(4)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
    assert not wrong


def _run_in_child(engine: Engine, pixels: np.ndarray, results: multiprocessing.SimpleQueue) -> None:
    results.put(engine.logits(pixels))


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="hardware: this system cannot fork"
)
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_an_engine_survives_a_fork() -> None:
    model = random_model(TINY)
    pixels = noise(model.architecture)[None]
    context = multiprocessing.get_context("fork")
    with Engine(write_image(model), threads=2) as engine:
        expected = engine.logits(pixels)
        results = context.SimpleQueue()
        child = context.Process(target=_run_in_child, args=(engine, pixels, results))
        child.start()
        np.testing.assert_array_equal(results.get(), expected)
        child.join()


# ---- what bad input gets ----


def test_a_damaged_image_is_refused_by_name() -> None:
    data = bytearray(write_image(random_model(TINY)))
    data[500] ^= 1
    with pytest.raises(ImageFormatError) as caught:
        Engine(bytes(data))
    assert caught.value.code == "FTV_ERR_HASH"


@pytest.mark.parametrize("size", [0, 10, 200])
def test_a_cut_image_is_refused_by_name(tmp_path: Path, size: int) -> None:
    path = tmp_path / "cut.ftv"
    path.write_bytes(write_image(random_model(TINY))[:size])
    for image in (path, path.read_bytes()):
        with pytest.raises(ImageFormatError) as caught:
            Engine(image)
        assert caught.value.code == "FTV_ERR_TRUNCATED"


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"no image .*nowhere\.ftv"):
        Engine(tmp_path / "nowhere.ftv")


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((6, 6, 3), np.uint8),
        np.zeros((1, 6, 7, 3), np.uint8),
        np.zeros((1, 6, 6, 4), np.uint8),
        np.zeros((1, 6, 6, 3), np.float32),
    ],
    ids=["no batch", "not square", "four colours", "floats"],
)
def test_other_pixels_are_refused(pixels: np.ndarray) -> None:
    with Engine(write_image(random_model(TINY))) as engine, pytest.raises(EngineError, match="6, 6, 3"):
        engine.logits(pixels)


def test_impossible_settings_are_refused() -> None:
    data = write_image(random_model(TINY))
    with pytest.raises(EngineError, match="-1 threads"):
        Engine(data, threads=-1)
    with pytest.raises(EngineError, match="no kernels 'fast'"):
        Engine(data, kernels="fast")
    engine = Engine(data, threads=1000)
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        engine.logits(noise(TINY)[None])
