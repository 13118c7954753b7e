"""What every instruction does, stated lane by lane on plain numbers, from the manuals, for the tests.

A statement gets the machine as it was, the machine to change, and the operands by the names that the manual
gives them: register numbers and constants.
"""

from __future__ import annotations

from collections.abc import Callable

from lx7_bench import Machine

Operands = dict[str, int]
Statement = Callable[[Machine, Machine, Operands], None]
STATEMENTS: dict[str, Statement] = {}
BRANCHES: dict[str, Callable[[int, int], bool]] = {}


def signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def clamp(value: int, bits: int) -> int:
    return max(-(1 << (bits - 1)), min((1 << (bits - 1)) - 1, value))


def lanes(value: int, bits: int, is_signed: bool = True, count: int = 0) -> list[int]:
    out = [value >> at & (1 << bits) - 1 for at in range(0, count * bits or 128, bits)]
    return [signed(v, bits) for v in out] if is_signed else out


def joined(values: list[int], bits: int) -> int:
    return sum((v & (1 << bits) - 1) << (bits * i) for i, v in enumerate(values))


# ---- core instructions: results as a function of what is read ----


def _result(name: str, function: Callable[[Machine, Operands], int], target: str = "r") -> None:
    def statement(old: Machine, new: Machine, o: Operands) -> None:
        new.a[o[target]] = function(old, o) & 0xFFFFFFFF

    STATEMENTS[name] = statement


def _two(name: str, function: Callable[[int, int], int]) -> None:
    """Of two registers s and t, unsigned."""
    _result(name, lambda m, o: function(m.a[o["s"]], m.a[o["t"]]))


def _s32(value: int) -> int:
    return signed(value, 32)


def _quotient(s: int, t: int) -> int:
    q = abs(s) // abs(t)
    return q if (s < 0) == (t < 0) else -q


for _name in ("add", "add.n"):
    _two(_name, lambda s, t: s + t)
_two("sub", lambda s, t: s - t)
for _scale in (2, 4, 8):
    _two(f"addx{_scale}", lambda s, t, n=_scale: n * s + t)
    _two(f"subx{_scale}", lambda s, t, n=_scale: n * s - t)
_two("and", lambda s, t: s & t)
_two("or", lambda s, t: s | t)
_two("xor", lambda s, t: s ^ t)
_two("min", lambda s, t: min(_s32(s), _s32(t)))
_two("max", lambda s, t: max(_s32(s), _s32(t)))
_two("minu", min)
_two("maxu", max)
_two("salt", lambda s, t: int(_s32(s) < _s32(t)))
_two("saltu", lambda s, t: int(s < t))
_two("mull", lambda s, t: s * t)
_two("muluh", lambda s, t: s * t >> 32)
_two("mulsh", lambda s, t: _s32(s) * _s32(t) >> 32)
_two("mul16u", lambda s, t: (s & 65535) * (t & 65535))
_two("mul16s", lambda s, t: signed(s, 16) * signed(t, 16))
_two("quou", lambda s, t: s // t)
_two("remu", lambda s, t: s % t)
_two("quos", lambda s, t: _quotient(_s32(s), _s32(t)))
_two("rems", lambda s, t: _s32(s) - _s32(t) * _quotient(_s32(s), _s32(t)))
for _name in ("addi", "addi.n", "addmi"):
    _result(_name, lambda m, o: m.a[o["s"]] + o["i"], "t")
_result("neg", lambda m, o: -m.a[o["t"]])
_result("abs", lambda m, o: abs(_s32(m.a[o["t"]])))
_result("sext", lambda m, o: signed(m.a[o["s"]], o["i"] + 1))
_result("clamps", lambda m, o: clamp(_s32(m.a[o["s"]]), o["i"] + 1))


def _leading(value: int, bit: int) -> int:
    return next((n for n in range(32) if value >> (31 - n) & 1 != bit), 32)


_result("nsau", lambda m, o: _leading(m.a[o["s"]], 0), "t")
_result("nsa", lambda m, o: _leading(m.a[o["s"]], m.a[o["s"]] >> 31) - 1, "t")
_result("slli", lambda m, o: m.a[o["s"]] << o["i"])
_result("srli", lambda m, o: m.a[o["t"]] >> o["i"])
_result("srai", lambda m, o: _s32(m.a[o["t"]]) >> o["i"])
_result("extui", lambda m, o: m.a[o["t"]] >> o["i"] & (1 << o["w"]) - 1)
_result("sll", lambda m, o: m.a[o["s"]] << 32 >> m.sar)
_result("srl", lambda m, o: m.a[o["t"]] >> m.sar)
_result("sra", lambda m, o: _s32(m.a[o["t"]]) >> m.sar)
_result("src", lambda m, o: (m.a[o["s"]] << 32 | m.a[o["t"]]) >> m.sar)
for _name in ("mov", "mov.n"):
    _result(_name, lambda m, o: m.a[o["s"]])
for _name in ("movi", "movi.n", "l32r="):
    _result(_name, lambda m, o: o["i"], "t")
_result("moveqz", lambda m, o: m.a[o["s"]] if m.a[o["t"]] == 0 else m.a[o["r"]])
_result("movnez", lambda m, o: m.a[o["s"]] if m.a[o["t"]] != 0 else m.a[o["r"]])
_result("movltz", lambda m, o: m.a[o["s"]] if _s32(m.a[o["t"]]) < 0 else m.a[o["r"]])
_result("movgez", lambda m, o: m.a[o["s"]] if _s32(m.a[o["t"]]) >= 0 else m.a[o["r"]])
for _name, _size, _bits in (("l8ui", 1, 0), ("l16ui", 2, 0), ("l16si", 2, 16), ("l32i", 4, 0)):
    _result(
        _name,
        lambda m, o, size=_size, bits=_bits: (
            signed(m.load(m.a[o["s"]] + o["i"], size), bits) if bits else m.load(m.a[o["s"]] + o["i"], size)
        ),
        "t",
    )
STATEMENTS["l32ai"] = STATEMENTS["l32i.n"] = STATEMENTS["l32i"]


def _stores(name: str, size: int) -> None:
    def statement(old: Machine, new: Machine, o: Operands) -> None:
        new.store(old.a[o["s"]] + o["i"], size, old.a[o["t"]])

    STATEMENTS[name] = statement


for _name, _size in (("s8i", 1), ("s16i", 2), ("s32i", 4), ("s32i.n", 4), ("s32ri", 4)):
    _stores(_name, _size)


def _sets(name: str, attribute: str, function: Callable[[Machine, Operands], int]) -> None:
    def statement(old: Machine, new: Machine, o: Operands) -> None:
        setattr(new, attribute, function(old, o))

    STATEMENTS[name] = statement


_sets("ssr", "sar", lambda m, o: m.a[o["s"]] & 31)
_sets("ssl", "sar", lambda m, o: 32 - (m.a[o["s"]] & 31))
_sets("ssai", "sar", lambda m, o: o["i"])
_sets("ssa8l", "sar", lambda m, o: (m.a[o["s"]] & 3) * 8)
_sets("ssa8b", "sar", lambda m, o: 32 - (m.a[o["s"]] & 3) * 8)
_sets("wsr.sar", "sar", lambda m, o: m.a[o["t"]] & 63)
_result("rsr.sar", lambda m, o: m.sar, "t")


def _exchange_sar(old: Machine, new: Machine, o: Operands) -> None:
    new.a[o["t"]], new.sar = old.sar, old.a[o["t"]] & 63


STATEMENTS["xsr.sar"] = _exchange_sar
_sets("wsr.acclo", "acc", lambda m, o: m.acc >> 32 << 32 | m.a[o["t"]])
_sets("wsr.acchi", "acc", lambda m, o: (m.a[o["t"]] & 255) << 32 | m.acc & 0xFFFFFFFF)
_result("rsr.acclo", lambda m, o: m.acc, "t")
_result("rsr.acchi", lambda m, o: signed(m.acc, 40) >> 32, "t")


def _mac16(parts: str) -> None:
    def half(value: int, part: str, is_signed: bool) -> int:
        value = value >> 16 if part == "h" else value & 65535
        return signed(value, 16) if is_signed else value

    def product(m: Machine, o: Operands, is_signed: bool = True) -> int:
        return half(m.a[o["s"]], parts[0], is_signed) * half(m.a[o["t"]], parts[1], is_signed)

    wrap = (1 << 40) - 1
    _sets(f"mul.aa.{parts}", "acc", lambda m, o: product(m, o) & wrap)
    _sets(f"umul.aa.{parts}", "acc", lambda m, o: product(m, o, False) & wrap)
    _sets(f"mula.aa.{parts}", "acc", lambda m, o: m.acc + product(m, o) & wrap)
    _sets(f"muls.aa.{parts}", "acc", lambda m, o: m.acc - product(m, o) & wrap)


for _parts in ("ll", "lh", "hl", "hh"):
    _mac16(_parts)


def _nothing(old: Machine, new: Machine, o: Operands) -> None:
    pass


for _name in ("nop", "nop.n", "memw", "extw", "isync", "rsync", "esync", "dsync"):
    STATEMENTS[_name] = _nothing

BRANCHES |= {
    "beq": lambda s, t: s == t,
    "bne": lambda s, t: s != t,
    "blt": lambda s, t: _s32(s) < _s32(t),
    "bge": lambda s, t: _s32(s) >= _s32(t),
    "bltu": lambda s, t: s < t,
    "bgeu": lambda s, t: s >= t,
    "bany": lambda s, t: s & t != 0,
    "bnone": lambda s, t: s & t == 0,
    "ball": lambda s, t: s & t == t,
    "bnall": lambda s, t: s & t != t,
    "bbc": lambda s, t: s >> t % 32 & 1 == 0,
    "bbs": lambda s, t: s >> t % 32 & 1 == 1,
    "bbci": lambda s, i: s >> i & 1 == 0,
    "bbsi": lambda s, i: s >> i & 1 == 1,
    "beqz": lambda s, _: s == 0,
    "bnez": lambda s, _: s != 0,
    "beqz.n": lambda s, _: s == 0,
    "bnez.n": lambda s, _: s != 0,
    "bltz": lambda s, _: _s32(s) < 0,
    "bgez": lambda s, _: _s32(s) >= 0,
    "beqi": lambda s, i: s == i & 0xFFFFFFFF,
    "bnei": lambda s, i: s != i & 0xFFFFFFFF,
    "blti": lambda s, i: _s32(s) < i,
    "bgei": lambda s, i: _s32(s) >= i,
    "bltui": lambda s, i: s < i,
    "bgeui": lambda s, i: s >= i,
}
"""Whether a branch is taken: of s and of t or the constant."""
