"""Files to one program: addresses, values, and the checks that need them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .faults import AssemblyError
from .items import Code, Section, Space, Symbols, Unit, Values, number, numbers
from .layout import arrange, place, targets
from .opcodes import B4CONST, B4CONSTU, OPCODES
from .program import Instruction, Program
from .program import Section as Data
from .source import Line

TEXT, RODATA, DATA = 0x4037_8000, 0x3FC8_8000, 0x3FC9_0000
"""Instruction RAM, and the part of the data RAM that `Memory` leaves to the program."""
_PASSES = 60


def link(units: Sequence[Unit]) -> Program:
    """One program of several files, which see of each other what `.global` shows.

    Raises:
        AssemblyError: an operand out of range, a name without a value or with two.
    """
    symbols = _settled(units)
    instructions: dict[int, Instruction] = {}
    data: list[Data] = []
    for unit, own in zip(units, symbols, strict=True):
        for section in unit.sections.values():
            if section.is_text:
                instructions |= _instructions(section, own)
            elif section.items:
                raw = _bytes(section, own)
                data.append(Data(section.name, section.start, raw, section.writable))
    _check_loops(instructions)
    leaders, ends = _leaders(instructions)
    names = {name: value for own in reversed(symbols) for name, value in own.items()}
    names |= _exports(units, symbols)
    functions = tuple(
        n for unit in units for n in dict.fromkeys(unit.exported) if names.get(n) in instructions
    )
    return Program(instructions, names, tuple(data), functions, leaders, ends)


def _settled(units: Sequence[Unit]) -> list[dict[str, int]]:
    """Names and their values in every file, once forms and places no longer change."""
    wanted = [targets(unit) for unit in units]
    before: object = None
    for _ in range(_PASSES):
        symbols = _placed(units)
        for unit, own, names in zip(units, symbols, wanted, strict=True):
            for section in unit.texts:
                arrange(section, own, names)
        codes = [code for unit in units for section in unit.texts for code in section.codes]
        now = [(code.form.name, code.size, code.pad) for code in codes]
        if now == before:
            return symbols
        before = now
    raise AssemblyError(None, "branches and alignments never come to rest.")


def _placed(units: Sequence[Unit]) -> list[dict[str, int]]:
    cursors = {"text": TEXT, "rodata": RODATA, "data": DATA}
    for section in [section for unit in units for section in unit.sections.values()]:
        area = "text" if section.is_text else "data" if section.writable else "rodata"
        cursors[area] = place(section, -(-cursors[area] // section.alignment) * section.alignment)
    own = [
        {name: label.address for name, label in unit.labels.items()} | dict(unit.constants) for unit in units
    ]
    for unit, symbols in zip(units, own, strict=True):
        seen = _exports(units, own) | symbols
        for name, text, line in unit.deferred:
            symbols[name] = seen[name] = number(text, seen, line)
    shared = _exports(units, own)
    return [shared | symbols for symbols in own]


def _exports(units: Sequence[Unit], symbols: Sequence[Symbols]) -> dict[str, int]:
    """What files show to each other."""
    out: dict[str, int] = {}
    owners: dict[str, Unit] = {}
    for unit, own in zip(units, symbols, strict=True):
        for name in unit.exported:
            if name not in unit.labels and name not in unit.constants:
                continue
            if owners.setdefault(name, unit) is not unit:
                line = unit.labels[name].line if name in unit.labels else None
                raise AssemblyError(line.place if line else None, f"`{name}` is defined in two files.")
            out[name] = own[name]
    return out


def _finished(code: Code, symbols: Symbols) -> Instruction:
    values = tuple(numbers(code, symbols))
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
                value = number(text, symbols, item.line)
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
