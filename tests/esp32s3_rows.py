"""The row steps of the ESP32-S3 in the LX7 model: their assembly with NumPy arrays, and their C around it."""

from __future__ import annotations

import ctypes
import mmap
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from c_compiler import ROOT, RUNTIME, build, compiler

from ftervit_deploy.lx7 import Core, Result, assemble

Array = npt.NDArray[np.generic]
Ints = npt.NDArray[np.int64]
KERNELS = RUNTIME / "src" / "kernels" / "esp32s3"
LIMIT = 2**30
"""Q16 values lie in -LIMIT .. LIMIT - 1."""


@cache
def core_of(function: str) -> Core:
    """The model with one assembly function."""
    return Core(assemble(KERNELS / f"{function}.S"))


@dataclass
class Call:
    """A call in the making: the fields of its struct are numbers and addresses of arrays."""

    function: str
    _fields: list[tuple[str, int | Array, bool, str]] = field(default_factory=list)

    def numbers(self, *values: int) -> Call:
        self._fields += [("", value, False, "") for value in values]
        return self

    def reads(self, name: str, array: Array, area: str = "sram") -> Call:
        self._fields.append((name, array, False, area))
        return self

    def writes(self, name: str, array: Array) -> Call:
        self._fields.append((name, array, True, "sram"))
        return self

    def run(self) -> Result:
        core = core_of(self.function)
        with ExitStack() as stack:
            words = []
            for name, value, writable, area in self._fields:
                if isinstance(value, np.ndarray):
                    value = stack.enter_context(core.memory.map(name, value, writable, area))
                words.append(int(value) & 0xFFFFFFFF)
            return core.call(self.function, np.array(words, np.uint32))


# ---- rows ----


def row_of(rng: np.random.Generator, columns: int, magnitude: int) -> Ints:
    """Random values of up to `magnitude` bits, the largest negative one among them."""
    x = rng.integers(-(2**magnitude), 2**magnitude, columns, endpoint=True)
    x[rng.integers(columns)] = -(2**magnitude)
    return np.clip(x, -LIMIT, LIMIT - 1)


def rows_of_all_kinds(rng: np.random.Generator, columns: int) -> Ints:
    """Every magnitude, spikes, constants, extremes, and an offset that dwarfs the deviations."""
    rows = [row_of(rng, columns, magnitude) for magnitude in range(31)]
    for value in (0, 1, -1, 32767, -32768, 32768, 65535, LIMIT - 1, -LIMIT):
        rows.append(np.full(columns, value))
        rows.append(np.where(np.arange(columns) == columns - 1, value, 0))
    rows.append(np.where(np.arange(columns) % 2 == 0, LIMIT - 1, -LIMIT))
    rows += [
        np.clip(row_of(rng, columns, m) + rng.integers(-(2**24), 2**24), -LIMIT, LIMIT - 1)
        for m in range(0, 28, 3)
    ]
    rows += [rng.normal(0, 2.0**m, columns).round().astype(np.int64) for m in range(10, 24, 2)]
    return np.stack(rows)


def narrow(y: Ints) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int32]]:
    """Q16 rows as ftv_narrow keeps them: values, and absmax of each sixteen."""
    absmax = np.abs(y).reshape(len(y), -1, 16).max(2)
    shift = np.array([[max(0, int(a).bit_length() - 15) for a in row] for row in absmax])
    return (y >> np.repeat(shift, 16, 1)).astype(np.int16), absmax.astype(np.int32)


def packed_trits(trits: Array) -> npt.NDArray[np.uint8]:
    """Codes w + 1, four a byte, low bits first."""
    codes = np.zeros(-(-len(trits) // 4) * 4, np.uint8)
    codes[: len(trits)] = trits + 1
    first, second, third, fourth = codes.reshape(-1, 4).T
    return first | second << 2 | third << 4 | fourth << 6


# ---- the C around the assembly ----


class Rows(ctypes.Structure):
    _fields_ = [("codes", ctypes.c_void_p), ("scales", ctypes.c_void_p), ("stride", ctypes.c_uint32)]


class Narrow(ctypes.Structure):
    _fields_ = [("values", ctypes.c_void_p), ("absmax", ctypes.c_void_p), ("stride", ctypes.c_uint32)]


class Norm(ctypes.Structure):
    _fields_ = [
        ("gamma", ctypes.c_void_p),
        ("beta", ctypes.c_void_p),
        ("mantissa", ctypes.c_uint16),
        ("exponent", ctypes.c_int16),
    ]


class NormJob(ctypes.Structure):
    _fields_ = [
        ("x", ctypes.c_void_p),
        ("x_stride", ctypes.c_uint32),
        ("rows", ctypes.c_uint32),
        ("columns", ctypes.c_uint32),
        ("norm", ctypes.POINTER(Norm)),
        ("eps_q32", ctypes.c_uint32),
        ("out", Rows),
    ]


class QuantiseJob(ctypes.Structure):
    _fields_ = [
        ("in_", Narrow),
        ("rows", ctypes.c_uint32),
        ("pieces", ctypes.c_uint32),
        ("piece", ctypes.c_uint32),
        ("piece_stride", ctypes.c_uint32),
        ("out", Rows),
    ]


class PatchesJob(ctypes.Structure):
    _fields_ = [
        ("pixels", ctypes.c_void_p),
        ("line_bytes", ctypes.c_uint32),
        ("patches", ctypes.c_uint32),
        ("side", ctypes.c_uint32),
        ("scale", ctypes.c_void_p),
        ("offset", ctypes.c_void_p),
        ("out", Rows),
    ]


class EmbedJob(ctypes.Structure):
    _fields_ = [
        ("x", ctypes.c_void_p),
        ("x_stride", ctypes.c_uint32),
        ("values", ctypes.c_void_p),
        ("rows", ctypes.c_uint32),
        ("columns", ctypes.c_uint32),
        ("shift", ctypes.c_uint32),
    ]


_HOOK = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_uint32)
_MAP_32BIT = 0x40


class Steps:
    """The steps' C, built for this machine, with the LX7 model in place of the assembly.

    Attributes:
        functions: the assembly functions that ran, in order.
    """

    def __init__(self, folder: Path, arena_bytes: int = 1 << 20) -> None:
        sources = [*(RUNTIME / "src").glob("*.c"), *(RUNTIME / "src" / "kernels").glob("*.c")]
        glue = [KERNELS / f"ftv_{step}_esp32s3.c" for step in ("norm", "quantise", "patches")]
        shim = ROOT / "tests" / "c" / "rows_esp32s3.c"
        flags = ("-shared", "-fPIC", "-DFTV_ESP32S3")
        path = build(compiler(), folder / "rows.so", (*sources, *glue, shim), *flags)
        self.library = ctypes.CDLL(str(path))
        self.library.ftv_norm_scratch_bytes_esp32s3.restype = ctypes.c_size_t
        self._hook = _HOOK(self._called)
        self.library.set_hook(self._hook)
        self.functions: list[str] = []
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_32BIT
        self._arena = np.frombuffer(mmap.mmap(-1, arena_bytes, flags=flags), np.uint8)
        self._next = self._arena.ctypes.data

    def array(self, values: Array, align: int = 16) -> Array:
        """A copy of the array below 2^32."""
        array = np.ascontiguousarray(values)
        start = -(-self._next // 32) * 32 + align - self._arena.ctypes.data
        self._next = self._arena.ctypes.data + start + array.nbytes
        assert start + array.nbytes <= len(self._arena)
        copy = self._arena[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
        copy[...] = array
        return copy

    def clear(self) -> None:
        self._next = self._arena.ctypes.data
        self.functions.clear()

    def _called(self, name: bytes, args: int, size: int) -> None:
        function = name.decode()
        self.functions.append(function)
        words = np.frombuffer(ctypes.string_at(args, size), np.uint32)
        core = core_of(function)
        with core.memory.map("arena", self._arena, address=self._arena.ctypes.data):
            core.call(function, words)
