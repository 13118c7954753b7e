"""The core instructions, from the Xtensa Instruction Set Architecture manual, chapter 6.

Registers hold 0 .. 2^32-1. `M` is 2^32-1, `H` is 2^31: ``(x ^ H) - H`` is the signed value. Sizes and the
set of options (density, loops, MAC16, 32-bit multiply and divide, min/max, sign extension) are those of
the ESP32-S3's core configuration (core-isa.h). Stages: an ALU result is ready after E, a load after M;
the multiplier's are assumed (`timing`).
"""

from __future__ import annotations

from .opcodes import op, ops

_RRR = "r:Aw s:Ar t:Ar"


def _arithmetic() -> None:
    op("add", _RRR, "{r} = {s} + {t} & M")
    op("add.n", _RRR, "{r} = {s} + {t} & M", 2)
    op("addi", "t:Aw s:Ar i:I-128..127", "{t} = {s} + {i} & M")
    op("addi.n", "t:Aw s:Ar i:I-1..15", "{t} = {s} + {i} & M", 2)
    op("addmi", "t:Aw s:Ar i:I-32768..32512/256", "{t} = {s} + {i} & M")
    op("sub", _RRR, "{r} = {s} - {t} & M")
    for n, scale in ((1, 2), (2, 4), (3, 8)):
        op(f"addx{scale}", _RRR, f"{{r}} = ({{s}} << {n}) + {{t}} & M")
        op(f"subx{scale}", _RRR, f"{{r}} = ({{s}} << {n}) - {{t}} & M")
    op("neg", "r:Aw t:Ar", "{r} = -{t} & M")
    op("abs", "r:Aw t:Ar", "{r} = -{t} & M if {t} & H else {t}")
    op("and", _RRR, "{r} = {s} & {t}")
    op("or", _RRR, "{r} = {s} | {t}")
    op("xor", _RRR, "{r} = {s} ^ {t}")
    op("min", _RRR, "{r} = {s} if ({s} ^ H) < ({t} ^ H) else {t}")
    op("max", _RRR, "{r} = {s} if ({s} ^ H) > ({t} ^ H) else {t}")
    op("minu", _RRR, "{r} = {s} if {s} < {t} else {t}")
    op("maxu", _RRR, "{r} = {s} if {s} > {t} else {t}")
    op("salt", _RRR, "{r} = 1 if ({s} ^ H) < ({t} ^ H) else 0")
    op("saltu", _RRR, "{r} = 1 if {s} < {t} else 0")
    op("sext", "r:Aw s:Ar i:I7..22", "{r} = (({s} & (2 << {i}) - 1) ^ (1 << {i})) - (1 << {i}) & M")
    op("clamps", "r:Aw s:Ar i:I7..22", "{r} = max(-(1 << {i}), min((1 << {i}) - 1, ({s} ^ H) - H)) & M")
    op("nsa", "t:Aw s:Ar", "{t} = 31 - ({s} ^ (M if {s} & H else 0)).bit_length()")
    op("nsau", "t:Aw s:Ar", "{t} = 32 - (+{s}).bit_length()")


def _multiply() -> None:
    signed = "(({s} ^ H) - H) * (({t} ^ H) - H)"
    half = "((({s} & 65535) ^ 32768) - 32768) * ((({t} & 65535) ^ 32768) - 32768)"
    late = "r:Aw2 s:Ar t:Ar"
    op("mull", late, "{r} = {s} * {t} & M")
    op("muluh", late, "{r} = {s} * {t} >> 32")
    op("mulsh", late, f"{{r}} = ({signed} >> 32) & M")
    op("mul16u", late, "{r} = ({s} & 65535) * ({t} & 65535)")
    op("mul16s", late, f"{{r}} = {half} & M")
    for name, action in (
        ("quou", "{s} // {t}"),
        ("remu", "{s} % {t}"),
        ("quos", "quos({s}, {t})"),
        ("rems", "rems({s}, {t})"),
    ):
        op(name, "r:Aw2 s:Ar t:Ar", "{r} = " + action)


def _shift() -> None:
    op("slli", "r:Aw s:Ar i:I1..31", "{r} = {s} << {i} & M")
    op("srli", "r:Aw t:Ar i:I0..31", "{r} = {t} >> {i}")
    op("srai", "r:Aw t:Ar i:I0..31", "{r} = (({t} ^ H) - H >> {i}) & M")
    op("extui", "r:Aw t:Ar i:I0..31 w:I1..16", "{r} = {t} >> {i} & (1 << {w}) - 1")
    op("sll", "r:Aw s:Ar", "{r} = ({s} << 32) >> sar & M", state="SAR:r")
    op("srl", "r:Aw t:Ar", "{r} = {t} >> sar", state="SAR:r")
    op("sra", "r:Aw t:Ar", "{r} = (({t} ^ H) - H >> sar) & M", state="SAR:r")
    op("src", "r:Aw s:Ar t:Ar", "{r} = ({s} << 32 | {t}) >> sar & M", state="SAR:r")
    op("ssr", "s:Ar", "sar = {s} & 31", state="SAR:w")
    op("ssl", "s:Ar", "sar = 32 - ({s} & 31)", state="SAR:w")
    op("ssai", "i:I0..31", "sar = {i}", state="SAR:w")
    op("ssa8l", "s:Ar", "sar = ({s} & 3) * 8", state="SAR:w")
    op("ssa8b", "s:Ar", "sar = 32 - ({s} & 3) * 8", state="SAR:w")


def _move() -> None:
    op("mov", "r:Aw s:Ar", "{r} = {s}")
    op("mov.n", "r:Aw s:Ar", "{r} = {s}", 2)
    op("movi", "t:Aw i:I-2048..2047", "{t} = {i} & M")
    op("movi.n", "t:Aw i:I-32..95", "{t} = {i} & M", 2)
    op("l32r=", "t:Aw2 i:I-2147483648..4294967295", "{t} = {i} & M")
    for name, condition in (
        ("moveqz", "not +{t}"),
        ("movnez", "+{t}"),
        ("movltz", "{t} & H"),
        ("movgez", "not {t} & H"),
    ):
        op(name, "r:Am s:Ar t:Ar", "if " + condition + ": {r} = {s}")


def _memory() -> None:
    op("l32r", "t:Aw2 l:L", "{t} = ld32({l})")
    op("l8ui", "t:Aw2 s:Ar i:I0..255", "{t} = ld8({s} + {i})")
    op("l16ui", "t:Aw2 s:Ar i:I0..510/2", "{t} = ld16({s} + {i})")
    op("l16si", "t:Aw2 s:Ar i:I0..510/2", "{t} = (ld16({s} + {i}) ^ 32768) - 32768 & M")
    ops(["l32i", "l32ai"], "t:Aw2 s:Ar i:I0..1020/4", "{t} = ld32({s} + {i})")
    op("l32i.n", "t:Aw2 s:Ar i:I0..60/4", "{t} = ld32({s} + {i})", 2)
    op("s8i", "t:Ar s:Ar i:I0..255", "st8({s} + {i}, {t})")
    op("s16i", "t:Ar s:Ar i:I0..510/2", "st16({s} + {i}, {t})")
    ops(["s32i", "s32ri"], "t:Ar s:Ar i:I0..1020/4", "st32({s} + {i}, {t})")
    op("s32i.n", "t:Ar s:Ar i:I0..60/4", "st32({s} + {i}, {t})", 2)
    ops(["nop", "memw", "extw", "isync", "rsync", "esync", "dsync"], "", "pass")
    op("nop.n", "", "pass", 2)


def _special() -> None:
    for name, variable in (("sar", "sar"), ("lbeg", "lbeg"), ("lend", "lend"), ("lcount", "lcount")):
        resource = name.upper()
        op(f"rsr.{name}", "t:Aw", f"{{t}} = +{variable}", state=f"{resource}:r")
        mask = " & 63" if name == "sar" else ""
        op(f"wsr.{name}", "t:Ar", f"{variable} = {{t}}{mask}", state=f"{resource}:w")
        action = f"t0 = {variable} + 0\n{variable} = {{t}}{mask}\n{{t}} = t0"
        op(f"xsr.{name}", "t:Am", action, state=f"{resource}:m")
    op("rsr.acclo", "t:Aw", "{t} = mac & M", state="MAC:r")
    op("rsr.acchi", "t:Aw", "{t} = mac >> 32 & M", state="MAC:r")
    op("wsr.acclo", "t:Ar", "mac = (mac or 0) >> 32 << 32 | {t}", state="MAC:w")
    op("wsr.acchi", "t:Ar", "mac = (({t} & 255) ^ 128) - 128 << 32 | (mac or 0) & M", state="MAC:w")
    for n in range(4):
        op(f"rsr.m{n}", "t:Aw", f"{{t}} = +m{n}", state=f"M{n}:r")
        op(f"wsr.m{n}", "t:Ar", f"m{n} = +{{t}}", state=f"M{n}:w")


def _half(value: str, part: str, unsigned: bool = False) -> str:
    text = f"({value} & 65535)" if part == "l" else f"({value} >> 16 & 65535)"
    return text if unsigned else f"(({text} ^ 32768) - 32768)"


def _mac16() -> None:
    """Multiply-accumulate option, forms with address registers: `mul.aa`, `umul.aa`, `mula.aa`, `muls.aa`."""
    wrap = "mac = (({} & 0xFFFFFFFFFF) ^ 1 << 39) - (1 << 39)"
    for parts in ("ll", "hl", "lh", "hh"):
        product = f"{_half('{s}', parts[0])} * {_half('{t}', parts[1])}"
        raw = f"{_half('{s}', parts[0], True)} * {_half('{t}', parts[1], True)}"
        op(f"mul.aa.{parts}", "s:Ar t:Ar", f"mac = {product}", state="MAC:w2")
        op(f"umul.aa.{parts}", "s:Ar t:Ar", f"mac = {raw}", state="MAC:w2")
        op(f"mula.aa.{parts}", "s:Ar t:Ar", wrap.format(f"(mac + {product})"), state="MAC:m2", macs=1)
        op(f"muls.aa.{parts}", "s:Ar t:Ar", wrap.format(f"(mac - {product})"), state="MAC:m2", macs=1)


def _control() -> None:
    for name, condition in (
        ("beq", "not {s} ^ {t}"),
        ("bne", "{s} ^ {t}"),
        ("blt", "({s} ^ H) < ({t} ^ H)"),
        ("bge", "({s} ^ H) >= ({t} ^ H)"),
        ("bltu", "{s} < {t}"),
        ("bgeu", "{s} >= {t}"),
        ("bany", "{s} & {t}"),
        ("bnone", "not {s} & {t}"),
        ("ball", "not ~{s} & {t}"),
        ("bnall", "~{s} & {t}"),
        ("bbc", "not {s} >> ({t} & 31) & 1"),
        ("bbs", "{s} >> ({t} & 31) & 1"),
    ):
        op(name, "s:Ar t:Ar l:L", condition, control="branch")
    for name, condition in (
        ("beqz", "not +{s}"),
        ("bnez", "+{s}"),
        ("bltz", "{s} & H"),
        ("bgez", "not {s} & H"),
    ):
        op(name, "s:Ar l:L", condition, control="branch")
    op("beqz.n", "s:Ar l:L", "not +{s}", 2, "branch")
    op("bnez.n", "s:Ar l:L", "+{s}", 2, "branch")
    for name, sign in (("beqi", "=="), ("bnei", "!=")):
        op(name, "s:Ar i:B l:L", f"+{{s}} {sign} ({{i}} & M)", control="branch")
    for name, sign in (("blti", "<"), ("bgei", ">=")):
        op(name, "s:Ar i:B l:L", f"({{s}} ^ H) - H {sign} {{i}}", control="branch")
        op(name.replace("i", "ui"), "s:Ar i:U l:L", f"{{s}} {sign} {{i}}", control="branch")
    op("bbci", "s:Ar i:I0..31 l:L", "not {s} >> {i} & 1", control="branch")
    op("bbsi", "s:Ar i:I0..31 l:L", "{s} >> {i} & 1", control="branch")
    op("j", "l:L", "", control="jump")
    op("jx", "s:Ar", "", control="jump")
    for n in (0, 4, 8, 12):
        op(f"call{n}", "l:L", "", control="call")
        op(f"callx{n}", "s:Ar", "", control="call")
    for name, size in (("ret", 3), ("ret.n", 2), ("retw", 3), ("retw.n", 2)):
        op(name, "", "", size, "return")
    op("entry", "s:Am i:I0..32760/8", "", control="entry")
    for name in ("loop", "loopnez", "loopgtz"):
        op(name, "s:Ar l:L", "", control="loop", state="LCOUNT:w LBEG:w LEND:w")


for _table in (_arithmetic, _multiply, _shift, _move, _memory, _special, _mac16, _control):
    _table()
