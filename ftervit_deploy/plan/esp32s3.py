"""Memory of the ESP32-S3's vector kernels, as c_runtime/src/kernels/esp32s3/ has it."""

from __future__ import annotations

from ..architecture import Architecture
from ..image.layout import TILE, round_up
from .specialised import KernelScratch, inputs_of

ALIGN = 16
WORD = 4
TAIL_VECTORS = 28
"""Of 16 bytes behind a decoded tile (FTV_TAIL_VECTORS)."""
SPILL = 64
"""FTV_SPILL_BYTES."""
GROUP = 16
"""Tokens that go the generic way together (ftv_layer_esp32s3.c)."""
PART_TOKENS = 64
"""Of a head's Q, K or V at a time (ftv_qkv_esp32s3.c)."""
SCORE_ROWS = 4
"""Queries at a time (FTV_SCORE_ROWS)."""
OVERRUN = 32
"""Bytes behind scores and weights (ftv_attend_esp32s3.c)."""
SOFTMAX_CONSTANTS = 14
"""Of 16 bytes (FTV_SOFTMAX_CONSTANTS)."""


def esp32s3_scratch(a: Architecture) -> KernelScratch:
    """Scratch of one worker; `steps` is `ftv_kernels_esp32s3.scratch_bytes`."""
    inputs, head_rows = max(inputs_of(a)), round_up(a.head_dim, TILE)
    steps = max(
        _layer(a.tokens, inputs), _qkv(a.tokens, a.width, head_rows), _attend(a.tokens, head_rows), _norm(a.width)
    )  # fmt: skip
    return KernelScratch(linear=_linear(inputs), steps=steps)


def _linear(inputs: int) -> int:
    """A decoded tile and what follows it, and the sums of a group of tokens."""
    weights = TILE * (round_up(inputs, TILE) + TAIL_VECTORS)
    return 16 + weights + SPILL + GROUP * (TILE * WORD + WORD)


def _layer(tokens: int, inputs: int) -> int:
    return _linear(inputs) + round_up(tokens * WORD, ALIGN)


def _qkv(tokens: int, inputs: int, head_rows: int) -> int:
    """Wide values, rows of codes, what the layer needs."""
    most = min(PART_TOKENS, round_up(tokens, TILE))
    return most * head_rows * (WORD + 1) + _layer(most, inputs)


def _attend(tokens: int, head_rows: int) -> int:
    """The larger of what vectors and what generic rows need."""
    keys, vector = round_up(tokens, TILE), 16
    vectors = (
        SCORE_ROWS * keys * WORD + 3 * 2 * keys + 2 * OVERRUN + 2 * TILE + SOFTMAX_CONSTANTS * vector
        + head_rows * WORD + vector
    )  # fmt: skip
    generic = 3 * round_up(tokens * WORD, ALIGN) + head_rows * WORD + round_up(2 * tokens, ALIGN)
    return max(vectors, generic)


def _norm(columns: int) -> int:
    """What generic rows need, then trits in 16 bits and one row."""
    stride = round_up(columns, TILE)
    return round_up(stride * (WORD + 2), ALIGN) + ALIGN + 2 * 2 * (stride + 8) + WORD * (stride + 8)
