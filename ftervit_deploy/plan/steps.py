"""The steps of a forward pass under a tiling: calls of kernels, and bytes that pass between memories.

c_runtime/src/ftv_run.c, ftv_group.c and ftv_attention.c have the same steps in the same order.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from ..architecture import Architecture
from ..image import ImageInfo
from ..image.layout import NO_BLOCK, NORM_OF, TILE, Role, Section, round_up
from .buffers import FIRST_IN_PLACE, MULTIPLIER, ROW_GROUP, WORD, Tiling, comes_ahead, narrow_bytes
from .calls import (
    AttendCall,
    Call,
    EmbedCall,
    LayerCall,
    NormCall,
    Output,
    Part,
    PatchCall,
    QkvCall,
    QuantiseCall,
)  # fmt: skip

AFFINES = {
    Role.PATCH_AFFINE: "patch", Role.QKV_AFFINE: "qkv", Role.PROJ_AFFINE: "proj", Role.FC1_AFFINE: "fc1",
    Role.FC2_AFFINE: "fc2", Role.HEAD_AFFINE: "head",
}  # fmt: skip
"""The matrix that each section of multipliers and biases belongs to."""
READERS = {norm: weight.name.removesuffix("_WEIGHT").lower() for weight, norm in NORM_OF.items()}
"""The matrix that reads each LayerNorm's rows."""


def _is_per_channel(section: Section) -> bool:
    matrix = section.place.matrix
    assert matrix is not None
    return section.length == matrix.affine_bytes(per_channel=True) != matrix.affine_bytes(per_channel=False)


@dataclass(frozen=True)
class Matrices:
    """What a pass must know of the model's matrices beyond their shapes.

    Attributes:
        encoding: ``t2`` or ``t5``.
        per_channel: names among ``patch qkv proj fc1 fc2 head`` whose channels have multipliers of their own.
        left_out: channels that LayerNorms leave out, by the matrix that reads their rows and its block, -1
            outside blocks.
    """

    encoding: str
    per_channel: frozenset[str]
    left_out: Mapping[tuple[str, int], int] = field(default_factory=dict)

    @classmethod
    def of_image(cls, info: ImageInfo) -> Matrices:
        """Those of an image."""
        affines = (section for section in info.sections if section.place.role in AFFINES)
        names = frozenset(AFFINES[section.place.role] for section in affines if _is_per_channel(section))
        left_out = {
            (READERS[norm], -1 if block == NO_BLOCK else block): count
            for (norm, block), count in info.left_out.items()
        }
        return cls(info.header.encoding, names, left_out)

    def kept(self, matrix: str, block: int, channels: int) -> int:
        """Inputs of a matrix, of so many channels."""
        return channels - self.left_out.get((matrix, block), 0)

    def weight_bytes(self, inputs: int, tiles: int) -> int:
        """Bytes of packed weights of some tiles (c_runtime/IMAGE_FORMAT.md)."""
        return tiles * (-(-inputs // 16) * 64 if self.encoding == "t2" else -(-inputs // 5) * TILE)


@dataclass(frozen=True)
class Step:
    """One step of a pass, as the busier core sees it.

    Attributes:
        name: ``fc1``, ``attention``, ...
        block: -1 outside blocks.
        calls: kernel calls and how many of them come one after the other on the busier core.
        weights_bytes: packed weights that both cores together fetch.
        read_bytes, written_bytes: per buffer (`ftv_buffer`), by both cores together; whether that is
            traffic depends on where the plan puts the buffer.
        coming_bytes, going_bytes: residual rows whose copies by DMA from and to PSRAM this step starts.
        settles: copies must have been made at its end; else they may go on during the next step.
        moved_bytes: that the cores move within SRAM.
        dispatches: how often work is shared out among the cores, or a copy started.
    """

    name: str
    block: int
    calls: tuple[tuple[int, Call], ...]
    weights_bytes: int = 0
    read_bytes: Mapping[str, int] = field(default_factory=dict)
    written_bytes: Mapping[str, int] = field(default_factory=dict)
    coming_bytes: int = 0
    going_bytes: int = 0
    settles: bool = True
    moved_bytes: int = 0
    dispatches: int = 1

    @property
    def macs(self) -> int:
        """Multiply-accumulates on the busier core."""
        return sum(count * call.macs for count, call in self.calls)


def pass_steps(a: Architecture, matrices: Matrices, tiling: Tiling) -> Iterator[Step]:
    """Every step of a pass, in order."""
    steps = _Steps(a, matrices, tiling)
    yield from steps.embedding()
    for block in range(a.depth):
        queries = 1 if block == a.depth - 1 else a.tokens
        yield from steps.attention(block, queries)
        yield from steps.tokens(block, queries)
    yield steps.head()


class _Copies(NamedTuple):
    """Bytes of the groups that are copied, by when: `first` come and `last` go while nothing computes,
    `ahead` come during fc2 and the next norm of the group before, `gone` go during proj and norm2 of the
    group after, and `moved` are moved within SRAM.
    """

    first: list[int]
    gone: list[int]
    moved: list[int]
    ahead: list[int]
    last: list[int]


class _Steps:
    def __init__(self, a: Architecture, matrices: Matrices, tiling: Tiling) -> None:
        self._a, self._matrices, self._tiling = a, matrices, tiling
        self._width, self._hidden = round_up(a.width, TILE), round_up(a.hidden, TILE)
        self._head_rows = round_up(a.head_dim, TILE)

    def embedding(self) -> Iterator[Step]:
        """The groups of tokens from pixels to the first norm, each step over all groups."""
        a = self._a
        values, groups = round_up(a.patch_values, TILE), list(self._tiling.groups(a.tokens))
        residual = self._residual(a.tokens)
        yield Step(
            "patches", -1, tuple((1, PatchCall(self._busy_rows(rows), a.patch_size)) for rows in groups),
            read_bytes={"pixels": 3 * a.image_size**2},
            written_bytes={"patches": a.patches * (values + MULTIPLIER)}, dispatches=len(groups),
        )  # fmt: skip
        yield self._layer(
            "patch embedding", -1, "patch", a.patch_values, a.width, a.tokens, "store", "patches"
        )
        yield Step(
            "position embedding", -1, tuple((1, EmbedCall(self._busy_rows(n), a.width)) for n in groups),
            weights_bytes=2 * (a.position_rows + 1) * a.width,
            read_bytes=residual, written_bytes=residual, dispatches=len(groups),
        )  # fmt: skip
        yield self._norm(-1, a.tokens, "first norm", "qkv", 0)
        behind = self._behind_window(a.tokens)
        if behind:
            left = behind[:-1] if self._tiling.stays else behind
            yield Step("window out", -1, (), going_bytes=sum(left), dispatches=len(left))

    def attention(self, block: int, queries: int) -> Iterator[Step]:
        a, workers = self._a, self._tiling.workers
        wave = self._tiling.wave
        codes = round_up(a.tokens, TILE) * self._head_rows
        qkv: list[tuple[int, Call]] = []
        attend: list[tuple[int, Call]] = []
        dispatches, fetched = 0, 0
        for first in range(0, a.heads, wave):
            heads = min(wave, a.heads - first)
            share = round_up(shared_tokens(workers, 3 * heads, a.tokens), TILE)
            qkv += self._parts(block, heads, share, queries)
            fetched += heads * sum(-(-tokens // share) for tokens in (queries, a.tokens, a.tokens))
            rows = shared_tokens(workers, heads, queries)
            tasks = heads * -(-queries // rows)
            attend.append((self._busier(tasks), AttendCall(a.tokens, min(rows, queries), a.head_dim)))
            dispatches += 1
        inputs = self._matrices.kept("qkv", block, a.width)
        rows_bytes = round_up(inputs, TILE) + MULTIPLIER
        kept = {"qkv": 3 * a.heads * codes, "absmax": 3 * a.heads * a.tokens * WORD}
        coming, going = self._attention_copies(block, queries)
        yield Step(
            "qkv", block, tuple(qkv),
            weights_bytes=fetched * self._matrices.weight_bytes(inputs, self._head_rows // TILE),
            read_bytes={"rows": fetched * a.tokens * rows_bytes}, written_bytes=kept,
            coming_bytes=coming, going_bytes=going, settles=False,
            dispatches=dispatches + (1 if coming else 0) + (1 if going else 0),
        )  # fmt: skip
        yield Step(
            "attention", block, tuple(attend), read_bytes=kept,
            written_bytes={"mixed": narrow_bytes(queries, a.heads * self._head_rows)}, dispatches=dispatches,
        )  # fmt: skip

    def tokens(self, block: int, queries: int) -> Iterator[Step]:
        """The groups of tokens of a block, each step over all groups."""
        a = self._a
        behind = self._behind_window(queries)
        copies = self._hidden_copies(behind, block, queries)
        if copies.first:
            yield Step("window in", block, (), coming_bytes=sum(copies.first), dispatches=len(copies.first))
        yield self._quantise(
            block, "attention output to codes", "mixed", narrow_bytes(queries, a.heads * self._head_rows),
            queries, a.width,
        )  # fmt: skip
        proj = self._layer("proj", block, "proj", a.width, a.width, queries, "add", "rows")
        yield replace(
            proj, going_bytes=sum(copies.gone), settles=False, dispatches=proj.dispatches + len(copies.gone)
        )
        yield self._norm(block, queries, "norm2", "fc1", block)
        if copies.moved:
            yield Step("window moved", block, (), moved_bytes=sum(copies.moved), dispatches=len(copies.moved))
        yield self._layer("fc1", block, "fc1", a.width, a.hidden, queries, "activate", "rows", "hidden")
        yield self._quantise_in_place(block, queries)
        fc2 = self._layer("fc2", block, "fc2", a.hidden, a.width, queries, "add", "hidden")
        yield replace(
            fc2, coming_bytes=sum(copies.ahead), settles=False, dispatches=fc2.dispatches + len(copies.ahead)
        )
        last = block == a.depth - 1
        yield self._norm(block, queries, "next norm", *(("head", -1) if last else ("qkv", block + 1)))
        if copies.last:
            yield Step("window out", block, (), going_bytes=sum(copies.last), dispatches=len(copies.last))

    def _behind_window(self, rows: int) -> list[int]:
        """Bytes of each group of residual rows that is worked on in a copy."""
        if not self._tiling.window:
            return []
        behind = max(rows - self._tiling.resident, 0)
        groups = list(replace(self._tiling, resident=0).groups(behind))
        return [count * self._width * WORD for count in groups]

    def _hidden_copies(self, behind: list[int], block: int, rows: int) -> _Copies:
        """When the groups behind windows come and go, their bytes `behind`."""
        if not behind:
            return _Copies([], [], [], [], [])
        resident = min(rows, self._tiling.resident) > 0
        during_attention = self._tiling.stays and not resident
        leave_later = self._tiling.stays and block < self._a.depth - 1
        unfetched = behind[1:] if during_attention else behind
        if not comes_ahead(self._a):
            return _Copies(unfetched, [], [], [], behind[:-1] if leave_later else behind)
        first = [] if resident or during_attention else behind[:1]
        ahead = behind if resident else behind[1:]
        return _Copies(first, behind[:-1], unfetched, ahead, [] if leave_later else behind[-1:])

    def _attention_copies(self, block: int, queries: int) -> tuple[int, int]:
        """Bytes of the group that comes during a block's attention, and of the one that goes."""
        behind, before = self._behind_window(queries), self._behind_window(self._a.tokens)
        if not self._tiling.stays or not before:
            return 0, 0
        resident = self._tiling.resident > 0
        return 0 if resident or not behind else behind[0], before[-1]

    def _residual(self, rows: int) -> dict[str, int]:
        """Where the first `rows` residual rows are worked on, bytes by buffer."""
        resident = min(rows, self._tiling.resident)
        other = "window" if self._tiling.window else "residual"
        row = self._width * WORD
        return {"resident": resident * row, other: (rows - resident) * row}

    def head(self) -> Step:
        a = self._a
        return self._layer("head", -1, "head", a.width, a.classes, 1, "store", "rows", "logits")

    def _layer(
        self, name: str, block: int, matrix: str, inputs: int, channels: int, rows: int, output: Output,
        source: str, target: str = "",
    ) -> Step:  # fmt: skip
        tiles = -(-channels // TILE)
        inputs = self._matrices.kept(matrix, block, inputs)
        per_channel = matrix in self._matrices.per_channel
        groups = list(self._tiling.groups(rows))
        share = self._busier(tiles)
        calls = tuple((1, LayerCall(share, inputs, tokens, output, per_channel)) for tokens in groups)
        read = {source: rows * (round_up(inputs, TILE) + MULTIPLIER) * share * self._tiling.workers}
        written = self._residual(rows)
        if output == "activate":
            written = {target: narrow_bytes(rows, tiles * TILE)}
        elif target:
            written = {target: rows * tiles * TILE * WORD}
        if output == "add":
            read |= written
        return Step(
            name, block, calls, weights_bytes=len(groups) * self._matrices.weight_bytes(inputs, tiles),
            read_bytes=read, written_bytes=written, dispatches=len(groups),
        )  # fmt: skip

    def _norm(self, block: int, rows: int, name: str, reader: str, its_block: int) -> Step:
        """LayerNorm of what the matrix `reader` reads next."""
        a = self._a
        left_out = self._matrices.left_out.get((reader, its_block), 0)
        groups = self._tiling.groups(rows)
        calls = tuple((1, NormCall(self._busy_rows(tokens), a.width, left_out)) for tokens in groups)
        return Step(
            name, block, calls, read_bytes=self._residual(rows),
            written_bytes={"rows": rows * (self._width + MULTIPLIER)}, dispatches=len(calls),
        )  # fmt: skip

    def _quantise(
        self, block: int, name: str, source: str, source_bytes: int, rows: int, columns: int
    ) -> Step:
        calls = tuple(
            (1, QuantiseCall(self._busy_rows(tokens), columns)) for tokens in self._tiling.groups(rows)
        )
        return Step(
            name, block, calls, read_bytes={source: source_bytes},
            written_bytes={"rows": rows * (round_up(columns, TILE) + MULTIPLIER)}, dispatches=len(calls),
        )  # fmt: skip

    def _quantise_in_place(self, block: int, rows: int) -> Step:
        """Four rows, then as many as are done, and so on (ftv_quantise_in_place)."""
        hidden = self._a.hidden
        calls: list[tuple[int, Call]] = []
        for tokens in self._tiling.groups(rows):
            first = min(FIRST_IN_PLACE, tokens) if self._tiling.workers > 1 else tokens
            calls.append((1, QuantiseCall(first, hidden)))
            while first < tokens:
                end = min(2 * first, tokens)
                calls.append((1, QuantiseCall(self._busy_rows(end - first), hidden)))
                first = end
        return Step(
            "GELU output to codes", block, tuple(calls),
            read_bytes={"hidden": narrow_bytes(rows, self._hidden)},
            written_bytes={"hidden": rows * (self._hidden + MULTIPLIER)}, dispatches=len(calls),
        )  # fmt: skip

    def _parts(self, block: int, heads: int, share: int, queries: int) -> Iterator[tuple[int, Call]]:
        """Q, K and V of a wave of heads on the busier core, tasks dealt out in turn."""
        a = self._a
        per_channel = "qkv" in self._matrices.per_channel
        inputs = self._matrices.kept("qkv", block, a.width)
        needs: tuple[tuple[Part, int], ...] = (("q", queries), ("k", a.tokens), ("v", a.tokens))
        tasks = [
            QkvCall(part, inputs, min(share, needed - first), a.head_dim, per_channel)
            for _ in range(heads)
            for part, needed in needs
            for first in range(0, needed, share)
        ]
        taken: list[list[QkvCall]] = [[] for _ in range(self._tiling.workers)]
        for task in tasks:  # each goes to the core that is free first
            min(taken, key=_tokens_of).append(task)
        for task in max(taken, key=_tokens_of):
            yield 1, task

    def _busier(self, tasks: int) -> int:
        """Tasks of the busier core."""
        return -(-tasks // self._tiling.workers)

    def _busy_rows(self, rows: int) -> int:
        """Rows of the busier core: even tasks of at most ROW_GROUP rows (ftv_share_rows)."""
        rounds = self._busier(-(-rows // ROW_GROUP))
        return min(rows, rounds * self._busier(-(-rows // rounds)))


def _tokens_of(tasks: Sequence[QkvCall]) -> int:
    return sum(task.tokens for task in tasks)


def shared_tokens(workers: int, pieces: int, tokens: int) -> int:
    """Tokens of one task where pieces of `tokens` tokens are shared out (share_tokens in ftv_attention.c)."""
    return -(-tokens // (workers // math.gcd(workers, pieces)))
