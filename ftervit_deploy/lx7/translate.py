"""Basic blocks as Python functions.

A block is compiled once. Its function takes the state, a list, puts what it needs into local variables, carries the
instructions out, writes back what changed and returns the address that follows. A loop whose body is one block runs
inside that function. Registers that were never written hold None, on which every operation raises TypeError.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import CodeType
from typing import Any

from . import accumulators as acc
from . import lanes
from .memory import Memory
from .program import Instruction, Program
from .timing import Timed, timed

State = list[Any]
SLOTS = {f"a{n}": n for n in range(16)} | {f"q{n}": 16 + n for n in range(8)}
SLOTS |= {
    name: 24 + n
    for n, name in enumerate(("sar accx acc af sar_byte ua fft lbeg lend lcount mac m0 m1 m2 m3").split())
}
LBEG, LEND, LCOUNT, ACC, FORM, SAR = (SLOTS[n] for n in ("lbeg", "lend", "lcount", "acc", "af", "sar"))
_NAMES = re.compile(r"\b(" + "|".join(sorted(SLOTS, key=len, reverse=True)) + r")\b")
_ASSIGNED = re.compile(r"^\s*(?:if [^:]*: )?((?:\w+, )*\w+) (?:[-+|&]?=)(?!=)")
_FORMS = {"8": acc.S8, "16": acc.S16, "raw": acc.RAW}
_CONVERT = {"8": "to_8", "16": "to_16", "raw": "to_raw"}


@dataclass
class Block:
    """Instructions that run one after the other.

    Attributes:
        control: of the last instruction; ``""`` where another block begins.
        loop_end: the address of the end of the loop whose body the block is, 0 for other blocks.
        lines: instruction of every line of the generated function.
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

    @property
    def end(self) -> int:
        """Address after the last instruction."""
        return self.instructions[-1].end


class Translator:
    """Makes blocks of one program for one memory."""

    def __init__(self, program: Program, memory: Memory) -> None:
        self._program = program
        self._globals = _environment(memory)

    def block(self, start: int) -> Block:
        """The block that begins at an address.

        Raises:
            KeyError: there is no instruction.
        """
        instructions = self._straight(start)
        last = instructions[-1]
        loop_end = self._loop_end(start, last)
        writer = _Writer(instructions, loop_end, self._program.loop_ends)
        source, lines = writer.function()
        code = compile(source, f"<lx7 0x{start:08x}>", "exec")
        space: dict[str, Any] = {}
        exec(code, self._globals, space)
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
        )

    def _straight(self, start: int) -> list[Instruction]:
        code, leaders = self._program.instructions, self._program.leaders
        out = [code[start]]
        while not out[-1].opcode.control and out[-1].end not in leaders:
            if out[-1].end not in code:
                break
            out.append(code[out[-1].end])
        return out

    def _loop_end(self, start: int, last: Instruction) -> int:
        """The end of the loop whose whole body is this block."""
        before = [
            i for i in self._program.instructions.values() if i.opcode.control == "loop" and i.end == start
        ]
        if not before or last.opcode.control or before[0].target != last.end:
            return 0
        return last.end


class _Writer:
    """The text of one function."""

    def __init__(self, instructions: list[Instruction], loop_end: int, loop_ends: frozenset[int]) -> None:
        self._instructions = instructions
        self._loop_end = loop_end
        self._loop_ends = loop_ends
        self._form = ""
        self._body: list[tuple[str, Instruction]] = []
        self._touched: set[str] = set()
        self._changed: set[str] = set()

    def function(self) -> tuple[str, tuple[Instruction | None, ...]]:
        """Source, and the instruction of every line of it."""
        last = self._instructions[-1]
        for instruction in self._instructions:
            if not instruction.opcode.control:
                self._action(instruction)
        end = self._end(last)
        condition = " ".join(text for text, _ in end)
        self._touched |= set(_NAMES.findall(condition))
        if "acc" in self._touched:
            self._touched.add("af")
        loads = [f"{name} = S[{SLOTS[name]}]" for name in sorted(self._touched)]
        stores = [f"S[{SLOTS[name]}] = {name}" for name in sorted(self._changed)]
        out: list[tuple[str, Instruction | None]] = [("def block(S):", None)]
        out += [(" " + text, None) for text in loads]
        pad = " "
        if self._loop_end:
            out.append((f" for _ in range(S[{LCOUNT}] + 1 if S[{LEND}] == {self._loop_end} else 1):", None))
            pad = "  "
        out += [(pad + text, instruction) for text, instruction in self._body]
        if not self._body and self._loop_end:
            out.append((pad + "pass", None))
        out += [(" " + text, None) for text in stores]
        out += [(" " + text, instruction) for text, instruction in end]
        return "\n".join(text for text, _ in out), tuple(instruction for _, instruction in out)

    def _emit(self, text: str, instruction: Instruction) -> None:
        self._body.append((text, instruction))
        self._touched |= set(_NAMES.findall(text))
        match = _ASSIGNED.match(text)
        if match:
            self._changed |= set(match[1].split(", ")) & set(SLOTS)

    def _action(self, instruction: Instruction) -> None:
        opcode = instruction.opcode
        if opcode.name == "ee.xorq" and instruction.values[1] == instruction.values[2]:
            self._emit(f"q{instruction.values[0]} = ZERO", instruction)
            return
        text = _filled(opcode.action, instruction)
        for line in text.split("\n"):
            if line.startswith("@"):
                self._order(line[1:], instruction)
            elif line.strip() != "pass":
                self._emit(line.strip(), instruction)

    def _order(self, order: str, instruction: Instruction) -> None:
        """`@8`: QACC in this form; `@is8`: it has this form now; `@part`: raw, or never written."""
        if order.startswith("is"):
            self._form = order[2:]
            self._emit(f"af = {_FORMS[self._form]}", instruction)
        elif order == "part":
            self._emit("if acc is not None: acc = to_raw(acc, af)", instruction)
        elif self._form != order:
            form = _FORMS[order]
            self._emit(f"if af != {form} or acc is None: acc = {_CONVERT[order]}(acc, af)", instruction)
            self._emit(f"af = {form}", instruction)
            self._form = order

    # ---- the way on ----

    def _end(self, last: Instruction) -> list[tuple[str, Instruction | None]]:
        control, after = last.opcode.control, last.end
        if self._loop_end:
            clear = f"if S[{LEND}] == {self._loop_end}: S[{LCOUNT}] = 0"
            return [(clear, None), (f"return {self._loop_end}", None)]
        fall = self._fall(after)
        if control == "branch":
            condition = _filled(last.opcode.action, last)
            return [(f"if {condition}: return {last.target}", last), *fall]
        if control == "loop":
            return self._loop(last)
        if control in ("jump", "call"):
            register = f"a{last.values[0]}"
            target = register if last.opcode.operands[0].kind == "A" else str(last.target)
            return [(f"return +{target}", last)]
        if control == "return":
            return [("return +a0", last)]
        return fall

    def _fall(self, after: int) -> list[tuple[str, Instruction | None]]:
        out: list[tuple[str, Instruction | None]] = []
        if after in self._loop_ends:
            out.append((f"if S[{LEND}] == {after} and S[{LCOUNT}]:", None))
            out.append((f" S[{LCOUNT}] -= 1; return S[{LBEG}]", None))
        return [*out, (f"return {after}", None)]

    def _loop(self, last: Instruction) -> list[tuple[str, Instruction | None]]:
        register = f"a{last.values[0]}"
        out: list[tuple[str, Instruction | None]] = []
        if last.opcode.name == "loopnez":
            out.append((f"if not +{register}: return {last.target}", last))
        elif last.opcode.name == "loopgtz":
            out.append((f"if not 0 < {register} < H: return {last.target}", last))
        else:
            out.append((f"if not +{register}: raise Trap('2^32 passes: the count is 0')", last))
        out.append((f"S[{LBEG}] = {last.end}; S[{LEND}] = {last.target}; S[{LCOUNT}] = {register} - 1", last))
        return [*out, (f"return {last.end}", None)]


def _filled(action: str, instruction: Instruction) -> str:
    """The action with registers and constants in place of the operands' names."""
    names: dict[str, str] = {}
    for operand, value in zip(instruction.opcode.operands, instruction.values, strict=True):
        names[operand.name] = f"{operand.kind.lower()}{value}" if operand.kind in "AQ" else f"{value}"
    return re.sub(r"\{(\w+)\}", lambda m: _number(names[m[1]]), action)


def _number(text: str) -> str:
    return f"({text})" if text.startswith("-") else text


def _environment(memory: Memory) -> dict[str, Any]:
    """What generated code may call."""
    from .faults import Trap

    space: dict[str, Any] = {
        "M": 2**32 - 1, "H": 2**31, "Trap": Trap, "ZERO": lanes.ZERO, "ZERO8": acc.ZERO8,
        "OVER8": acc.OVER8, "OVER16": acc.OVER16, "V8": acc.Spread8(), "V16": acc.Spread16(),
        "S8": tuple((v ^ 128) - 128 for v in range(256)), "lane16": _lane16, "put": lanes.put,
        "put_raw": acc.put_raw, "to_8": acc.to_8, "to_16": acc.to_16, "to_raw": acc.to_raw,
        "saturate8": acc.saturate8, "saturate16": acc.saturate16, "product8": acc.product8,
        "product16": acc.product16, "qacc_u8": acc.unsigned8, "qacc_u16": acc.unsigned16,
        "read_out8": acc.read_out8, "read_out16": acc.read_out16, "read_out_accx": acc.read_out_accx,
        "andq": lanes.both, "orq": lanes.either, "xorq": lanes.differ, "notq": lanes.inverted,
        "shift_left": lanes.shift_left, "shift_right": lanes.shift_right, "bit_reversed": lanes.bit_reversed,
        "cmul": lanes.complex_multiply, "quos": lanes.quos, "rems": lanes.rems,
    }  # fmt: skip
    binary: Mapping[str, Callable[[int], Any]] = {
        "vadds": lanes.add, "vsubs": lanes.subtract, "vmax": lanes.larger, "vmin": lanes.smaller,
        "vcmp_eq": lanes.equal, "vcmp_lt": lanes.less, "vcmp_gt": lanes.greater,
    }  # fmt: skip
    for width in (8, 16, 32):
        space |= {f"{name}{width}": make(width) for name, make in binary.items()}
        space[f"zip{width}"] = lanes.zip_lanes(width // 8)
        space[f"unzip{width}"] = lanes.unzip_lanes(width // 8)
    for width in (8, 16):
        space[f"vrelu{width}"], space[f"vprelu{width}"] = lanes.rectify(width), lanes.rectify_each(width)
        for letter in "su":
            space[f"vmul_{letter}{width}"] = lanes.multiply(width, letter == "s")
            space[f"extend_{letter}{width}"] = acc.extend(width, letter == "s")
            space[f"accx_{letter}{width}"] = acc.scalar(width, letter == "s")
    names = "ld8 ld16 ld32 ld64 ld128 st8 st16 st32 st64 st128 broadcast8 broadcast16 broadcast32"
    space |= {name: getattr(memory, name) for name in names.split()}
    space["ld128u"] = memory.ld128_unaligned
    return space


def _lane16(register: bytes, lane: int) -> int:
    value = register[2 * lane] | register[2 * lane + 1] << 8
    return (value ^ 32768) - 32768
