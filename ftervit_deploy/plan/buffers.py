"""What a forward pass keeps in memory, as c_runtime/src/ftv_plan.c has it, and how often it is touched."""

from __future__ import annotations

from dataclasses import dataclass

from ..architecture import Architecture
from ..image.layout import TILE, round_up
from .kernels import KernelSet

ALIGN = 16
"""Bytes; of every buffer (FTV_ALIGN)."""
WORD = 4
MULTIPLIER = 4
"""Bytes of an ftv_multiplier."""
ROW_GROUP = 16
"""Rows of one task (FTV_ROW_GROUP)."""
PART_TOKENS = 64
"""Tokens of a head's Q, K or V that are widened together by generic kernels (ftv_attention.c)."""

HEAD_TILES = 4
"""Tiles of the classifier that one task does (FTV_HEAD_TILES)."""

EMBEDDING, ATTENTION, TOKENS = 1, 2, 4
ALWAYS = EMBEDDING | ATTENTION | TOKENS


@dataclass(frozen=True)
class Tiling:
    """How a pass is cut: `ftv_plan` of ftv.h without the places.

    Attributes:
        workers: cores that share the work.
        group: tokens that go through proj and MLP together.
        wave: heads at a time.
        window: True where a group's residual rows are copied, worked on and copied back.
    """

    workers: int
    group: int
    wave: int
    window: bool


@dataclass(frozen=True)
class Buffer:
    """One buffer of a pass.

    Attributes:
        name: as in `ftv_buffer` of ftv.h, in lower case.
        bytes: its size.
        steps: the steps of a pass that use it, a mask of EMBEDDING, ATTENTION and TOKENS.
        touches: how often a pass reads or writes each of its bytes, roughly: what nearness gains.
    """

    name: str
    bytes: int
    steps: int
    touches: float


def buffers_of(a: Architecture, kernels: KernelSet, tiling: Tiling) -> tuple[Buffer, ...]:
    """The buffers in the order of `ftv_buffer`; bytes and steps as c_runtime/src/ftv_plan.c has them."""
    width, hidden = round_up(a.width, TILE), round_up(a.hidden, TILE)
    head_rows = round_up(a.head_dim, TILE)
    parts, group = 3 * tiling.wave * a.tokens, tiling.group
    into_width, into_hidden = width / TILE, hidden / TILE
    waves, groups = -(-a.heads // tiling.wave), -(-a.tokens // group)
    residual_touches = 3.0 if tiling.window else 8.0
    return (
        Buffer("scratch", tiling.workers * worker_bytes(a, kernels), ALWAYS, 1e9),
        Buffer("residual", _words(a.tokens, width), ALWAYS, residual_touches * a.depth),
        Buffer(
            "rows", _rows(a.tokens, width), ALWAYS, a.depth * (3 * into_width + into_width + into_hidden + 3)
        ),
        Buffer("patches", _rows(group, round_up(a.patch_values, TILE)), EMBEDDING, into_width * groups),
        Buffer(
            "qkv", (2 + kernels.value_bytes) * tiling.wave * round_up(a.tokens, TILE) * head_rows, ATTENTION,
            a.depth * waves * a.tokens * 2 / 3,
        ),
        Buffer("absmax", _words(parts, 1), ATTENTION, a.depth * waves * a.tokens / ROW_GROUP),
        Buffer("mixed", narrow_bytes(a.tokens, a.heads * head_rows), ATTENTION | TOKENS, 3.0 * a.depth),
        Buffer("window", _words(group, width) if tiling.window else 0, EMBEDDING | TOKENS, 7.0 * a.depth * groups),
        Buffer(
            "hidden", narrow_bytes(group, hidden) + _aligned(group * MULTIPLIER), TOKENS,
            a.depth * groups * (2 + into_width / 2),
        ),
    )  # fmt: skip


def worker_bytes(a: Architecture, kernels: KernelSet) -> int:
    """Scratch of one worker: the largest that any of its tasks needs (`ftv_step_scratch_bytes`)."""
    head_rows = round_up(a.head_dim, TILE)
    part_tokens = min(PART_TOKENS, a.tokens)
    composed = {
        "layer": a.tokens * TILE * WORD + kernels.linear,
        "qkv": part_tokens * (head_rows + TILE) * WORD + kernels.linear,
        "attend": 3 * _aligned(a.tokens * WORD) + head_rows * WORD + _aligned(2 * a.tokens),
        "norm": round_up(a.width, TILE) * (WORD + 2),
    }
    patch = round_up(a.patch_values, TILE) * WORD
    generic = max(size for step, size in {**composed, "patch": patch}.items() if step not in kernels.owns)
    most = max(kernels.steps, generic)
    return _aligned(most) + HEAD_TILES * TILE * WORD


def narrow_bytes(rows: int, stride: int) -> int:
    """Rows in 16 bits, and an absmax for each sixteen (`ftv_narrow`)."""
    return 2 * rows * stride + _words(rows, stride // TILE)


def _aligned(size: int) -> int:
    return round_up(size, ALIGN)


def _rows(rows: int, stride: int) -> int:
    return _aligned(rows * stride) + _aligned(rows * MULTIPLIER)


def _words(rows: int, columns: int) -> int:
    return _aligned(rows * columns * WORD)
