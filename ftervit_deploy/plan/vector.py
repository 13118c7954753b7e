"""The ESP32-S3's vector kernels as the planner sees them: c_runtime/src/kernels/esp32s3/."""

from __future__ import annotations

from ..architecture import Architecture
from ..image.layout import TILE, round_up
from .kernels import KernelSet, RoughCycles

_ALIGN = 16
_WORD = 4
_TAIL_VECTORS = 28
_SPILL_BYTES = 128
_FOUND_BYTES = 16
_RECORD_BYTES = 80
_GROUP = 4
"""Tokens that go the generic way together (GROUP in ftv_layer_esp32s3.c)."""
_RECORDS_BYTES = 1600
_PART_TOKENS = TILE
"""Tokens whose wide values exist at a time (ftv_qkv_esp32s3.c)."""
_SCORE_ROWS = 4
_OVERRUN = 64
_BLOCK_BYTES = 16
_SOFTMAX_CONSTANTS = 12

VECTOR = RoughCycles("esp32s3", mac=1 / 15, weight=0.35, output=4.5, attend_mac=0.12, score=9.0, value=1.6)
"""Rounded from what the LX7 model counts; see tests/test_chip.py."""


def vector_kernels(a: Architecture) -> KernelSet:
    """The set `esp32s3` for a model."""
    steps = max(
        layer_scratch_bytes(a.tokens, max(a.width, a.hidden, a.patch_values)),
        qkv_scratch_bytes(a.width, a.head_dim),
        attend_scratch_bytes(a.tokens, a.head_dim),
        norm_scratch_bytes(a.width),
        patches_scratch_bytes(a.patch_size),
    )
    linear = linear_scratch_bytes(max(a.width, a.hidden, a.patch_values))
    return KernelSet("esp32s3", linear, steps, frozenset({"layer", "qkv", "attend", "norm"}), 2, VECTOR)


def linear_scratch_bytes(inputs: int) -> int:
    """Of one tile: decoded, with what the assembly keeps beside it."""
    weights = TILE * (round_up(inputs, TILE) + _TAIL_VECTORS)
    return weights + _SPILL_BYTES + _FOUND_BYTES + _GROUP * (TILE * _WORD + _WORD + _RECORD_BYTES)


def layer_scratch_bytes(tokens: int, inputs: int) -> int:
    """Of the step `layer`: a tile, and a scale for each token."""
    return linear_scratch_bytes(inputs) + _RECORDS_BYTES + round_up(tokens * _WORD, _ALIGN)


def qkv_scratch_bytes(inputs: int, head_dim: int) -> int:
    """Of the step `qkv`: a head's decoded tiles, some tokens' outputs, one as codes, the layer's own."""
    head_rows = round_up(head_dim, TILE)
    tiles = head_rows // TILE * TILE * (round_up(inputs, TILE) + _TAIL_VECTORS)
    return tiles + head_rows + _PART_TOKENS * head_rows * _WORD + layer_scratch_bytes(_PART_TOKENS, 0)


def attend_scratch_bytes(tokens: int, head_dim: int) -> int:
    """Of the step `attend`; the generic one's where that is more."""
    keys, head_rows = round_up(tokens, TILE), round_up(head_dim, TILE)
    vectors = (
        _SCORE_ROWS * keys * _WORD + 3 * keys * 2 + 2 * _OVERRUN + TILE * 2
        + _SOFTMAX_CONSTANTS * _BLOCK_BYTES + head_rows * _WORD + _BLOCK_BYTES
    )  # fmt: skip
    plain = 3 * round_up(tokens * _WORD, _ALIGN) + head_rows * _WORD + round_up(2 * tokens, _ALIGN)
    return max(vectors, plain)


def norm_scratch_bytes(columns: int) -> int:
    """Of the step `norm`: the generic one's, then trits and a row."""
    stride = round_up(columns, TILE)
    generic = round_up(stride * 6, _ALIGN)
    return generic + _ALIGN + 2 * (stride + 8) * 2 + (stride + 8) * _WORD


def patches_scratch_bytes(side: int) -> int:
    """Of the step `patches`: the generic one's, a row as words, and an absmax."""
    return round_up(3 * side * side, TILE) * _WORD + _ALIGN
