"""What a forward pass keeps in memory, as c_runtime/src/ftv_plan.c has it, and how often it is touched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..architecture import Architecture
from ..image.layout import TILE, round_up
from .kernels import KernelSet

ALIGN = 16
"""Bytes; of every buffer (FTV_ALIGN)."""
FAR_ALIGN = 64
"""Bytes; of buffers in PSRAM, so that none shares a line of the data cache with another (FTV_COPY_ALIGN)."""
WORD = 4
MULTIPLIER = 4
"""Bytes of an ftv_multiplier."""
ROWS_READ_ON = 32
"""Bytes that kernels may read beyond the last of some rows (FTV_ROWS_READ_ON)."""
ROW_GROUP = 16
"""Rows of one task (FTV_ROW_GROUP)."""
FIRST_IN_PLACE = 4
"""Rows that one worker makes before others can join (FTV_FIRST_IN_PLACE)."""
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
        resident: tokens whose residual rows lie apart, in SRAM, and need no window.
        stays: True where attention leaves the window alone, so that rows come and go meanwhile.
    """

    workers: int
    group: int
    wave: int
    window: bool
    resident: int = 0
    stays: bool = False

    def groups(self, tokens: int) -> Iterator[int]:
        """Sizes of the groups that the first `tokens` tokens come in (group_at in ftv_run.c)."""
        resident = min(self.resident, tokens)
        for start, end in ((0, resident), (resident, tokens)):
            for first in range(start, end, self.group):
                yield min(self.group, end - first)


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
    waves, groups = -(-a.heads // tiling.wave), len(list(tiling.groups(a.tokens)))
    residual_touches = 3.0 if tiling.window else 8.0
    window = _words(group, width) if tiling.window else 0
    return (
        Buffer("scratch", tiling.workers * worker_bytes(a, kernels), ALWAYS, 1e9),
        Buffer("resident", _words(tiling.resident, width), ALWAYS, 8.0 * a.depth),
        Buffer("residual", _words(a.tokens - tiling.resident, width), ALWAYS, residual_touches * a.depth),
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
        Buffer("window", window, ALWAYS if tiling.stays else EMBEDDING | TOKENS, 7.0 * a.depth * groups),
        Buffer(
            "hidden", narrow_bytes(group, hidden) + _aligned(group * MULTIPLIER), TOKENS,
            a.depth * groups * (2 + into_width / 2),
        ),
    )  # fmt: skip


def comes_ahead(a: Architecture) -> bool:
    """Whether residual rows of the next group fit behind GELU's codes (`ftv_hidden.behind` of ftv_engine.h)."""
    hidden = round_up(a.hidden, TILE)
    return narrow_bytes(1, hidden) - hidden >= round_up(a.width, TILE) * WORD


def worker_bytes(a: Architecture, kernels: KernelSet) -> int:
    """Scratch of one worker: the largest that any of its tasks needs (`ftv_step_scratch_bytes`).

    Enough for `ref`, too, to which firmware falls back: it composes every step, and its loops need none.
    """
    loops = {step: kernels.linear if step not in kernels.owns else 0 for step in ("layer", "qkv")}
    head_rows = round_up(a.head_dim, TILE)
    part_tokens = min(PART_TOKENS, a.tokens)
    composed = (
        a.tokens * TILE * WORD + loops["layer"],
        part_tokens * (head_rows + TILE) * WORD + loops["qkv"],
        3 * _aligned(a.tokens * WORD) + head_rows * WORD + _aligned(2 * a.tokens),
        round_up(a.width, TILE) * (WORD + 2),
        round_up(a.patch_values, TILE) * WORD,
    )
    most = max(kernels.steps, *composed)
    return _aligned(most) + HEAD_TILES * TILE * WORD


def narrow_bytes(rows: int, stride: int) -> int:
    """Rows in 16 bits, and an absmax for each sixteen (`ftv_narrow`)."""
    return 2 * rows * stride + _words(rows, stride // TILE)


def _aligned(size: int) -> int:
    return round_up(size, ALIGN)


def _rows(rows: int, stride: int) -> int:
    return _aligned(rows * stride) + max(_aligned(rows * MULTIPLIER), ROWS_READ_ON)


def _words(rows: int, columns: int) -> int:
    return _aligned(rows * columns * WORD)
