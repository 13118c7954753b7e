"""The place and the form of everything in one file.

GNU as for Xtensa chooses the form of an instruction while it lays the text out, and so does this: the 16-bit
form where the operands allow it; an inverted branch and a jump where a branch does not reach; before a loop
whose first instruction would cross a 4-byte boundary, and before other targets of branches, 24-bit forms of
the instructions in front; before a loop `nop`s where there are none (GNU as manual, 9.57.3). Where several
alignments could share instructions, GNU as looks further ahead; a few bytes may then differ.
"""

from __future__ import annotations

from collections.abc import Sequence

from .items import Code, Item, Label, Section, Space, Symbols, Unit, Values, numbers
from .opcodes import Opcode
from .operands import narrow_form

_REACH = {"beqz": 2047, "bnez": 2047, "bltz": 2047, "bgez": 2047}


def place(section: Section, start: int) -> int:
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


def targets(unit: Unit) -> set[str]:
    """Names of labels that branches and jumps lead to."""
    found: set[str] = set()
    for section in unit.texts:
        for code in section.codes:
            for operand, argument in zip(code.opcode.operands, code.arguments, strict=True):
                if operand.kind == "L" and code.opcode.control in ("branch", "jump"):
                    found.add(str(argument).strip())
    return found


def arrange(section: Section, symbols: Symbols, names: set[str]) -> None:
    """Chooses forms and padding, for the addresses that everything has so far.

    Args:
        names: of the labels that branches lead to.
    """
    _form(section, symbols)
    _align(section, names)


def _form(section: Section, symbols: Symbols) -> None:
    """Which instructions could be narrow, and which branches do not reach."""
    for code in section.codes:
        values = numbers(code, symbols)
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


def _align(section: Section, names: set[str]) -> None:
    """Widens and pads so that targets of branches and bodies of loops do not cross a 4-byte boundary.

    A target may use what stands between it and the target before; the last of it goes first.
    """
    items = [item for item in section.items if not isinstance(item, Label) or item.name in names]
    usable: list[Code] = []
    address, closed = section.start, False
    for index, item in enumerate(items):
        if isinstance(item, Space):
            address += -address % item.align if item.align else item.size
            usable = []
            continue
        if isinstance(item, Values):
            address += item.size
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
