"""The ESP32-S3's kernels on this computer: their C natively, their assembly in the LX7 model.

Slow, but the chip's own code to the last instruction: what it computes is checked bit for bit, and its
modelled cycles are what `ftervit estimate` and `ftervit bench` report.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from ctypes import byref, c_char_p, c_uint32, c_void_p
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from . import cstructs as c
from .architecture import Architecture
from .boards import ChipBoard
from .engine import load_library
from .errors import EngineError
from .image.layout import TILE, round_up
from .lx7 import Core, assemble
from .plan import AttendCall, Call, LayerCall, NormCall, PatchCall, QkvCall, QuantiseCall
from .resources import c_runtime_folder

Array = npt.NDArray[np.generic]
KERNELS = "esp32s3"
_ADDRESS = 0x3D00_0000
_BYTES = 12 << 20
_ARGUMENT_BYTES = 256
_HOOK = ctypes.CFUNCTYPE(None, c_void_p, c_char_p, c_void_p, c_uint32)


@dataclass
class Count:
    """What the model counted since it was last asked.

    Attributes:
        cycles: modelled, of assembly.
        calls: of assembly functions, by name.
    """

    cycles: int = 0
    calls: dict[str, int] = field(default_factory=dict)


class ChipKernels:
    """`ftv_kernels_esp32s3` in this process; not for several threads.

    Everything that a kernel is given must lie in `memory`: `put` and `room` place arrays there.

    Attributes:
        kernels: the set's table.
        memory: uint8, the piece of memory that stands for the chip's.

    Raises:
        EngineError: the engine was built without these kernels.
    """

    def __init__(self) -> None:
        library = load_library()
        try:
            self.kernels = c.Kernels.in_dll(library, f"ftv_kernels_{KERNELS}")
            self._attach = library.ftv_esp32s3_attach
        except (ValueError, AttributeError):
            raise EngineError(
                "This build of the C engine lacks the ESP32-S3's kernels.", "Build it with GCC or Clang."
            ) from None
        self.library = library
        self.memory = _page_aligned(_BYTES)
        self._cores = {path.stem: Core(assemble(path)) for path in _sources()}
        for core in self._cores.values():
            core.memory.add("memory", self.memory, True, address=_ADDRESS)
        self._count = Count()
        self._fault: Exception | None = None
        self._hook = _HOOK(self._run)
        self._attach.argtypes = (_HOOK, c_void_p, c_void_p, c_uint32)
        self._attach(self._hook, None, self.memory.ctypes.data, _ADDRESS)
        self._taken = _ARGUMENT_BYTES

    def close(self) -> None:
        """Detaches the model from the kernels."""
        self._attach(_HOOK(), None, None, 0)

    def put(self, array: Array) -> Array:
        """A copy of the array in `memory`."""
        placed = self.room(array.shape, array.dtype)
        placed[...] = array
        return placed

    def room(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array:
        """An array of zeros in `memory`, 16-byte aligned."""
        kind = np.dtype(dtype)
        size = int(np.prod(shape)) * kind.itemsize
        start = round_up(self._taken, 16)
        if start + size > len(self.memory):
            raise MemoryError("the model's memory is full")
        self._taken = start + size
        placed = self.memory[start : start + size].view(kind).reshape(shape)
        placed[...] = 0
        return placed

    def forget(self) -> None:
        """Makes all of `memory` free again."""
        self._taken = _ARGUMENT_BYTES

    def run(self, step: str, job: ctypes.Structure, scratch_bytes: int) -> Count:
        """One step, e.g. ``layer``, on its job; raises what the model raised.

        Args:
            job: all of whose pointers lead into `memory`.
        """
        self._count = Count()
        scratch = self.room((scratch_bytes,), np.uint8)
        getattr(self.kernels, step)(byref(job), scratch.ctypes.data)
        if self._fault is not None:
            fault, self._fault = self._fault, None
            raise fault
        return self._count

    def _run(self, _: int | None, function: bytes, arguments: int, size: int) -> None:
        """The hook: exceptions cannot pass through C, so they wait."""
        if self._fault is not None:
            return
        try:
            self.memory[:size] = np.frombuffer(ctypes.string_at(arguments, size), np.uint8)
            name = function.decode()
            result = self._cores[name].call(name, _ADDRESS)
        except Exception as fault:
            self._fault = fault
            return
        self._count.cycles += result.cycles
        self._count.calls[name] = self._count.calls.get(name, 0) + 1


def _page_aligned(size: int) -> npt.NDArray[np.uint8]:
    memory = np.zeros(size + 4096, np.uint8)
    start = -memory.ctypes.data % 4096
    return memory[start : start + size]


def _sources() -> list[Path]:
    """The set's assembly; a file has the name of its function."""
    return sorted((c_runtime_folder() / "src" / "kernels" / KERNELS).glob("*.S"))


# ---- modelled cycles ----

CALL_CYCLES = 60
"""Of the C that makes an assembly call: its struct, the call itself. Assumed."""
JOB_CYCLES = 400
"""Of the C of one step: dispatch, sizes, tables of a few words for each token not counted. Assumed."""
TOKEN_CYCLES = 25
"""Of the C that prepares one token's scale for a layer. Assumed."""


def chip_cycles(board: ChipBoard, a: Architecture, encoding: str) -> ChipCycles:
    """Cycles of the kernels that firmware for the board has.

    Raises:
        EngineError: they cannot be modelled here.
    """
    if board.chip.name != "esp32s3":
        raise EngineError(
            f"There is no model of the chip {board.chip.name}.", "Choose a board with an ESP32-S3."
        )
    return ChipCycles(encoding)


class ChipCycles:
    """`plan.KernelCycles` of the ESP32-S3's vector kernels: the assembly's modelled, the C around it assumed.

    Kernels run on made-up operands of ordinary size for a few tokens, rows and tiles; cycles are linear in
    their numbers, so larger calls follow from two small ones.

    Args:
        encoding: ``t2`` or ``t5``.
    """

    name = KERNELS

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._chip = ChipKernels()
        self._known: dict[Call, float] = {}

    def of(self, call: Call) -> float:
        """Cycles of one core for the call."""
        if call not in self._known:
            self._known[call] = self._cycles(call)
        return self._known[call]

    def _cycles(self, call: Call) -> float:
        if isinstance(call, LayerCall):
            return _bilinear(functools.partial(self._layer, call), call.tiles, call.tokens)
        if isinstance(call, QkvCall):
            return _linear(functools.partial(self._qkv, call), call.tokens, 16)
        if isinstance(call, AttendCall):
            return _linear(functools.partial(self._attend, call), call.rows, 2)
        if isinstance(call, NormCall):
            return _linear(functools.partial(self._norm, call.columns), call.rows, 4)
        if isinstance(call, QuantiseCall):
            return _linear(functools.partial(self._quantise, call.columns), call.rows, 4)
        if isinstance(call, PatchCall):
            return _linear(functools.partial(self._patches, call.side), call.patches, 2)
        return _linear(functools.partial(self._embed, call.columns), call.rows, 4)

    def _counted(self, step: str, job: ctypes.Structure, model: MadeUpModel) -> float:
        count = self._chip.run(step, job, model.scratch_bytes)
        return count.cycles + CALL_CYCLES * sum(count.calls.values()) + JOB_CYCLES

    def _layer(self, call: LayerCall, tiles: int, tokens: int) -> float:
        self._chip.forget()
        model = MadeUpModel(self._chip, call.inputs, 16 * tiles, tokens, self._encoding, call.per_channel)
        job = model.layer_job(call.output)
        return self._counted("layer", job, model) + TOKEN_CYCLES * tokens

    def _qkv(self, call: QkvCall, tokens: int) -> float:
        self._chip.forget()
        rows = round_up(call.head_dim, TILE)
        model = MadeUpModel(self._chip, call.inputs, rows, tokens, self._encoding, call.per_channel)
        job = model.qkv_part(call.part, call.head_dim)
        return self._counted("qkv", job, model) + TOKEN_CYCLES * tokens * rows / TILE

    def _attend(self, call: AttendCall, rows: int) -> float:
        self._chip.forget()
        model = MadeUpModel(self._chip, 64, round_up(call.head_dim, TILE), call.tokens, self._encoding, False)
        job = model.attend_job(self._chip, call.head_dim, rows)
        return self._counted("attend", job, model)

    def _norm(self, columns: int, rows: int) -> float:
        self._chip.forget()
        model = MadeUpModel(self._chip, columns, 16, rows, self._encoding, False)
        return self._counted("norm", model.norm_job(), model)

    def _quantise(self, columns: int, rows: int) -> float:
        self._chip.forget()
        model = MadeUpModel(self._chip, 16, columns, rows, self._encoding, False)
        return self._counted("quantise", model.quantise_job(), model)

    def _patches(self, side: int, patches: int) -> float:
        self._chip.forget()
        model = MadeUpModel(self._chip, 3 * side * side, 16, patches, self._encoding, False)
        return self._counted("patches", model.patches_job(side), model)

    def _embed(self, columns: int, rows: int) -> float:
        self._chip.forget()
        model = MadeUpModel(self._chip, columns, 16, rows, self._encoding, False)
        return self._counted("embed", model.embed_job(), model)


def _linear(cycles: Callable[[int], float], count: int, few: int) -> float:
    """Cycles of `count`, from those of `few` and twice as many."""
    if count <= 2 * few:
        return cycles(count)
    once, twice = cycles(few), cycles(2 * few)
    return once + (twice - once) * (count - few) / few


def _bilinear(cycles: Callable[[int, int], float], tiles: int, tokens: int) -> float:
    def over_tokens(tiles: int) -> float:
        return _linear(functools.partial(cycles, tiles), tokens, 2)

    return _linear(over_tokens, tiles, 1)


# ---- made-up operands ----


class MadeUpModel:
    """Operands of ordinary size in a chip's memory, for every kind of step.

    Args:
        inputs: K, or the width of rows.
        channels: a multiple of 16.
        tokens: rows.
    """

    scratch_bytes = 256 << 10
    """More than any step needs."""

    def __init__(
        self, chip: ChipKernels, inputs: int, channels: int, tokens: int, encoding: str, per_channel: bool
    ) -> None:
        self._chip, self._tokens, self._inputs, self._channels = chip, tokens, inputs, channels
        self._encoding = encoding
        self._random = np.random.default_rng(inputs * 31 + channels)
        self._keep: list[object] = []
        self._codes = self._rows_of(inputs, tokens)
        self._linear = self._matrix(per_channel)

    def layer_job(self, output: str) -> c.LayerJob:
        """All tiles."""
        out = self._chip.put(self._values((self._tokens, self._channels), 18))
        return c.LayerJob(
            layer=self._address(self._linear), encoding=c.ENCODINGS[self._encoding],
            tiles=self._channels // TILE, x=self._codes, tokens=self._tokens, output=c.OUTPUTS[output],
            out=out.ctypes.data, out_stride=self._channels, narrow=self._narrow(self._channels, self._tokens),
        )  # fmt: skip

    def qkv_part(self, part: str, head_dim: int) -> c.QkvPart:
        """All tokens."""
        codes = self._chip.room((2 * round_up(self._tokens, TILE) * self._channels,), np.int8)
        absmax = self._chip.room((round_up(self._tokens, TILE),), np.int32)
        return c.QkvPart(
            part=c.PARTS[part], layer=self._address(self._linear), encoding=c.ENCODINGS[self._encoding],
            x=self._codes, tokens=self._tokens, count=self._tokens, head_dim=head_dim,
            head_rows=self._channels, levels=63 if part == "q" else 127, codes=codes.ctypes.data,
            absmax=absmax.ctypes.data,
        )  # fmt: skip

    def attend_job(self, chip: ChipKernels, head_dim: int, rows: int) -> c.AttendJob:
        """The first rows, on parts that the set's own qkv() made."""
        job = c.AttendJob(
            tokens=self._tokens, count=rows, head_dim=head_dim, head_rows=self._channels,
            attention=c.Multiplier(20_000, 31), out=self._narrow(self._channels, self._tokens),
        )  # fmt: skip
        for part, index in c.PARTS.items():
            made = self.qkv_part(part, head_dim)
            chip.run("qkv", made, self.scratch_bytes)
            job.codes[index], job.absmax[index] = made.codes, made.absmax
        return job

    def norm_job(self) -> c.NormJob:
        """All rows."""
        trits = [self._chip.put(self._trit_codes(self._inputs)) for _ in range(2)]
        norm = c.Norm(trits[0].ctypes.data, trits[1].ctypes.data, c.Multiplier(20_000, 20))
        x = self._chip.put(self._values((self._tokens, self._inputs), 18))
        return c.NormJob(
            x=x.ctypes.data, x_stride=self._inputs, rows=self._tokens, columns=self._inputs,
            norm=self._address(norm), eps_q32=4295, out=self._codes,
        )  # fmt: skip

    def quantise_job(self) -> c.QuantiseJob:
        """All rows, `channels` columns."""
        return c.QuantiseJob(
            narrow=self._narrow(self._channels, self._tokens), rows=self._tokens, pieces=1,
            piece=self._channels, piece_stride=self._channels, out=self._rows_of(self._channels, self._tokens),
        )  # fmt: skip

    def patches_job(self, side: int) -> c.PatchesJob:
        """All rows, as patches of one line of pixels."""
        line = 3 * side * self._tokens
        pixels = self._chip.put(self._random.integers(0, 256, (side, line), np.uint8))
        constants = self._chip.put(np.array([[65_000, 67_000, 66_000], [-31_000] * 3], np.int32))
        return c.PatchesJob(
            pixels=pixels.ctypes.data, line_bytes=line, patches=self._tokens, side=side,
            scale=constants.ctypes.data, offset=constants[1:].ctypes.data, out=self._codes,
        )  # fmt: skip

    def embed_job(self) -> c.EmbedJob:
        """All rows."""
        x = self._chip.put(self._values((self._tokens, self._inputs), 18))
        values = self._random.integers(-(2**15), 2**15, (self._tokens, self._inputs), np.int16)
        return c.EmbedJob(
            x=x.ctypes.data, x_stride=self._inputs, values=self._chip.put(values).ctypes.data,
            rows=self._tokens, columns=self._inputs, shift=2,
        )  # fmt: skip

    def _address(self, struct: ctypes.Structure) -> int:
        self._keep.append(struct)
        return ctypes.addressof(struct)

    def _rows_of(self, columns: int, rows: int) -> c.Rows:
        stride = round_up(columns, TILE)
        codes = np.zeros((rows + 1, stride), np.int8)
        codes[:rows, :columns] = np.clip(self._random.normal(0, 18, (rows, columns)), -127, 127).astype(
            np.int8
        )
        scales = np.zeros((rows, 2), np.int16)
        scales[:] = (20_000, -3)
        return c.Rows(self._chip.put(codes).ctypes.data, self._chip.put(scales).ctypes.data, stride)

    def _values(self, shape: tuple[int, ...], bits: int) -> npt.NDArray[np.int32]:
        return self._random.integers(-(1 << bits), 1 << bits, shape, np.int32)

    def _narrow(self, columns: int, rows: int) -> c.Narrow:
        values = self._random.integers(-(2**15), 2**15, (rows, columns), np.int16)
        absmax = np.full((rows, columns // TILE), (1 << 18) - 1, np.int32)
        return c.Narrow(self._chip.put(values).ctypes.data, self._chip.put(absmax).ctypes.data, columns)

    def _trit_codes(self, count: int) -> npt.NDArray[np.uint8]:
        trits = self._random.integers(0, 3, (-(-count // 4), 4), np.uint8)
        packed: npt.NDArray[np.uint8] = (trits << np.array([0, 2, 4, 6], np.uint8)).sum(1).astype(np.uint8)
        return packed

    def _matrix(self, per_channel: bool) -> c.Linear:
        tiles, blocks = self._channels // TILE, -(-self._inputs // 16)
        size = 64 * blocks if self._encoding == "t2" else 16 * -(-self._inputs // 5)
        if self._encoding == "t2":
            packed = self._trit_codes(4 * tiles * size)
        else:
            digits = self._random.integers(0, 243, tiles * size)
            packed = ((256 * digits + 242) // 243).astype(np.uint8)
        mantissas = self._random.integers(1 << 14, 1 << 15, self._channels if per_channel else 1).astype(
            np.uint16
        )
        bias = self._random.integers(-2000, 2000, self._channels).astype(np.int16)
        return c.Linear(
            tiles=self._chip.put(packed).ctypes.data, mantissas=self._chip.put(mantissas).ctypes.data,
            bias=self._chip.put(bias).ctypes.data, stored_rows=self._channels, rows=self._channels,
            inputs=self._inputs, tile_bytes=size, exponent=24, bias_shift=6, per_channel=per_channel,
        )  # fmt: skip
