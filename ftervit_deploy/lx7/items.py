"""What a file consists of, before anything has its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .expressions import UnknownSymbolError, evaluate
from .faults import AssemblyError
from .opcodes import OPCODES, Opcode
from .source import Line

Symbols = Mapping[str, int]


@dataclass
class Item:
    """Something with an address; `size` is what is known of it so far."""

    line: Line
    size: int = 0
    address: int = 0


@dataclass
class Label(Item):
    """A name for the place."""

    name: str = ""
    pad: int = 0


@dataclass
class Code(Item):
    """An instruction; `arguments` that are expressions are text.

    Attributes:
        far: the branch is an inverted branch and a jump.
        narrow: the 16-bit form of the opcode, where the operands allow it.
        wide: the 24-bit form all the same, for the sake of an alignment.
        pad: bytes of `nop` in front.
    """

    opcode: Opcode = field(default_factory=lambda: OPCODES["nop"])
    arguments: tuple[str | int, ...] = ()
    text: str = ""
    function: str = ""
    far: bool = False
    narrow: Opcode | None = None
    wide: bool = False
    pad: int = 0

    @property
    def form(self) -> Opcode:
        """The form that is taken."""
        return self.narrow if self.narrow and not self.wide else self.opcode


@dataclass
class Values(Item):
    """Numbers of `width` bytes, as expressions, or bytes as they are."""

    values: list[str] = field(default_factory=list)
    width: int = 1
    raw: bytes = b""


@dataclass
class Space(Item):
    """Bytes of `fill`; up to a multiple of `align`, if that is not 0."""

    align: int = 0
    fill: int = 0


@dataclass
class Section:
    """Items in their order."""

    name: str
    items: list[Item] = field(default_factory=list)
    start: int = 0

    @property
    def is_text(self) -> bool:
        """Whether it holds instructions."""
        return self.name.startswith((".text", ".iram", ".init", ".fini"))

    @property
    def writable(self) -> bool:
        """Whether a program may store to it."""
        return self.name.startswith((".data", ".bss", ".dram"))

    @property
    def codes(self) -> list[Code]:
        """Its instructions."""
        return [item for item in self.items if isinstance(item, Code)]

    @property
    def alignment(self) -> int:
        """Of its start, so that every alignment within it holds."""
        return max([16, *[item.align for item in self.items if isinstance(item, Space)]])


@dataclass
class Unit:
    """One file.

    Attributes:
        labels: by name, with those of `.literal`.
        constants: symbols of `.set` that have a value.
        deferred: name, expression and line of the others.
        exported: names that `.global` shows to other files.
    """

    sections: dict[str, Section] = field(default_factory=dict)
    labels: dict[str, Label] = field(default_factory=dict)
    constants: Symbols = field(default_factory=dict)
    deferred: list[tuple[str, str, Line]] = field(default_factory=list)
    exported: list[str] = field(default_factory=list)

    def section(self, name: str) -> Section:
        """The section of that name, a new one if there is none."""
        return self.sections.setdefault(name, Section(name))

    @property
    def texts(self) -> list[Section]:
        """Sections that hold instructions."""
        return [section for section in self.sections.values() if section.is_text]


def number(argument: str | int, symbols: Symbols, line: Line) -> int:
    """The number of an operand.

    Raises:
        AssemblyError: it is none, or a name without a value.
    """
    if isinstance(argument, int):
        return argument
    try:
        return evaluate(argument, symbols, line.place)
    except UnknownSymbolError as error:
        raise AssemblyError(line.place, f"`{error}` is not defined.") from None


def numbers(code: Code, symbols: Symbols) -> list[int]:
    """Operands as numbers; what `movi` loads as a signed 32-bit number."""
    values = [number(a, symbols, code.line) for a in code.arguments]
    if code.opcode.name == "movi":
        values[1] = ((values[1] + 2**31) & 0xFFFFFFFF) - 2**31
    return values
