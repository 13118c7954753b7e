"""Attention on the ESP32-S3 in the LX7 model: its assembly with NumPy arrays, and its C around it."""

from __future__ import annotations

import ctypes
import mmap
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from c_compiler import ROOT, RUNTIME, build, compiler

from ftervit_deploy import reference
from ftervit_deploy.lx7 import Core, Result, assemble

Array = npt.NDArray[np.generic]
Ints = npt.NDArray[np.int64]
KERNELS = RUNTIME / "src" / "kernels" / "esp32s3"
SOFTMAX_CONSTANTS = np.repeat(
    np.array(
        [-1296, 7566, -22654, 32767, 2047, -2, 0x0404, 0x2020, 0x0808, 0x0202, 0x1010, 0x3F3F],
        np.int16,
    ),
    8,
)


@cache
def core_of(function: str) -> Core:
    """The model with one assembly function."""
    return Core(assemble(KERNELS / f"{function}.S"))


@dataclass(frozen=True)
class After:
    """The place `offset` bytes after the beginning of the field before it."""

    offset: int


@dataclass(frozen=True, eq=False)
class Inside:
    """The place `offset` bytes after the beginning of an array."""

    array: Array
    offset: int


def call(function: str, *fields: int | Array | After | Inside) -> Result:
    """Calls an assembly function with a struct of these fields, arrays as their addresses."""
    core = core_of(function)
    with ExitStack() as stack:
        words: list[int] = []
        for n, field in enumerate(fields):
            value, offset = (field.array, field.offset) if isinstance(field, Inside) else (field, 0)
            if isinstance(value, np.ndarray):
                value = stack.enter_context(core.memory.map(f"field {n}", value, value.flags.writeable))
            elif isinstance(value, After):
                value = words[-1] + value.offset
            words.append(int(value) + offset & 0xFFFFFFFF)
        return core.call(function, np.array(words, np.uint32))


def frozen(array: Array) -> Array:
    """A copy that no kernel may write to."""
    copy = np.ascontiguousarray(array)
    copy.flags.writeable = False
    return copy


# ---- layouts ----


def padded(rows: Array, fill: int | None = None) -> Array:
    """Whole tiles of sixteen: the last row again, or `fill`."""
    more = -len(rows) % 16
    if fill is None:
        return np.concatenate([rows, np.repeat(rows[-1:], more, 0)])
    return np.concatenate([rows, np.full((more, *rows.shape[1:]), fill, rows.dtype)])


def keys_in_tiles(rows: Array) -> Array:
    """Keys int8 [16 tiles, channels] channel by channel, key 2 l + h of sixteen in byte 8 h + l."""
    tiles = rows.reshape(-1, 8, 2, rows.shape[1])
    return np.ascontiguousarray(tiles.transpose(0, 3, 2, 1)).reshape(len(tiles), rows.shape[1], 16)


def values_in_groups(rows: Array) -> npt.NDArray[np.int16]:
    """Values int8 [16 tiles, channels] as int16, eight channels of all keys and then the next eight."""
    groups = rows.reshape(len(rows), -1, 8).astype(np.int16)
    return np.ascontiguousarray(groups.transpose(1, 0, 2))


def places(tiles: int) -> tuple[Ints, Ints]:
    """Where the scores of the keys of some tiles are, and where their scales: groups are shuffled."""
    key = np.arange(16 * tiles)
    row, tile, h = key // 2 % 8, key // 16 % 4, key % 2
    grouped = key // 16 < (tiles - 1) // 4 * 4
    first = key // 64 * 64 + 2 * tile + h
    score = np.where(grouped, first + row % 4 * 16 + row // 4 * 8, key)
    return score, np.where(grouped, first + 8 * row, key)


# ---- what the assembly should compute ----


def weights_of(t: Ints, c: int, shift: int, mv: Ints) -> tuple[Ints, int]:
    """Weights and the numerators' sum of one query: NUMERICS.md, section 5."""
    diff = t.max() - t
    u = reference.shift(diff * c, np.array(shift), 2**15)
    e = reference.horner((u & 2047) << 4, reference.EXP2_POLY) >> (u >> 11)
    return (e * mv + 2**16) >> 17, int(e.sum())


def narrow(y: Ints) -> tuple[Ints, Ints]:
    """Rows [rows, columns] of Q16 as ftv_narrow keeps them: values, and absmax of each sixteen."""
    columns = y.shape[1]
    pieces = np.pad(y, ((0, 0), (0, -columns % 16))).reshape(len(y), -1, 16)
    absmax = np.abs(pieces).max(2)
    values = pieces >> np.maximum(0, reference.bits(absmax) - 15)[..., None]
    return values.reshape(len(y), -1), absmax


# ---- the C around the assembly ----


class Rows(ctypes.Structure):
    _fields_ = [("codes", ctypes.c_void_p), ("scales", ctypes.c_void_p), ("stride", ctypes.c_uint32)]


class Narrow(ctypes.Structure):
    _fields_ = [("values", ctypes.c_void_p), ("absmax", ctypes.c_void_p), ("stride", ctypes.c_uint32)]


class Part(ctypes.Structure):
    _fields_ = [
        ("part", ctypes.c_int),
        ("layer", ctypes.c_void_p),
        ("encoding", ctypes.c_int),
        ("first_row", ctypes.c_uint32),
        ("x", Rows),
        ("tokens", ctypes.c_uint32),
        ("first", ctypes.c_uint32),
        ("count", ctypes.c_uint32),
        ("head_dim", ctypes.c_uint32),
        ("head_rows", ctypes.c_uint32),
        ("levels", ctypes.c_int32),
        ("codes", ctypes.c_void_p),
        ("absmax", ctypes.c_void_p),
    ]


class AttendJob(ctypes.Structure):
    _fields_ = [
        ("codes", ctypes.c_void_p * 3),
        ("absmax", ctypes.c_void_p * 3),
        ("tokens", ctypes.c_uint32),
        ("first", ctypes.c_uint32),
        ("count", ctypes.c_uint32),
        ("head_dim", ctypes.c_uint32),
        ("head_rows", ctypes.c_uint32),
        ("mantissa", ctypes.c_uint16),
        ("exponent", ctypes.c_int16),
        ("out", Narrow),
        ("column", ctypes.c_uint32),
    ]


_HOOK = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_uint32)
_MAP_32BIT = 0x40
_GAP = 256


class Attention:
    """The steps' C, built for this machine, with the LX7 model in place of the assembly.

    Attributes:
        cycles: modelled, by assembly function.
    """

    def __init__(self, folder: Path, arena_bytes: int = 4 << 20) -> None:
        sources = [*(RUNTIME / "src").glob("*.c"), *(RUNTIME / "src" / "kernels").glob("*.c")]
        glue = [KERNELS / "ftv_qkv_esp32s3.c", KERNELS / "ftv_attend_esp32s3.c"]
        shim = ROOT / "tests" / "c" / "attention_esp32s3.c"
        trap = ("-fsanitize=undefined", "-fsanitize-undefined-trap-on-error")
        path = build(
            compiler(),
            folder / "attention.so",
            (*sources, *glue, shim),
            "-shared",
            "-fPIC",
            "-DFTV_ESP32S3",
            *trap,
        )
        self.library = ctypes.CDLL(str(path))
        for name in ("ftv_qkv_scratch_bytes_esp32s3", "ftv_attend_scratch_bytes_esp32s3"):
            getattr(self.library, name).restype = ctypes.c_size_t
        self._hook = _HOOK(self._called)
        self.library.use_model(self._hook)
        self.cycles: Counter[str] = Counter()
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_32BIT
        self._arena = np.frombuffer(mmap.mmap(-1, arena_bytes, flags=flags), np.uint8)
        self.clear()

    def clear(self) -> None:
        """Forgets all arrays."""
        self._used = 0
        self._arrays: list[Array] = []
        self._error: BaseException | None = None
        self.cycles.clear()

    def room(self, shape: tuple[int, ...], kind: type[np.generic]) -> Array:
        """An array below 2^32 with nothing beside it; its address is a multiple of 16, not of 32."""
        size = int(np.prod(shape)) * np.dtype(kind).itemsize
        start = -(-(self._arena.ctypes.data + self._used + _GAP) // 32) * 32 + 16 - self._arena.ctypes.data
        self._used = start + size
        assert self._used <= len(self._arena)
        view = self._arena[start : start + size]
        view[:] = 0xA5
        array = view.view(kind).reshape(shape)
        self._arrays.append(array)
        return array

    def put(self, values: Array) -> Array:
        """A copy of an array below 2^32."""
        array = self.room(values.shape, values.dtype.type)
        array[...] = values
        return array

    def call(self, function: str, *arguments: object) -> None:
        """Calls C; errors of the assembly come out here."""
        getattr(self.library, function)(*arguments)
        if self._error is not None:
            raise self._error

    def _called(self, name: bytes, args: int, size: int) -> None:
        try:
            function = name.decode()
            core = core_of(function)
            words = np.frombuffer(ctypes.string_at(args, size), np.uint32)
            with ExitStack() as stack:
                for n, array in enumerate(self._arrays):
                    stack.enter_context(core.memory.map(f"array {n}", array, address=array.ctypes.data))
                self.cycles[function] += core.call(function, words).cycles
        except BaseException as error:  # what a callback raises would be lost
            self._error = self._error or error
