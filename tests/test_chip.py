"""The ESP32-S3's own kernels on this computer: a whole model in them, and the cycles that are reported."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator

import numpy as np
import pytest
from engine_cases import ODD, noise, preset_model
from folding_models import folded_model

from ftervit_deploy import cstructs as c
from ftervit_deploy.architecture import PRESETS
from ftervit_deploy.chip import ChipCycles, ChipKernels
from ftervit_deploy.engine import _Options, load_library
from ftervit_deploy.folding import BLOCK, OUTPUTS_MIN
from ftervit_deploy.image import write_image
from ftervit_deploy.lower import IntegerModel, lower
from ftervit_deploy.plan import (
    AttendCall,
    EmbedCall,
    LayerCall,
    NormCall,
    PatchCall,
    QkvCall,
    QuantiseCall,
)  # fmt: skip
from ftervit_deploy.reference import forward
from synthetic import random_graph

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def chip() -> Iterator[ChipKernels]:
    kernels = ChipKernels()
    yield kernels
    kernels.close()


@pytest.fixture(scope="module")
def cycles() -> ChipCycles:
    return ChipCycles("t2")


def logits_of(chip: ChipKernels, model: IntegerModel, encoding: str, pixels: np.ndarray) -> np.ndarray:
    """A whole pass of the C engine with the chip's kernels."""
    chip.forget()
    library = load_library()
    image = chip.put(np.frombuffer(write_image(model, encoding), np.uint8))
    opened = ctypes.create_string_buffer(library.ftv_model_bytes())
    assert library.ftv_open(opened, image.ctypes.data, image.size) == 0
    options = _Options(ctypes.addressof(chip.kernels), None)
    arena = chip.room((library.ftv_arena_bytes(opened, ctypes.byref(options)),), np.uint8)
    picture = chip.put(pixels)
    logits = np.empty(model.architecture.classes, np.int32)
    status = library.ftv_run(
        opened, ctypes.byref(options), picture.ctypes.data, logits.ctypes.data, arena.ctypes.data, arena.size
    )
    chip.check()
    assert status == 0
    return logits


@pytest.mark.parametrize("encoding", ["t2", "t5"])
def test_a_whole_model_in_the_chips_kernels_gives_the_definitions_logits(
    chip: ChipKernels, encoding: str
) -> None:
    model = preset_model("mcu_nano_64")
    pixels = noise(model.architecture, 5)
    np.testing.assert_array_equal(logits_of(chip, model, encoding, pixels), forward(model, pixels[None])[0])


@pytest.mark.parametrize("shape", ODD)
def test_shapes_that_the_vector_unit_does_not_take_are_exact_all_the_same(
    chip: ChipKernels, shape: str
) -> None:
    model, pixels = lower(random_graph(ODD[shape], 6)), noise(ODD[shape], 6)
    np.testing.assert_array_equal(logits_of(chip, model, "t2", pixels), forward(model, pixels[None])[0])


@pytest.mark.parametrize("encoding", ["t2", "t5"])
def test_a_model_that_leaves_out_channels_is_exact_too(chip: ChipKernels, encoding: str) -> None:
    model = folded_model()
    pixels = noise(model.architecture, 7)
    np.testing.assert_array_equal(logits_of(chip, model, encoding, pixels), forward(model, pixels[None])[0])


@pytest.mark.parametrize("output", ["store", "add", "activate"])
def test_cycles_of_many_follow_from_those_of_few(cycles: ChipCycles, output: str) -> None:
    call = LayerCall(3, 192, 40, output, output == "add")  # type: ignore[arg-type]
    assert cycles.of(call) == pytest.approx(cycles.layer(call), rel=0.02)


def test_every_kind_of_call_runs_on_the_vector_unit(cycles: ChipCycles) -> None:
    for call in (
        LayerCall(1, 64, 2, "store", False), QkvCall("v", 64, 16, 32, False), AttendCall(17, 2, 32),
        NormCall(2, 64), QuantiseCall(2, 64), PatchCall(2, 8), EmbedCall(2, 64),
    ):  # fmt: skip
        assert cycles.assembly(call) > 0, call


def test_leaving_out_channels_pays(cycles: ChipCycles) -> None:
    """A block of them, by what it takes and what the smallest matrix that is folded gains."""
    rows = 32
    cost = cycles.of(NormCall(rows, 384, BLOCK)) - cycles.of(NormCall(rows, 384))
    tiles = OUTPUTS_MIN // 16
    wide, narrow = (LayerCall(tiles, inputs, rows, "activate", False) for inputs in (384, 384 - BLOCK))
    assert 0 < cost < 1.1 * (cycles.of(wide) - cycles.of(narrow))


def test_the_papers_layer_within_its_budget(cycles: ChipCycles) -> None:
    """DeiT-Tiny's FC1, 197 x 192 x 768: published 804 ms; 11 ms on one core of 240 MHz, 5.5 on two."""
    assert cycles.of(LayerCall(48, 192, 197, "store", False)) <= 11e-3 * 240e6
    assert cycles.of(LayerCall(24, 192, 197, "store", False)) <= 5.5e-3 * 240e6


def test_rough_cycles_are_rounded_from_the_model(cycles: ChipCycles) -> None:
    from ftervit_deploy.plan.vector import VECTOR

    a = PRESETS["deit_small_224"]
    for call in (
        LayerCall(12, a.width, 40, "add", True), LayerCall(48, a.width, 40, "activate", False),
        LayerCall(12, a.hidden, 40, "add", True), QkvCall("k", a.width, 112, a.head_dim, False),
        AttendCall(a.tokens, 99, a.head_dim),
    ):  # fmt: skip
        assert VECTOR.of(call) == pytest.approx(cycles.of(call), rel=0.25), call


def test_a_job_of_another_length_would_be_seen() -> None:
    """The structs of cstructs.py are as long as those of ftv.h on this machine."""
    pointers = ctypes.sizeof(ctypes.c_void_p)
    assert ctypes.sizeof(c.Kernels) == 15 * pointers + 2 * 4
