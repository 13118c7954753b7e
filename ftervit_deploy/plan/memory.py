"""SRAM and PSRAM: which buffer lies where."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from ..architecture import Architecture
from ..errors import ProjectError
from ..image.layout import round_up
from .buffers import (
    ALIGN,
    ALWAYS,
    ATTENTION,
    EMBEDDING,
    FAR_ALIGN,
    ROW_GROUP,
    TOKENS,
    Buffer,
    Tiling,
    buffers_of,
)  # fmt: skip
from .calls import KernelCycles
from .kernels import KernelSet
from .prices import Machine, Place, prices_of
from .steps import Matrices, pass_steps

NEAR, FAR, SPARE = 0, 1, 2
"""`ftv_memory`: SRAM, PSRAM, and another piece of SRAM."""


@dataclass(frozen=True)
class Placed:
    """A buffer at its place; `memory` is NEAR, FAR or SPARE, `offset` in bytes."""

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
        near_bytes, far_bytes, spare_bytes: what the plan takes of each memory.
        tiling: how the pass is cut.
        weights_in_psram: True where the firmware copies the image to PSRAM, beyond `far_bytes`.
    """

    placed: tuple[Placed, ...]
    near_bytes: int
    far_bytes: int
    spare_bytes: int
    tiling: Tiling
    weights_in_psram: bool

    @property
    def place(self) -> Place:
        """Where buffers and weights lie, as `prices` takes it."""
        far = frozenset(place.buffer.name for place in self.placed if place.memory == FAR)
        return Place(far, self.weights_in_psram)


def plan_memory(
    a: Architecture, matrices: Matrices, kernels: KernelSet, machine: Machine, image_bytes: int = 0
) -> MemoryPlan:
    """The plan that costs least: the most-used bytes in SRAM, the pass cut as pays.

    Args:
        kernels: that the firmware has.
        machine: cores, memories and their rates.
        image_bytes: of the image; it is copied to PSRAM where that has room for it and is faster than flash.

    Raises:
        ProjectError: it does not fit; the sentence has the arithmetic.
    """
    plans: list[MemoryPlan] = []
    for tiling in _tilings(a, kernels, machine):
        buffers = buffers_of(a, kernels, tiling)
        plans += _placements(buffers, tiling, machine, image_bytes)
    if not plans:
        raise _does_not_fit(buffers, machine)
    price = Pricing(a, matrices, kernels.cycles, machine)
    return min(plans, key=lambda plan: (price.seconds(plan), plan.near_bytes))


def _tilings(a: Architecture, kernels: KernelSet, machine: Machine) -> Iterator[Tiling]:
    """Every way to cut a pass, the one that needs least memory last."""
    waves = sorted({-(-a.heads // parts) for parts in range(1, a.heads + 1)}, reverse=True)
    for wave in waves:
        for window, stays in ((True, True), (True, False), (False, False)):
            for groups in range(1, -(-a.tokens // ROW_GROUP) + 1):
                tiling = Tiling(machine.workers, -(-a.tokens // groups), wave, window, stays=stays)
                resident = _resident(a, buffers_of(a, kernels, tiling), machine)
                if resident:
                    yield replace(tiling, resident=resident)
                yield tiling


def _resident(a: Architecture, buffers: Sequence[Buffer], machine: Machine) -> int:
    """How many tokens' residual rows fit SRAM beside what else should be there; 0 where all do, too."""
    sizes = {buffer.name: buffer for buffer in buffers}
    wanted = [b for b in buffers if b.name not in ("residual", "resident", "mixed")]
    taken = max(sum(b.bytes for b in wanted if b.steps & step) for step in (EMBEDDING, ATTENTION, TOKENS))
    row = sizes["residual"].bytes // a.tokens
    spare = min(sizes["scratch"].bytes, machine.spare_bytes)
    fitting = max(machine.near_bytes + spare - taken, 0) // row
    return fitting if fitting < a.tokens else 0


def _placements(
    buffers: Sequence[Buffer], tiling: Tiling, machine: Machine, image_bytes: int
) -> list[MemoryPlan]:
    """The plans that come of giving SRAM away in different orders; what is left over goes to PSRAM."""
    orders = (
        lambda b: (-b.touches, b.name),
        lambda b: (b.steps != ALWAYS or b.touches < _OFTEN, -b.touches, b.name),
        lambda b: (b.steps != ALWAYS, -b.touches, b.name),
    )
    found: dict[tuple[tuple[int, int], ...], MemoryPlan] = {}
    for order in orders:
        plan = _placed(buffers, sorted(buffers, key=order), tiling, machine, image_bytes)
        if plan is not None:
            found.setdefault(tuple((place.memory, place.offset) for place in plan.placed), plan)
    return list(found.values())


_OFTEN = 100.0
"""Touches of each byte from which a buffer that every step uses is placed before all others."""


def _placed(
    buffers: Sequence[Buffer], order: Sequence[Buffer], tiling: Tiling, machine: Machine, image_bytes: int
) -> MemoryPlan | None:
    """Each buffer in turn where it first fits, the smallest memory first; None if one does not fit."""
    memories = {
        SPARE: _Memory(machine.spare_bytes),
        NEAR: _Memory(machine.near_bytes),
        FAR: _Memory(machine.far_bytes, FAR_ALIGN),
    }
    found: dict[str, Placed] = {}
    for buffer in order:
        for number, memory in memories.items():
            if number == SPARE and not buffer.bytes:
                continue
            offset = memory.take(buffer)
            if offset is not None:
                found[buffer.name] = Placed(buffer, number, offset)
                break
        else:
            return None
    if tiling.window and (found["residual"].memory != FAR or found["window"].memory == FAR):
        return None  # a copy from one place to its like gains nothing
    placed = tuple(found[buffer.name] for buffer in buffers)
    far = _end(placed, FAR)
    copied = 0 < image_bytes <= machine.far_bytes - far and machine.rates.psram_is_faster
    return MemoryPlan(placed, _end(placed, NEAR), far, _end(placed, SPARE), tiling, copied)


class Pricing:
    """What plans for one model on one machine cost; the steps of each tiling are priced call by call once."""

    def __init__(self, a: Architecture, matrices: Matrices, cycles: KernelCycles, machine: Machine) -> None:
        self._a, self._matrices, self._cycles, self._machine = a, matrices, cycles, machine

    def seconds(self, plan: MemoryPlan) -> float:
        """Of one pass."""
        steps = pass_steps(self._a, self._matrices, plan.tiling)
        return sum(price.seconds for price in prices_of(steps, self._cycles, self._machine, plan.place))


class _Memory:
    """First fit among the buffers that are in use at the same time."""

    def __init__(self, size: int, align: int = ALIGN) -> None:
        self._size, self._align = size, align
        self._taken: list[tuple[Buffer, int]] = []

    def take(self, buffer: Buffer) -> int | None:
        """The lowest offset at which the buffer fits, now taken; None if there is none."""
        others = sorted(
            (offset, offset + other.bytes) for other, offset in self._taken if other.steps & buffer.steps
        )
        for (_, end), (start, _) in pairwise([(0, 0), *_merged(others), (self._size, self._size)]):
            place = round_up(end, self._align)
            if start - place >= buffer.bytes:
                self._taken.append((buffer, place))
                return place
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


def _does_not_fit(buffers: Sequence[Buffer], machine: Machine) -> ProjectError:
    """Names the step that needs most."""
    steps: Mapping[str, int] = {
        name: sum(buffer.bytes for buffer in buffers if buffer.steps & step)
        for name, step in (("embedding", EMBEDDING), ("attention", ATTENTION), ("MLP", TOKENS))
    }
    name = max(steps, key=lambda step: steps[step])
    largest = max(buffers, key=lambda buffer: buffer.bytes)
    near = machine.near_bytes + machine.spare_bytes
    return ProjectError(
        f"The model needs {steps[name]:,} bytes of working memory in its {name} "
        f"({largest.bytes:,} of them for {largest.name}), and the board has {near:,} of SRAM "
        f"and {machine.far_bytes:,} of PSRAM for it.",
        "Take a smaller model or a board with more PSRAM.",
    )
