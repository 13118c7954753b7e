"""Calls: the register window and the stack of one core (Xtensa ISA, 4.7.1, and its windowed ABI).

Of the windowed calls only what a kernel sees is modelled: registers that never overflow, and no cost of
spilling them. The 16 bytes below the stack pointer and the top of the frame belong to the window
handlers: 16 bytes for any frame, 32 for one that uses call8, 48 for call12.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .faults import Lx7Fault
from .memory import Memory, Region
from .program import Instruction

EXIT = 0x4000_0004
"""Where the outermost function returns to."""
_STACK = 0x3FC8_0000
_STACK_BYTES = 16384
_TOP = _STACK + _STACK_BYTES - 64


@dataclass(frozen=True)
class _Frame:
    """What `retw` restores and checks."""

    registers: list[Any]
    shift: int
    return_address: int
    pointer: int
    size: int


class Windows:
    """Frames of the functions that are active.

    Args:
        state: of the core; its first sixteen places are a0..a15.
    """

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._frames: list[_Frame] = []
        self._increment = 0
        self._region: Region = memory.add("stack", np.zeros(_STACK_BYTES, np.uint8), address=_STACK)

    def begin(self, state: list[Any], values: list[int], windowed: bool) -> None:
        """Registers and stack of a caller that has just called with these arguments."""
        self._frames = []
        self._increment = 2 if windowed else 0
        self._limit(_STACK)
        for index, value in enumerate(values[6:]):
            self._memory.st32(_TOP + 4 * index, value)
        first = 10 if windowed else 2
        state[1] = _TOP
        state[first : first + 6] = (values[:6] + [None] * 6)[:6]
        state[first - 2] = EXIT & 0x3FFF_FFFF | 2 << 30 if windowed else EXIT
        state[first - 1] = None if windowed else _TOP

    def ended(self, state: list[Any], windowed: bool) -> int | None:
        """The value of the outermost function.

        Raises:
            Lx7Fault: it left another stack pointer.
        """
        if state[1] != _TOP:
            raise Lx7Fault("the function returned with another stack pointer.")
        value: int | None = state[10 if windowed else 2]
        return value

    def _limit(self, pointer: int) -> None:
        """Lets only what lies above the stack pointer be accessed."""
        self._memory.begin_at(self._region, pointer)

    def lead(self, instruction: Instruction, state: list[Any], after: int) -> int:
        """Carries out a call, an `entry` or a return; the address that follows.

        Raises:
            Lx7Fault: a rule of the ABI is broken.
        """
        control = instruction.opcode.control
        if control == "call":
            self._call(instruction, state)
            return after
        if control == "entry":
            return self._entry(instruction, state)
        return self._return(instruction, state, after) if "retw" in instruction.opcode.name else after

    def _call(self, call: Instruction, state: list[Any]) -> None:
        shift = int(call.opcode.name.removeprefix("callx").removeprefix("call"))
        if not shift:
            state[0] = call.end
            return
        need = 16 + max(shift - 4, 0) * 4
        if self._frames and self._frames[-1].size < need:
            raise at(call, f"a frame of {self._frames[-1].size} bytes; `entry` must leave {need}.")
        state[shift] = call.end & 0x3FFF_FFFF | shift // 4 << 30
        self._increment = shift // 4

    def _entry(self, entry: Instruction, state: list[Any]) -> int:
        shift = 4 * self._increment
        if not shift:
            raise at(entry, "`entry` without call4, call8 or call12.")
        if entry.values[0] != 1:
            raise at(entry, "`entry` of another register than a1.")
        held = state[:16]
        pointer = held[1] - entry.values[1]
        if pointer < _STACK + 64:
            raise at(entry, f"more than {_STACK_BYTES - 128:,} bytes of stack.")
        state[:16] = held[shift:] + [None] * shift
        state[1] = pointer
        self._frames.append(_Frame(held, shift, state[0], pointer, entry.values[1]))
        self._increment = 0
        self._limit(pointer)
        return entry.end

    def _return(self, instruction: Instruction, state: list[Any], a0: int) -> int:
        if not self._frames:
            raise at(instruction, "`retw` without `entry`.")
        frame = self._frames.pop()
        if a0 != frame.return_address:
            raise at(instruction, f"a0 is 0x{a0:08x}, not the return address 0x{frame.return_address:08x}.")
        if state[1] != frame.pointer:
            raise at(instruction, f"a1 is not what `entry` made it, 0x{frame.pointer:08x}.")
        results = state[2:6]
        state[:16] = frame.registers[: frame.shift] + [None] * (16 - frame.shift)
        state[frame.shift + 2 : frame.shift + 6] = results[: 14 - frame.shift]
        self._limit(self._frames[-1].pointer if self._frames else _STACK)
        return a0 & 0x3FFF_FFFF | 0x4000_0000


def at(instruction: Instruction, what: str) -> Lx7Fault:
    """A fault of an instruction."""
    return Lx7Fault(what, instruction.place, instruction.function, instruction.text)
