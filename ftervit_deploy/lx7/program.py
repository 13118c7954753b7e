"""An assembled program: instructions at their addresses, data, symbols."""

from __future__ import annotations

from dataclasses import dataclass, field

from .faults import Place
from .opcodes import Opcode


@dataclass(frozen=True)
class Instruction:
    """One instruction at its place.

    Attributes:
        values: of the operands, in their order: register numbers, constants, addresses.
        size: bytes; a branch that does not reach is an inverted branch and a jump, 3 bytes more (`far`).
        function: the label of a global or of a function that precedes it.
        notes: words of a comment `lx7: ...` on the line.
    """

    opcode: Opcode
    values: tuple[int, ...]
    address: int
    size: int
    place: Place
    function: str
    text: str
    notes: frozenset[str] = frozenset()
    far: bool = False

    @property
    def end(self) -> int:
        """Address of what follows."""
        return self.address + self.size

    @property
    def target(self) -> int:
        """Where a branch, a jump or a loop leads."""
        for operand, value in zip(self.opcode.operands, self.values, strict=True):
            if operand.kind == "L":
                return value
        raise ValueError(self.text)


@dataclass(frozen=True)
class Section:
    """Data of a program.

    Attributes:
        data: the bytes as they are at first; the core gives every call the same copy.
    """

    name: str
    address: int
    data: bytes
    writable: bool


@dataclass(frozen=True)
class Program:
    """What `assemble` returns.

    Attributes:
        instructions: by address.
        symbols: labels and constants.
        sections: all that hold data, without the text.
        functions: names of the global functions, in the order of the text.
    """

    instructions: dict[int, Instruction]
    symbols: dict[str, int]
    sections: tuple[Section, ...]
    functions: tuple[str, ...]
    leaders: frozenset[int] = field(default_factory=frozenset)
    loop_ends: frozenset[int] = field(default_factory=frozenset)
