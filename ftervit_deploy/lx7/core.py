"""One core: runs functions of a program on mapped memory and counts cycles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from . import timing
from .faults import Lx7Fault, Trap
from .memory import Memory
from .program import Instruction, Program
from .translate import FORM, LCOUNT, LEND, SLOTS, Block, State, Translator

_EXIT = 0x4000_0004
_STACK_BYTES = 8192
_STACK = 0x3FC8_0000
_NAMES = {slot: name for name, slot in SLOTS.items()}
_SHOWN = {
    "acc": "QACC",
    "accx": "ACCX",
    "sar": "SAR",
    "sar_byte": "SAR_BYTE",
    "ua": "UA_STATE",
    "fft": "FFT_BIT_WIDTH",
}


@dataclass(frozen=True)
class Result:
    """Of one call.

    Attributes:
        value: a2 on return, 0 .. 2^32-1; None if the function left nothing there.
        cycles: modelled, from the function's first instruction to the return.
        instructions: carried out.
        macs: multiply-accumulates of the vector unit and of MAC16.
    """

    value: int | None
    cycles: int
    instructions: int
    macs: int
    _passes: dict[tuple[int, timing.State, bool], int] = field(default_factory=dict, repr=False)
    _core: Core | None = field(default=None, repr=False)

    @property
    def signed(self) -> int:
        """The value as a signed number."""
        return ((self.value or 0) ^ 2**31) - 2**31

    def lines(self) -> list[tuple[Instruction, int, int]]:
        """Every instruction that ran: how often, and the cycles it took with its stalls, in the order of the text.

        The cycles that a taken branch adds are not part of it.
        """
        assert self._core is not None
        return self._core._histogram(self._passes)


@dataclass
class _Frame:
    """What `retw` restores and checks."""

    registers: list[Any]
    shift: int
    a0: int
    a1: int


class Core:
    """A core and its memory.

    Args:
        program: what `assemble` returned.
        strict: misaligned vector accesses are faults; else their low address bits are dropped, as on the chip.
        limit: instructions a call may take.
    """

    def __init__(self, program: Program, strict: bool = True, limit: int = 2_000_000_000) -> None:
        self.program = program
        self.memory = Memory(strict)
        self.limit = limit
        self._translator = Translator(program, self.memory)
        self._blocks: dict[int, Block] = {}
        self._costs: dict[tuple[int, timing.State, int, int], tuple[int, timing.State]] = {}
        self._state: State = [None] * len(SLOTS)
        self._frames: list[_Frame] = []
        self._increment = 0
        self._passes: Counter[tuple[int, timing.State, bool]] = Counter()
        self._stack = np.zeros(_STACK_BYTES, np.uint8)
        self.memory.add("stack", self._stack, address=_STACK)
        for section in program.sections:
            if section.data:
                data = np.frombuffer(bytearray(section.data), np.uint8)
                self.memory.add(section.name, data, section.writable, address=section.address)

    # ---- calls ----

    def call(self, name: str, *arguments: int | npt.NDArray[np.generic]) -> Result:
        """Calls a function as C would.

        Args:
            name: a label.
            arguments: numbers, or arrays, which are mapped for the call (writable where NumPy's are).

        Raises:
            Lx7Fault: the function broke a rule.
        """
        with self._mapped(arguments) as values:
            return self._called(name, values)

    @contextmanager
    def _mapped(self, arguments: tuple[int | npt.NDArray[np.generic], ...]) -> Iterator[list[int]]:
        regions, values = [], []
        try:
            for index, argument in enumerate(arguments):
                if isinstance(argument, np.ndarray):
                    name = f"argument {index + 1}"
                    regions.append(self.memory.add(name, argument, argument.flags.writeable))
                    values.append(regions[-1].address)
                else:
                    values.append(int(argument) & 0xFFFFFFFF)
            yield values
        finally:
            for region in regions:
                self.memory.remove(region)

    def _called(self, name: str, values: list[int]) -> Result:
        start = self.program.symbols.get(name)
        if start is None or start not in self.program.instructions:
            raise Lx7Fault(f"there is no function `{name}`.")
        windowed = self.program.instructions[start].opcode.control == "entry"
        state = self._state = [None] * len(SLOTS)
        state[FORM], state[LCOUNT], state[LEND], state[SLOTS["lbeg"]] = 0, 0, 0, 0
        top = _STACK + _STACK_BYTES - 64
        self._push(values[6:], top)
        state[1] = top
        first = 10 if windowed else 2
        state[first : first + 6] = (values[:6] + [None] * 6)[:6]
        state[8 if windowed else 0] = _EXIT & 0x3FFFFFFF | 2 << 30 if windowed else _EXIT
        self._frames, self._increment = [], 2 if windowed else 0
        self._passes = Counter()
        cycles, instructions, macs = self._run(start)
        if state[1] != top:
            raise Lx7Fault(f"{name} returned with another stack pointer.")
        value = state[10 if windowed else 2]
        return Result(value, cycles, instructions, macs, dict(self._passes), self)

    def _push(self, values: list[int], top: int) -> None:
        for index, value in enumerate(values):
            self.memory.st32(top + 4 * index, value)

    # ---- the run ----

    def _run(self, pc: int) -> tuple[int, int, int]:
        state, blocks, costs, passes = self._state, self._blocks, self._costs, self._passes
        cycles = instructions = macs = 0
        when = timing.START
        while pc != _EXIT:
            block = blocks.get(pc) or self._block(pc)
            count = state[LCOUNT] + 1 if block.loop_end and state[LEND] == block.loop_end else 1
            try:
                after = block.function(state)
            except (TypeError, KeyError, Trap, ZeroDivisionError, AttributeError) as error:
                raise self._fault(error, block) from error
            if block.control in ("call", "return", "entry"):
                after = self._windows(block, after)
            key = (pc, when, after, count)
            cost = costs.get(key)
            if cost is None:
                cost = costs[key] = self._cost(block, when, after, count)
            passes[pc, when, count] += 1  # type: ignore[index]
            cycles += cost[0]
            when = cost[1]
            instructions += len(block.instructions) * count
            macs += block.macs * count
            if instructions > self.limit:
                raise Lx7Fault(f"{self.limit:,} instructions and no end.")
            pc = after
        return cycles, instructions, macs

    def _block(self, pc: int) -> Block:
        if pc not in self.program.instructions:
            raise Lx7Fault(f"control went to 0x{pc:08x}, where there is no instruction.")
        block = self._blocks[pc] = self._translator.block(pc)
        return block

    def _cost(self, block: Block, when: timing.State, after: int, count: int) -> tuple[int, timing.State]:
        """Cycles of `count` passes and the state after them."""
        total, rest = 0, count
        seen: dict[timing.State, tuple[int, int]] = {}
        buffered = False
        while rest:
            if buffered and when in seen:
                at, cost = seen[when]
                period = at - rest
                total += (total - cost) * (rest // period)
                rest %= period
                seen = {}
                continue
            if buffered:
                seen[when] = (rest, total)
            each, when = timing.run(block.timed, when, buffered)
            total += sum(each)
            rest -= 1
            buffered = block.end - block.start <= timing.RULES["loop_buffer"].value
            if rest and not buffered:
                when = timing.redirected(when, block.start, 0)
        return self._led_on(block, when, after, total)

    def _led_on(self, block: Block, when: timing.State, after: int, total: int) -> tuple[int, timing.State]:
        last = block.instructions[-1]
        if last.opcode.control == "loop":
            if last.target - last.address > timing.RULES["loop_buffer"].value + 4:
                total += timing.RULES["loop_far"].value
            extra = timing.RULES["loop_skipped"].value if after != last.end else 0
        elif not last.opcode.control or last.opcode.control == "entry":
            return total, when if after == last.end else timing.redirected(when, after, 0)
        elif last.far:
            extra = timing.RULES["taken"].value + (1 if after != last.end else 0)
        else:
            extra = timing.RULES["taken"].value if after != last.end else 0
        return total + extra, timing.redirected(when, after, extra) if extra else when

    # ---- windows ----

    def _windows(self, block: Block, after: int) -> int:
        """Call, entry and return: what they do to the registers (Xtensa ISA, 4.7.1)."""
        last, state = block.instructions[-1], self._state
        if block.control == "call":
            shift = int(last.opcode.name.removeprefix("callx").removeprefix("call"))
            if shift:
                state[shift] = last.end & 0x3FFFFFFF | shift // 4 << 30
                self._increment = shift // 4
            else:
                state[0] = last.end
            return after
        if block.control == "entry":
            return self._entered(last)
        if not last.opcode.name.startswith("retw"):
            return after
        return self._returned(last, after)

    def _entered(self, entry: Instruction) -> int:
        state, shift = self._state, 4 * self._increment
        if not shift:
            raise _at(entry, "`entry` without call4, call8 or call12.")
        held = list(state[:16])
        pointer = (held[entry.values[0]] - entry.values[1]) & 0xFFFFFFFF
        state[:16] = held[shift:] + [None] * shift
        state[1] = pointer
        self._frames.append(_Frame(held, shift, state[0], pointer))
        self._increment = 0
        return entry.end

    def _returned(self, instruction: Instruction, a0: int) -> int:
        if not self._frames:
            raise _at(instruction, "`retw` without `entry`.")
        frame, state = self._frames.pop(), self._state
        if a0 != frame.a0:
            raise _at(instruction, f"a0 is 0x{a0:08x}, not the return address 0x{frame.a0:08x}.")
        if state[1] != frame.a1:
            raise _at(instruction, f"a1 is not what `entry` made it (0x{frame.a1:08x}).")
        state[:16] = frame.registers[: frame.shift] + state[: 16 - frame.shift]
        return a0 & 0x3FFFFFFF | 0x4000_0000

    # ---- reports ----

    def _fault(self, error: Exception, block: Block) -> Lx7Fault:
        """The error with its line, if it is one of the kernel's."""
        trace = error.__traceback__
        line, values = 0, {}
        while trace:
            if trace.tb_frame.f_code is block.code:
                line, values = trace.tb_lineno, trace.tb_frame.f_locals
            trace = trace.tb_next
        instruction = block.lines[line - 1] if line else None
        if instruction is None:
            raise error
        if isinstance(error, Trap):
            return _at(instruction, str(error))
        if isinstance(error, ZeroDivisionError):
            return _at(instruction, "division by zero.")
        never = [
            name for name in _read(instruction, block, line) if not isinstance(values.get(name), (int, bytes))
        ]
        if not never:
            raise error
        return _at(instruction, f"{_SHOWN.get(never[0], never[0])} is read and was never written.")

    def _histogram(
        self, passes: dict[tuple[int, timing.State, bool], int]
    ) -> list[tuple[Instruction, int, int]]:
        runs: Counter[int] = Counter()
        cycles: Counter[int] = Counter()
        for (pc, when, count), times in passes.items():
            block = self._blocks[pc]
            for index in range(count):
                buffered = index > 0 and block.end - block.start <= timing.RULES["loop_buffer"].value
                each, when = timing.run(block.timed, when, buffered)
                for instruction, cost in zip(block.instructions, each, strict=True):
                    runs[instruction.address] += times
                    cycles[instruction.address] += times * cost
        code = self.program.instructions
        return [(code[a], runs[a], cycles[a]) for a in sorted(runs)]


def _read(instruction: Instruction, block: Block, line: int) -> list[str]:
    """Names of the variables that the instruction reads."""
    opcode = instruction.opcode
    operands = zip(opcode.operands, instruction.values, strict=True)
    registers = [f"{o.kind.lower()}{v}" for o, v in operands if o.kind in ("A", "Q") and o.use]
    special = {
        "QACC_H": "acc",
        "QACC_L": "acc",
        "ACCX": "accx",
        "UA_STATE": "ua",
        "FFT_BIT_WIDTH": "fft",
        "MAC": "mac",
    }
    states = [special.get(name, name.lower()) for name, use, _ in opcode.state if use]
    return list(chain(registers, states))


def _at(instruction: Instruction, what: str) -> Lx7Fault:
    return Lx7Fault(what, instruction.place, instruction.function, instruction.text)
