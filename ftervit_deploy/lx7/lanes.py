"""Arithmetic on vector registers, which are 16 bytes, lane 0 first.

Additions and comparisons work on all lanes at once in one 128-bit integer (Warren, Hacker's Delight, 2-18):
`SIGN` has the highest bit of every lane set, and no carry leaves a lane.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct

Register = bytes

_from = int.from_bytes
ALL = 2**128 - 1
ONES = {width: sum(1 << bit for bit in range(0, 128, width)) for width in (8, 16, 32)}
SIGN = {width: ones << (width - 1) for width, ones in ONES.items()}
_SIGNED = {8: Struct("<16b"), 16: Struct("<8h"), 32: Struct("<4i")}
_UNSIGNED = {8: Struct("<16B"), 16: Struct("<8H"), 32: Struct("<4I")}
signed = {width: packing.unpack for width, packing in _SIGNED.items()}
unsigned = {width: packing.unpack for width, packing in _UNSIGNED.items()}
_pack = {width: packing.pack for width, packing in _UNSIGNED.items()}
_LETTER = {1: "B", 2: "H", 4: "I"}
ZERO = bytes(16)

Binary = Callable[[Register, Register], Register]


def add(width: int) -> Binary:
    """Saturating signed addition of lanes of `width` bits."""
    sign, ones, top = SIGN[width], ONES[width], (1 << (width - 1)) - 1
    low = ALL ^ sign

    def function(x: Register, y: Register) -> Register:
        a, b = _from(x, "little"), _from(y, "little")
        total = ((a & low) + (b & low)) ^ ((a ^ b) & sign)
        over = (a ^ total) & (b ^ total) & sign
        if over:
            total = _saturated(total, over, a)
        return total.to_bytes(16, "little")

    def _saturated(total: int, over: int, a: int) -> int:
        mask = (over >> (width - 1)) * ((1 << width) - 1)
        limit = top * ones + ((a & sign) >> (width - 1))
        return (total & ~mask) | (limit & mask)

    return function


def subtract(width: int) -> Binary:
    """Saturating signed subtraction."""
    sign, ones, top = SIGN[width], ONES[width], (1 << (width - 1)) - 1
    low = ALL ^ sign

    def function(x: Register, y: Register) -> Register:
        a, b = _from(x, "little"), _from(y, "little")
        total = ((a | sign) - (b & low)) ^ ((a ^ b ^ sign) & sign)
        over = (a ^ b) & (a ^ total) & sign
        if over:
            mask = (over >> (width - 1)) * ((1 << width) - 1)
            limit = top * ones + ((a & sign) >> (width - 1))
            total = (total & ~mask) | (limit & mask)
        return total.to_bytes(16, "little")

    return function


def _less(width: int) -> Callable[[int, int], int]:
    """All ones in every lane where a < b, signed."""
    sign = SIGN[width]
    low, full = ALL ^ sign, (1 << width) - 1

    def function(a: int, b: int) -> int:
        a ^= sign
        b ^= sign
        difference = (a | sign) - (b & low)
        below = ((~a & b) | (~(a ^ b) & ~difference)) & sign
        return (below >> (width - 1)) * full

    return function


def less(width: int) -> Binary:
    """All ones where x < y."""
    mask = _less(width)
    return lambda x, y: mask(_from(x, "little"), _from(y, "little")).to_bytes(16, "little")


def greater(width: int) -> Binary:
    """All ones where x > y."""
    mask = _less(width)
    return lambda x, y: mask(_from(y, "little"), _from(x, "little")).to_bytes(16, "little")


def equal(width: int) -> Binary:
    """All ones where x = y."""
    sign = SIGN[width]
    low, full = ALL ^ sign, (1 << width) - 1

    def function(x: Register, y: Register) -> Register:
        difference = _from(x, "little") ^ _from(y, "little")
        same = ~((difference & low) + low | difference) & sign
        return ((same >> (width - 1)) * full).to_bytes(16, "little")

    return function


def smaller(width: int) -> Binary:
    """The smaller of every pair, signed."""
    below = _less(width)

    def function(x: Register, y: Register) -> Register:
        a, b = _from(x, "little"), _from(y, "little")
        mask = below(a, b)
        return ((a & mask) | (b & ~mask)).to_bytes(16, "little")

    return function


def larger(width: int) -> Binary:
    """The larger of every pair, signed."""
    below = _less(width)

    def function(x: Register, y: Register) -> Register:
        a, b = _from(x, "little"), _from(y, "little")
        mask = below(a, b)
        return ((b & mask) | (a & ~mask)).to_bytes(16, "little")

    return function


def both(x: Register, y: Register) -> Register:
    """Bitwise AND."""
    return (_from(x, "little") & _from(y, "little")).to_bytes(16, "little")


def either(x: Register, y: Register) -> Register:
    """Bitwise OR."""
    return (_from(x, "little") | _from(y, "little")).to_bytes(16, "little")


def differ(x: Register, y: Register) -> Register:
    """Bitwise XOR."""
    return (_from(x, "little") ^ _from(y, "little")).to_bytes(16, "little")


def inverted(x: Register) -> Register:
    """Bitwise NOT."""
    return (_from(x, "little") ^ ALL).to_bytes(16, "little")


def multiply(width: int, is_signed: bool) -> Callable[[Register, Register, int], Register]:
    """Products shifted right by the amount, their low `width` bits: no rounding, no saturation."""
    unpack = (signed if is_signed else unsigned)[width]
    pack, mask = _pack[width], (1 << width) - 1

    def function(x: Register, y: Register, amount: int) -> Register:
        return pack(*[a * b >> amount & mask for a, b in zip(unpack(x), unpack(y), strict=True)])

    return function


def complex_multiply(x: Register, y: Register, z: Register | None, sel: int, amount: int) -> Register:
    """`EE.CMUL.S16`: two complex products, real parts in the lower halves, as its operation says.

    The other 64 bits of z keep their value. (The description has the two parts the other way round.)
    """
    a, b = signed[16](x), signed[16](y)
    sign = 1 if sel < 2 else -1
    out = bytearray(z if z is not None else ZERO)
    first = 4 * (sel & 1)
    for i in (first, first + 2):
        real = a[i] * b[i] - sign * a[i + 1] * b[i + 1] >> amount
        imaginary = a[i] * b[i + 1] + sign * a[i + 1] * b[i] >> amount
        out[2 * i : 2 * i + 4] = (real & 0xFFFF | (imaginary & 0xFFFF) << 16).to_bytes(4, "little")
    return bytes(out)


def rectify(width: int) -> Callable[[Register, int, int], Register]:
    """`EE.VRELU`: lanes that are not above 0 times the scalar, shifted right."""
    unpack, pack, mask, half = signed[width], _pack[width], (1 << width) - 1, 1 << (width - 1)
    amounts = 31 if width == 8 else 63

    def function(x: Register, factor: int, amount: int) -> Register:
        f, s = ((factor & mask) ^ half) - half, amount & amounts
        return pack(*[(a * f >> s if a <= 0 else a) & mask for a in unpack(x)])

    return function


def rectify_each(width: int) -> Callable[[Register, Register, int], Register]:
    """`EE.VPRELU`: as `rectify`, every lane with its own factor."""
    unpack, pack, mask = signed[width], _pack[width], (1 << width) - 1
    amounts = 31 if width == 8 else 63

    def function(x: Register, y: Register, amount: int) -> Register:
        s = amount & amounts
        return pack(
            *[(a * b >> s if a <= 0 else a) & mask for a, b in zip(unpack(x), unpack(y), strict=True)]
        )

    return function


def shift_left(x: Register, amount: int) -> Register:
    """`EE.VSL.32`."""
    return _pack[32](*[v << amount & 0xFFFFFFFF for v in unsigned[32](x)])


def shift_right(x: Register, amount: int) -> Register:
    """`EE.VSR.32`, arithmetic."""
    return _pack[32](*[v >> amount & 0xFFFFFFFF for v in signed[32](x)])


def zip_lanes(size: int) -> Callable[[Register, Register], tuple[Register, Register]]:
    """`EE.VZIP`: lanes of `size` bytes of the two registers in turn."""
    unpack, both = unsigned[8 * size], Struct(f"<{32 // size}{_LETTER[size]}")

    def function(x: Register, y: Register) -> tuple[Register, Register]:
        lanes = [0] * (32 // size)
        lanes[::2], lanes[1::2] = unpack(x), unpack(y)
        mixed = both.pack(*lanes)
        return mixed[:16], mixed[16:]

    return function


def unzip_lanes(size: int) -> Callable[[Register, Register], tuple[Register, Register]]:
    """`EE.VUNZIP`: even lanes to the first register, odd lanes to the second."""
    unpack, pack = Struct(f"<{32 // size}{_LETTER[size]}").unpack, _pack[8 * size]

    def function(x: Register, y: Register) -> tuple[Register, Register]:
        lanes = unpack(x + y)
        return pack(*lanes[::2]), pack(*lanes[1::2])

    def bytewise(x: Register, y: Register) -> tuple[Register, Register]:
        whole = x + y
        return whole[::2], whole[1::2]

    return bytewise if size == 1 else function


def bit_reversed(start: int, width: int) -> Register:
    """`EE.BITREV`: of start .. start+7 the larger of the number and its `width`-bit mirror image.

    A width of 3 leaves lanes 6 and 7 zero. FFT_BIT_WIDTH is the width itself, as in the instruction's
    operation; Espressif's other texts say 0 for 3.
    """
    values = [(start + i) & ((1 << width) - 1) for i in range(8)]
    mirrored = [max(v, int(f"{v:0{width}b}"[::-1], 2)) for v in values]
    if width == 3:
        mirrored[6:] = [0, 0]
    return _pack[16](*mirrored)


class Partial:
    """A register of which only some bytes were ever written.

    Attributes:
        known: one bit a byte.
    """

    __slots__ = ("data", "known")

    def __init__(self, data: bytes, known: int) -> None:
        self.data = data
        self.known = known

    def __getitem__(self, part: slice) -> bytes:
        start, stop, _ = part.indices(16)
        wanted = (1 << stop) - (1 << start)
        if self.known & wanted != wanted:
            raise TypeError("bytes that were never written")
        return self.data[part]


def put(register: Register | Partial | None, start: int, piece: bytes) -> Register | Partial:
    """The register with some bytes replaced."""
    stop = start + len(piece)
    if isinstance(register, bytes):
        return register[:start] + piece + register[stop:]
    data, known = (ZERO, 0) if register is None else (register.data, register.known)
    data = data[:start] + piece + data[stop:]
    known |= (1 << stop) - (1 << start)
    return data if known == 0xFFFF else Partial(data, known)


def lane16(register: Register, lane: int) -> int:
    """One 16-bit lane, signed."""
    value = register[2 * lane] | register[2 * lane + 1] << 8
    return (value ^ 32768) - 32768


def quos(s: int, t: int) -> int:
    """Signed quotient, truncated towards zero; -2^31 / -1 is -2^31."""
    a, b = (s ^ 2**31) - 2**31, (t ^ 2**31) - 2**31
    return (abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)) & 0xFFFFFFFF


def rems(s: int, t: int) -> int:
    """Signed remainder with the dividend's sign."""
    a, b = (s ^ 2**31) - 2**31, (t ^ 2**31) - 2**31
    return (abs(a) % abs(b) * (-1 if a < 0 else 1)) & 0xFFFFFFFF
