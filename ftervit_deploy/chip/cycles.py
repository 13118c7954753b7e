"""Modelled cycles of the chip's kernels."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from dataclasses import replace

from ..architecture import Architecture
from ..boards import ChipBoard
from ..boards.chips import uses_vector
from ..errors import EngineError
from ..image.layout import TILE, round_up
from ..plan import (
    AttendCall,
    Call,
    EmbedCall,
    KernelCycles,
    LayerCall,
    NormCall,
    PatchCall,
    QkvCall,
    QuantiseCall,
    kernels_of,
)  # fmt: skip
from .glue import glue_instructions
from .kernels import KERNELS, ChipKernels
from .operands import MadeUpModel

CYCLES_AN_INSTRUCTION = 1.3
"""Of compiled C around the assembly: branches and loads that are used at once. Assumed."""


def chip_cycles(board: ChipBoard, a: Architecture, encoding: str) -> KernelCycles:
    """Cycles of the kernels that firmware for the board has; rough ones without the vector unit.

    Raises:
        EngineError: they cannot be modelled here.
    """
    if board.chip.name != "esp32s3":
        raise EngineError(
            f"There is no model of the chip {board.chip.name}.", "Choose a board with an ESP32-S3."
        )
    return ChipCycles(encoding) if uses_vector(board.chip) else kernels_of(board.chip, a, encoding).cycles


class ChipCycles:
    """`plan.KernelCycles` of the ESP32-S3's vector kernels: assembly modelled, the C around it counted.

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
        return self.assembly(call) + CYCLES_AN_INSTRUCTION * glue_instructions(call)

    def assembly(self, call: Call) -> float:
        """Cycles of the assembly alone; 0 where a call goes to portable C, which nobody counts."""
        if isinstance(call, NormCall):
            call = replace(call, left_out=0)  # that is C
        if call not in self._known:
            self._known[call] = self._cycles(call)
        return self._known[call]

    def _cycles(self, call: Call) -> float:
        if isinstance(call, LayerCall):
            return _bilinear(functools.partial(self._layer, call), call.tiles, call.tokens)
        if isinstance(call, QkvCall):
            return _linear(functools.partial(self._qkv, call), call.tokens, 16)
        if isinstance(call, AttendCall):
            return self._attend(call)
        if isinstance(call, NormCall):
            return _linear(functools.partial(self._norm, call), call.rows, 4)
        if isinstance(call, QuantiseCall):
            return _linear(functools.partial(self._quantise, call), call.rows, 4)
        if isinstance(call, PatchCall):
            return _linear(functools.partial(self._patches, call), call.patches, 2)
        return _linear(functools.partial(self._embed, call), call.rows, 4)

    def layer(self, call: LayerCall) -> float:
        """As `of`, but with every tile and token run."""
        assembly = self._layer(call, call.tiles, call.tokens)
        return assembly + CYCLES_AN_INSTRUCTION * glue_instructions(call)

    def _ran(self, step: str, job: ctypes.Structure, model: MadeUpModel) -> float:
        return self._chip.run(step, job, model.scratch_bytes).cycles

    def _layer(self, call: LayerCall, tiles: int, tokens: int) -> float:
        self._chip.forget()
        model = MadeUpModel(self._chip, call.inputs, 16 * tiles, tokens, self._encoding, call.per_channel)
        return self._ran("layer", model.layer_job(call.output), model)

    def _qkv(self, call: QkvCall, tokens: int) -> float:
        self._chip.forget()
        rows = round_up(call.head_dim, TILE)
        model = MadeUpModel(self._chip, call.inputs, rows, tokens, self._encoding, call.per_channel)
        return self._ran("qkv", model.qkv_part(call.part, call.head_dim), model)

    def _attend(self, call: AttendCall) -> float:
        """Few rows and twice as many on the same keys and values, whose making takes longest."""
        few = 2
        self._chip.forget()
        model = MadeUpModel(self._chip, 64, round_up(call.head_dim, TILE), call.tokens, self._encoding, False)
        job = model.attend_job(self._chip, call.head_dim, min(call.rows, 2 * few))

        def cycles(rows: int) -> float:
            job.count = rows
            return self._ran("attend", job, model)

        return _linear(cycles, call.rows, few)

    def _norm(self, call: NormCall, rows: int) -> float:
        self._chip.forget()
        model = MadeUpModel(self._chip, call.columns, 16, rows, self._encoding, False)
        return self._ran("norm", model.norm_job(), model)

    def _quantise(self, call: QuantiseCall, rows: int) -> float:
        self._chip.forget()
        model = MadeUpModel(self._chip, 16, call.columns, rows, self._encoding, False)
        return self._ran("quantise", model.quantise_job(), model)

    def _patches(self, call: PatchCall, patches: int) -> float:
        self._chip.forget()
        model = MadeUpModel(self._chip, 3 * call.side**2, 16, patches, self._encoding, False)
        return self._ran("patches", model.patches_job(call.side), model)

    def _embed(self, call: EmbedCall, rows: int) -> float:
        self._chip.forget()
        model = MadeUpModel(self._chip, call.columns, 16, rows, self._encoding, False)
        return self._ran("embed", model.embed_job(), model)


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
