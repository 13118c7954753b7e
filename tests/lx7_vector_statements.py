"""What every PIE instruction does: the ESP32-S3 technical reference, 1.8, lane by lane on plain numbers."""

from __future__ import annotations

from collections.abc import Callable

from lx7_bench import Machine
from lx7_statements import STATEMENTS, Operands, Statement, clamp, joined, lanes, signed

Effect = Callable[[Machine, Machine, Operands], None]


def _and_then(*effects: Effect) -> Statement:
    """Effects that all read the machine as it was."""

    def statement(old: Machine, new: Machine, o: Operands) -> None:
        for effect in effects:
            effect(old, new, o)

    return statement


def _step(amount: int | str) -> Effect:
    """The address register moves on: by a number, the constant `imm`, or the register `ad`."""

    def effect(old: Machine, new: Machine, o: Operands) -> None:
        by = amount if isinstance(amount, int) else old.a[o["ad"]] if amount == "ad" else o["imm"]
        new.a[o["as"]] = old.a[o["as"]] + by & 0xFFFFFFFF

    return effect


def _load(effect: Callable[[Machine, int], int], target: str = "qu") -> Effect:
    def loaded(old: Machine, new: Machine, o: Operands) -> None:
        new.q[o[target]] = effect(old, old.a[o["as"]])

    return loaded


def _load128(m: Machine, address: int) -> int:
    return m.load(address, 16)


def _broadcast(size: int) -> Callable[[Machine, int], int]:
    return lambda m, address: joined([m.load(address, size)] * (16 // size), 8 * size)


def _store128(old: Machine, new: Machine, o: Operands) -> None:
    new.store(old.a[o["as"]], 16, old.q[o["qv"]])


def _pointer(name: str, effect: Effect, steps: tuple[str, ...] = ("ip", "xp")) -> None:
    for suffix in steps:
        STATEMENTS[f"{name}.{suffix}"] = _and_then(effect, _step("ad" if suffix == "xp" else "imm"))


# ---- loads and stores ----


def _load64(shift: int) -> Effect:
    def effect(old: Machine, new: Machine, o: Operands) -> None:
        kept = old.q[o["qu"]] & ~((2**64 - 1) << shift)
        new.q[o["qu"]] = kept | old.load(old.a[o["as"]], 8) << shift

    return effect


def _store64(shift: int) -> Effect:
    def effect(old: Machine, new: Machine, o: Operands) -> None:
        new.store(old.a[o["as"]], 8, old.q[o["qv"]] >> shift)

    return effect


def _keep_low_bits(old: Machine, new: Machine, o: Operands) -> None:
    new.sar_byte = old.a[o["as"]] & 15


_pointer("ee.vld.128", _load(_load128))
_pointer("ee.vst.128", _store128)
_pointer("ee.vld.l.64", _load64(0))
_pointer("ee.vld.h.64", _load64(64))
_pointer("ee.vst.l.64", _store64(0))
_pointer("ee.vst.h.64", _store64(64))
_pointer("ee.ld.128.usar", _and_then(_load(_load128), _keep_low_bits))
for _size in (1, 2, 4):
    STATEMENTS[f"ee.vldbc.{8 * _size}"] = _load(_broadcast(_size))
    _pointer(f"ee.vldbc.{8 * _size}", _load(_broadcast(_size)))


def _vldhbc(old: Machine, new: Machine, o: Operands) -> None:
    d = lanes(old.load(old.a[o["as"]], 16), 16)
    new.q[o["qu"]] = joined([d[0], d[0], d[1], d[1], d[2], d[2], d[3], d[3]], 16)
    new.q[o["qu1"]] = joined([d[4], d[4], d[5], d[5], d[6], d[6], d[7], d[7]], 16)


def _index(m: Machine, o: Operands) -> int:
    return m.a[o["as"]] + lanes(m.q[o["qs"]], 16, False)[o["sel8"]] * 4


def _ldxq(old: Machine, new: Machine, o: Operands) -> None:
    words = lanes(old.q[o["qu"]], 32)
    words[o["sel4"]] = old.load(_index(old, o), 4)
    new.q[o["qu"]] = joined(words, 32)


def _stxq(old: Machine, new: Machine, o: Operands) -> None:
    new.store(_index(old, o), 4, lanes(old.q[o["qv"]], 32, False)[o["sel4"]])


STATEMENTS["ee.vldhbc.16.incp"] = _and_then(_vldhbc, _step(16))
STATEMENTS["ee.ldxq.32"] = _ldxq
STATEMENTS["ee.stxq.32"] = _stxq


def _ld_qr(old: Machine, new: Machine, o: Operands) -> None:
    new.q[o["qu"]] = old.load(old.a[o["as"]] + o["imm"], 16)


def _st_qr(old: Machine, new: Machine, o: Operands) -> None:
    new.store(old.a[o["as"]] + o["imm"], 16, old.q[o["qs"]])


STATEMENTS["ld.qr"] = _ld_qr
STATEMENTS["st.qr"] = _st_qr


# ---- special registers and memory ----


def _special(attribute: str, start: int, bits: int) -> tuple[Effect, Effect]:
    """Load and store of some bits of a special register."""
    mask = ((1 << bits) - 1) << start
    size = {40: 8}.get(bits, bits // 8)

    def load(old: Machine, new: Machine, o: Operands) -> None:
        value = old.load(old.a[o["as"]], size) << start & mask
        setattr(new, attribute, getattr(new, attribute) & ~mask | value)

    def store(old: Machine, new: Machine, o: Operands) -> None:
        new.store(old.a[o["as"]], size, (getattr(old, attribute) & mask) >> start)

    return load, store


for _name, _attribute, _start, _bits in (
    ("accx", "accx", 0, 40),
    ("qacc_l.l.128", "qacc", 0, 128),
    ("qacc_l.h.32", "qacc", 128, 32),
    ("qacc_h.l.128", "qacc", 160, 128),
    ("qacc_h.h.32", "qacc", 288, 32),
    ("ua_state", "ua", 0, 128),
):
    _loads, _stores = _special(_attribute, _start, _bits)
    _pointer(f"ee.ld.{_name}", _loads, ("ip",))
    _pointer(f"ee.st.{_name}", _stores, ("ip",))


def _extended(kind: str, value: int) -> int:
    bits = int(kind[1:])
    return joined(lanes(value, bits, kind[0] == "s"), 20 if bits == 8 else 40)


def _extend(kind: str) -> None:
    def load(old: Machine, new: Machine, o: Operands) -> None:
        new.qacc = _extended(kind, old.load(old.a[o["as"]], 16))

    def move(old: Machine, new: Machine, o: Operands) -> None:
        new.qacc = _extended(kind, old.q[o["qs"]])

    _pointer(f"ee.ldqa.{kind}.128", load)
    STATEMENTS[f"ee.mov.{kind}.qacc"] = move


for _kind in ("s8", "u8", "s16", "u16"):
    _extend(_kind)


def _read_user(attribute: str, start: int, bits: int) -> Statement:
    def statement(old: Machine, new: Machine, o: Operands) -> None:
        new.a[o["t"]] = getattr(old, attribute) >> start & (1 << bits) - 1

    return statement


def _write_user(attribute: str, start: int, bits: int) -> Statement:
    def statement(old: Machine, new: Machine, o: Operands) -> None:
        mask = ((1 << bits) - 1) << start
        setattr(new, attribute, getattr(old, attribute) & ~mask | old.a[o["t"]] << start & mask)

    return statement


_USER = [("accx_0", "accx", 0, 32), ("accx_1", "accx", 32, 8), ("sar_byte", "sar_byte", 0, 4)]
_USER += [("fft_bit_width", "fft", 0, 4), *[(f"ua_state_{n}", "ua", 32 * n, 32) for n in range(4)]]
_USER += [(f"qacc_l_{n}", "qacc", 32 * n, 32) for n in range(5)]
_USER += [(f"qacc_h_{n}", "qacc", 160 + 32 * n, 32) for n in range(5)]
for _name, _attribute, _start, _bits in _USER:
    STATEMENTS[f"rur.{_name}"] = _read_user(_attribute, _start, _bits)
    STATEMENTS[f"wur.{_name}"] = _write_user(_attribute, _start, _bits)


# ---- moves and shifts ----


def _vector(name: str, function: Callable[[Machine, Operands], int], target: str = "qa") -> None:
    def statement(old: Machine, new: Machine, o: Operands) -> None:
        new.q[o[target]] = function(old, o) & 2**128 - 1

    STATEMENTS[name] = statement


_vector("mv.qr", lambda m, o: m.q[o["qs"]], "qu")
_vector("ee.zero.q", lambda m, o: 0)
_vector("ee.andq", lambda m, o: m.q[o["qx"]] & m.q[o["qy"]])
_vector("ee.orq", lambda m, o: m.q[o["qx"]] | m.q[o["qy"]])
_vector("ee.xorq", lambda m, o: m.q[o["qx"]] ^ m.q[o["qy"]])
_vector("ee.notq", lambda m, o: ~m.q[o["qx"]])
_vector("ee.vsl.32", lambda m, o: joined([v << m.sar for v in lanes(m.q[o["qs"]], 32)], 32))
_vector("ee.vsr.32", lambda m, o: joined([v >> m.sar for v in lanes(m.q[o["qs"]], 32)], 32))


def _to_address_register(old: Machine, new: Machine, o: Operands) -> None:
    new.a[o["au"]] = lanes(old.q[o["qs"]], 32, False)[o["sel4"]]


def _to_vector_register(old: Machine, new: Machine, o: Operands) -> None:
    words = lanes(old.q[o["qu"]], 32)
    words[o["sel4"]] = old.a[o["as"]]
    new.q[o["qu"]] = joined(words, 32)


def _zero(attribute: str) -> Statement:
    return lambda old, new, o: setattr(new, attribute, 0)


STATEMENTS["ee.movi.32.a"] = _to_address_register
STATEMENTS["ee.movi.32.q"] = _to_vector_register
STATEMENTS["ee.zero.accx"] = _zero("accx")
STATEMENTS["ee.zero.qacc"] = _zero("qacc")


def _zips(bits: int) -> None:
    def zipped(old: Machine, new: Machine, o: Operands) -> None:
        x, y = lanes(old.q[o["qs0"]], bits), lanes(old.q[o["qs1"]], bits)
        mixed = [v for pair in zip(x, y, strict=True) for v in pair]
        new.q[o["qs0"]], new.q[o["qs1"]] = joined(mixed[: len(x)], bits), joined(mixed[len(x) :], bits)

    def unzipped(old: Machine, new: Machine, o: Operands) -> None:
        both = lanes(old.q[o["qs0"]], bits) + lanes(old.q[o["qs1"]], bits)
        new.q[o["qs0"]], new.q[o["qs1"]] = joined(both[::2], bits), joined(both[1::2], bits)

    STATEMENTS[f"ee.vzip.{bits}"] = zipped
    STATEMENTS[f"ee.vunzip.{bits}"] = unzipped


for _bits in (8, 16, 32):
    _zips(_bits)


def _pair(m: Machine, o: Operands) -> int:
    return m.q[o["qs1"]] << 128 | m.q[o["qs0"]]


def _funnel(old: Machine, o: Operands) -> int:
    return _pair(old, o) >> 8 * old.sar_byte & 2**128 - 1


def _both(shifted: Callable[[Machine, Operands], int]) -> Effect:
    def effect(old: Machine, new: Machine, o: Operands) -> None:
        value = shifted(old, o)
        new.q[o["qs0"]], new.q[o["qs1"]] = value & 2**128 - 1, value >> 128 & 2**128 - 1

    return effect


STATEMENTS["ee.slci.2q"] = _both(lambda m, o: _pair(m, o) << 8 * (o["imm"] + 1))
STATEMENTS["ee.srci.2q"] = _both(lambda m, o: _pair(m, o) >> 8 * (o["imm"] + 1))
STATEMENTS["ee.slcxxp.2q"] = _and_then(
    _both(lambda m, o: _pair(m, o) << 8 * (m.a[o["as"]] % 16 + 1)), _step("ad")
)
STATEMENTS["ee.srcxxp.2q"] = _and_then(
    _both(lambda m, o: _pair(m, o) >> 8 * (m.a[o["as"]] % 16 + 1)), _step("ad")
)
_vector("ee.src.q", _funnel)


def _funnel_into_qs0(old: Machine, new: Machine, o: Operands) -> None:
    new.q[o["qs0"]] = _funnel(old, o)


def _funnel_and_move(old: Machine, new: Machine, o: Operands) -> None:
    new.q[o["qa"]], new.q[o["qs0"]] = _funnel(old, o), old.q[o["qs1"]]


def _funnel_to_memory(old: Machine, new: Machine, o: Operands) -> None:
    new.store(old.a[o["as"]], 16, _funnel(old, o))


STATEMENTS["ee.src.q.qup"] = _funnel_and_move
STATEMENTS["ee.srcq.128.st.incp"] = _and_then(_funnel_to_memory, _step(16))
_pointer("ee.src.q.ld", _and_then(_funnel_into_qs0, _load(_load128)))


def _bit_reverse(old: Machine, new: Machine, o: Operands) -> None:
    out = []
    for n in range(8):
        value = old.a[o["as"]] + n & (1 << old.fft) - 1
        mirror = sum((value >> bit & 1) << (old.fft - 1 - bit) for bit in range(old.fft))
        out.append(max(value, mirror) if n < 6 or old.fft > 3 else 0)
    new.q[o["qa"]] = joined(out, 16)


STATEMENTS["ee.bitrev"] = _and_then(_bit_reverse, _step(8))


# ---- arithmetic ----


def _with_memory(name: str, function: Callable[[Machine, Operands], int], target: str) -> None:
    """The plain form, and those with a load or a store beside it."""

    def compute(old: Machine, new: Machine, o: Operands) -> None:
        new.q[o[target]] = function(old, o) & 2**128 - 1

    STATEMENTS[name] = compute
    STATEMENTS[f"{name}.ld.incp"] = _and_then(compute, _load(_load128), _step(16))
    STATEMENTS[f"{name}.st.incp"] = _and_then(_store128, compute, _step(16))


def _lane_by_lane(
    bits: int, function: Callable[[int, int], int], is_signed: bool = True
) -> Callable[..., int]:
    def whole(m: Machine, o: Operands) -> int:
        x, y = lanes(m.q[o["qx"]], bits, is_signed), lanes(m.q[o["qy"]], bits, is_signed)
        return joined([function(a, b) for a, b in zip(x, y, strict=True)], bits)

    return whole


for _bits in (8, 16, 32):
    _with_memory(f"ee.vadds.s{_bits}", _lane_by_lane(_bits, lambda a, b, n=_bits: clamp(a + b, n)), "qa")
    _with_memory(f"ee.vsubs.s{_bits}", _lane_by_lane(_bits, lambda a, b, n=_bits: clamp(a - b, n)), "qa")
    _with_memory(f"ee.vmax.s{_bits}", _lane_by_lane(_bits, max), "qa")
    _with_memory(f"ee.vmin.s{_bits}", _lane_by_lane(_bits, min), "qa")
    _vector(f"ee.vcmp.eq.s{_bits}", _lane_by_lane(_bits, lambda a, b: -(a == b)))
    _vector(f"ee.vcmp.lt.s{_bits}", _lane_by_lane(_bits, lambda a, b: -(a < b)))
    _vector(f"ee.vcmp.gt.s{_bits}", _lane_by_lane(_bits, lambda a, b: -(a > b)))


def _multiply(kind: str) -> None:
    bits = int(kind[1:])

    def product(m: Machine, o: Operands) -> int:
        return _lane_by_lane(bits, lambda a, b: a * b >> m.sar, kind[0] == "s")(m, o)

    _with_memory(f"ee.vmul.{kind}", product, "qz")


def _complex(m: Machine, o: Operands) -> int:
    x, y, z = (lanes(m.q[o[name]], 16) for name in ("qx", "qy", "qz"))
    for pair in (0, 2):
        re, im = 4 * (o["sel4"] & 1) + pair, 4 * (o["sel4"] & 1) + pair + 1
        if o["sel4"] < 2:
            z[re] = x[re] * y[re] - x[im] * y[im] >> m.sar
            z[im] = x[re] * y[im] + x[im] * y[re] >> m.sar
        else:
            z[re] = x[re] * y[re] + x[im] * y[im] >> m.sar
            z[im] = x[re] * y[im] - x[im] * y[re] >> m.sar
    return joined(z, 16)


_with_memory("ee.cmul.s16", _complex, "qz")


def _rectified(bits: int) -> None:
    amount = 31 if bits == 8 else 63

    def each(m: Machine, o: Operands) -> int:
        s = m.a[o["ay"]] & amount
        return _lane_by_lane(bits, lambda a, b: a * b >> s if a <= 0 else a)(m, o)

    def by_scalar(m: Machine, o: Operands) -> int:
        s, factor = m.a[o["ay"]] & amount, signed(m.a[o["ax"]], bits)
        return joined([a * factor >> s if a <= 0 else a for a in lanes(m.q[o["qs"]], bits)], bits)

    _vector(f"ee.vprelu.s{bits}", each, "qz")
    _vector(f"ee.vrelu.s{bits}", by_scalar, "qs")


for _kind in ("s8", "u8", "s16", "u16"):
    _multiply(_kind)
for _bits in (8, 16):
    _rectified(_bits)


# ---- multiply-accumulate ----


def _wide(bits: int) -> int:
    return 20 if bits == 8 else 40


def _accumulated(m: Machine, kind: str, products: list[int]) -> int:
    """QACC with a product more in every lane, saturated."""
    wide = _wide(int(kind[1:]))
    before = lanes(m.qacc, wide, kind[0] == "s", 320 // wide)
    sums = [a + p for a, p in zip(before, products, strict=True)]
    if kind[0] == "s":
        return joined([clamp(s, wide) for s in sums], wide)
    return joined([min(s, (1 << wide) - 1) for s in sums], wide)


def _products(m: Machine, o: Operands, kind: str) -> list[int]:
    bits, is_signed = int(kind[1:]), kind[0] == "s"
    pairs = zip(lanes(m.q[o["qx"]], bits, is_signed), lanes(m.q[o["qy"]], bits, is_signed), strict=True)
    return [a * b for a, b in pairs]


def _mac(kind: str, where: str) -> Effect:
    def effect(old: Machine, new: Machine, o: Operands) -> None:
        products = _products(old, o, kind)
        if where == "qacc":
            new.qacc = _accumulated(old, kind, products)
        elif kind[0] == "s":
            new.accx = clamp(signed(old.accx, 40) + sum(products), 40) & 2**40 - 1
        else:
            new.accx = min(old.accx + sum(products), 2**40 - 1)

    return effect


def _mac_forms(kind: str, where: str) -> None:
    name, mac, size = f"ee.vmulas.{kind}.{where}", _mac(kind, where), int(kind[1:]) // 8
    STATEMENTS[name] = mac
    forms = [(".ld.ip", _load(_load128), "imm"), (".ld.xp", _load(_load128), "ad")]
    if where == "qacc":
        forms.append((".ldbc.incp", _load(_broadcast(size)), size))
    for suffix, load, by in forms:
        STATEMENTS[name + suffix] = _and_then(mac, load, _step(by))
        STATEMENTS[name + suffix + ".qup"] = _and_then(mac, load, _step(by), _funnel_into_qs0)


for _kind in ("s8", "u8", "s16", "u16"):
    for _where in ("accx", "qacc"):
        _mac_forms(_kind, _where)


def _scalar_mac(bits: int) -> Effect:
    def effect(old: Machine, new: Machine, o: Operands) -> None:
        factor = lanes(old.q[o["qy"]], bits)[o["sel"]]
        products = [v * factor for v in lanes(old.q[o["qx"]], bits)]
        new.qacc = _accumulated(old, f"s{bits}", products)

    return effect


def _read_out(bits: int) -> Statement:
    wide, amount = _wide(bits), 31 if bits == 8 else 63

    def statement(old: Machine, new: Machine, o: Operands) -> None:
        shifted = [v >> (old.a[o["as"]] & amount) for v in lanes(old.qacc, wide, True, 320 // wide)]
        new.qacc = joined(shifted, wide)
        new.q[o["qu"]] = joined([clamp(v, bits) for v in shifted], bits)

    return statement


def _read_out_accx(old: Machine, new: Machine, o: Operands) -> None:
    shifted = signed(old.accx, 40) >> (old.a[o["as"]] & 63)
    new.accx = shifted & 2**40 - 1
    new.a[o["au"]] = clamp(shifted, 32) & 2**32 - 1


for _bits in (8, 16):
    STATEMENTS[f"ee.vsmulas.s{_bits}.qacc"] = _scalar_mac(_bits)
    STATEMENTS[f"ee.vsmulas.s{_bits}.qacc.ld.incp"] = _and_then(
        _scalar_mac(_bits), _load(_load128), _step(16)
    )
    STATEMENTS[f"ee.srcmb.s{_bits}.qacc"] = _read_out(_bits)
STATEMENTS["ee.srs.accx"] = _read_out_accx
