"""What the planner knows of memory is what the C functions say."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from engine_cases import ODD
from projects import board_named, scalar

from ftervit_deploy.architecture import PRESETS, Architecture
from ftervit_deploy.cstructs import Kernels
from ftervit_deploy.engine import load_library
from ftervit_deploy.image import write_image
from ftervit_deploy.lower import lower
from ftervit_deploy.plan import KernelSet, Tiling, buffers_of, kernels_of
from synthetic import random_graph

BUFFERS, MEMORIES = 10, 3
SETS = ("ftv_kernels_esp32s3", "ftv_kernels_scalar")
"""What boards with and without the vector unit have."""
SHALLOW = {name: Architecture(**{**vars(a), "depth": 1}) for name, a in PRESETS.items()}
SHAPES = {**SHALLOW, **ODD}


class _Plan(ctypes.Structure):
    """ftv_plan."""

    _fields_ = (
        ("places", ctypes.c_uint32 * (3 * BUFFERS)), ("bytes", ctypes.c_uint32 * MEMORIES),
        ("workers", ctypes.c_uint32), ("group", ctypes.c_uint32), ("teams", ctypes.c_uint32),
        ("wave", ctypes.c_uint32), ("window", ctypes.c_uint32), ("resident", ctypes.c_uint32),
    )  # fmt: skip


class _Opened:
    """An image of this shape in the C engine."""

    def __init__(self, a: Architecture, encoding: str) -> None:
        self.library = load_library()
        content = write_image(lower(random_graph(a, 1)), encoding)
        memory = np.zeros(len(content) + 64, np.uint8)
        start = -memory.ctypes.data % 64
        self._image = memory[start : start + len(content)]
        self._image[:] = np.frombuffer(content, np.uint8)
        self.model = ctypes.create_string_buffer(self.library.ftv_model_bytes())
        assert self.library.ftv_open(self.model, ctypes.c_void_p(self._image.ctypes.data), len(content)) == 0

    def scratch(self, kernels: Kernels) -> int:
        function = ctypes.CFUNCTYPE(ctypes.c_size_t, ctypes.c_void_p)(kernels.scratch_bytes)
        return int(function(ctypes.addressof(self.model)))

    def needs(self, kernels: Kernels, tiling: Tiling) -> list[int]:
        """Bytes of every buffer."""
        parallel = (ctypes.c_uint64 * 3)(0, 0, tiling.workers)
        options = (ctypes.c_uint64 * 9)(ctypes.addressof(kernels), ctypes.addressof(parallel))
        plan = _Plan(
            workers=tiling.workers, group=tiling.group, teams=1, wave=tiling.wave, window=int(tiling.window),
            resident=tiling.resident,
        )  # fmt: skip
        found = (ctypes.c_uint32 * BUFFERS)()
        self.library.ftv_plan_needs(found, self.model, ctypes.byref(options), ctypes.byref(plan))
        return list(found)


def planned(kernels: Kernels, a: Architecture, encoding: str) -> KernelSet:
    """The set of a board whose chip has these kernels."""
    board = board_named("esp32s3-eye")
    board = scalar(board) if kernels.name == b"scalar" else board
    return kernels_of(board.chip, a, encoding)


@pytest.fixture(scope="module", params=SETS)
def own(request: pytest.FixtureRequest) -> Kernels:
    library = load_library()
    if not hasattr(library, request.param):
        pytest.skip("no vector kernels in the engine: build it with GCC or Clang")
    return Kernels.in_dll(library, request.param)


@pytest.mark.parametrize("encoding", ["t2", "t5"])
@pytest.mark.parametrize("name", SHAPES)
def test_kernels_need_what_the_planner_says(own: Kernels, name: str, encoding: str) -> None:
    a = SHAPES[name]
    kernels, opened = planned(own, a, encoding), _Opened(a, encoding)
    inputs = max(a.patch_values, a.width, a.hidden)
    assert kernels.name.encode() == own.name
    assert kernels.linear == own.linear_scratch_bytes(inputs)
    assert kernels.steps == opened.scratch(own)
    assert kernels.value_bytes == max(own.value_bytes, 1)
    steps = {"layer": own.layer, "qkv": own.qkv or own.parts, "attend": own.attend, "norm": own.norm}
    assert kernels.owns == {name for name, function in steps.items() if function}


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("name", SHAPES)
def test_every_buffer_has_the_bytes_that_a_pass_needs(own: Kernels, name: str, workers: int) -> None:
    """Scratch may have more, for the kernels that firmware falls back to."""
    a = SHAPES[name]
    kernels, opened = planned(own, a, "t2"), _Opened(a, "t2")
    reference = Kernels.in_dll(opened.library, "ftv_kernels_ref")
    third = -(-a.tokens // 3)
    for tiling in (Tiling(workers, a.tokens, a.heads, False), Tiling(workers, third, 1, True, third)):
        scratch, *others = (buffer.bytes for buffer in buffers_of(a, kernels, tiling))
        needed, *rest = opened.needs(own, tiling)
        assert others == rest
        assert scratch >= needed
        fallback, *rest = opened.needs(reference, tiling)
        assert scratch == max(needed, fallback)
        assert all(have >= need for have, need in zip(others, rest, strict=True))
