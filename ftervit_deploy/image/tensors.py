"""Multipliers, biases, LayerNorms and embeddings <-> bytes: c_runtime/IMAGE_FORMAT.md, "Sections"."""

from __future__ import annotations

import math
import struct

import numpy as np
import numpy.typing as npt

from ..architecture import Architecture
from ..lower import Embedding, Int8, Int16, IntegerLinear, IntegerNorm, Multiplier, UInt16
from .defects import Defect, require
from .header import MANTISSA_MAX, MANTISSA_MIN
from .layout import MatrixShape, norm_bytes
from .trits import pack_vector, unpack_vector

Bytes = npt.NDArray[np.uint8]

EXPONENTS = range(-32, 62 + 1)
SHIFTS = range(14 + 1)

_AFFINE = struct.Struct("<fhBB")
_NORM = struct.Struct("<ffHh")


def pack_affine(linear: IntegerLinear, shape: MatrixShape) -> bytes:
    """The section of a matrix's multipliers and biases; pad rows get zeros."""
    per_channel = is_per_channel(linear)
    start = _AFFINE.pack(linear.scale, linear.exponent, linear.bias_shift, per_channel)
    mantissa = _spread(linear.mantissa, shape) if per_channel else np.array([linear.mantissa[0], 0])
    return start + mantissa.astype("<u2").tobytes() + _spread(linear.bias, shape).astype("<i2").tobytes()


def is_per_channel(linear: IntegerLinear) -> bool:
    """True where each output channel has a multiplier; a matrix of one row never needs that."""
    return linear.mantissa.size > 1


def _spread(values: Int16 | UInt16, shape: MatrixShape) -> npt.NDArray[np.int32]:
    """`values` of the checkpoint's rows in stored rows, 0 in pad rows."""
    stored = np.zeros(shape.stored_rows, np.int32)
    stored[shape.positions()] = values
    return stored


def unpack_affine(section: Bytes, shape: MatrixShape, codes: Int8, name: str) -> IntegerLinear:
    """A linear layer from its affine section and its codes int8 [N, K].

    Raises:
        ImageFormatError: FTV_ERR_SCALE, FTV_ERR_PADDING.
    """
    scale, exponent, bias_shift, per_channel = _AFFINE.unpack(section[: _AFFINE.size].tobytes())
    fits = per_channel in ((0, 1) if shape.rows > 1 else (0,))
    fits = fits and section.size == shape.affine_bytes(bool(per_channel))
    valid = _is_scale(scale) and exponent in EXPONENTS and bias_shift in SHIFTS and fits
    require(valid, Defect.SCALE, f"The scale of {name} is impossible.")
    biases = section.size - 2 * shape.stored_rows
    mantissa = section[_AFFINE.size : biases].view("<u2")
    bias = section[biases:].view("<i2")
    valid = MANTISSA_MIN <= int(mantissa.max()) <= MANTISSA_MAX and (per_channel or not mantissa[1])
    require(bool(valid), Defect.SCALE, f"The multipliers of {name} are impossible.")
    source = shape.checkpoint_rows()
    clean = not bias[source < 0].any() and not (per_channel and mantissa[source < 0].any())
    require(clean, Defect.PADDING, f"The multipliers or biases of {name} are not 0 where they only pad.")
    rows = shape.positions()
    kept = mantissa[rows] if per_channel else mantissa[:1]
    return IntegerLinear(
        codes, kept.astype(np.uint16), exponent, bias[rows].astype(np.int16), bias_shift, scale
    )


def _is_scale(value: float) -> bool:
    return math.isfinite(value) and value > 0


def pack_norm(norm: IntegerNorm, left_out: UInt16) -> bytes:
    """The section of a LayerNorm; left_out: channels, ascending, that its rows leave out."""
    ratio = norm.beta_ratio
    start = _NORM.pack(norm.gamma_scale, norm.beta_scale, ratio.mantissa, ratio.exponent)
    affine = pack_vector(norm.gamma).tobytes() + pack_vector(norm.beta).tobytes()
    return start + affine + left_out.astype("<u2").tobytes()


def unpack_norm(section: Bytes, width: int, name: str) -> tuple[IntegerNorm, UInt16]:
    """A LayerNorm from its section, and the channels that its rows leave out.

    Raises:
        ImageFormatError: FTV_ERR_SCALE, FTV_ERR_CODE.
    """
    gamma_scale, beta_scale, mantissa, exponent = _NORM.unpack(section[: _NORM.size].tobytes())
    valid = _is_scale(gamma_scale) and _is_scale(beta_scale)
    valid = valid and MANTISSA_MIN <= mantissa <= MANTISSA_MAX and exponent in EXPONENTS
    require(valid, Defect.SCALE, f"The scales of {name} are impossible.")
    gamma, beta = section[_NORM.size : norm_bytes(width)].reshape(2, -1)
    norm = IntegerNorm(
        unpack_vector(gamma, width, f"{name}'s gamma"),
        unpack_vector(beta, width, f"{name}'s beta"),
        gamma_scale,
        beta_scale,
        Multiplier(mantissa, exponent),
    )
    return norm, _left_out(section[norm_bytes(width) :].view("<u2").astype(np.uint16), width, name)


def _left_out(channels: UInt16, width: int, name: str) -> UInt16:
    ascending = (np.diff(channels.astype(np.int32)) > 0).all() and (channels < width).all()
    require(bool(ascending), Defect.CODE, f"The list of channels that {name} leaves out is impossible.")
    return channels


def pack_embedding(cls: Embedding, position: Embedding) -> bytes:
    """The section of the class token and the position embedding."""
    start = struct.pack("<BBH", cls.shift, position.shift, 0)
    return start + cls.values.astype("<i2").tobytes() + position.values.astype("<i2").tobytes()


def unpack_embedding(section: Bytes, architecture: Architecture) -> tuple[Embedding, Embedding]:
    """The class token, int16 [1, C], and the position embedding, int16 [rows, C].

    Raises:
        ImageFormatError: FTV_ERR_SCALE.
    """
    cls_shift, position_shift, zero = struct.unpack("<BBH", section[:4].tobytes())
    valid = cls_shift in SHIFTS and position_shift in SHIFTS and zero == 0
    require(valid, Defect.SCALE, "The shifts of the position embedding are impossible.")
    values: Int16 = section[4:].view("<i2").astype(np.int16).reshape(-1, architecture.width)
    return Embedding(values[:1], cls_shift), Embedding(values[1:], position_shift)
