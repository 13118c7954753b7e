"""``packed-ternary-1``: two bits a weight inside a safetensors file, as `ftervit train` exports it.

A ternary tensor NAME with N output channels and K inputs is U8 [ceil(N/4), K] (ternary.py gives the
bits), and NAME_scale is F32 [1] or [N]. A convolution has K = 3 * patch * patch in the order channel,
row, column; a LayerNorm vector N = C, K = 1. Other tensors are stored as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import numpy as np

from ..architecture import Architecture
from ..errors import CheckpointError
from ..ternary import TernaryMatrix, unpack_rows
from .shapes import Shape, is_norm_parameter, is_ternary_parameter, parameter_shapes
from .tensors import Tensor


def packed_shapes(tensors: Mapping[str, Tensor], architecture: Architecture) -> dict[str, Shape]:
    """The shapes that the tensors have once unpacked, for `check_shapes`.

    Raises:
        CheckpointError: packed bytes or scales do not fit the architecture.
    """
    expected = parameter_shapes(architecture)
    shapes: dict[str, Shape] = {}
    for name, tensor in tensors.items():
        owner = name.removesuffix("_scale")
        if owner != name and owner in tensors and is_ternary_parameter(owner):
            continue
        packed = is_ternary_parameter(name) and name in expected
        shapes[name] = _unpacked_shape(name, tensors, expected[name]) if packed else tensor.shape
    return shapes


def _unpacked_shape(name: str, tensors: Mapping[str, Tensor], expected: Shape) -> Shape:
    channels, inputs = expected[0], prod(expected[1:])
    bytes_shape = (-(-channels // 4), inputs)
    if tensors[name].shape != bytes_shape:
        raise CheckpointError(
            f"The packed tensor {name!r} has shape {tensors[name].shape}; {bytes_shape} is needed."
        )
    scale = tensors.get(f"{name}_scale")
    allowed = ((1,),) if is_norm_parameter(name) else ((1,), (channels,))
    if scale is None or scale.shape not in allowed:
        raise CheckpointError(f"The packed tensor {name!r} has no scale of shape [1] or [{channels}].")
    return expected


def packed_matrix(name: str, tensors: Mapping[str, Tensor], architecture: Architecture) -> TernaryMatrix:
    """Codes and scale of a packed tensor whose shape has been checked.

    Raises:
        CheckpointError: not bytes, an impossible code, or a scale that is not positive and finite.
    """
    channels = parameter_shapes(architecture)[name][0]
    packed, scale = tensors[name].array(), tensors[f"{name}_scale"].array()
    if packed.dtype != np.uint8 or scale.dtype != np.float32:
        raise CheckpointError(f"The packed tensor {name!r} is not stored as U8 with a scale in F32.")
    if not bool(((scale > 0) & np.isfinite(scale)).all()):
        raise CheckpointError(f"The scale of the packed tensor {name!r} is not positive and finite.")
    try:
        return TernaryMatrix(unpack_rows(packed, channels), scale)
    except CheckpointError as error:
        raise CheckpointError(f"{name}: {error.what}", error.hint) from error
