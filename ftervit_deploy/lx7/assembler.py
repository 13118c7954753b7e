"""Assembler text to a program: what GNU as for Xtensa would make of it, without the encoding."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from . import scalar as scalar
from . import vector as vector
from .expressions import UnknownSymbolError, evaluate
from .faults import AssemblyError
from .items import Code, Item, Label, Section, Space, Unit, Values
from .linker import link
from .macros import Expander, Statement, split_arguments
from .operands import parse
from .program import Program
from .source import Line, Preprocessor

_WIDTHS = {
    ".byte": 1,
    ".short": 2,
    ".hword": 2,
    ".2byte": 2,
    ".word": 4,
    ".long": 4,
    ".int": 4,
    ".4byte": 4,
    ".quad": 8,
}
_LARGEST = 1 << 24
_NOTHING = {
    ".begin",
    ".end",
    ".extern",
    ".file",
    ".hidden",
    ".ident",
    ".literal_position",
    ".loc",
    ".local",
    ".size",
    ".type",
    ".weak",
}


def assemble(
    paths: Path | str | Sequence[Path | str], defines: Mapping[str, object] | None = None
) -> Program:
    """Assembles files into one program; they see of each other what `.global` shows.

    Args:
        paths: one `.S` file or several.
        defines: what `-D` would define.

    Raises:
        AssemblyError: with file and line.
    """
    files = [paths] if isinstance(paths, (str, Path)) else paths
    units = []
    for path in files:
        preprocessor = Preprocessor.with_defines(defines or {})
        units.append(_Assembler().unit(preprocessor.lines(Path(path)), preprocessor))
    return link(units)


def assemble_text(text: str, name: str = "text.S", defines: Mapping[str, object] | None = None) -> Program:
    """Assembles text that stands for a file of the given name."""
    preprocessor = Preprocessor.with_defines(defines or {})
    return link([_Assembler().unit(preprocessor.text_lines(text, Path(name)), preprocessor)])


class _Assembler:
    """Takes the statements of one file."""

    def __init__(self) -> None:
        self._expander = Expander()
        self._unit = Unit()
        self._section = self._unit.section(".text")
        self._previous = self._section
        self._stack: list[Section] = []
        self._function = ""

    def unit(self, lines: Iterable[Line], preprocessor: Preprocessor) -> Unit:
        """The file as a unit of `link`."""
        for statement in self._expander.statements(lines, preprocessor.included):
            self._statement(statement)
        self._unit.constants, self._unit.deferred = self._expander.symbols, self._expander.deferred
        return self._unit

    def _add(self, item: Item) -> None:
        self._section.items.append(item)

    # ---- statements ----

    def _statement(self, statement: Statement) -> None:
        name, rest, line = statement.name, statement.arguments, statement.line
        if name.endswith(":") and len(name) > 1:
            self._label(name[:-1], line)
        elif name in _WIDTHS:
            width = _WIDTHS[name]
            values = split_arguments(rest)
            self._add(Values(line, width * len(values), values=values, width=width))
        elif name in _HANDLERS:
            self._directive(name, rest, line)
        elif name.startswith("."):
            if name not in _NOTHING and not name.startswith(".cfi"):
                raise AssemblyError(line.place, f"the directive `{name}` is not known.")
        else:
            self._instruction(name, rest, line)

    def _directive(self, name: str, rest: str, line: Line) -> None:
        try:
            _HANDLERS[name](self, rest, line)
        except (IndexError, ValueError):
            raise AssemblyError(line.place, f"`{name} {rest}` is not complete.") from None

    def _label(self, name: str, line: Line) -> None:
        if name in self._unit.labels:
            raise AssemblyError(line.place, f"`{name}` is defined twice.")
        self._unit.labels[name] = Label(line, name=name)
        self._add(self._unit.labels[name])
        if not name.startswith(".L") and self._section.is_text:
            self._function = name

    def _instruction(self, name: str, rest: str, line: Line) -> None:
        if not self._section.is_text:
            raise AssemblyError(line.place, f"`{name}` outside the text section.")
        arguments = split_arguments(rest)
        if name == "addi" and self._split_sum(arguments, line):
            return
        opcode, values = parse(name, arguments, line.place)
        text = f"{name} {rest}".strip()
        self._add(Code(line, opcode.size, 0, opcode, values, text, self._function))

    def _split_sum(self, arguments: list[str], line: Line) -> bool:
        """A constant that `addi` cannot hold is added in two steps, as GNU as does."""
        try:
            value = evaluate(arguments[-1], self._expander.symbols, line.place) if arguments else 0
        except UnknownSymbolError:
            return False
        if len(arguments) != 3 or -128 <= value <= 127:
            return False
        low = ((value + 128) & 255) - 128
        self._instruction("addmi", f"{arguments[0]}, {arguments[1]}, {value - low}", line)
        if low:
            self._instruction("addi", f"{arguments[0]}, {arguments[0]}, {low}", line)
        return True

    # ---- directives ----

    def _global(self, rest: str, line: Line) -> None:
        self._unit.exported += [name.strip() for name in rest.split(",")]

    def _switch(self, name: str) -> None:
        self._previous, self._section = self._section, self._unit.section(name)

    def _section_directive(self, rest: str, line: Line) -> None:
        self._switch(split_arguments(rest)[0].strip('"'))

    def _push(self, rest: str, line: Line) -> None:
        self._stack.append(self._section)
        self._section_directive(rest, line)

    def _pop(self, rest: str, line: Line) -> None:
        if not self._stack:
            raise AssemblyError(line.place, ".popsection without .pushsection.")
        self._section = self._stack.pop()

    def _back(self, rest: str, line: Line) -> None:
        self._section, self._previous = self._previous, self._section

    def _align(self, rest: str, line: Line) -> None:
        boundary = max(self._size(split_arguments(rest)[0], line), 1)
        if boundary & (boundary - 1):
            raise AssemblyError(line.place, f"{boundary} is no power of two.")
        self._add(Space(line, align=boundary))

    def _align_power(self, rest: str, line: Line) -> None:
        power = self._size(split_arguments(rest)[0], line)
        self._add(Space(line, align=1 << min(power, 20)))

    def _space(self, rest: str, line: Line) -> None:
        size, *fill = split_arguments(rest)
        self._add(Space(line, self._size(size, line), fill=self._constant(fill[0], line) if fill else 0))

    def _fill(self, rest: str, line: Line) -> None:
        count, size, value = ([self._constant(v, line) for v in split_arguments(rest)] + [1, 0])[:3]
        self._size(str(count * max(size, 1)), line)
        raw = (value & 2 ** (8 * size) - 1).to_bytes(size, "little") * count
        self._add(Values(line, len(raw), raw=raw))

    def _ascii(self, rest: str, line: Line, end: bytes = b"") -> None:
        raw = b"".join(_string(piece, line) + end for piece in split_arguments(rest))
        self._add(Values(line, len(raw), raw=raw))

    def _asciz(self, rest: str, line: Line) -> None:
        self._ascii(rest, line, b"\0")

    def _literal(self, rest: str, line: Line) -> None:
        name, *values = split_arguments(rest)
        held, self._section = self._section, self._unit.section(".literal")
        self._label(name, line)
        self._add(Values(line, 4 * len(values), values=values, width=4))
        self._section = held

    def _size(self, text: str, line: Line) -> int:
        """A number of bytes.

        Raises:
            AssemblyError: it is negative, or more than any memory of the chip.
        """
        size = self._constant(text, line)
        if not 0 <= size <= _LARGEST:
            raise AssemblyError(line.place, f"{size} bytes.")
        return size

    def _constant(self, text: str, line: Line) -> int:
        try:
            return evaluate(text, self._expander.symbols, line.place)
        except UnknownSymbolError as error:
            raise AssemblyError(line.place, f"`{error}` has no value here.") from None


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
