"""Where everything of a program goes, and in which form.

GNU as for Xtensa chooses the form of an instruction while it lays the text out, and so does this: the
16-bit form where the operands allow it; an inverted branch and a jump where a branch does not reach; before
a loop whose first instruction would cross a 4-byte boundary, and before other targets of branches, 24-bit
forms of the instructions in front; before a loop `nop`s where there are none (GNU as manual, 9.57.3).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .expressions import UnknownSymbolError, evaluate
from .faults import AssemblyError
from .opcodes import B4CONST, B4CONSTU, OPCODES, Opcode
from .operands import narrow_form
from .program import Instruction, Program
from .program import Section as Data
from .source import Line

TEXT, RODATA, DATA = 0x4037_8000, 0x3FC8_8000, 0x3FC9_0000
"""Instruction RAM, and the part of the data RAM that `Memory` leaves to the program."""
_PASSES = 60
_REACH = {"beqz": 2047, "bnez": 2047, "bltz": 2047, "bgez": 2047}


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


Symbols = Mapping[str, int]


@dataclass
class Layout:
    """Sections, labels and constants of a program, and the program that they make."""

    sections: list[Section]
    labels: Mapping[str, Label]
    constants: Symbols
    deferred: Sequence[tuple[str, str, Line]]
    functions: Sequence[str]

    def program(self) -> Program:
        """The program.

        Raises:
            AssemblyError: an operand out of range, a name without a value.
        """
        symbols = self._settled()
        instructions: dict[int, Instruction] = {}
        for section in self.sections:
            if section.is_text:
                instructions |= _instructions(section, symbols)
        data = tuple(
            Data(s.name, s.items[0].address, _bytes(s, symbols), s.writable)
            for s in self.sections
            if s.items and not s.is_text
        )
        functions = tuple(n for n in dict.fromkeys(self.functions) if symbols.get(n) in instructions)
        _check_loops(instructions)
        leaders, ends = _leaders(instructions)
        return Program(instructions, dict(symbols), data, functions, leaders, ends)

    def _settled(self) -> Symbols:
        texts = [section for section in self.sections if section.is_text]
        targets = self._targets()
        before: object = None
        for _ in range(_PASSES):
            symbols = self._placed()
            for section in texts:
                _form(section, symbols)
                _align(section, targets)
            now = [(c.form.name, c.size, c.pad) for section in texts for c in section.codes]
            if now == before:
                return symbols
            before = now
        raise AssemblyError(None, "branches and alignments never come to rest.")

    def _targets(self) -> set[str]:
        """Names of labels that instructions lead to."""
        found: set[str] = set()
        for section in self.sections:
            for code in section.codes:
                for operand, argument in zip(code.opcode.operands, code.arguments, strict=True):
                    if operand.kind == "L" and code.opcode.control in ("branch", "jump"):
                        found.add(str(argument).strip())
        return found

    def _placed(self) -> Symbols:
        cursors = {"text": TEXT, "rodata": RODATA, "data": DATA}
        for section in self.sections:
            area = "text" if section.is_text else "data" if section.writable else "rodata"
            cursors[area] = _place(section, (cursors[area] + 15) & ~15)
        symbols = {name: label.address for name, label in self.labels.items()} | dict(self.constants)
        for name, text, line in self.deferred:
            symbols[name] = _value(text, symbols, line)
        return symbols


def _place(section: Section, start: int) -> int:
    """Gives every item its address; where the section ends."""
    address = section.start = start
    for item in section.items:
        if isinstance(item, Space) and item.align:
            item.size = -address % item.align
        if isinstance(item, (Code, Label)):
            address += item.pad
        item.address = address
        address += item.size
    return address


def _form(section: Section, symbols: Symbols) -> None:
    """Which instructions could be narrow, and which branches do not reach."""
    for code in section.codes:
        values = operand_values(code, symbols)
        code.far = code.far or not _reaches(code.opcode, values, code.address)
        if not code.text.startswith("_"):
            code.narrow = None if code.far else narrow_form(code.opcode, values, code.address)
        code.size = code.form.size + (3 if code.far else 0)


def _reaches(opcode: Opcode, values: Sequence[int], address: int) -> bool:
    if opcode.control != "branch":
        return True
    limit = _REACH.get(opcode.name, 127)
    return -limit - 1 <= values[-1] - address - 4 <= limit


def _crosses(address: int, size: int) -> bool:
    return address % 4 + min(size, 4) > 4


def _align(section: Section, targets: set[str]) -> None:
    """Widens and pads so that targets of branches and bodies of loops do not cross a 4-byte boundary.

    A target may use what stands between it and the target before; the last of it goes first.
    """
    items = [item for item in section.items if not isinstance(item, Label) or item.name in targets]
    usable: list[Code] = []
    address, closed = section.start, False
    for index, item in enumerate(items):
        if isinstance(item, Space):
            address += -address % item.align if item.align else item.size
            usable = []
            continue
        after = next((i for i in items[index + 1 :] if isinstance(i, Code)), None)
        if isinstance(item, Label) and after:
            item.pad = next(by for by in range(8) if _suits(items, index, address + by)) if closed else 0
            address += item.pad or _widened(usable, address, after)
            usable = []
        elif isinstance(item, Code):
            item.pad, item.wide = 0, False
            if item.opcode.control == "loop" and after:
                address += _widened(usable, address + 3, after)
                item.pad = next(by for by in (0, 2, 3, 4, 5) if not _crosses(address + 3 + by, _most(after)))
                usable = []
            if item.narrow:
                usable.append(item)
            closed = item.opcode.control in ("jump", "return")
            address += item.pad + _least(item)
    for code in section.codes:
        code.size = code.form.size + (3 if code.far else 0)


def _least(code: Code) -> int:
    """Bytes in its shortest form."""
    return (code.narrow or code.opcode).size + (3 if code.far else 0)


def _most(code: Code) -> int:
    """Bytes in the form that a later alignment may give it."""
    return code.opcode.size


def _suits(items: Sequence[Item], index: int, address: int) -> bool:
    """Whether a label that nothing runs into may stand at the address, for its instruction and its loop."""
    first, *rest = [i for i in items[index + 1 : index + 3] if isinstance(i, Code)]
    if first.opcode.control == "loop" and rest and _crosses(address + 3, _most(rest[0])):
        return False
    return not _crosses(address, _most(first))


def _widened(usable: list[Code], address: int, after: Code) -> int:
    """Widens what is needed for `after` to stand well at the address; by how many bytes it moved on."""
    need = next(by for by in range(4) if not _crosses(address + by, _most(after)))
    if need > len(usable):
        return 0
    for code in usable[len(usable) - need :]:
        code.wide = True
    return need


def _value(argument: str | int, symbols: Symbols, line: Line) -> int:
    """The number of an operand."""
    if isinstance(argument, int):
        return argument
    try:
        return evaluate(argument, symbols, line.place)
    except UnknownSymbolError as error:
        raise AssemblyError(line.place, f"`{error}` is not defined.") from None


def operand_values(code: Code, symbols: Symbols) -> list[int]:
    """Operands as numbers; what `movi` loads as a signed 32-bit number."""
    values = [_value(a, symbols, code.line) for a in code.arguments]
    if code.opcode.name == "movi":
        values[1] = ((values[1] + 2**31) & 0xFFFFFFFF) - 2**31
    return values


def _finished(code: Code, symbols: Symbols) -> Instruction:
    values = tuple(operand_values(code, symbols))
    opcode, text, line = code.form, code.text, code.line
    if opcode.name == "movi" and not -2048 <= values[1] <= 2047:
        opcode = OPCODES["l32r="]
    if opcode.name == "extui" and values[2] + values[3] > 32:
        raise AssemblyError(line.place, f"`{text}`: the field ends beyond bit 31.")
    for operand, value in zip(opcode.operands, values, strict=True):
        _check(operand.kind, (operand.low, operand.high, operand.step), value, code)
    return Instruction(
        opcode, values, code.address, code.size, line.place, code.function, text, line.notes, code.far
    )


def _check(kind: str, limits: tuple[int, int, int], value: int, code: Code) -> None:
    low, high, step = limits
    if kind == "I" and (not low <= value <= high or value % step):
        where = f"{low}..{high}" + (f" in steps of {step}" if step > 1 else "")
        raise AssemblyError(code.line.place, f"`{code.text}`: {value} is not within {where}.")
    if (kind == "B" and value not in B4CONST) or (kind == "U" and value not in B4CONSTU):
        raise AssemblyError(code.line.place, f"`{code.text}`: {value} is not among the constants it has.")


def _check_loops(instructions: Mapping[int, Instruction]) -> None:
    """What a loop may not end with (Xtensa ISA, 4.3.2.2)."""
    by_end = {instruction.end: instruction for instruction in instructions.values()}
    for loop in instructions.values():
        if loop.opcode.control != "loop":
            continue
        last = by_end.get(loop.target)
        if last is None or loop.target <= loop.end:
            raise AssemblyError(loop.place, "the loop's end is not after an instruction of its body.")
        if last.opcode.control or last.opcode.name in ("isync", "rsr.lcount"):
            raise AssemblyError(last.place, f"`{last.text}` ends a loop, which is undefined.", "Add a nop.")


def _instructions(section: Section, symbols: Symbols) -> dict[int, Instruction]:
    """Those of a section, and the `nop`s between them that something runs into."""
    out: dict[int, Instruction] = {}
    closed = True
    for item in section.items:
        if isinstance(item, Code):
            out |= _nops(item.address - item.pad, item.address, item.line, item.function)
            out[item.address] = _finished(item, symbols)
            closed = item.opcode.control in ("jump", "return")
        elif isinstance(item, Space) and not closed:
            out |= _nops(item.address, item.address + item.size, item.line, "")
    return out


def _nops(start: int, end: int, line: Line, function: str) -> dict[int, Instruction]:
    """What stands between two addresses if something must."""
    out: dict[int, Instruction] = {}
    while start < end:
        left = end - start
        opcode = OPCODES["nop" if left in (3, 5) or left > 5 else "nop.n"]
        out[start] = Instruction(opcode, (), start, min(opcode.size, left), line.place, function, "nop")
        start += opcode.size
    return out


def _bytes(section: Section, symbols: Symbols) -> bytes:
    out = bytearray()
    for item in section.items:
        if isinstance(item, Values):
            for text in item.values:
                value = _value(text, symbols, item.line)
                out += (value & 2 ** (8 * item.width) - 1).to_bytes(item.width, "little")
            out += item.raw
        elif isinstance(item, Space):
            out += bytes([item.fill & 255]) * item.size
    return bytes(out)


def _leaders(instructions: Mapping[int, Instruction]) -> tuple[frozenset[int], frozenset[int]]:
    """Addresses where a block begins, and where a loop ends."""
    leaders, ends = set(), set()
    for instruction in instructions.values():
        control = instruction.opcode.control
        if control:
            leaders.add(instruction.end)
        if control and any(operand.kind == "L" for operand in instruction.opcode.operands):
            leaders.add(instruction.target)
        if control == "loop":
            ends.add(instruction.target)
    return frozenset(leaders), frozenset(ends)
