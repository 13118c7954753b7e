"""What a board's kernels must give on the numbers of LINE_PROTOCOL.md, section 5."""

from __future__ import annotations

import binascii

import numpy as np
import numpy.typing as npt

from ..reference import gelu, sat30, shift

Ints = npt.NDArray[np.int64]
TILE = 16


def expected_crc(kernel: str, tokens: int, inputs: int) -> int:
    """CRC-32 of the results of the kernel of that name."""
    y = sums(tokens, inputs)
    family = kernel.split("_")[0]
    if family != "linear":
        y = requantised(y)
    if family == "activate":
        return binascii.crc32(narrow(gelu(y)))
    return binascii.crc32(y.astype("<i4").tobytes())


def sums(tokens: int, inputs: int) -> Ints:
    """The product: [tokens, 16]."""
    t, k, c = np.arange(tokens)[:, None], np.arange(inputs), np.arange(TILE)[None]
    rows = (37 * t + 11 * k) % 255 - 127
    weights = (7 * k[:, None] + 5 * c) % 3 - 1
    return (rows @ weights).astype(np.int64)


def requantised(acc: Ints) -> Ints:
    """NUMERICS.md, section 2: [tokens, 16], Q16."""
    mantissa = 16384 + 97 * np.arange(len(acc), dtype=np.int64)[:, None] % 16384
    m = (mantissa * 24576 + 2**14) >> 15
    bias = (123 * np.arange(TILE, dtype=np.int64) - 1000) << 6
    return sat30(shift(acc * m, np.array(22 - 15)) + bias)


def narrow(y: Ints) -> bytes:
    """As `ftv_narrow` of ftv.h: values of 16 bits, then absmax of 32."""
    absmax = np.abs(y).max(1)
    bits = np.array([int(value).bit_length() for value in absmax])
    values = y >> np.maximum(0, bits - 15)[:, None]
    return bytes(values.astype("<i2").tobytes() + absmax.astype("<i4").tobytes())
