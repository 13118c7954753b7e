"""What the model knows of one instruction: its operands, its size, what it does, when it reads and writes.

An instruction is one line of a table: ``op("l32i", "t:Aw2 s:Ar i:I0..1020/4", "{t} = ld32({s} + {i})")``.
Operands are ``name:kind``:

==========  =============================================================================
``Ar``      address register that is read in stage E (1); ``Ar2``: in stage M (2)
``Aw``      written, ready after stage E; ``Aw2``: after stage M
``Am``      read in E and written, ready after E; ``Am2``: after M
``Qr`` ...  the same for vector registers
``I0..8/4`` a constant and its range; after the slash the step
``B``       the constants of `beqi`; ``U`` of `bltui`
``L``       a place in the text
==========  =============================================================================

Stages are those of the ESP32-S3 technical reference, table 1.7-1; those of the vector instructions come
from its table 1.7-2. The third column is Python that carries the instruction out on local variables;
`translate` puts the names of registers into it. A line that starts with ``@`` is an order to the translator
(see there).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

B4CONST = (-1, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 32, 64, 128, 256)
"""Constants of `beqi`, `bnei`, `blti`, `bgei` (Xtensa ISA, table 3-17)."""
B4CONSTU = (32768, 65536, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 32, 64, 128, 256)
"""Constants of `bltui`, `bgeui` (Xtensa ISA, table 3-18)."""


@dataclass(frozen=True)
class Operand:
    """One operand; `use` and `ready` are pipeline stages, 0 where it is not read or not written."""

    name: str
    kind: str
    use: int = 0
    ready: int = 0
    low: int = 0
    high: int = 0
    step: int = 1


@dataclass(frozen=True)
class Opcode:
    """One instruction.

    Attributes:
        size: bytes.
        action: Python that carries it out; for a branch, the condition.
        control: how it leads on: ``""``, ``branch``, ``jump``, ``call``, ``return``, ``entry`` or ``loop``.
        state: special registers as (name, stage of use or 0, stage after which it is ready or 0).
        unit: ``vector`` or ``readout`` where the units of the vector extension can collide.
        macs: multiply-accumulates.
    """

    name: str
    operands: tuple[Operand, ...]
    action: str
    size: int
    control: str = ""
    state: tuple[tuple[str, int, int], ...] = ()
    unit: str = ""
    macs: int = 0


OPCODES: dict[str, Opcode] = {}
_KIND = re.compile(r"([AQ])([rwm])([12]?)$")
_RANGE = re.compile(r"I(-?\d+)\.\.(-?\d+)(?:/(\d+))?$")


def op(
    name: str,
    operands: str,
    action: str,
    size: int = 3,
    control: str = "",
    state: str = "",
    unit: str = "",
    macs: int = 0,
) -> None:
    """Adds one instruction to `OPCODES`; `state` is written like ``SAR:r ACCX:m2``."""
    OPCODES[name] = Opcode(
        name,
        tuple(_operand(text) for text in operands.split()),
        action,
        size,
        control,
        tuple(_state(text) for text in state.split()),
        unit,
        macs,
    )


def ops(names: Sequence[str], operands: str, action: str, size: int = 3, state: str = "") -> None:
    """Several that differ in nothing but the name."""
    for name in names:
        op(name, operands, action, size, state=state)


def _operand(text: str) -> Operand:
    name, _, kind = text.partition(":")
    match = _KIND.match(kind)
    if match:
        stage = int(match[3] or 1)
        use = {"r": stage, "w": 0, "m": 1}[match[2]]
        return Operand(name, match[1], use, 0 if match[2] == "r" else stage)
    numbers = _RANGE.match(kind)
    if numbers:
        return Operand(name, "I", low=int(numbers[1]), high=int(numbers[2]), step=int(numbers[3] or 1))
    return Operand(name, kind)


def _state(text: str) -> tuple[str, int, int]:
    name, _, kind = text.partition(":")
    stage = int(kind[1:] or 1)
    return name, 0 if kind[0] == "w" else stage, 0 if kind[0] == "r" else stage
