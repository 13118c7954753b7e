"""QACC and ACCX.

QACC holds 320 bits: sixteen lanes of 20 bits to 8-bit instructions, eight of 40 bits to 16-bit ones, QACC_L
the lower half (ESP32-S3 technical reference, 1.5.1). The model keeps it in the form that the last
instruction left:

====  ==========================================================================
RAW   the 320 bits
S8    sixteen fields of 32 bits, each the signed lane + 2^19
S16   eight fields of 64 bits, each the signed lane + 2^39
====  ==========================================================================

A signed multiply-accumulate is then one multiplication and one addition of long integers, and one AND that
finds any lane which left its range.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import mul
from struct import Struct

from .lanes import Register, signed, unsigned

RAW, S8, S16 = 0, 8, 16
LOW = 2**160 - 1

_words = Struct("<16I")
_doubles = Struct("<8Q")
_from = int.from_bytes


def _fields(value: int, width: int, count: int) -> int:
    """`value` in every one of `count` fields of `width` bits."""
    return sum(value << (width * i) for i in range(count))


_ONES8, _ONES16 = _fields(1, 32, 16), _fields(1, 64, 8)
ZERO8, ZERO16 = _ONES8 << 19, _ONES16 << 39
OVER8, OVER16 = _fields(2**32 - 2**20, 32, 16), _fields(2**64 - 2**40, 64, 8)
_ROOM8, _ROOM16 = 1 << 28, 1 << 48


class Spread8(dict[Register, int]):
    """Register -> the sum of its signed bytes times 2^(32 lane)."""

    def __missing__(self, register: Register) -> int:
        bits = _from(register.decode("latin-1").encode("utf-32-le"), "little")
        value = bits - 2 * (bits & (_ONES8 << 7))
        if len(self) > 1 << 16:
            self.clear()
        self[register] = value
        return value


class Spread16(dict[Register, int]):
    """Register -> the sum of its signed 16-bit lanes times 2^(64 lane)."""

    def __missing__(self, register: Register) -> int:
        lanes = [v + 32768 for v in signed[16](register)]
        value = _from(_doubles.pack(*lanes), "little") - 32768 * _ONES16
        if len(self) > 1 << 16:
            self.clear()
        self[register] = value
        return value


def lanes8(acc: int) -> list[int]:
    """Signed lanes of form S8, which may stand outside their range."""
    data = (acc + _ROOM8 * _ONES8).to_bytes(64, "little")
    return [v - _ROOM8 - 2**19 for v in _words.unpack(data)]


def lanes16(acc: int) -> list[int]:
    """Signed lanes of form S16, which may stand outside their range."""
    data = (acc + _ROOM16 * _ONES16).to_bytes(64, "little")
    return [v - _ROOM16 - 2**39 for v in _doubles.unpack(data)]


def from_lanes8(lanes: list[int]) -> int:
    """Form S8 of lanes within their range."""
    return _from(_words.pack(*[v + 2**19 for v in lanes]), "little")


def from_lanes16(lanes: list[int]) -> int:
    """Form S16 of lanes within their range."""
    return _from(_doubles.pack(*[v + 2**39 for v in lanes]), "little")


def saturate8(acc: int) -> int:
    """Every lane clamped to 20 bits."""
    return from_lanes8([max(-(2**19), min(2**19 - 1, v)) for v in lanes8(acc)])


def saturate16(acc: int) -> int:
    """Every lane clamped to 40 bits."""
    return from_lanes16([max(-(2**39), min(2**39 - 1, v)) for v in lanes16(acc)])


def to_raw(acc: int, form: int) -> int:
    """The 320 bits."""
    if form == RAW:
        return +acc
    if form == S8:
        return sum((v & 0xFFFFF) << (20 * i) for i, v in enumerate(lanes8(acc)))
    return sum((v & 0xFFFFFFFFFF) << (40 * i) for i, v in enumerate(lanes16(acc)))


def to_8(acc: int, form: int) -> int:
    """Form S8."""
    raw = to_raw(acc, form)
    return from_lanes8([((raw >> (20 * i) & 0xFFFFF) ^ 2**19) - 2**19 for i in range(16)])


def to_16(acc: int, form: int) -> int:
    """Form S16."""
    raw = to_raw(acc, form)
    return from_lanes16([((raw >> (40 * i) & 0xFFFFFFFFFF) ^ 2**39) - 2**39 for i in range(8)])


def product8(x: Register, y: Register) -> int:
    """Signed products of sixteen pairs, spread."""
    products = [a * b + 2**16 for a, b in zip(signed[8](x), signed[8](y), strict=True)]
    return _from(_words.pack(*products), "little") - 2**16 * _ONES8


def product16(x: Register, y: Register) -> int:
    """Signed products of eight pairs, spread."""
    products = [a * b + 2**32 for a, b in zip(signed[16](x), signed[16](y), strict=True)]
    return _from(_doubles.pack(*products), "little") - 2**32 * _ONES16


def unsigned8(acc: int, x: Register, y: Register) -> int:
    """`EE.VMULAS.U8.QACC`: lanes as unsigned 20-bit numbers, clamped to 2^20-1."""
    sums = [(v & 0xFFFFF) + a * b for v, a, b in zip(lanes8(acc), x, y, strict=True)]
    return from_lanes8([(min(v, 0xFFFFF) ^ 2**19) - 2**19 for v in sums])


def unsigned16(acc: int, x: Register, y: Register) -> int:
    """`EE.VMULAS.U16.QACC`: lanes as unsigned 40-bit numbers, clamped to 2^40-1."""
    pairs = zip(lanes16(acc), unsigned[16](x), unsigned[16](y), strict=True)
    sums = [(v & 0xFFFFFFFFFF) + a * b for v, a, b in pairs]
    return from_lanes16([(min(v, 0xFFFFFFFFFF) ^ 2**39) - 2**39 for v in sums])


def extend(width: int, is_signed: bool) -> Callable[[Register], int]:
    """A register's lanes as accumulator lanes: form S8 for 8 bits, S16 for 16."""
    unpack = (signed if is_signed else unsigned)[width]
    pack = from_lanes8 if width == 8 else from_lanes16
    return lambda x: pack(list(unpack(x)))


def read_out8(acc: int, amount: int) -> tuple[Register, int]:
    """`EE.SRCMB.S8.QACC`: lanes shifted right (floor), their 8-bit saturation and the new QACC."""
    lanes = [v >> (amount & 31) for v in lanes8(acc)]
    clamped = bytes([max(-128, min(127, v)) & 255 for v in lanes])
    return clamped, from_lanes8(lanes)


def read_out16(acc: int, amount: int) -> tuple[Register, int]:
    """`EE.SRCMB.S16.QACC`: lanes shifted right, their 16-bit saturation and the new QACC."""
    lanes = [v >> (amount & 63) for v in lanes16(acc)]
    clamped = b"".join([(max(-32768, min(32767, v)) & 65535).to_bytes(2, "little") for v in lanes])
    return clamped, from_lanes16(lanes)


def scalar(width: int, is_signed: bool) -> Callable[[int, Register, Register], int]:
    """`EE.VMULAS.*.ACCX`: the sum of all products onto ACCX, saturated to 40 bits, signed or not."""
    unpack = (signed if is_signed else unsigned)[width]
    if is_signed:

        def saturated(accx: int, x: Register, y: Register) -> int:
            total: int = accx + sum(map(mul, unpack(x), unpack(y)))
            return max(-(2**39), min(2**39 - 1, total))
    else:

        def saturated(accx: int, x: Register, y: Register) -> int:
            total: int = (accx & 0xFFFFFFFFFF) + sum(map(mul, unpack(x), unpack(y)))
            return (min(total, 0xFFFFFFFFFF) ^ 2**39) - 2**39

    return saturated


def read_out_accx(accx: int, amount: int) -> tuple[int, int]:
    """`EE.SRS.ACCX`: the 32-bit saturation of ACCX shifted right, and the new ACCX."""
    shifted = accx >> (amount & 63)
    return max(-(2**31), min(2**31 - 1, shifted)) & 0xFFFFFFFF, shifted


def put_raw(raw: int | None, start: int, width: int, value: int) -> int:
    """The 320 bits with `width` of them from bit `start` replaced; bits never written count as 0."""
    mask = ((1 << width) - 1) << start
    return ((raw or 0) & ~mask) | (value << start)
