"""A layer on a connected board: BENCH of the line protocol, a tile of sixteen channels at a time."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace

from ..errors import LinkError
from ..link import BenchResult, BoardError, ErrorCode, Link
from .cases import Case
from .numbers import expected_crc
from .rows import PRODUCT, STEP, Arithmetic, Row

ROUNDS = 5
SLICE_S = 0.2
"""A turn lasts about so long."""
_MOST_REPETITIONS = 100_000
FP32, INT8 = "linear_f32f32_portable", "linear_s8s8_portable"


@dataclass
class BoardKernel:
    """A kernel of the board on one tile of the layer.

    Attributes:
        name: as BENCH takes it.
        tokens: for which the board has memory.
        repetitions: in a turn.
        results: of all turns.
    """

    name: str
    kernel: str
    arithmetic: Arithmetic
    does: str
    tokens: int
    repetitions: int = 1
    results: list[BenchResult] = field(default_factory=list)

    def per_layer(self, case: Case) -> float:
        """Layers in a turn: less than one where it has more tiles than repetitions."""
        return self.repetitions * self.tokens / (case.tiles * case.tokens)


Watch = Callable[[Case, BoardKernel], AbstractContextManager[None]]
"""What goes on around a kernel's turn, such as measuring its energy."""


def bench_board(
    link: Link, case: Case, encoding: Arithmetic, rounds: int = ROUNDS, watch: Watch | None = None
) -> list[Row]:
    """Medians of the board's kernels on one core, times the layer's tiles; FP32 and INT8 in plain C first.

    Args:
        encoding: ``t2`` or ``t5``.
        watch: entered for every turn.

    Raises:
        LinkError: the line fails, or the board serves no BENCH.
    """
    kernels = list(_ready(link, case, encoding))
    if not kernels:
        raise LinkError(
            "The board has none of the kernels to compare.", "Flash an app of this version of ftervit."
        )
    for _ in range(rounds):
        for kernel in kernels:
            with watch(case, kernel) if watch else nullcontext():
                kernel.results.append(link.bench(kernel.name, kernel.tokens, case.inputs, kernel.repetitions))
    return [_row(kernel, case) for kernel in kernels]


def _named(link: Link, case: Case, encoding: Arithmetic) -> Iterator[BoardKernel]:
    record = link.info().record
    own = str(record.get("kernels", "portable"))
    yield BoardKernel(FP32, "FP32, plain C", "fp32", PRODUCT, case.tokens)
    yield BoardKernel(INT8, "INT8, plain C", "int8", PRODUCT, case.tokens)
    for name in dict.fromkeys(("portable", own)):
        for family, does in (("linear", PRODUCT), (case.output, STEP)):
            full = f"{family}_s8{encoding}_{name}"
            yield BoardKernel(full, f"ternary {encoding}, {name}", encoding, does, case.tokens)


def _ready(link: Link, case: Case, encoding: Arithmetic) -> Iterator[BoardKernel]:
    """Those that the board has, with repetitions for a turn."""
    for kernel in _named(link, case, encoding):
        try:
            first, tokens = _first(link, kernel, case.inputs)
        except BoardError as error:
            if error.code != ErrorCode.ABSENT:
                raise
            continue
        repetitions = math.ceil(SLICE_S * 1e6 / max(first.microseconds, 1))
        yield replace(
            kernel, tokens=tokens, repetitions=min(max(repetitions, 1), _MOST_REPETITIONS), results=[]
        )


def _first(link: Link, kernel: BoardKernel, inputs: int) -> tuple[BenchResult, int]:
    """One repetition, with half the tokens as often as the board lacks memory."""
    tokens = kernel.tokens
    while True:
        try:
            return link.bench(kernel.name, tokens, inputs), tokens
        except BoardError as error:
            if error.code != ErrorCode.PAYLOAD or tokens == 1:
                raise
            tokens //= 2


def _row(kernel: BoardKernel, case: Case) -> Row:
    layers = kernel.per_layer(case)
    cycles = statistics.median(result.cycles for result in kernel.results)
    crc = expected_crc(kernel.name, kernel.tokens, case.inputs)
    return Row(
        kernel.kernel, kernel.arithmetic, kernel.does,
        statistics.median(result.microseconds for result in kernel.results) / 1e6 / layers,
        "measured", 1, cycles / layers if cycles else None, kernel.tokens,
        right=all(result.crc32 == crc for result in kernel.results), name=kernel.name,
    )  # fmt: skip
