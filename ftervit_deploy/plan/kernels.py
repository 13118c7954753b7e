"""Sets of kernels as the planner sees them: memory that they need, and roughly how long they take."""

from __future__ import annotations

from dataclasses import dataclass

from ..image.layout import TILE, round_up
from .calls import (
    AttendCall,
    Call,
    KernelCycles,
    LayerCall,
    NormCall,
    PatchCall,
    QkvCall,
    QuantiseCall,
)  # fmt: skip

LEFT_OUT = 17
"""Cycles that leaving a channel out of a row takes."""


@dataclass(frozen=True)
class KernelSet:
    """A set of kernels for one model.

    Attributes:
        name: of the set.
        linear: scratch of one worker for a linear kernel with the largest K of the model, bytes.
        steps: scratch of one worker for the set's own whole steps (`ftv_kernels.scratch_bytes`), bytes.
        owns: the steps that the set brings, among ``layer qkv attend norm``;
            others are composed of inner loops.
        value_bytes: of a code of V, as the set lays it out.
        cycles: a rough idea of how long calls take; for choosing between plans, not for figures.
    """

    name: str
    linear: int
    steps: int
    owns: frozenset[str]
    value_bytes: int
    cycles: KernelCycles


@dataclass(frozen=True)
class RoughCycles:
    """Cycles by a handful of constants.

    Attributes:
        name: of the set.
        mac: cycles of a multiply-accumulate of a matrix.
        weight: cycles to decode a weight.
        output: cycles of a matrix's output: read-out, requantisation, what happens to it.
        attend_mac: cycles of a multiply-accumulate of attention.
        score: cycles of a score's softmax.
        value: cycles of a value that is normalised, quantised or embedded.
    """

    name: str
    mac: float
    weight: float
    output: float
    attend_mac: float
    score: float
    value: float

    def of(self, call: Call) -> float:
        """Cycles of the call."""
        if isinstance(call, LayerCall):
            return self._matrix(call.inputs, TILE * call.tiles, call.tokens)
        if isinstance(call, QkvCall):
            rows = round_up(call.head_dim, TILE)
            return self._matrix(call.inputs, rows, call.tokens) + rows * call.tokens * self.value
        if isinstance(call, AttendCall):
            scores = call.tokens * call.rows
            return call.macs * self.attend_mac + scores * self.score + call.rows * call.head_dim * self.value
        if isinstance(call, NormCall):
            return 3 * call.rows * call.columns * self.value + LEFT_OUT * call.rows * call.left_out
        if isinstance(call, QuantiseCall):
            return call.rows * call.columns * self.value
        if isinstance(call, PatchCall):
            return 6 * call.patches * call.side**2 * self.value
        return call.rows * call.columns * self.value

    def _matrix(self, inputs: int, channels: int, tokens: int) -> float:
        return channels * (inputs * (tokens * self.mac + self.weight) + tokens * self.output)
