"""A layer in the LX7 model: the ESP32-S3's own assembly, cycles counted by rules, on one core and on both."""

from __future__ import annotations

from ..boards import ChipBoard
from ..estimate import subject_of_preset
from ..plan import KernelCycles, Step, Tiling, pass_steps, rates_of
from .cases import Case
from .rows import STEP, Arithmetic, Row

_NAMES = {"patch": "patch embedding"}
"""Steps of a pass that are not called as their matrix is."""


def bench_model(case: Case, board: ChipBoard, encoding: Arithmetic, cycles: KernelCycles) -> list[Row]:
    """The whole step, operands in SRAM, shared out as the engine does.

    Args:
        encoding: ``t2`` or ``t5``.
        cycles: of the board's kernels.
    """
    return [_row(case, board, encoding, cycles, cores) for cores in range(1, board.chip.cores + 1)]


def _row(case: Case, board: ChipBoard, encoding: Arithmetic, cycles: KernelCycles, cores: int) -> Row:
    step = _step(case, encoding, cores)
    taken = sum(count * cycles.of(call) for count, call in step.calls)
    dispatch_s = step.dispatches * rates_of(board).dispatch_s if cores > 1 else 0.0
    seconds = taken / board.chip.clock_hz + dispatch_s
    name = f"ternary {encoding}, {cycles.name}"
    return Row(name, encoding, STEP, seconds, "modelled", cores, taken, case.tokens)


def _step(case: Case, encoding: str, cores: int) -> Step:
    """The first of the step's kind in a pass whose tokens and heads all go together."""
    a = case.architecture
    matrices = subject_of_preset(case.preset, a, encoding).matrices
    tiling = Tiling(cores, a.tokens, a.heads, window=False)
    name = _NAMES.get(case.layer, case.layer)
    return next(step for step in pass_steps(a, matrices, tiling) if step.name == name)
