"""Calls of kernels: what a set of kernels does in a pass, in the shapes that decide how long it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

Output = Literal["store", "add", "activate"]
Part = Literal["q", "k", "v"]


@dataclass(frozen=True)
class LayerCall:
    """Tiles of sixteen channels of a matrix over some tokens: `ftv_layer_job`.

    Attributes:
        tiles: how many.
        inputs: K of the matrix.
        tokens: rows.
        output: what happens to the outputs.
        per_channel: True where each channel has a multiplier of its own.
    """

    tiles: int
    inputs: int
    tokens: int
    output: Output
    per_channel: bool

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""
        return 16 * self.tiles * self.inputs * self.tokens


@dataclass(frozen=True)
class QkvCall:
    """One head's Q, K or V over some tokens: `ftv_qkv_part`."""

    part: Part
    inputs: int
    tokens: int
    head_dim: int
    per_channel: bool

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""
        return self.head_dim * self.inputs * self.tokens


@dataclass(frozen=True)
class AttendCall:
    """`rows` query rows of one head against `tokens` keys: `ftv_attend_job`."""

    tokens: int
    rows: int
    head_dim: int

    @property
    def macs(self) -> int:
        """Multiply-accumulates of scores and mix."""
        return 2 * self.tokens * self.rows * self.head_dim


@dataclass(frozen=True)
class NormCall:
    """LayerNorm of some rows: `ftv_norm_job`; left_out: channels that are left out of each row then."""

    rows: int
    columns: int
    left_out: int = 0
    macs: int = 0


@dataclass(frozen=True)
class QuantiseCall:
    """Eight-bit rows of narrow ones: `ftv_quantise_job`."""

    rows: int
    columns: int
    macs: int = 0


@dataclass(frozen=True)
class PatchCall:
    """Pixels of some patches to eight-bit rows: `ftv_patches_job`."""

    patches: int
    side: int
    macs: int = 0


@dataclass(frozen=True)
class EmbedCall:
    """The position embedding added to some rows: `ftv_embed_job`."""

    rows: int
    columns: int
    macs: int = 0


Call = LayerCall | QkvCall | AttendCall | NormCall | QuantiseCall | PatchCall | EmbedCall


class KernelCycles(Protocol):
    """How many cycles of one core a set of kernels takes for a call, operands in SRAM."""

    @property
    def name(self) -> str:
        """Of the set."""

    def of(self, call: Call) -> float:
        """Cycles of the call."""
