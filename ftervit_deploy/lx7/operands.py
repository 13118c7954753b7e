"""Mnemonics and operands as written: registers, alternative spellings, 16-bit forms."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .faults import AssemblyError, Place
from .opcodes import OPCODES, Opcode, Operand

_SPECIAL = {"rsr", "wsr", "xsr", "rur", "wur"}
_NARROW = {
    "add": "add.n",
    "addi": "addi.n",
    "mov": "mov.n",
    "movi": "movi.n",
    "l32i": "l32i.n",
    "s32i": "s32i.n",
    "beqz": "beqz.n",
    "bnez": "bnez.n",
    "ret": "ret.n",
    "retw": "retw.n",
    "nop": "nop.n",
}


def parse(name: str, arguments: Sequence[str], place: Place) -> tuple[Opcode, tuple[str | int, ...]]:
    """The instruction and its operands; those that are expressions stay text.

    Raises:
        AssemblyError: an unknown mnemonic, a wrong number of operands, a register that does not exist.
    """
    name = name.removeprefix("_").removesuffix(".n")
    name, arguments = _canonical(name, list(arguments), place)
    opcode = OPCODES.get(name)
    if opcode is None:
        raise AssemblyError(place, f"the instruction `{name}` is not known.")
    if len(arguments) != len(opcode.operands):
        raise AssemblyError(place, f"`{name}` takes {len(opcode.operands)} operands, not {len(arguments)}.")
    values = tuple(_operand(o, text, place) for o, text in zip(opcode.operands, arguments, strict=True))
    _check_results(opcode, values, place)
    return opcode, values


def _canonical(name: str, arguments: list[str], place: Place) -> tuple[str, list[str]]:
    """One spelling for what has several."""
    if name in _SPECIAL and len(arguments) == 2:
        return f"{name}.{_special(arguments[1])}", arguments[:1]
    if name == "or" and len(arguments) == 3 and arguments[1] == arguments[2]:
        return "mov", arguments[:2]
    if name in ("slli", "addi") and len(arguments) == 3 and arguments[2].strip() == "0":
        return "mov", arguments[:2]
    if name == "j.l":
        return "j", arguments[:1]
    if name in ("bbci.l", "bbsi.l"):
        return name[:-2], arguments
    return name, arguments


def _special(text: str) -> str:
    names = {"3": "sar", "0": "lbeg", "1": "lend", "2": "lcount", "16": "acclo", "17": "acchi"}
    return names.get(text.strip(), text.strip().lower())


def _operand(operand: Operand, text: str, place: Place) -> str | int:
    if operand.kind not in ("A", "Q"):
        return text
    lower = text.strip().lower()
    if operand.kind == "A":
        match = re.fullmatch(r"a(1[0-5]|\d)", "a1" if lower == "sp" else lower)
    else:
        match = re.fullmatch(r"q([0-7])", lower)
    if not match:
        kind = "an address" if operand.kind == "A" else "a vector"
        raise AssemblyError(place, f"`{text}` is not {kind} register.")
    return int(match[1])


def _check_results(opcode: Opcode, values: Sequence[str | int], place: Place) -> None:
    """Two results in one register: what stays is not documented."""
    written = [
        (operand.kind, value) for operand, value in zip(opcode.operands, values, strict=True) if operand.ready
    ]
    if len(set(written)) != len(written):
        raise AssemblyError(
            place, f"`{opcode.name}` would write one register twice; what stays is undocumented."
        )


def narrow_form(opcode: Opcode, values: Sequence[int], address: int) -> Opcode | None:
    """The 16-bit form, where there is one and the operands allow it."""
    narrow = OPCODES.get(_NARROW.get(opcode.name, ""))
    if narrow is None:
        return None
    if narrow.control == "branch":
        return narrow if 0 <= values[1] - address - 4 <= 63 else None
    for operand, value in zip(narrow.operands, values, strict=True):
        if operand.kind == "I" and (not operand.low <= value <= operand.high or value % operand.step):
            return None
    return None if narrow.name == "addi.n" and values[2] == 0 else narrow
