"""One core: runs functions of a program on mapped memory and counts cycles."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from . import timing
from .faults import KernelError, Lx7Fault
from .memory import Memory
from .program import Instruction, Program
from .translate import FORM, LBEG, LCOUNT, LEND, SLOTS, Block, State, Translator
from .windows import EXIT, Windows, at

Argument = int | npt.NDArray[np.generic]
_Pass = tuple[int, timing.State, int, int]
"""A block's address, the pipeline before it, the address after it, and its passes as a loop's body."""
_WINDOW = {"call", "entry", "return"}
_SHOWN = {
    "acc": "QACC",
    "accx": "ACCX",
    "sar": "SAR",
    "sar_byte": "SAR_BYTE",
    "ua": "UA_STATE",
    "fft": "FFT_BIT_WIDTH",
    "mac": "ACC",
}
_VARIABLES = {"qacc_h": "acc", "qacc_l": "acc", "ua_state": "ua", "fft_bit_width": "fft"}


@dataclass(frozen=True)
class LineCost:
    """What one instruction took: its issue, the stalls before it, and a taken branch after it."""

    instruction: Instruction
    times: int
    cycles: int


@dataclass(frozen=True)
class Result:
    """Of one call.

    Attributes:
        value: a2 on return, 0 .. 2^32-1; None if the function left nothing there.
        cycles: modelled, from the function's first instruction to its return.
        instructions: carried out.
        macs: multiply-accumulates of the vector unit and of MAC16.
        stores: of 128 bits; each was measured to take 0 to 0.6 cycles more than modelled.
    """

    value: int | None
    cycles: int
    instructions: int
    macs: int
    stores: int
    _passes: dict[_Pass, int] = field(repr=False)
    _blocks: dict[int, Block] = field(repr=False)

    @property
    def signed(self) -> int:
        """The value as a signed number."""
        return ((self.value or 0) ^ 2**31) - 2**31

    def lines(self) -> list[LineCost]:
        """Every instruction that ran, in the order of the text; their cycles add up to `cycles`."""
        times: Counter[int] = Counter()
        cycles: Counter[int] = Counter()
        code: dict[int, Instruction] = {}
        for (start, when, after, count), number in self._passes.items():
            block = self._blocks[start]
            each, _ = _costs(block, when, after, count)
            for instruction, cost in zip(block.instructions, each, strict=True):
                code[instruction.address] = instruction
                times[instruction.address] += number * count
                cycles[instruction.address] += number * cost
        return [LineCost(code[a], times[a], cycles[a]) for a in sorted(code)]

    def functions(self) -> dict[str, int]:
        """Cycles of every function."""
        out: Counter[str] = Counter()
        for line in self.lines():
            out[line.instruction.function] += line.cycles
        return dict(out)


class Core:
    """A core and its memory.

    Args:
        program: what `assemble` returned.
        strict: misaligned accesses are faults; else vector accesses drop their low address bits, as on the
            chip, and scalar ones are carried out.
        limit: instructions that a call may take.
    """

    def __init__(self, program: Program, strict: bool = True, limit: int = 2_000_000_000) -> None:
        self.program = program
        self.memory = Memory(strict)
        self.limit = limit
        self._translator = Translator(program, self.memory)
        self._blocks: dict[int, Block] = {}
        self._known: dict[_Pass, tuple[int, timing.State]] = {}
        self._windows = Windows(self.memory)
        for section in program.sections:
            if section.data:
                data = np.frombuffer(bytearray(section.data), np.uint8)
                self.memory.add(section.name, data, section.writable, address=section.address)

    def call(self, name: str, *arguments: Argument) -> Result:
        """Calls a function as C would: windowed if it begins with `entry`, else call0.

        Args:
            name: a label.
            arguments: numbers, or arrays, which are mapped for the call (writable where NumPy's are).

        Raises:
            Lx7Fault: the function broke a rule.
        """
        start = self.program.symbols.get(name, -1)
        if start not in self.program.instructions:
            raise Lx7Fault(f"there is no function `{name}`.")
        windowed = self.program.instructions[start].opcode.control == "entry"
        state: State = [None] * len(SLOTS)
        state[FORM] = state[LBEG] = state[LEND] = state[LCOUNT] = 0
        with self._mapped(arguments) as values:
            self._windows.begin(state, values, windowed)
            cycles, passes = self._run(start, state)
            value = self._windows.ended(state, windowed)
        return self._result(value, cycles, passes)

    def _result(self, value: int | None, cycles: int, passes: dict[_Pass, int]) -> Result:
        instructions = macs = stores = 0
        for (start, _, _, count), number in passes.items():
            block, times = self._blocks[start], count * number
            instructions += len(block.instructions) * times
            macs += block.macs * times
            stores += block.stores * times
        return Result(value, cycles, instructions, macs, stores, passes, self._blocks)

    @contextmanager
    def _mapped(self, arguments: tuple[Argument, ...]) -> Iterator[list[int]]:
        regions, values = [], []
        try:
            for index, argument in enumerate(arguments):
                if isinstance(argument, np.ndarray):
                    name = f"argument {index + 1}"
                    regions.append(self.memory.add(name, argument, argument.flags.writeable))
                    values.append(regions[-1].address)
                else:
                    values.append(int(argument) & 0xFFFF_FFFF)
            yield values
        finally:
            for region in regions:
                self.memory.remove(region)

    def _run(self, pc: int, state: State) -> tuple[int, dict[_Pass, int]]:
        blocks, known, passes = self._blocks, self._known, Counter[_Pass]()
        cycles = instructions = 0
        when = timing.START
        while pc != EXIT:
            block = blocks.get(pc) or self._block(pc)
            count = state[LCOUNT] + 1 if block.loop_end and state[LEND] == block.loop_end else 1
            try:
                after = block.function(state)
            except (TypeError, KernelError, ZeroDivisionError, AttributeError, struct.error) as error:
                raise _fault(error, block) from error
            if block.control in _WINDOW:
                after = self._windows.lead(block.last, state, after)
            key = (pc, when, after, count)
            cost = known.get(key)
            if cost is None:
                each, left = _costs(block, when, after, count)
                cost = known[key] = (sum(each), left)
            passes[key] += 1
            cycles += cost[0]
            instructions += len(block.instructions) * count
            if instructions > self.limit:
                raise at(block.last, f"{self.limit:,} instructions and no end.")
            pc, when = after, cost[1]
        return cycles, dict(passes)

    def _block(self, pc: int) -> Block:
        if pc not in self.program.instructions:
            raise Lx7Fault(f"control went to 0x{pc:08x}, where there is no instruction.")
        block = self._blocks[pc] = self._translator.block(pc)
        return block


def _costs(block: Block, when: timing.State, after: int, count: int) -> tuple[list[int], timing.State]:
    """Cycles of every instruction in `count` passes, the way on to `after` included, and the state then."""
    total, when = timing.loop(block.timed, when, count)
    extra = timing.lead(block.last, after)
    if extra:
        total[-1] += extra
        when = timing.redirected(when, after, extra)
    elif not block.loop_end and after != block.last.end:
        when = timing.redirected(when, after, 0)
    return total, when


def _fault(error: Exception, block: Block) -> Lx7Fault:
    """The error with its line, if it is one of the kernel's."""
    trace = error.__traceback__
    number, values = 0, {}
    while trace:
        if trace.tb_frame.f_code is block.code:
            number, values = trace.tb_lineno, trace.tb_frame.f_locals
        trace = trace.tb_next
    instruction = block.lines[number - 1] if number else None
    if instruction is None:
        raise error
    if isinstance(error, KernelError):
        return at(instruction, str(error))
    if isinstance(error, ZeroDivisionError):
        return at(instruction, "division by zero.")
    unknown = [name for name in _read(instruction) if not isinstance(values.get(name), (int, bytes))]
    if not unknown:
        raise error
    return at(instruction, f"{_SHOWN.get(unknown[0], unknown[0])} is read and was never written.")


def _read(instruction: Instruction) -> list[str]:
    """Names of the variables that the instruction reads."""
    operands = zip(instruction.opcode.operands, instruction.values, strict=True)
    registers = [f"{o.kind.lower()}{v}" for o, v in operands if o.kind in ("A", "Q") and o.use]
    states = [name.lower() for name, use, _ in instruction.opcode.state if use]
    return registers + [_VARIABLES.get(name, name) for name in states]
