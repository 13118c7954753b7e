"""Every instruction of the LX7 model does what the manuals say, on random operands and on the edges."""

from __future__ import annotations

import random
import zlib

import lx7_vector_statements  # noqa: F401  (adds its statements)
import pytest
from lx7_bench import BYTES, FIRST, LAST, Bench, Machine
from lx7_statements import BRANCHES, STATEMENTS, Operands

from ftervit_deploy.lx7.opcodes import B4CONST, B4CONSTU, OPCODES, Operand

ELSEWHERE = {"l32r"} | {f"{op}.{name}" for op in ("rsr", "wsr", "xsr") for name in ("lbeg", "lend", "lcount")}
ELSEWHERE |= {f"{op}.m{n}" for op in ("rsr", "wsr") for n in range(4)}
"""Tested by what they are for, in other tests."""
CONTROL = {name for name, opcode in OPCODES.items() if opcode.control not in ("", "branch")}
PLAIN = sorted(set(OPCODES) - CONTROL - set(BRANCHES) - ELSEWHERE)
EDGES = {8: (-128, -127, -1, 0, 1, 126, 127), 16: (-32768, -32767, -1, 0, 1, 32766, 32767)}
WORDS = (0, 1, 2, 0x7FFFFFFF, 0x80000000, 0x80000001, 0xFFFFFFFF, 0xFFFF8000, 0x8000, 0x7FFF)


def test_every_instruction_is_stated() -> None:
    assert set(STATEMENTS) == set(PLAIN)
    assert set(BRANCHES) == {name for name, opcode in OPCODES.items() if opcode.control == "branch"}


def _word(rng: random.Random) -> int:
    return rng.choice(WORDS) if rng.random() < 0.5 else rng.getrandbits(32)


def _vector(rng: random.Random) -> int:
    width = rng.choice((8, 16, 8, 16, 0))
    if not width:
        return rng.getrandbits(128)
    values = [rng.choice(EDGES[width]) for _ in range(128 // width)]
    return sum((v & (1 << width) - 1) << (width * i) for i, v in enumerate(values))


def _wide(rng: random.Random, bits: int, count: int) -> int:
    top = (1 << (bits - 1)) - 1
    edges = (0, 1, -1, top, -top - 1, top - 1, -top, top - 16000, 16000 - top)
    values = [rng.choice(edges) if rng.random() < 0.7 else rng.getrandbits(bits) for _ in range(count)]
    return sum((v & (1 << bits) - 1) << (bits * i) for i, v in enumerate(values))


def _machine(rng: random.Random) -> Machine:
    m = Machine()
    m.a = [_word(rng) for _ in range(16)]
    m.q = [_vector(rng) for _ in range(8)]
    m.sar, m.sar_byte, m.fft = rng.randrange(33), rng.randrange(16), rng.randrange(3, 11)
    m.accx, m.ua, m.acc = _wide(rng, 40, 1), rng.getrandbits(128), rng.getrandbits(40)
    m.qacc = _wide(rng, 20, 16) if rng.random() < 0.5 else _wide(rng, 40, 8)
    m.memory = bytearray(rng.getrandbits(8) for _ in range(BYTES))
    return m


def _chosen(rng: random.Random, operands: tuple[Operand, ...]) -> Operands:
    """Operands; no two results in one register, and no pointer that is also something else."""
    out: Operands = {}
    taken: set[tuple[str, int]] = set()
    for operand in operands:
        if operand.kind == "I":
            steps = (operand.high - operand.low) // operand.step
            out[operand.name] = operand.low + operand.step * rng.choice((0, steps, rng.randint(0, steps)))
            continue
        first, last = (FIRST, LAST) if operand.kind == "A" else (0, 7)
        free = [n for n in range(first, last + 1) if (operand.kind, n) not in taken]
        out[operand.name] = rng.choice(free)
        if operand.ready or operand.name in ("as", "ad"):
            taken.add((operand.kind, out[operand.name]))
    return out


def _text(name: str, operands: tuple[Operand, ...], o: Operands) -> str:
    letters = {"A": "a", "Q": "q"}
    return f"{name} " + ", ".join(letters.get(op.kind, "") + str(o[op.name]) for op in operands)


def _prepare(rng: random.Random, name: str, o: Operands, m: Machine) -> None:
    """Pointers into memory, divisors other than 0, small table indices."""
    opcode = OPCODES[name]
    scalar = any(f"{access}(" in opcode.action for access in ("ld8", "ld16", "ld32", "st8", "st16", "st32"))
    if scalar and "s" in o:
        m.a[o["s"]] = m.base + 4 * rng.randrange(BYTES // 4) - o["i"] // 4 * 4
    if "as" in o and name.startswith(("ee.", "ld.qr", "st.qr")) and "srcmb" not in name:
        m.a[o["as"]] = m.base + 128 + 16 * rng.randrange(8)
        if "usar" in name or "xxp" in name:
            m.a[o["as"]] += rng.randrange(16)
        if ".64." in name or ".32" in name or name in ("ee.ld.accx.ip", "ee.st.accx.ip"):
            m.a[o["as"]] += rng.choice((0, 8))
    if name in ("ee.ldxq.32", "ee.stxq.32"):
        m.q[o["qs"]] = sum(rng.randrange(60) << 16 * n for n in range(8))
    if name.startswith(("quo", "rem")) and m.a[o["t"]] == 0:
        m.a[o["t"]] = 1
    if name == "extui":
        o["w"] = min(o["w"], 32 - o["i"])


@pytest.mark.parametrize("name", PLAIN)
def test_an_instruction_does_what_the_manual_says(name: str) -> None:
    rng = random.Random(zlib.crc32(name.encode()))
    operands = OPCODES[name].operands
    written = {"l32r=": "movi"}.get(name, name)
    for _ in range(4):
        o = _chosen(rng, operands)
        _prepare(rng, name, o, _machine(rng))
        if name == "l32r=" and -2048 <= o["i"] <= 2047:
            o["i"] = 0x12345678
        bench = Bench(_text(written, operands, o))
        for _ in range(12):
            before = _machine(rng)
            _prepare(rng, name, dict(o), before)
            expected = before.copy()
            STATEMENTS[name](before, expected, o)
            assert bench.run(before) == expected, _text(name, operands, o)


@pytest.mark.parametrize("name", sorted(BRANCHES))
def test_a_branch_is_taken_when_the_manual_says(name: str) -> None:
    rng = random.Random(zlib.crc32(name.encode()))
    operands = OPCODES[name].operands
    seen = set()
    for _ in range(6):
        second = operands[1] if len(operands) == 3 else None
        constants = {"B": B4CONST, "U": B4CONSTU, "I": tuple(range(32))}
        other = rng.choice(constants[second.kind]) if second and second.kind != "A" else None
        middle = "" if second is None else "a5, " if other is None else f"{other}, "
        bench = Bench(f"movi a15, 0\n {name} a4, {middle}taken")
        for _ in range(20):
            m = _machine(rng)
            if rng.random() < 0.4:
                m.a[4] = m.a[5] if other is None else other & 0xFFFFFFFF
            taken = BRANCHES[name](m.a[4], m.a[5] if other is None else other)
            assert bench.run(m).a[15] == int(taken)
            seen.add(taken)
    assert seen == {True, False}
