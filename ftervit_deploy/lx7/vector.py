"""The PIE instructions, from the ESP32-S3 technical reference, chapter 1: operands, operation (1.8), stages
(1.7).

Where syntax line, description and operation of one instruction disagree, the operation counts, as far as
the assembler's ranges allow it. Sizes, operand order and ranges are those that Espressif's assembler
takes. The third operand of SRCMB and SRS.ACCX is documented nowhere; only 0 is allowed here. In fused
forms everything is read before anything is written, which the order of the operations says.

`acc` is QACC in the form that the line before orders: ``@8``, ``@16``, ``@raw`` convert, ``@is8`` ...
declare.
"""

from __future__ import annotations

from .opcodes import op

_VECTOR = "vector"
_QACC_R, _QACC_W = "QACC_H:r QACC_L:r", "QACC_H:w QACC_L:w"
_QACC_W2, _QACC_M, _QACC_M2 = (
    "QACC_H:w2 QACC_L:w2",
    "QACC_H:m QACC_L:m",
    "QACC_H:r2 QACC_H:w2 QACC_L:r2 QACC_L:w2",
)
_ACCX_M2 = "ACCX:r2 ACCX:w2"
_STEP = {16: "I-2048..2032/16", 8: "I-1024..1016/8", 4: "I-512..508/4"}


def _advance(step: str) -> str:
    return "{as} = {as} + " + step + " & M"


def _pointer(name: str, operands: str, action: str, step: str, state: str = "") -> None:
    """The `.ip` and `.xp` forms of a load or store."""
    for suffix, extra, by in ((".ip", f"imm:{step}", "{imm}"), (".xp", "ad:Ar", "{ad}")):
        op(name + suffix, f"{operands} as:Am {extra}".strip(), action + "\n" + _advance(by), state=state)


def _load_store() -> None:
    _pointer("ee.vld.128", "qu:Qw2", "{qu} = ld128({as})", _STEP[16])
    _pointer("ee.vst.128", "qv:Qr", "st128({as}, {qv})", _STEP[16])
    for part, start in (("l", 0), ("h", 8)):
        _pointer(f"ee.vld.{part}.64", "qu:Qw2", f"{{qu}} = put({{qu}}, {start}, ld64({{as}}))", _STEP[8])
        _pointer(f"ee.vst.{part}.64", "qv:Qr", f"st64({{as}}, {{qv}}[{start}:{start + 8}])", _STEP[8])
    for bits, step in ((8, "I0..127"), (16, "I0..254/2"), (32, _STEP[4])):
        action = f"{{qu}} = broadcast{bits}({{as}})"
        op(f"ee.vldbc.{bits}", "qu:Qw2 as:Ar", action)
        _pointer(f"ee.vldbc.{bits}", "qu:Qw2", action, step)
    halves = "{qu}, {qu1} = zip16(t0, t0)"
    op("ee.vldhbc.16.incp", "qu:Qw2 qu1:Qw2 as:Am", f"t0 = ld128({{as}})\n{halves}\n" + _advance("16"))
    action = "{qu} = ld128({as})\nsar_byte = {as} & 15"
    _pointer("ee.ld.128.usar", "qu:Qw2", action.replace("ld128", "ld128_low"), _STEP[16], "SAR_BYTE:w")
    index = "{as} + int.from_bytes({qs}[2 * {sel8}:2 * {sel8} + 2], 'little') * 4"
    sel = "sel4:I0..3 sel8:I0..7"
    action = f"{{qu}} = put({{qu}}, 4 * {{sel4}}, ld32({index}).to_bytes(4, 'little'))"
    op("ee.ldxq.32", f"qu:Qw2 qs:Qr as:Ar {sel}", action, 4)
    action = f"st32({index}, int.from_bytes({{qv}}[4 * {{sel4}}:4 * {{sel4}} + 4], 'little'))"
    op("ee.stxq.32", f"qv:Qr qs:Qr as:Ar {sel}", action, 4)
    op("ld.qr", "qu:Qw2 as:Ar imm:I-128..112/16", "{qu} = ld128({as} + {imm})")
    op("st.qr", "qs:Qr2 as:Ar imm:I-128..112/16", "st128({as} + {imm}, {qs})")
    op("mv.qr", "qu:Qw qs:Qr", "{qu} = {qs}")


def _state_memory() -> None:
    def pointer(name: str, action: str, step: int, state: str) -> None:
        op(name, f"as:Am imm:{_STEP[step]}", action + "\n" + _advance("{imm}"), state=state)

    accx = "accx = ((int.from_bytes(ld64({as}), 'little') & 0xFFFFFFFFFF) ^ 1 << 39) - (1 << 39)"
    pointer("ee.ld.accx.ip", accx, 8, "ACCX:w2")
    pointer("ee.st.accx.ip", "st64({as}, (accx & 0xFFFFFFFFFF).to_bytes(8, 'little'))", 8, "ACCX:r")
    for half, base in (("l", 0), ("h", 160)):
        state = f"QACC_{half.upper()}"
        name = f"ee.ld.qacc_{half}"
        both = f"{state}:r {state}:w2"
        action = f"@part\nacc = put_raw(acc, {base}, 128, int.from_bytes(ld128({{as}}), 'little'))\n@israw"
        pointer(f"{name}.l.128.ip", action, 16, both)
        action = f"@part\nacc = put_raw(acc, {base + 128}, 32, ld32({{as}}))\n@israw"
        pointer(f"{name}.h.32.ip", action, 4, both)
        name = f"ee.st.qacc_{half}"
        low = f"(acc >> {base} & (1 << 128) - 1).to_bytes(16, 'little')"
        pointer(f"{name}.l.128.ip", f"@raw\nst128({{as}}, {low})", 16, f"{state}:r")
        pointer(f"{name}.h.32.ip", f"@raw\nst32({{as}}, acc >> {base + 128} & M)", 4, f"{state}:r")
    pointer("ee.ld.ua_state.ip", "ua = ld128({as})", 16, "UA_STATE:w2")
    pointer("ee.st.ua_state.ip", "st128({as}, ua)", 16, "UA_STATE:r")
    for kind in ("s8", "u8", "s16", "u16"):
        width = kind[1:]
        action = f"acc = extend_{kind}(ld128({{as}}))\n@is{width}"
        _pointer(f"ee.ldqa.{kind}.128", "", action, _STEP[16], _QACC_W2)
        op(f"ee.mov.{kind}.qacc", "qs:Qr", f"acc = extend_{kind}({{qs}})\n@is{width}", state=_QACC_W)


def _moves() -> None:
    op(
        "ee.movi.32.a",
        "qs:Qr au:Aw sel4:I0..3",
        "{au} = int.from_bytes({qs}[4 * {sel4}:4 * {sel4} + 4], 'little')",
    )
    op("ee.movi.32.q", "qu:Qw as:Ar sel4:I0..3", "{qu} = put({qu}, 4 * {sel4}, {as}.to_bytes(4, 'little'))")
    op("ee.zero.q", "qa:Qw", "{qa} = ZERO")
    op("ee.zero.accx", "", "accx = 0", state="ACCX:w")
    op("ee.zero.qacc", "", "acc = ZERO8\n@is8", state=_QACC_W)
    for name in ("andq", "orq", "xorq"):
        op(f"ee.{name}", "qa:Qw qx:Qr qy:Qr", f"{{qa}} = {name}({{qx}}, {{qy}})")
    op("ee.notq", "qa:Qw qx:Qr", "{qa} = notq({qx})")
    for bits in (8, 16, 32):
        op(f"ee.vzip.{bits}", "qs0:Qm qs1:Qm", f"{{qs0}}, {{qs1}} = zip{bits}({{qs0}}, {{qs1}})")
        op(f"ee.vunzip.{bits}", "qs0:Qm qs1:Qm", f"{{qs0}}, {{qs1}} = unzip{bits}({{qs0}}, {{qs1}})")
    op("ee.vsl.32", "qa:Qw qs:Qr", "{qa} = shift_left({qs}, sar)", state="SAR:r")
    op("ee.vsr.32", "qa:Qw qs:Qr", "{qa} = shift_right({qs}, sar)", state="SAR:r")
    op(
        "ee.bitrev",
        "qa:Qw as:Am",
        "{qa} = bit_reversed({as}, fft)\n" + _advance("8"),
        state="FFT_BIT_WIDTH:r",
    )


_JOINED = "({qs0} + {qs1})[sar_byte:sar_byte + 16]"


def _bytes_moved() -> None:
    """Shifts of two registers, qs1 the upper half."""
    pair = "int.from_bytes({qs0} + {qs1}, 'little')"
    split = "\n{qs0}, {qs1} = t0[:16], t0[16:]"
    for name, shift in (("slc", "<<"), ("src", ">>")):
        for form, operands, amount, after in (
            ("i", "imm:I0..15", "{imm}", ""),
            ("xxp", "as:Am ad:Ar", "({as} & 15)", "\n" + _advance("{ad}")),
        ):
            action = f"t0 = ({pair} {shift} 8 * {amount} + 8 & (1 << 256) - 1).to_bytes(32, 'little')"
            op(f"ee.{name}{form}.2q", f"qs1:Qm qs0:Qm {operands}", action + split + after)
    state = "SAR_BYTE:r"
    op("ee.src.q", "qa:Qw qs0:Qr qs1:Qr", "{qa} = " + _JOINED, state=state)
    op("ee.src.q.qup", "qa:Qw qs0:Qm qs1:Qr", "t0 = " + _JOINED + "\n{qs0} = {qs1}\n{qa} = t0", state=state)
    action = "t0 = " + _JOINED + "\nt1 = ld128({as})\n{qs0} = t0\n{qu} = t1\n"
    op(
        "ee.src.q.ld.ip",
        f"qu:Qw2 as:Am imm:{_STEP[16]} qs0:Qm qs1:Qr",
        action + _advance("{imm}"),
        4,
        state=state,
    )
    op("ee.src.q.ld.xp", "qu:Qw2 as:Am ad:Ar qs0:Qm qs1:Qr", action + _advance("{ad}"), 4, state=state)
    action = "st128({as}, " + _JOINED + ")\n" + _advance("16")
    op("ee.srcq.128.st.incp", "qs0:Qr qs1:Qr as:Am", action, state=state)


def _fused(name: str, call: str, result: str, state: str = "", plain: str = "") -> None:
    """An operation on two registers and its forms with a load or a store beside it."""
    three = f"{result} qx:Qr qy:Qr"
    target = "{" + result.split(":")[0] + "}"
    op(name, three, f"{target} = {call}", state=state, unit=_VECTOR)
    action = f"t0 = {call}\n{{qu}} = ld128({{as}})\n{target} = t0\n" + _advance("16")
    op(f"{name}.ld.incp", f"qu:Qw2 as:Am {three}", action, 4, state=state, unit=_VECTOR)
    action = f"st128({{as}}, {{qv}})\n{target} = {call}\n" + _advance("16")
    op(f"{name}.st.incp", f"qv:Qr as:Am {three}", action, 4, state=state, unit=_VECTOR)


def _arithmetic() -> None:
    for bits in (8, 16, 32):
        for name in ("vadds", "vsubs", "vmax", "vmin"):
            _fused(f"ee.{name}.s{bits}", f"{name}{bits}({{qx}}, {{qy}})", "qa:Qw")
        for name in ("eq", "lt", "gt"):
            action = f"{{qa}} = vcmp_{name}{bits}({{qx}}, {{qy}})"
            op(f"ee.vcmp.{name}.s{bits}", "qa:Qw qx:Qr qy:Qr", action, unit=_VECTOR)
    for kind in ("s8", "u8", "s16", "u16"):
        _fused(f"ee.vmul.{kind}", f"vmul_{kind}({{qx}}, {{qy}}, sar)", "qz:Qw2", "SAR:r")
    call, sel = "cmul({qx}, {qy}, {qz}, {sel4}, sar)", "sel4:I0..3"
    three = f"qz:Qw2 qx:Qr qy:Qr {sel}"
    op("ee.cmul.s16", three, "{qz} = " + call, state="SAR:r", unit=_VECTOR)
    action = f"t0 = {call}\n{{qu}} = ld128({{as}})\n{{qz}} = t0\n" + _advance("16")
    op("ee.cmul.s16.ld.incp", f"qu:Qw2 as:Am {three}", action, 4, state="SAR:r", unit=_VECTOR)
    action = f"st128({{as}}, {{qv}})\n{{qz}} = {call}\n" + _advance("16")
    op("ee.cmul.s16.st.incp", f"qv:Qr2 as:Am {three}", action, 4, state="SAR:r", unit=_VECTOR)
    for bits in (8, 16):
        action = f"{{qz}} = vprelu{bits}({{qx}}, {{qy}}, {{ay}})"
        op(f"ee.vprelu.s{bits}", "qz:Qw2 qx:Qr qy:Qr ay:Ar", action, unit=_VECTOR)
        action = f"{{qs}} = vrelu{bits}({{qs}}, {{ax}}, {{ay}})"
        op(f"ee.vrelu.s{bits}", "qs:Qm2 ax:Ar ay:Ar", action, unit=_VECTOR)


def _mac(kind: str, where: str) -> tuple[str, str]:
    """The accumulation of one instruction, and its state."""
    width = kind[1:]
    if where == "accx":
        return f"accx = accx_{kind}(accx, {{qx}}, {{qy}})", _ACCX_M2
    if kind[0] == "u":
        return f"@{width}\nacc = qacc_{kind}(acc, {{qx}}, {{qy}})", _QACC_M2
    over = f"if acc & OVER{width}: acc = saturate{width}(acc)"
    return f"@{width}\nacc += product{width}({{qx}}, {{qy}})\n{over}", _QACC_M2


def _multiply_accumulate() -> None:
    for kind in ("s8", "u8", "s16", "u16"):
        for where in ("accx", "qacc"):
            _mac_forms(kind, where)
    for bits, count, sel in ((8, 16, "I0..15"), (16, 8, "I0..7")):
        value = "S8[{qy}[{sel}]]" if bits == 8 else "lane16({qy}, {sel})"
        over = f"if acc & OVER{bits}: acc = saturate{bits}(acc)"
        action = f"@{bits}\nacc += V{bits}[{{qx}}] * {value}\n{over}"
        name, operands = f"ee.vsmulas.s{bits}.qacc", f"qx:Qr qy:Qr sel:{sel}"
        op(name, operands, action, state=_QACC_M2, unit=_VECTOR, macs=count)
        action += "\n{qu} = ld128({as})\n" + _advance("16")
        op(f"{name}.ld.incp", f"qu:Qw2 as:Am {operands}", action, 4, state=_QACC_M2, unit=_VECTOR, macs=count)


def _mac_forms(kind: str, where: str) -> None:
    action, state = _mac(kind, where)
    name, pair, count = f"ee.vmulas.{kind}.{where}", "qx:Qr qy:Qr", 128 // int(kind[1:])

    def form(suffix: str, operands: str, after: str, size: int, extra: str = "") -> None:
        op(name + suffix, operands, action + after, size, state=state + extra, unit=_VECTOR, macs=count)

    form("", pair, "", 3)
    loads = [(".ld.ip", "imm:I-512..496/16", "{imm}", "ld128"), (".ld.xp", "ad:Ar", "{ad}", "ld128")]
    if where == "qacc":
        loads.append((".ldbc.incp", "", str(int(kind[1:]) // 8), f"broadcast{kind[1:]}"))
    for suffix, extra, step, load in loads:
        operands = " ".join(f"qu:Qw2 as:Am {extra} {pair}".split())
        after = f"\n{{qu}} = {load}({{as}})\n" + _advance(step)
        form(suffix, operands, after, 3 if load != "ld128" else 4)
        after = f"\nt0 = {_JOINED}\n{{qu}} = {load}({{as}})\n{{qs0}} = t0\n" + _advance(step)
        form(suffix + ".qup", operands + " qs0:Qm qs1:Qr", after, 4, " SAR_BYTE:r")


def _read_out() -> None:
    for bits in (8, 16):
        action = f"@{bits}\n{{qu}}, acc = read_out{bits}(acc, {{as}})"
        op(f"ee.srcmb.s{bits}.qacc", "qu:Qw as:Ar sel:I0..0", action, state=_QACC_M, unit="readout")
    action = "{au}, accx = read_out_accx(accx, {as})"
    op("ee.srs.accx", "au:Aw as:Ar sel:I0..0", action, state="ACCX:m", unit="readout")


def _user_registers() -> None:
    def pair(name: str, read: str, write: str, state: str) -> None:
        op(f"rur.{name}", "t:Aw", read, state=f"{state}:r")
        op(f"wur.{name}", "t:Ar", write, state=f"{state}:w")

    pair("accx_0", "{t} = accx & M", "accx = (accx or 0) >> 32 << 32 | {t}", "ACCX")
    high = "accx = (({t} & 255) ^ 128) - 128 << 32 | (accx or 0) & M"
    pair("accx_1", "{t} = accx >> 32 & 255", high, "ACCX")
    for half, base in (("l", 0), ("h", 160)):
        for n in range(5):
            start = base + 32 * n
            write = f"@part\nacc = put_raw(acc, {start}, 32, {{t}})\n@israw"
            pair(f"qacc_{half}_{n}", f"@raw\n{{t}} = acc >> {start} & M", write, f"QACC_{half.upper()}")
    pair("sar_byte", "{t} = +sar_byte", "sar_byte = {t} & 15", "SAR_BYTE")
    pair("fft_bit_width", "{t} = +fft", "fft = {t} & 15", "FFT_BIT_WIDTH")
    for n in range(4):
        read = f"{{t}} = int.from_bytes(ua[{4 * n}:{4 * n + 4}], 'little')"
        pair(f"ua_state_{n}", read, f"ua = put(ua, {4 * n}, {{t}}.to_bytes(4, 'little'))", "UA_STATE")


for _table in (
    _load_store,
    _state_memory,
    _moves,
    _bytes_moved,
    _arithmetic,
    _multiply_accumulate,
    _read_out,
    _user_registers,
):
    _table()
