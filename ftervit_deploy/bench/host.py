"""A layer on this computer: float32 and int8 products beside whole ternary steps."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import byref, c_void_p
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..chip import MadeUpModel
from ..cstructs import DenseJob, Parallel
from ..engine import available_kernels, kernels_address, load_library, thread_pool
from ..image.layout import TILE, round_up
from .cases import Case
from .rows import PRODUCT, STEP, Arithmetic, Row
from .timing import ROUNDS, median_seconds

Array = npt.NDArray[np.generic]
DEFINITION = "ref"
"""The set that is written for reading."""
_ALIGN = 64
INT8, FP32 = 0, 1
"""ftv_dense."""


@dataclass(frozen=True)
class Contestant:
    """Something to time: `run` does the layer once."""

    kernel: str
    arithmetic: Arithmetic
    does: str
    run: Callable[[], object]


class HostMemory:
    """Arrays that begin where a cache line does."""

    def __init__(self) -> None:
        self._kept: list[Array] = []

    def put(self, array: Array) -> Array:
        """A copy of the array."""
        placed = self.room(array.shape, array.dtype)
        placed[...] = array
        return placed

    def room(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array:
        """An array of zeros."""
        kind = np.dtype(dtype)
        size = int(np.prod(shape)) * kind.itemsize
        memory = np.zeros(size + _ALIGN, np.uint8)
        start = -memory.ctypes.data % _ALIGN
        placed = memory[start : start + size].view(kind).reshape(shape)
        self._kept.append(placed)
        return placed


def bench_host(case: Case, encoding: Arithmetic, threads: int = 1, rounds: int = ROUNDS) -> list[Row]:
    """Medians of all kernels that this CPU can run, FP32 first.

    Args:
        encoding: ``t2`` or ``t5``.
        threads: that share the layer; NumPy has as many only if the environment said so when it was loaded.

    Raises:
        EngineError: the engine is not built, or the computer cannot start so many threads.
    """
    with thread_pool(threads) as pool:
        int8 = Contestant("INT8, plain C", "int8", PRODUCT, DenseProduct(case, INT8, pool))
        contestants = [numpy_product(case), int8, *ternary_steps(case, encoding, pool)]
        seconds = median_seconds([contestant.run for contestant in contestants], rounds)
    return [
        Row(c.kernel, c.arithmetic, c.does, taken, "measured", threads, None, case.tokens)
        for c, taken in zip(contestants, seconds, strict=True)
    ]


def numpy_product(case: Case) -> Contestant:
    """Float32 by the BLAS that NumPy brings."""
    random = np.random.default_rng(0)
    x = random.standard_normal((case.tokens, case.inputs), np.float32)
    weights = random.standard_normal((case.inputs, case.channels), np.float32)
    out = np.empty((case.tokens, case.channels), np.float32)
    return Contestant(f"FP32, NumPy ({_blas()})", "fp32", PRODUCT, lambda: np.matmul(x, weights, out=out))


def _blas() -> str:
    try:
        config = np.show_config(mode="dicts")
        return str(config["Build Dependencies"]["blas"]["name"])
    except (KeyError, TypeError):
        return "its BLAS"


class DenseProduct:
    """A layer's product in plain C (c_runtime/app/ftv_dense.c); call it.

    Args:
        kind: INT8 or FP32.
        pool: address of an `ftv_parallel`.

    Attributes:
        x: [tokens, inputs].
        weights: [channels, inputs].
    """

    def __init__(self, case: Case, kind: int, pool: int) -> None:
        library, memory, random = load_library(), HostMemory(), np.random.default_rng(0)
        dtype = np.dtype(np.float32 if kind == FP32 else np.int8)
        stride, row = round_up(case.inputs, TILE), int(library.ftv_dense_row(case.inputs))
        self.x = random.integers(-127, 128, (case.tokens, case.inputs)).astype(dtype)
        self.weights = random.integers(-127, 128, (case.tiles * TILE, case.inputs)).astype(dtype)
        x = memory.room((case.tokens, stride), dtype)
        x[:, : case.inputs] = self.x
        tiled = self.weights.reshape(case.tiles, TILE, case.inputs)
        if kind == FP32:
            weights = memory.put(tiled.transpose(0, 2, 1))
        else:
            weights = memory.room((case.tiles, TILE, row), dtype)
            weights[..., : case.inputs] = tiled
        self._sums = memory.room((case.tiles, case.tokens, TILE), np.float32 if kind == FP32 else np.int32)
        parallel = Parallel.from_address(pool)
        scratch = memory.room((parallel.workers * int(library.ftv_dense_bytes(case.inputs)),), np.uint8)
        self._job = DenseJob(
            kind, case.tokens, case.inputs, stride, x.ctypes.data, weights.ctypes.data,
            self._sums.ctypes.data, scratch.ctypes.data,
        )  # fmt: skip
        self._memory, self._parallel, self._tiles = memory, parallel, case.tiles
        self._task = ctypes.cast(library.ftv_dense_tile, c_void_p)

    def __call__(self) -> None:
        """Run it."""
        parallel = self._parallel
        parallel.run(parallel.context, self._task, ctypes.addressof(self._job), self._tiles)

    def sums(self) -> Array:
        """[tokens, channels rounded up to 16]."""
        return self._sums.transpose(1, 0, 2).reshape(self._sums.shape[1], -1)


def ternary_steps(case: Case, encoding: Arithmetic, pool: int) -> list[Contestant]:
    """The layer as the engine computes it, by each set but the definition."""
    return [
        Contestant(f"ternary {encoding}, {name}", encoding, STEP, ternary_step(case, encoding, name, pool))
        for name in available_kernels()
        if name != DEFINITION
    ]


def ternary_step(case: Case, encoding: str, name: str, pool: int) -> Callable[[], None]:
    """Product, requantisation and what follows it, on made-up operands."""
    library, memory = load_library(), HostMemory()
    model = MadeUpModel(memory, case.inputs, case.tiles * TILE, case.tokens, encoding, case.per_channel)
    job, kernels = model.layer_job(case.output), kernels_address(name)
    size = int(library.ftv_bench_layer_bytes(kernels, byref(job)))
    scratch = memory.room((Parallel.from_address(pool).workers, size), np.uint8)

    def run() -> None:
        library.ftv_bench_layer(kernels, byref(job), pool, scratch.ctypes.data, size)
        assert model

    return run
