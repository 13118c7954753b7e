"""Cycles: every rule of the model in one table, and the pipeline that applies them.

Sources: TRM is the ESP32-S3 technical reference 1.7, CONFIG the core configuration that Espressif publishes
(core-isa.h, xtensa-modules.c), MEASURED what others measured on the chip and published, ASSUMED nobody's
figure. Memory behind a cache and conflicts of SRAM banks are priced elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .opcodes import Opcode
from .program import Instruction


@dataclass(frozen=True)
class Rule:
    """One number and where it comes from."""

    value: int
    source: str
    why: str


RULES = {
    "issue": Rule(1, "TRM", "1.7: one instruction a cycle, in order"),
    "taken": Rule(
        2,
        "TRM",
        "1.7.3: a taken branch empties R and E; jumps, calls, returns, skipped loops alike (ASSUMED)",
    ),
    "loop_back": Rule(0, "CONFIG", "loop option: no branch on the back edge"),
    "loop_setup": Rule(0, "ASSUMED", "`loop` costs its issue cycle"),
    "loop_far": Rule(
        12, "ASSUMED", "GNU as replaces a loop over more than 256 bytes by twelve instructions more"
    ),
    "divide": Rule(
        15, "MEASURED", "quou, quos, remu, rems: about 16 cycles in all, worked back from a saving"
    ),
    "multiply_ready": Rule(2, "ASSUMED", "stage after which mull, mul16, muluh, mulsh are ready: one stall"),
    "unit_conflict": Rule(
        1, "CONFIG", "SRCMB and SRS.ACCX in E need adders that the vector arithmetic before holds in M"
    ),
    "store_128": Rule(0, "MEASURED", "copy loops show 1.00 for VST.128; in dense arithmetic it took 1.6"),
    "fetch_bytes": Rule(4, "CONFIG", "XCHAL_INST_FETCH_WIDTH"),
    "fetch_buffer": Rule(8, "ASSUMED", "bytes that fetch may run ahead"),
    "loop_buffer": Rule(
        256, "CONFIG", "XCHAL_LOOP_BUFFER_SIZE: within it a loop fetches nothing after its first pass"
    ),
}
_DIVIDES = {"quou", "quos", "remu", "rems"}
_UNIT = "vector units"

State = tuple[tuple[tuple[str, int], ...], int]
"""What is not ready yet, in cycles after the next issue, and the bytes fetched ahead."""
START: State = ((), 8)


@dataclass(frozen=True)
class Timed:
    """An instruction as the pipeline sees it: (resource, stage) of what it reads and writes."""

    instruction: Instruction
    reads: tuple[tuple[str, int], ...]
    writes: tuple[tuple[str, int], ...]
    extra: int


def timed(instruction: Instruction) -> Timed:
    """Resources of an instruction."""
    opcode = instruction.opcode
    reads: list[tuple[str, int]] = [(name, use) for name, use, _ in opcode.state if use]
    writes: list[tuple[str, int]] = [(name, ready) for name, _, ready in opcode.state if ready]
    for operand, value in zip(opcode.operands, instruction.values, strict=True):
        name = f"{operand.kind.lower()}{value}"
        if operand.use:
            reads.append((name, operand.use))
        if operand.ready:
            writes.append((name, operand.ready))
    if opcode.unit == "readout":
        reads.append((_UNIT, 1))
    elif opcode.unit == "vector":
        writes.append((_UNIT, 1 + RULES["unit_conflict"].value))
    return Timed(instruction, tuple(reads), tuple(writes), _extra(opcode))


def _extra(opcode: Opcode) -> int:
    if opcode.name in _DIVIDES:
        return RULES["divide"].value
    if opcode.control == "loop":
        return RULES["loop_setup"].value
    return RULES["store_128"].value if opcode.name.startswith("ee.vst.128") else 0


def run(block: Sequence[Timed], state: State, buffered: bool = False) -> tuple[list[int], State]:
    """Cycles of every instruction, stalls before it included, and the state after the last.

    Args:
        buffered: the instructions come from the loop buffer.
    """
    pending, ahead = dict(state[0]), state[1]
    width, room = RULES["fetch_bytes"].value, RULES["fetch_buffer"].value
    now, cycles = 0, []
    for item in block:
        size = item.instruction.size
        at = max([now, *[pending[name] - stage for name, stage in item.reads if name in pending]])
        if not buffered:
            ahead = min(room, ahead + width * (at - now))
            while ahead < min(size, 4):
                ahead = min(room, ahead + width)
                at += 1
            ahead = min(room, ahead - size + width * (1 + item.extra))
        for name, stage in item.writes:
            pending[name] = at + stage + 1
        after = at + 1 + item.extra
        cycles.append(after - now)
        now = after
    left = tuple(sorted((name, ready - now) for name, ready in pending.items() if ready - now > 1))
    return cycles, (left, room if buffered else ahead)


def loop(body: Sequence[Timed], state: State, count: int) -> tuple[list[int], State]:
    """Cycles of every instruction in `count` passes of a loop, or one, and the state at the end."""
    total = [0] * len(body)
    seen: dict[State, tuple[int, list[int]]] = {}
    size = sum(item.instruction.size for item in body)
    fits = size <= RULES["loop_buffer"].value
    left = count
    while left:
        buffered = fits and left < count
        if left < count and state in seen:
            before, then = seen.pop(state)
            rounds = left // (before - left)
            total = [now + rounds * (now - was) for now, was in zip(total, then, strict=True)]
            left -= rounds * (before - left)
            seen.clear()
            continue
        if left < count:
            seen[state] = left, total
        cycles, state = run(body, state, buffered)
        total = [a + b for a, b in zip(total, cycles, strict=True)]
        left -= 1
        if left and not fits:
            state = redirected(state, body[0].instruction.address, RULES["loop_back"].value)
    return total, state


def lead(last: Instruction, after: int) -> int:
    """Cycles that the way on to `after` takes beyond the instruction's own."""
    control, taken = last.opcode.control, RULES["taken"].value
    if control == "loop":
        far = last.target - last.end > RULES["loop_buffer"].value
        return (RULES["loop_far"].value if far else 0) + (taken if after != last.end else 0)
    if last.far:
        return taken + (1 if after != last.end else 0)
    return taken if control not in ("", "entry") and after != last.end else 0


def redirected(state: State, target: int, cycles: int) -> State:
    """The state `cycles` later, when fetch begins anew at `target`."""
    left = tuple((name, ready - cycles) for name, ready in state[0] if ready - cycles > 1)
    return left, RULES["fetch_bytes"].value - target % RULES["fetch_bytes"].value
