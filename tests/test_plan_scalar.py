"""The planner knows what the scalar kernels need."""

from __future__ import annotations

import ctypes
from ctypes import CFUNCTYPE, c_size_t, c_uint32, c_void_p

import pytest
from engine_cases import ODD, preset_model

from ftervit_deploy.engine import Engine
from ftervit_deploy.image import write_image
from ftervit_deploy.lower import IntegerModel, lower
from ftervit_deploy.plan.scalar import scalar_kernels
from synthetic import random_graph

NAMES = (
    "name", "linear_scratch_bytes", "linear_s8t2", "linear_s8t5", "scores_s8s8", "mix_s16s8",
    "layer", "qkv", "attend", "norm", "quantise", "scratch_bytes",
)  # fmt: skip


class Kernels(ctypes.Structure):
    """ftv_kernels."""

    _fields_ = (*((name, c_void_p) for name in NAMES), ("value_bytes", c_uint32), ("tiles", c_uint32))


def check(model: IntegerModel, encoding: str) -> None:
    a, planned = model.architecture, scalar_kernels(model.architecture, encoding)
    with Engine(write_image(model, encoding), threads=1, kernels="scalar") as engine:
        kernels = Kernels.in_dll(engine._library, "ftv_kernels_scalar")
        assert planned.steps == CFUNCTYPE(c_size_t, c_void_p)(kernels.scratch_bytes)(
            ctypes.addressof(engine._model)
        )
        linear = CFUNCTYPE(c_size_t, c_uint32)(kernels.linear_scratch_bytes)
        assert planned.linear == linear(max(a.width, a.hidden, a.patch_values))
        steps = {name for name in ("layer", "qkv", "attend", "norm") if getattr(kernels, name)}
        assert planned.owns == steps
        assert planned.value_bytes == max(1, kernels.value_bytes)


@pytest.mark.parametrize("encoding", ["t2", "t5"])
@pytest.mark.parametrize("name", ["mcu_nano_64", "mcu_small_96", "deit_tiny_224", "deit_small_224"])
def test_scratch_of_presets(name: str, encoding: str) -> None:
    check(preset_model(name), encoding)


@pytest.mark.parametrize("number", range(len(ODD)), ids=list(ODD))
def test_scratch_of_odd_shapes(number: int) -> None:
    check(lower(random_graph(list(ODD.values())[number], 4)), ("t2", "t5")[number % 2])
