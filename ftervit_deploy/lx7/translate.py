"""Basic blocks as Python functions.

A block is compiled once. Its function takes the state, a list, puts what it needs into local variables,
carries the instructions out, writes back what changed and returns the address that follows. A loop whose
body is one block runs inside that function. A register that was never written holds None, on which every
operation raises TypeError.

An action of an instruction may begin lines with ``@``: ``@8``, ``@16``, ``@raw`` ask for QACC in that
form (`accumulators`), ``@is8`` and the like say that it has it now, ``@part`` asks for the raw form or
None.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType
from typing import Any

from .accumulators import RAW, S8, S16
from .environment import environment
from .memory import Memory
from .program import Instruction, Program
from .timing import Timed, timed

State = list[Any]
Lines = list[tuple[str, Instruction | None]]

_SPECIAL = "sar accx acc form sar_byte ua fft lbeg lend lcount mac m0 m1 m2 m3"
SLOTS = {f"a{n}": n for n in range(16)} | {f"q{n}": 16 + n for n in range(8)}
SLOTS |= {name: 24 + n for n, name in enumerate(_SPECIAL.split())}
LBEG, LEND, LCOUNT, FORM = (SLOTS[name] for name in ("lbeg", "lend", "lcount", "form"))

_NAMES = re.compile(r"\b(" + "|".join(sorted(SLOTS, key=len, reverse=True)) + r")\b")
_ASSIGNED = re.compile(r"^\s*(?:if [^:]*: )?((?:\w+, )*\w+) (?:[-+|&]?=)(?!=)")
_ALIGNED = re.compile(r"\b(ld128|st128|ld64|st64|broadcast16|broadcast32)\b")
_FORMS = {"8": S8, "16": S16, "raw": RAW}
_CONVERT = {"8": "to_8", "16": "to_16", "raw": "to_raw"}


@dataclass(frozen=True, eq=False)
class Block:
    """Instructions that run one after the other.

    Attributes:
        function: from the state to the address that follows.
        code: of the function, whose line numbers index `lines`.
        control: of the last instruction; ``""`` where another block begins.
        loop_end: the end of the loop whose body the block is, 0 for other blocks.
    """

    start: int
    instructions: tuple[Instruction, ...]
    function: Callable[[State], int]
    code: CodeType
    control: str
    loop_end: int
    lines: tuple[Instruction | None, ...]
    timed: tuple[Timed, ...]
    macs: int
    stores: int

    @property
    def last(self) -> Instruction:
        """The instruction that leads on."""
        return self.instructions[-1]


class Translator:
    """Makes blocks of one program for one memory."""

    def __init__(self, program: Program, memory: Memory) -> None:
        self._program = program
        self._globals = environment(memory)
        self._loops = {i.end: i.target for i in program.instructions.values() if i.opcode.control == "loop"}

    def block(self, start: int) -> Block:
        """The block that begins at an address.

        Raises:
            KeyError: there is no instruction.
        """
        instructions = self._straight(start)
        last = instructions[-1]
        is_body = self._loops.get(start) == last.end and not last.opcode.control
        loop_end = last.end if is_body else 0
        source, lines = _Writer(instructions, loop_end, self._program.loop_ends).function()
        space: dict[str, Any] = {}
        exec(compile(source, f"<lx7 0x{start:08x}>", "exec"), self._globals, space)
        function: Callable[[State], int] = space["block"]
        return Block(
            start,
            tuple(instructions),
            function,
            function.__code__,
            last.opcode.control,
            loop_end,
            lines,
            tuple(timed(i) for i in instructions),
            sum(i.opcode.macs for i in instructions),
            sum("st128(" in i.opcode.action for i in instructions),
        )

    def _straight(self, start: int) -> list[Instruction]:
        code, leaders = self._program.instructions, self._program.leaders
        out = [code[start]]
        while not out[-1].opcode.control and out[-1].end not in leaders and out[-1].end in code:
            out.append(code[out[-1].end])
        return out


class _Writer:
    """The text of one function."""

    def __init__(self, instructions: list[Instruction], loop_end: int, loop_ends: frozenset[int]) -> None:
        self._instructions = instructions
        self._loop_end = loop_end
        self._loop_ends = loop_ends
        self._form = ""
        self._body: Lines = []
        self._touched: set[str] = set()
        self._changed: set[str] = set()

    def function(self) -> tuple[str, tuple[Instruction | None, ...]]:
        """Source, and the instruction of every line of it."""
        last = self._instructions[-1]
        for instruction in self._instructions:
            if not instruction.opcode.control:
                self._action(instruction)
        end = self._end(last)
        for text, _ in end:
            self._touched |= set(_NAMES.findall(text))
        if "acc" in self._touched:
            self._touched.add("form")
        out: Lines = [("def block(S):", None)]
        out += [(f" {name} = S[{SLOTS[name]}]", None) for name in sorted(self._touched)]
        out += self._passes()
        out += [(f" S[{SLOTS[name]}] = {name}", None) for name in sorted(self._changed)]
        out += [(" " + text, instruction) for text, instruction in end]
        return "\n".join(text for text, _ in out), tuple(instruction for _, instruction in out)

    def _passes(self) -> Lines:
        """The body, once or as often as the loop says."""
        if not self._loop_end:
            return [(" " + text, instruction) for text, instruction in self._body]
        count = f"S[{LCOUNT}] + 1 if S[{LEND}] == {self._loop_end} else 1"
        body = self._body or [("pass", None)]
        return [(f" for _ in range({count}):", None), *[("  " + text, at) for text, at in body]]

    # ---- actions ----

    def _action(self, instruction: Instruction) -> None:
        opcode, values = instruction.opcode, instruction.values
        if opcode.name == "ee.xorq" and values[1] == values[2]:
            self._emit(f"q{values[0]} = ZERO", instruction)
            return
        text = _filled(opcode.action, instruction)
        if "misaligned" in instruction.notes:
            text = _ALIGNED.sub(r"\1_low", text)
        for line in text.split("\n"):
            if line.startswith("@"):
                self._order(line[1:], instruction)
            elif line != "pass":
                self._emit(line, instruction)

    def _emit(self, text: str, instruction: Instruction) -> None:
        self._body.append((text, instruction))
        self._touched |= set(_NAMES.findall(text))
        match = _ASSIGNED.match(text)
        if match:
            self._changed |= set(match[1].split(", ")) & set(SLOTS)

    def _order(self, order: str, instruction: Instruction) -> None:
        """A line that begins with ``@``."""
        if order.startswith("is"):
            self._form = order[2:]
            self._emit(f"form = {_FORMS[self._form]}", instruction)
        elif order == "part":
            self._emit("if acc is not None: acc = to_raw(acc, form)", instruction)
        elif self._form != order:
            form = _FORMS[order]
            self._emit(f"if form != {form} or acc is None: acc = {_CONVERT[order]}(acc, form)", instruction)
            self._emit(f"form = {form}", instruction)
            self._form = order

    # ---- the way on ----

    def _end(self, last: Instruction) -> Lines:
        control = last.opcode.control
        if self._loop_end:
            clear = f"if S[{LEND}] == {self._loop_end}: S[{LCOUNT}] = 0"
            return [(clear, None), (f"return {self._loop_end}", None)]
        if control == "branch":
            condition = _filled(last.opcode.action, last)
            return [(f"if {condition}: return {last.target}", last), *self._fall(last.end)]
        if control == "loop":
            return _loop(last)
        if control in ("jump", "call"):
            by_register = last.opcode.operands[0].kind == "A"
            return [(f"return +a{last.values[0]}" if by_register else f"return {last.target}", last)]
        if control == "return":
            return [("return +a0", last)]
        return self._fall(last.end)

    def _fall(self, after: int) -> Lines:
        """On to the next address, or back to where the loop begins (Xtensa ISA, 4.3.2.4)."""
        out: Lines = []
        if after in self._loop_ends:
            out.append((f"if S[{LEND}] == {after} and S[{LCOUNT}]:", None))
            out.append((f" S[{LCOUNT}] -= 1; return S[{LBEG}]", None))
        return [*out, (f"return {after}", None)]


def _loop(last: Instruction) -> Lines:
    """The loop registers are written even where the body is skipped (Xtensa ISA, 6: LOOPGTZ)."""
    count = f"a{last.values[0]}"
    registers = f"S[{LBEG}] = {last.end}; S[{LEND}] = {last.target}; S[{LCOUNT}] = {count} - 1 & M"
    out: Lines = [(registers, last)]
    if last.opcode.name == "loopnez":
        out.append((f"if not {count}: return {last.target}", last))
    elif last.opcode.name == "loopgtz":
        out.append((f"if not 0 < {count} < H: return {last.target}", last))
    else:
        out.append((f"if not {count}: raise KernelError('2^32 passes, since the count is 0.')", last))
    return [*out, (f"return {last.end}", None)]


def _filled(action: str, instruction: Instruction) -> str:
    """The action with registers and constants in place of the operands' names."""
    names: dict[str, str] = {}
    for operand, value in zip(instruction.opcode.operands, instruction.values, strict=True):
        text = f"{operand.kind.lower()}{value}" if operand.kind in "AQ" else str(value)
        names[operand.name] = f"({text})" if value < 0 else text
    return re.sub(r"\{(\w+)\}", lambda m: names[m[1]], action)
