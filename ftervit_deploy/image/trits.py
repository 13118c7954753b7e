"""Ternary codes <-> bytes, in the layouts of c_runtime/IMAGE_FORMAT.md, "Sections"."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from .defects import Defect, defect
from .layout import TILE, MatrixShape, round_up

Bytes = npt.NDArray[np.uint8]
Int8 = npt.NDArray[np.int8]

ZERO = 1
"""Stored code of the weight 0; stored codes are weight + 1."""
T5_BYTES: Bytes = np.array([-(-256 * value // 243) for value in range(243)], np.uint8)
"""The byte of each value of five base-3 digits."""
T5_INVALID = 255
"""In T5_DIGITS: no value has that byte."""
T5_DIGITS: Bytes = np.full((256, 5), T5_INVALID, np.uint8)
"""The five digits of each byte, the first with the weight 81."""
T5_DIGITS[T5_BYTES] = np.arange(243)[:, None] // np.array([81, 27, 9, 3, 1]) % 3


def pack_matrix(codes: Int8, shape: MatrixShape, encoding: str) -> Bytes:
    """The section of a matrix.

    Args:
        codes: int8 [N, K] in {-1, 0, 1}, rows in the checkpoint's order.
        shape: N and K, and how rows are grouped.
        encoding: ``t2`` or ``t5``.

    Returns:
        uint8 [shape.matrix_bytes(encoding)].
    """
    return _pack_t2(codes, shape) if encoding == "t2" else _pack_t5(codes, shape)


def unpack_matrix(section: Bytes, shape: MatrixShape, encoding: str, name: str) -> Int8:
    """The codes of a matrix's section: int8 [N, K] in the checkpoint's order.

    Raises:
        ImageFormatError: FTV_ERR_CODE, for a byte that is no ternary code or padding that is not 0.
    """
    read: Callable[[Bytes, int], Bytes | None] = _unpack_t2 if encoding == "t2" else _unpack_t5
    stored = read(section, shape.stored_rows)
    if stored is None:
        raise defect(Defect.CODE, f"The weights of {name} hold a code that is none of -1, 0, 1.")
    pads = shape.checkpoint_rows() < 0
    if (stored[:, shape.inputs :] != ZERO).any() or (stored[pads] != ZERO).any():
        raise defect(Defect.CODE, f"The weights of {name} are not 0 where they only pad.")
    return stored[shape.positions(), : shape.inputs].view(np.int8) - np.int8(ZERO)


def pack_vector(codes: Int8) -> Bytes:
    """Four codes a byte, low bits first: uint8 [ceil(C/4)] of int8 [C]."""
    padded = np.full(round_up(codes.size, 4), ZERO, np.uint8)
    padded[: codes.size] = _shifted(codes)
    quads = padded.reshape(-1, 4)
    packed = quads[:, 0] | quads[:, 1] << 2 | quads[:, 2] << 4 | quads[:, 3] << 6
    return packed.astype(np.uint8)


def unpack_vector(packed: Bytes, channels: int, name: str) -> Int8:
    """The codes int8 [channels] of `pack_vector`'s bytes.

    Raises:
        ImageFormatError: FTV_ERR_CODE.
    """
    stored = ((packed[:, None] >> np.array([0, 2, 4, 6], np.uint8)) & 3).reshape(-1)
    if (stored == 3).any() or (stored[channels:] != ZERO).any():
        raise defect(Defect.CODE, f"The weights of {name} hold a code that is none of -1, 0, 1.")
    return stored[:channels].astype(np.int8) - np.int8(ZERO)


def _shifted(codes: Int8) -> Bytes:
    return (codes + np.int8(ZERO)).view(np.uint8)


def _stored(codes: Int8, shape: MatrixShape, step: int) -> Bytes:
    """Stored codes with pad rows and with K rounded up to `step`: uint8 [N', K']."""
    source = shape.checkpoint_rows()
    stored = np.full((source.size, round_up(shape.inputs, step)), ZERO, np.uint8)
    stored[source >= 0, : shape.inputs] = _shifted(codes)[source[source >= 0]]
    return stored


def _pack_t2(codes: Int8, shape: MatrixShape) -> Bytes:
    """Works on words of four bytes (j = 0..3): their codes never leave their byte."""
    stored = _stored(codes, shape, 16)
    words = stored.view("<u4").reshape(stored.shape[0], -1, 4)
    packed = words[..., 0] | words[..., 1] << 2 | words[..., 2] << 4 | words[..., 3] << 6
    channels_first = packed.astype("<u4").view(np.uint8).reshape(-1, TILE, packed.shape[1], 4)
    return np.ascontiguousarray(channels_first.transpose(0, 2, 3, 1)).reshape(-1)


def _unpack_t2(section: Bytes, rows: int) -> Bytes | None:
    """Stored codes uint8 [N', K']; None if one of them is 3."""
    if (section & (section >> 1) & 0x55).any():
        return None
    tiles = section.reshape(rows // TILE, -1, 4, TILE)
    words = np.ascontiguousarray(tiles.transpose(0, 3, 1, 2)).view("<u4").reshape(rows, -1)
    stored = np.empty((rows, words.shape[1], 4), "<u4")
    for s in range(4):
        stored[..., s] = (words >> np.uint32(2 * s)) & np.uint32(0x03030303)
    return stored.view(np.uint8).reshape(rows, -1)


def _pack_t5(codes: Int8, shape: MatrixShape) -> Bytes:
    stored = _stored(codes, shape, 5)
    groups = stored.reshape(stored.shape[0], -1, 5)
    value = groups[..., 0].copy()
    for digit in range(1, 5):
        value *= np.uint8(3)
        value += groups[..., digit]
    channels_first = T5_BYTES[value].reshape(-1, TILE, value.shape[1])
    return np.ascontiguousarray(channels_first.transpose(0, 2, 1)).reshape(-1)


def _unpack_t5(section: Bytes, rows: int) -> Bytes | None:
    """Stored codes uint8 [N', K']; None if a byte stands for no five codes."""
    if (T5_DIGITS[:, 0] == T5_INVALID)[section].any():
        return None
    tiles = section.reshape(rows // TILE, -1, TILE)
    return T5_DIGITS[tiles.transpose(0, 2, 1)].reshape(rows, -1)
