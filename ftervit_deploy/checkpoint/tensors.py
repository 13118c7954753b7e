"""Tensors that wait in a file: shape and dtype are known, values are read when asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from ..errors import CheckpointError

Array = npt.NDArray[Any]

ByteOrder = Literal["<", ">"]

MAX_RANK = 64
"""NumPy's largest number of axes; torch's is the same."""

NUMPY_DTYPES: dict[str, str] = {
    "float64": "f8", "float32": "f4", "float16": "f2", "bfloat16": "u2",
    "int64": "i8", "int32": "i4", "int16": "i2", "int8": "i1",
    "uint64": "u8", "uint32": "u4", "uint16": "u2", "uint8": "u1", "bool": "u1",
    "complex64": "c8", "complex128": "c16",
    "float8_e4m3fn": "u1", "float8_e5m2": "u1", "float8_e4m3fnuz": "u1", "float8_e5m2fnuz": "u1",
    "float8_e8m0fnu": "u1",
}  # fmt: skip
"""How each dtype that we read lies in a file; bfloat16 is the upper half of a float32."""


class Tensor(Protocol):
    """What the readers of .pth and .safetensors both hand out."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes, as the file states them."""

    def array(self) -> Array:
        """The values; bfloat16 and the types of eight bits are widened to float32.

        Raises:
            CheckpointError: the file does not hold what it states.
        """


def item_bytes(dtype: str) -> int:
    """Bytes of one value.

    Raises:
        CheckpointError: a dtype that we do not read.
    """
    if dtype not in NUMPY_DTYPES:
        raise CheckpointError(
            f"A tensor is stored as {dtype}, which is not supported.", "Save it as float32 or float16."
        )
    return np.dtype(NUMPY_DTYPES[dtype]).itemsize


def decode(data: bytes, dtype: str, byte_order: ByteOrder = "<") -> Array:
    """One-dimensional values of stored bytes; bfloat16 and eight-bit floats come back as float32.

    Args:
        data: whole values.
        dtype: torch's name of their type.
        byte_order: ``<`` little, ``>`` big.
    """
    stored: Array = np.frombuffer(data, np.dtype(NUMPY_DTYPES[dtype]).newbyteorder(byte_order))
    if dtype == "bfloat16":
        return (stored.astype(np.uint32) << 16).view(np.float32)
    if dtype == "bool":
        return np.asarray(stored != 0)
    if dtype.startswith("float8"):
        return float8_values(dtype)[stored]
    return stored.astype(stored.dtype.newbyteorder("="), copy=False)


def float8_values(dtype: str) -> npt.NDArray[np.float32]:
    """What each of the 256 bytes of an eight-bit type stands for (arXiv 2209.05433; OCP microscaling 1.0).

    Args:
        dtype: ``float8_e<exponent bits>m<mantissa bits>`` and ``fn`` (finite: NaN alone has no number),
            ``fnuz`` (finite, one unsigned zero, bias larger by one), ``fnu`` (no sign) or nothing (IEEE).
    """
    code = np.arange(256)
    if dtype == "float8_e8m0fnu":
        return np.asarray(np.where(code == 255, np.nan, np.exp2(code - 127.0)), np.float32)
    exponent_bits, mantissa_bits = int(dtype[8]), int(dtype[10])
    bias = 2 ** (exponent_bits - 1) - (0 if dtype.endswith("fnuz") else 1)
    exponent, mantissa = code >> mantissa_bits & (2**exponent_bits - 1), code % 2**mantissa_bits
    significand = (mantissa + np.where(exponent > 0, 2**mantissa_bits, 0)) * 2.0**-mantissa_bits
    values = np.where(code < 128, 1.0, -1.0) * significand * np.exp2(np.maximum(exponent, 1) - float(bias))
    if dtype.endswith("fnuz"):
        values[128] = np.nan
    elif dtype.endswith("fn"):
        values[[127, 255]] = np.nan
    else:
        top = exponent == 2**exponent_bits - 1
        values[top] = np.where(mantissa == 0, np.copysign(np.inf, values), np.nan)[top]
    return np.asarray(values, np.float32)


@dataclass(frozen=True, eq=False)
class Storage:
    """A run of values in a file, which tensors view.

    Attributes:
        dtype: torch's name of the values' type.
        count: number of values.
        load: reads them, at most `count`.
    """

    dtype: str
    count: int
    load: Callable[[], Array]


@dataclass(frozen=True, eq=False)
class StridedTensor:
    """A view of a storage, as torch saves tensors: it lies within the storage, whatever the file says.

    Attributes:
        offset, stride: in values, not bytes.
    """

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    def __post_init__(self) -> None:
        sizes = (self.offset, *self.shape, *self.stride)
        if not all(type(size) is int and 0 <= size < 2**63 for size in sizes):
            raise CheckpointError("A tensor has an impossible size, stride or offset.")
        if len(self.shape) != len(self.stride) or len(self.shape) > MAX_RANK:
            raise CheckpointError("A tensor has an impossible number of axes.")
        steps = zip(self.shape, self.stride, strict=True)
        end = self.offset + sum((size - 1) * step for size, step in steps) + 1
        if 0 not in self.shape and end > self.storage.count:
            raise CheckpointError(
                f"A tensor reaches value {end} of a storage that holds {self.storage.count}."
            )

    def array(self) -> Array:
        """The values, as a view where the storage allows."""
        if prod(self.shape) == 0:
            return np.zeros(_representable(self.shape), decode(b"", self.storage.dtype).dtype)
        values = self.storage.load()
        if values.size < self.storage.count:
            raise CheckpointError("A tensor's values are cut short.")
        strides = tuple(step * values.itemsize for step in self.stride)
        try:
            return np.lib.stride_tricks.as_strided(
                values[self.offset :], self.shape, strides, writeable=False
            )
        except (ValueError, OverflowError) as error:
            raise CheckpointError("A tensor states a size beyond any memory.") from error


def _representable(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of an empty tensor, refused where its other axes overflow."""
    if prod(size for size in shape if size) >= 2**60:
        raise CheckpointError("A tensor states a size beyond any memory.")
    return shape
