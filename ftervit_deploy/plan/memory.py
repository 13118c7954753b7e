"""SRAM and PSRAM: which buffer lies where."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ..architecture import Architecture
from ..errors import ProjectError
from .buffers import ATTENTION, EMBEDDING, ROW_GROUP, TOKENS, Buffer, KernelScratch, Tiling, buffers_of

NEAR, FAR = 0, 1
"""`ftv_memory`: SRAM and PSRAM."""


@dataclass(frozen=True)
class Placed:
    """A buffer at its place; `memory` is NEAR or FAR, `offset` in bytes."""

    buffer: Buffer
    memory: int
    offset: int

    @property
    def end(self) -> int:
        """Offset of the first byte after it."""
        return self.offset + self.buffer.bytes


@dataclass(frozen=True)
class MemoryPlan:
    """`ftv_plan` of c_runtime/include/ftv.h.

    Attributes:
        placed: every buffer, in the order of `ftv_buffer`.
        near_bytes, far_bytes: what the plan takes of SRAM and PSRAM.
        tiling: how the pass is cut.
    """

    placed: tuple[Placed, ...]
    near_bytes: int
    far_bytes: int
    tiling: Tiling


def plan_memory(
    a: Architecture, scratch: KernelScratch, workers: int, near_bytes: int, far_bytes: int
) -> MemoryPlan:
    """The plan with the most-used bytes in SRAM, cut as costs least.

    Args:
        scratch: of one worker's kernels.
        workers: cores that share the work.
        near_bytes, far_bytes: room in SRAM and PSRAM.

    Raises:
        ProjectError: it does not fit; the sentence has the arithmetic.
    """
    plans: list[MemoryPlan] = []
    for tiling in _tilings(a, workers):
        plan = _placed(buffers_of(a, scratch, tiling), tiling, near_bytes, far_bytes)
        if plan is not None:
            plans.append(plan)
    if not plans:
        raise _does_not_fit(buffers_of(a, scratch, tiling), near_bytes, far_bytes)
    return min(plans, key=lambda plan: _cost(plan, a))


def _tilings(a: Architecture, workers: int) -> Iterator[Tiling]:
    """Every way to cut a pass, the one that needs least memory last."""
    waves = sorted({-(-a.heads // parts) for parts in range(1, a.heads + 1)}, reverse=True)
    for wave in waves:
        for window in (True, False):
            for groups in range(1, -(-a.tokens // ROW_GROUP) + 1):
                yield Tiling(workers, -(-a.tokens // groups), wave, window)


_CYCLES_A_BYTE = {NEAR: 0.25, FAR: 3.0}
"""Of traffic: SRAM moves 16 bytes in 4 cycles, PSRAM at most 84 MB/s at 240 MHz (published measurements)."""
_CYCLES_A_WEIGHT = 0.5
"""To fetch and decode a ternary weight once more."""


def _cost(plan: MemoryPlan, a: Architecture) -> float:
    """Cycles of a pass that depend on the plan: traffic, and decoding proj and MLP once a group."""
    groups = -(-a.tokens // plan.tiling.group)
    traffic = sum(
        place.buffer.bytes * place.buffer.touches * _CYCLES_A_BYTE[place.memory] for place in plan.placed[1:]
    )
    weights = a.depth * a.width * (a.width + 2 * a.hidden)
    return traffic + groups * weights * _CYCLES_A_WEIGHT


def _placed(buffers: Sequence[Buffer], tiling: Tiling, near_bytes: int, far_bytes: int) -> MemoryPlan | None:
    """Most-touched first into SRAM, what is left over into PSRAM; None if one does not fit."""
    memories = {NEAR: _Memory(near_bytes), FAR: _Memory(far_bytes)}
    found: dict[str, Placed] = {}
    for buffer in sorted(buffers, key=lambda b: (-b.touches, b.name)):
        for number, memory in memories.items():
            offset = memory.take(buffer)
            if offset is not None:
                found[buffer.name] = Placed(buffer, number, offset)
                break
        else:
            return None
    if tiling.window and found["residual"].memory == found["window"].memory:
        return None  # a copy from one place to its like gains nothing
    placed = tuple(found[buffer.name] for buffer in buffers)
    return MemoryPlan(placed, _end(placed, NEAR), _end(placed, FAR), tiling)


class _Memory:
    """First fit among the buffers that are in use at the same time."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._taken: list[tuple[Buffer, int]] = []

    def take(self, buffer: Buffer) -> int | None:
        """The lowest offset at which the buffer fits, now taken; None if there is none."""
        others = sorted(
            (offset, offset + other.bytes) for other, offset in self._taken if other.steps & buffer.steps
        )
        for (_, end), (start, _) in pairwise([(0, 0), *_merged(others), (self._size, self._size)]):
            if start - end >= buffer.bytes:
                self._taken.append((buffer, end))
                return end
        return None


def _merged(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans sorted by their start, those that touch or overlap made one."""
    merged: list[tuple[int, int]] = []
    for start, end in spans:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def _end(placed: Sequence[Placed], memory: int) -> int:
    return max((place.end for place in placed if place.memory == memory), default=0)


def _does_not_fit(buffers: Sequence[Buffer], near_bytes: int, far_bytes: int) -> ProjectError:
    """Names the step that needs most."""
    steps: Mapping[str, int] = {
        name: sum(buffer.bytes for buffer in buffers if buffer.steps & step)
        for name, step in (("embedding", EMBEDDING), ("attention", ATTENTION), ("MLP", TOKENS))
    }
    name = max(steps, key=lambda step: steps[step])
    largest = max(buffers, key=lambda buffer: buffer.bytes)
    return ProjectError(
        f"The model needs {steps[name]:,} bytes of working memory in its {name} "
        f"({largest.bytes:,} of them for {largest.name}), and the board has {near_bytes:,} of SRAM "
        f"and {far_bytes:,} of PSRAM for it.",
        "Take a smaller model or a board with more PSRAM.",
    )
