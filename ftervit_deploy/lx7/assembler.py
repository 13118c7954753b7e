"""Assembler text to a program: what GNU as for Xtensa would make of it, without the encoding.

As there, instructions take their 16-bit form where one exists (a leading `_` forbids it), `movi` of a constant that
does not fit is an `l32r`, a branch that does not reach becomes an inverted branch and a jump, and `nop`s before a loop
see to it that its first instruction does not cross a 4-byte boundary (GNU as manual, 9.57.3). Branch targets are not
aligned by widening, which GNU as does where it can.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from . import scalar as scalar
from . import vector as vector
from .expressions import UnknownSymbol, evaluate
from .faults import AssemblyError
from .macros import Expander, Statement, split_arguments
from .opcodes import OPCODES, Opcode
from .operands import narrowed, parse
from .program import Instruction, Program, Section
from .source import Line, Preprocessor

TEXT, RODATA, DATA = 0x4037_8000, 0x3FC8_8000, 0x3FC9_0000
"""Where the sections go: instruction RAM, and the start of the data RAM that `Memory` leaves to the program."""
_FLOW = {"branch", "jump", "call", "return", "entry", "loop"}
_WORDS = {".byte": 1, ".short": 2, ".hword": 2, ".2byte": 2, ".word": 4, ".long": 4, ".int": 4, ".4byte": 4}
_NOTHING = {
    ".type", ".size", ".file", ".ident", ".loc", ".cfi_startproc", ".cfi_endproc", ".literal_position", ".extern",
    ".begin", ".end", ".local", ".weak", ".hidden", ".p2alignl", ".altmacro", ".noaltmacro", ".option",
}  # fmt: skip


@dataclass
class _Item:
    """Something with an address. `size` is what is known of it so far."""

    line: Line
    size: int = 0
    address: int = 0


@dataclass
class _Label(_Item):
    name: str = ""


@dataclass
class _Code(_Item):
    opcode: Opcode = field(default_factory=lambda: OPCODES["nop"])
    arguments: tuple[str | int, ...] = ()
    text: str = ""
    function: str = ""
    far: bool = False
    pad: int = 0


@dataclass
class _Bytes(_Item):
    values: list[str] = field(default_factory=list)
    width: int = 1
    raw: bytes = b""


@dataclass
class _Space(_Item):
    align: int = 0
    fill: int = 0


@dataclass
class _Section:
    name: str
    items: list[_Item] = field(default_factory=list)

    @property
    def is_text(self) -> bool:
        return self.name.startswith((".text", ".iram", ".literal")) and not self.name.startswith(".literal")

    @property
    def writable(self) -> bool:
        return self.name.startswith((".data", ".bss", ".dram"))


def assemble(
    paths: Path | str | Sequence[Path | str], defines: Mapping[str, object] | None = None
) -> Program:
    """Assembles files into one program.

    Args:
        paths: one `.S` file or several.
        defines: what `-D` would define.

    Raises:
        AssemblyError: with file and line.
    """
    files = [paths] if isinstance(paths, (str, Path)) else paths
    assembler = _Assembler()
    for path in files:
        assembler.read(Preprocessor.with_defines(defines or {}).lines(Path(path)))
    return assembler.program()


def assemble_text(text: str, name: str = "text.S", defines: Mapping[str, object] | None = None) -> Program:
    """Assembles text that stands for a file of the given name."""
    assembler = _Assembler()
    assembler.read(Preprocessor.with_defines(defines or {}).text_lines(text, Path(name)))
    return assembler.program()


class _Assembler:
    def __init__(self) -> None:
        self._expander = Expander()
        self._sections: dict[str, _Section] = {}
        self._section = self._named(".text")
        self._previous = self._section
        self._stack: list[_Section] = []
        self._globals: list[str] = []
        self._function = ""
        self._labels: dict[str, _Label] = {}

    def read(self, lines: object) -> None:
        for statement in self._expander.statements(lines):  # type: ignore[arg-type]
            self._statement(statement)
        self._section = self._named(".text")

    def _named(self, name: str) -> _Section:
        return self._sections.setdefault(name, _Section(name))

    def _add(self, item: _Item) -> None:
        self._section.items.append(item)

    # ---- statements ----

    def _statement(self, statement: Statement) -> None:
        name, rest, line = statement.name, statement.arguments, statement.line
        if name.endswith(":") and len(name) > 1:
            self._label(name[:-1], line)
        elif name in _WORDS:
            width = _WORDS[name]
            values = split_arguments(rest)
            self._add(_Bytes(line, width * len(values), values=values, width=width))
        elif name in _HANDLERS:
            _HANDLERS[name](self, rest, line)
        elif name in _NOTHING or name.startswith(".cfi"):
            pass
        elif name.startswith("."):
            raise AssemblyError(line.place, f"the directive `{name}` is not known.")
        else:
            self._instruction(name, rest, line)

    def _label(self, name: str, line: Line) -> None:
        if name in self._labels:
            raise AssemblyError(line.place, f"`{name}` is defined twice.")
        self._labels[name] = _Label(line, name=name)
        self._add(self._labels[name])
        if not name.startswith(".L") and self._section.is_text:
            self._function = name

    def _instruction(self, name: str, rest: str, line: Line) -> None:
        if not self._section.is_text:
            raise AssemblyError(line.place, f"`{name}` outside the text section.")
        arguments = split_arguments(rest)
        opcode, values = parse(name, arguments, line.place)
        text = f"{name} {rest}".strip()
        self._add(_Code(line, opcode.size, 0, opcode, values, text, self._function))

    # ---- directives ----

    def _global(self, rest: str, line: Line) -> None:
        self._globals += [name.strip() for name in rest.split(",")]

    def _switch(self, name: str) -> None:
        self._previous, self._section = self._section, self._named(name)

    def _section_directive(self, rest: str, line: Line) -> None:
        self._switch(split_arguments(rest)[0].strip('"'))

    def _push(self, rest: str, line: Line) -> None:
        self._stack.append(self._section)
        self._section_directive(rest, line)

    def _pop(self, rest: str, line: Line) -> None:
        self._section = self._stack.pop()

    def _back(self, rest: str, line: Line) -> None:
        self._section, self._previous = self._previous, self._section

    def _align(self, rest: str, line: Line) -> None:
        self._add(_Space(line, align=max(self._constant(split_arguments(rest)[0], line), 1)))

    def _align_power(self, rest: str, line: Line) -> None:
        self._add(_Space(line, align=1 << self._constant(split_arguments(rest)[0], line)))

    def _space(self, rest: str, line: Line) -> None:
        values = [self._constant(v, line) for v in split_arguments(rest)]
        self._add(_Space(line, values[0], fill=values[1] if len(values) > 1 else 0))

    def _fill(self, rest: str, line: Line) -> None:
        values = [self._constant(v, line) for v in split_arguments(rest)] + [1, 0]
        count, size, value = values[0], *(values[1:3] if rest.count(",") else (1, 0))
        self._add(
            _Bytes(line, count * size, raw=(value & 2 ** (8 * size) - 1).to_bytes(size, "little") * count)
        )

    def _ascii(self, rest: str, line: Line, end: bytes = b"") -> None:
        raw = b"".join(_string(piece, line) + end for piece in split_arguments(rest))
        self._add(_Bytes(line, len(raw), raw=raw))

    def _asciz(self, rest: str, line: Line) -> None:
        self._ascii(rest, line, b"\0")

    def _literal(self, rest: str, line: Line) -> None:
        name, *values = split_arguments(rest)
        held, self._section = self._section, self._named(".literal")
        self._label(name, line)
        self._add(_Bytes(line, 4 * len(values), values=values, width=4))
        self._section = held

    def _constant(self, text: str, line: Line) -> int:
        try:
            return evaluate(text, self._expander.symbols, line.place)
        except UnknownSymbol as error:
            raise AssemblyError(line.place, f"`{error}` has no value here.") from None

    # ---- layout ----

    def program(self) -> Program:
        """Addresses and values for everything."""
        symbols = self._laid_out()
        instructions = {
            code.address: _finished(code, symbols, self._expander)
            for section in self._sections.values()
            if section.is_text
            for code in section.items
            if isinstance(code, _Code)
        }
        for code in list(instructions.values()):
            _add_padding(code, instructions, self._sections)
        sections = tuple(
            Section(s.name, s.items[0].address, _data(s, symbols), s.writable)
            for s in self._sections.values()
            if s.items and not s.is_text
        )
        functions = tuple(n for n in dict.fromkeys(self._globals) if symbols.get(n) in instructions)
        leaders, ends = _leaders(instructions)
        return Program(instructions, symbols, sections, functions, leaders, ends)

    def _laid_out(self) -> dict[str, int]:
        for _ in range(50):
            symbols = self._placed()
            if not any([_adjusted(s, symbols, self._expander) for s in self._sections.values() if s.is_text]):
                return symbols
        raise AssemblyError(None, "branches and alignments never come to rest.")

    def _placed(self) -> dict[str, int]:
        cursors = {"text": TEXT, "rodata": RODATA, "data": DATA}
        for section in self._sections.values():
            area = "text" if section.is_text else "data" if section.writable else "rodata"
            cursors[area] = _place(section, (cursors[area] + 15) & ~15)
        symbols = {name: label.address for name, label in self._labels.items()}
        symbols.update(self._expander.symbols)
        for name, text, line in self._expander.deferred:
            try:
                symbols[name] = evaluate(text, symbols, line.place)
            except UnknownSymbol as error:
                raise AssemblyError(line.place, f"`{error}` is not defined.") from None
        return symbols


_Handler = Callable[[_Assembler, str, Line], None]
_HANDLERS: dict[str, _Handler] = {
    ".global": _Assembler._global,
    ".globl": _Assembler._global,
    ".section": _Assembler._section_directive,
    ".pushsection": _Assembler._push,
    ".popsection": _Assembler._pop,
    ".previous": _Assembler._back,
    ".text": lambda a, rest, line: a._switch(".text"),
    ".data": lambda a, rest, line: a._switch(".data"),
    ".bss": lambda a, rest, line: a._switch(".bss"),
    ".rodata": lambda a, rest, line: a._switch(".rodata"),
    ".align": _Assembler._align,
    ".balign": _Assembler._align,
    ".p2align": _Assembler._align_power,
    ".space": _Assembler._space,
    ".skip": _Assembler._space,
    ".zero": _Assembler._space,
    ".fill": _Assembler._fill,
    ".ascii": _Assembler._ascii,
    ".asciz": _Assembler._asciz,
    ".string": _Assembler._asciz,
    ".literal": _Assembler._literal,
}


def _string(piece: str, line: Line) -> bytes:
    if len(piece) < 2 or piece[0] != '"' or piece[-1] != '"':
        raise AssemblyError(line.place, f"{piece} is no string.")
    return piece[1:-1].encode("utf-8").decode("unicode_escape").encode("latin-1")


def _place(section: _Section, start: int) -> int:
    """Gives every item its address; where the section ends."""
    address = start
    for item in section.items:
        if isinstance(item, _Space) and item.align:
            item.size = -address % item.align
        if isinstance(item, _Code):
            address += item.pad
        item.address = address
        address += item.size
    return address


def _adjusted(section: _Section, symbols: Mapping[str, int], expander: Expander) -> bool:
    """Narrows, widens and pads instructions; whether anything changed."""
    changed = False
    codes = [item for item in section.items if isinstance(item, _Code)]
    for index, code in enumerate(codes):
        values = [_value(a, symbols, code.line) for a in code.arguments]
        far = code.far or not _reaches(code.opcode, values, code.address)
        opcode = code.opcode if code.text.startswith("_") else narrowed(code.opcode, values, code.address)
        size = opcode.size + (3 if far and opcode.control == "branch" else 0)
        pad = 0
        if opcode.control == "loop" and index + 1 < len(codes):
            pad = max(code.pad, _loop_padding(code.address - code.pad, codes[index + 1].size))
        if code.opcode.size == 2 and opcode.size == 3:
            size = opcode.size
        changed |= (opcode, size, far, pad) != (code.opcode, code.size, code.far, code.pad)
        code.opcode, code.size, code.far, code.pad = opcode, size, far, pad
    return changed


def _loop_padding(address: int, first: int) -> int:
    """Bytes of `nop` before a loop at `address` whose first instruction has `first` bytes: 0, 2, 3 or 4 or 5."""
    for pad in (0, 2, 3, 4, 5):
        body = address + pad + 3
        if body % 4 + min(first, 4) <= 4:
            return pad
    return 0


_REACH = {"branch": 127, "beqz": 2047, "bnez": 2047, "bltz": 2047, "bgez": 2047}


def _reaches(opcode: Opcode, values: Sequence[int], address: int) -> bool:
    if opcode.control != "branch":
        return True
    limit = _REACH.get(opcode.name, 127)
    distance = values[-1] - address - 4
    return opcode.name.endswith(".n") or -limit - 1 <= distance <= limit


def _value(argument: str | int, symbols: Mapping[str, int], line: Line) -> int:
    if isinstance(argument, int):
        return argument
    try:
        return evaluate(argument, symbols, line.place)
    except UnknownSymbol as error:
        raise AssemblyError(line.place, f"`{error}` is not defined.") from None


def _finished(code: _Code, symbols: Mapping[str, int], expander: Expander) -> Instruction:
    values = tuple(_value(a, symbols, code.line) for a in code.arguments)
    opcode, text = code.opcode, code.text
    if opcode.name == "movi" and not -2048 <= values[1] <= 2047:
        opcode = OPCODES["l32r="]
    for operand, value in zip(opcode.operands, values, strict=True):
        _check(operand.kind, operand.low, operand.high, operand.step, value, code)
    return Instruction(
        opcode,
        values,
        code.address,
        code.size,
        code.line.place,
        code.function,
        text,
        code.line.notes,
        code.far,
    )


def _check(kind: str, low: int, high: int, step: int, value: int, code: _Code) -> None:
    from .opcodes import B4CONST, B4CONSTU

    if kind == "I" and (not low <= value <= high or value % step):
        where = f"{low}..{high}" + (f" in steps of {step}" if step > 1 else "")
        raise AssemblyError(code.line.place, f"`{code.text}`: {value} is not within {where}.")
    if (kind == "B" and value not in B4CONST) or (kind == "U" and value not in B4CONSTU):
        raise AssemblyError(code.line.place, f"`{code.text}`: {value} is not among the constants it has.")


def _add_padding(
    code: Instruction, instructions: dict[int, Instruction], sections: Mapping[str, _Section]
) -> None:
    """The `nop`s before a loop, as instructions."""
    if code.opcode.control != "loop":
        return
    pad = next(
        item.pad
        for section in sections.values()
        if section.is_text
        for item in section.items
        if isinstance(item, _Code) and item.address == code.address
    )
    address = code.address - pad
    while address < code.address:
        left = code.address - address
        opcode = OPCODES["nop.n" if left in (2, 4, 5) else "nop"]
        instructions[address] = Instruction(
            opcode, (), address, opcode.size, code.place, code.function, "nop (alignment of the loop)"
        )
        address += opcode.size


def _data(section: _Section, symbols: Mapping[str, int]) -> bytes:
    out = bytearray()
    for item in section.items:
        if isinstance(item, _Bytes) and item.values:
            for text in item.values:
                value = _value(text, symbols, item.line)
                out += (value & 2 ** (8 * item.width) - 1).to_bytes(item.width, "little")
        elif isinstance(item, _Bytes):
            out += item.raw
        elif isinstance(item, _Space):
            out += bytes([item.fill & 255]) * item.size
    return bytes(out)


def _leaders(instructions: Mapping[int, Instruction]) -> tuple[frozenset[int], frozenset[int]]:
    """Addresses where a block begins, and where a loop ends."""
    leaders, ends = set(), set()
    for instruction in instructions.values():
        control = instruction.opcode.control
        if control in _FLOW:
            leaders.add(instruction.end)
            if any(operand.kind == "L" for operand in instruction.opcode.operands):
                leaders.add(instruction.target)
            if control == "loop":
                ends.add(instruction.target)
    return frozenset(leaders), frozenset(ends)
