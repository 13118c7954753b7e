"""What a forward pass keeps in memory, as c_runtime/src/ftv_plan.c has it, and how often it is touched."""

from __future__ import annotations

from dataclasses import dataclass

from ..architecture import Architecture
from ..image.layout import TILE, round_up

ALIGN = 16
"""Bytes; of every buffer (FTV_ALIGN)."""
WORD = 4
MULTIPLIER = 4
"""Bytes of an ftv_multiplier."""
ROW_GROUP = 16
"""Rows of one task (FTV_ROW_GROUP)."""
PART_TOKENS = 64
"""Tokens of a head's Q, K or V that are widened together by generic kernels (ftv_attention.c)."""

EMBEDDING, ATTENTION, MLP = 1, 2, 4
ALWAYS = EMBEDDING | ATTENTION | MLP


@dataclass(frozen=True)
class KernelScratch:
    """Scratch of one worker's kernels, bytes.

    Attributes:
        linear: of a linear kernel with the largest K of the model.
        qkv: of the fused QKV kernel; 0 where there is none.
    """

    linear: int
    qkv: int


@dataclass(frozen=True)
class Buffer:
    """One buffer of a pass.

    Attributes:
        name: as in `ftv_buffer` of ftv.h, in lower case.
        bytes: its size.
        steps: the steps of a pass that use it, a mask of EMBEDDING, ATTENTION and MLP.
        touches: how often a pass reads or writes each of its bytes, roughly: what nearness gains.
    """

    name: str
    bytes: int
    steps: int
    touches: float


def buffers_of(a: Architecture, scratch: KernelScratch, workers: int, mlp_tokens: int) -> tuple[Buffer, ...]:
    """The buffers in the order of `ftv_buffer`; bytes and steps as c_runtime/src/ftv_plan.c has them."""
    width, hidden = round_up(a.width, TILE), round_up(a.hidden, TILE)
    head_rows = round_up(a.head_dim, TILE)
    parts = 3 * a.heads * a.tokens
    words = _words(a.tokens, width)
    into_width, into_hidden = width / TILE, hidden / TILE
    return (
        Buffer("scratch", workers * worker_bytes(a, scratch), ALWAYS, 1e9),
        Buffer("residual", words, ALWAYS, 8.0 * a.depth),
        Buffer(
            "rows", _rows(a.tokens, width), ALWAYS, a.depth * (3 * into_width + into_width + into_hidden + 3)
        ),
        Buffer("patches", _rows(a.patches, round_up(a.patch_values, TILE)), EMBEDDING, into_width),
        Buffer("qkv", parts * head_rows, ATTENTION, a.depth * a.tokens * 2 / 3),
        Buffer("absmax", _words(parts, 1), ATTENTION, a.depth * a.tokens / ROW_GROUP),
        Buffer("mixed", words, ATTENTION, 3.0 * a.depth),
        Buffer("hidden", _words(mlp_tokens, hidden), MLP, 3.0 * a.depth),
        Buffer("hidden_rows", _rows(mlp_tokens, hidden), MLP, a.depth * into_width),
    )


def worker_bytes(a: Architecture, scratch: KernelScratch) -> int:
    """Scratch of one worker: the largest that any of its tasks needs."""
    width, patch = round_up(a.width, TILE), round_up(a.patch_values, TILE)
    head_rows = round_up(a.head_dim, TILE)
    linear = a.tokens * TILE * WORD + scratch.linear
    norm = width * WORD + 2 * width
    part_tokens = min(PART_TOKENS, a.tokens)
    generic_qkv = part_tokens * (head_rows + TILE) * WORD + scratch.linear
    attend = 3 * _aligned(a.tokens * WORD) + head_rows * WORD + _aligned(2 * a.tokens)
    return _aligned(max(linear, patch * WORD, norm, generic_qkv, scratch.qkv, attend))


def _aligned(size: int) -> int:
    return round_up(size, ALIGN)


def _rows(rows: int, stride: int) -> int:
    return _aligned(rows * stride) + _aligned(rows * MULTIPLIER)


def _words(rows: int, columns: int) -> int:
    return _aligned(rows * columns * WORD)
