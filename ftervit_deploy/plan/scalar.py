"""The kernels for chips without a vector unit as the planner sees them: c_runtime/src/kernels/scalar/."""

from __future__ import annotations

from ..architecture import Architecture
from ..image.layout import TILE, round_up
from .kernels import KernelSet, RoughCycles

_WORD = 4
_PAIRS = 4
"""Words of a table's entry, two tokens each."""
_EIGHT = 2 * _PAIRS
_CHUNK_CHANNELS = 24 * TILE
"""Channels whose sums are kept at a time (FTV_CHUNK_TILES in ftv_scalar.h)."""
_TABLE_BYTES = {"t2": 171 * 16 * _WORD, "t5": 256 * 16 * _WORD}
_THREES = 8
_T3_TABLE_BYTES = 27 * _PAIRS * _THREES * _WORD
_QUERIES = 4
_OCTET_BYTES = 21 * _WORD
"""Of eight channels of four queries."""

SCALAR = RoughCycles("scalar", mac=0.55, weight=0.0, output=40.0, attend_mac=2.6, score=80.0, value=20.0)
"""Rounded from what the emulated Xtensa counts (`python -m bench.scalar`), an instruction a cycle."""


def scalar_kernels(a: Architecture, encoding: str) -> KernelSet:
    """The set `scalar` for a model."""
    head_rows = round_up(a.head_dim, TILE)
    most_channels = max(3 * a.heads * head_rows, round_up(a.hidden, TILE), round_up(a.classes, TILE))
    chunk = chunk_scratch_bytes(min(most_channels, _CHUNK_CHANNELS), encoding)
    steps = max(chunk, attend_scratch_bytes(a.tokens, head_rows))
    linear = linear_scratch_bytes(max(a.width, a.hidden, a.patch_values))
    return KernelSet("scalar", linear, steps, frozenset({"layer", "qkv", "attend"}), 1, SCALAR)


def linear_scratch_bytes(inputs: int) -> int:
    """Of one tile, recoded, and eight tokens' sums."""
    return (
        _recoded_bytes(inputs, TILE)
        + _codes_bytes(inputs)
        + _T3_TABLE_BYTES
        + TILE * (_PAIRS + _EIGHT) * _WORD
    )


def chunk_scratch_bytes(channels: int, encoding: str) -> int:
    """Of the steps `layer` and `qkv`: tables, and eight tokens' sums of some channels."""
    return _TABLE_BYTES[encoding] + channels * (_PAIRS + _EIGHT + 1) * _WORD


def attend_scratch_bytes(tokens: int, head_rows: int) -> int:
    """Of the step `attend`: four queries."""
    rows = round_up(tokens, TILE)
    queries = head_rows // 8 * _OCTET_BYTES + _QUERIES * head_rows * _WORD
    return queries + rows * (2 + _QUERIES) * _WORD


def _recoded_bytes(inputs: int, channels: int) -> int:
    return -(-inputs // (3 * _THREES)) * channels * _THREES


def _codes_bytes(inputs: int) -> int:
    return round_up(inputs, 16) + 32
