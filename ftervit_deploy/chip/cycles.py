"""Modelled cycles of the chip's kernels."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable

from ..architecture import Architecture
from ..boards import ChipBoard
from ..errors import EngineError
from ..image.layout import TILE, round_up
from ..plan import AttendCall, Call, LayerCall, NormCall, PatchCall, QkvCall, QuantiseCall
from .kernels import KERNELS, ChipKernels
from .operands import MadeUpModel

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
