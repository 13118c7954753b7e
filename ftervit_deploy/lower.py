"""Graph -> integers: the very numbers that the image stores and that c_runtime/NUMERICS.md computes with."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from .architecture import Architecture, Preprocessing
from .checkpoint.contents import Provenance
from .errors import CheckpointError
from .folding import folded
from .graph import Block, Graph, LayerNorm, Linear

Int8 = npt.NDArray[np.int8]
Int16 = npt.NDArray[np.int16]
Int32 = npt.NDArray[np.int32]
UInt16 = npt.NDArray[np.uint16]

CODE_MAX = 127
"""Largest code of an 8-bit activation row."""
QUERY_MAX = 63
"""Largest code of a row of Q: 64 products with K then fit the vector unit's 20-bit lanes."""
Q16 = 65536
"""Value of 1.0 in the residual stream."""
EXPONENT_MIN, EXPONENT_MAX = -32, 62
"""Range of a multiplier's exponent."""
SHIFT_MAX = 14
"""Largest shift of biases and embeddings."""
PIXEL_SCALE_MAX = 2**22
"""Largest A_c."""


@dataclass(frozen=True)
class Multiplier:
    """A positive real number as ``mantissa * 2^-exponent`` (NUMERICS.md, conventions)."""

    mantissa: int
    exponent: int


@dataclass(frozen=True, eq=False)
class IntegerLinear:
    """A ternary matrix with its output multipliers and bias (NUMERICS.md, section 2).

    Attributes:
        codes: int8 [N, K] in {-1, 0, 1}, rows in the checkpoint's order.
        mantissa: uint16 [N], or [1] where one multiplier serves all rows; at most 32767.
        exponent: of every multiplier.
        bias: int16 [N]; stands for ``bias << bias_shift`` in Q16.
        bias_shift: 0..14.
        scale: the largest real weight scale of the layer (float32), for people and `unpack`.
    """

    codes: Int8
    mantissa: UInt16
    exponent: int
    bias: Int16
    bias_shift: int
    scale: float


@dataclass(frozen=True, eq=False)
class IntegerNorm:
    """A ternary LayerNorm (NUMERICS.md, section 4). gamma, beta: int8 [C] in {-1, 0, 1}."""

    gamma: Int8
    beta: Int8
    gamma_scale: float
    beta_scale: float
    beta_ratio: Multiplier


@dataclass(frozen=True, eq=False)
class IntegerBlock:
    """One transformer block; LayerScale is folded into proj and fc2."""

    norm1: IntegerNorm
    qkv: IntegerLinear
    proj: IntegerLinear
    norm2: IntegerNorm
    fc1: IntegerLinear
    fc2: IntegerLinear


@dataclass(frozen=True, eq=False)
class Embedding:
    """Rows added to the residual stream: int16 [rows, C], standing for ``values << shift`` in Q16."""

    values: Int16
    shift: int


@dataclass(frozen=True, eq=False)
class IntegerModel:
    """Everything the integer forward pass needs, and what people want to know of the model.

    Attributes:
        attention: head_dim^-0.5 * log2(e) / (63 * 127) as a multiplier.
        pixel_scale, pixel_offset: per RGB channel, A_c and B_c of NUMERICS.md, section 3.
        eps_q32: LayerNorm's epsilon times 2^32.
        cls: one row; position: `architecture.position_rows` rows.
    """

    architecture: Architecture
    preprocessing: Preprocessing
    labels: tuple[str, ...]
    scheme: str
    provenance: Provenance
    eps_q32: int
    attention: Multiplier
    pixel_scale: tuple[int, int, int]
    pixel_offset: tuple[int, int, int]
    patch: IntegerLinear
    cls: Embedding
    position: Embedding
    blocks: tuple[IntegerBlock, ...]
    norm: IntegerNorm
    head: IntegerLinear


def lower(graph: Graph) -> IntegerModel:
    """Turns every real number of a ternary graph into the integers of NUMERICS.md.

    Raises:
        CheckpointError: a scale or bias lies outside what 16-bit multipliers can hold, or the model is
            larger than the integer arithmetic allows.
    """
    arch = graph.architecture
    scale, offset = _pixel_affine(graph.preprocessing)
    return IntegerModel(
        architecture=arch,
        preprocessing=graph.preprocessing,
        labels=graph.labels,
        scheme=graph.scheme,
        provenance=graph.provenance,
        eps_q32=round(graph.norm.eps * 2**32),
        attention=_multiplier(
            arch.head_dim**-0.5 * math.log2(math.e) / (QUERY_MAX * CODE_MAX), "the attention scale"
        ),
        pixel_scale=scale,
        pixel_offset=offset,
        patch=_linear(graph.patch, "patch_embed.proj"),
        cls=_embedding(graph.cls_token.reshape(1, -1), "cls_token"),
        position=_embedding(graph.position, "pos_embed"),
        blocks=tuple(_block(block, f"blocks.{i}") for i, block in enumerate(graph.blocks)),
        norm=_norm(graph.norm, "norm"),
        head=_after_norm(graph.norm, graph.head, "head"),
    )


def _block(block: Block, name: str) -> IntegerBlock:
    return IntegerBlock(
        norm1=_norm(block.norm1, f"{name}.norm1"),
        qkv=_after_norm(block.norm1, block.qkv, f"{name}.attn.qkv"),
        proj=_linear(block.proj, f"{name}.attn.proj", layer_scale=block.ls1),
        norm2=_norm(block.norm2, f"{name}.norm2"),
        fc1=_after_norm(block.norm2, block.fc1, f"{name}.mlp.fc1"),
        fc2=_linear(block.fc2, f"{name}.mlp.fc2", layer_scale=block.ls2),
    )


def _after_norm(norm: LayerNorm, linear: Linear, name: str) -> IntegerLinear:
    """A matrix that reads LayerNorm's rows, which leave a gain to its multiplier (NUMERICS.md, 2 and 4)."""
    layer = _linear(linear, name, norm.gamma_scale * math.sqrt(norm.gamma.size) * Q16)
    return replace(layer, codes=folded(layer.codes, norm.gamma, norm.beta))


def _linear(
    linear: Linear, name: str, gain: float = 1.0, layer_scale: npt.NDArray[np.float32] | None = None
) -> IntegerLinear:
    """Folds input gain, code range and LayerScale into one multiplier a channel, or one for all."""
    codes, scale = linear.weight.codes, linear.weight.scale.astype(np.float64)
    bias = linear.bias.astype(np.float64)
    if layer_scale is not None:
        scale = scale * layer_scale.astype(np.float64)
        bias = bias * layer_scale.astype(np.float64)
        codes = np.where(scale[:, None] < 0, -codes, codes)
        scale = np.abs(scale)
    largest = float(scale.max())
    multiplier = _multiplier(largest * gain / CODE_MAX, f"the scale of {name}")
    mantissa = np.rint(scale / largest * multiplier.mantissa).astype(np.uint16)
    bias_q, bias_shift = _fixed16(bias, f"{name}.bias")
    return IntegerLinear(
        np.ascontiguousarray(codes, np.int8), mantissa, multiplier.exponent, bias_q, bias_shift, largest
    )


def _norm(norm: LayerNorm, name: str) -> IntegerNorm:
    ratio = norm.beta_scale / (norm.gamma_scale * math.sqrt(norm.gamma.size))
    return IntegerNorm(
        norm.gamma,
        norm.beta,
        float(np.float32(norm.gamma_scale)),
        float(np.float32(norm.beta_scale)),
        _multiplier(ratio, f"the scales of {name}"),
    )


def _embedding(rows: npt.NDArray[np.float32], name: str) -> Embedding:
    return Embedding(*_fixed16(rows.astype(np.float64), name))


def _multiplier(value: float, what: str) -> Multiplier:
    """The nearest multiplier with a mantissa of 15 bits."""
    if not (value > 0 and math.isfinite(value)):
        raise CheckpointError(f"{what} is {value!r}, where a positive number is needed.".capitalize())
    fraction, power = math.frexp(value)
    mantissa = round(fraction * 2**15)
    if mantissa == 2**15:
        mantissa, power = 2**14, power + 1
    exponent = 15 - power
    if not EXPONENT_MIN <= exponent <= EXPONENT_MAX:
        raise CheckpointError(
            f"{what} is {value:.3g}, outside what the integer arithmetic holds "
            f"(2^-{EXPONENT_MAX - 15} .. 2^{15 - EXPONENT_MIN}).".capitalize()
        )
    return Multiplier(mantissa, exponent)


def _fixed16(values: npt.NDArray[np.float64], what: str) -> tuple[Int16, int]:
    """Real numbers as int16 and the smallest shift 0..14 such that ``int16 << shift`` is Q16."""
    scaled = np.rint(values * Q16)
    largest = float(np.abs(scaled).max(initial=0.0))
    shift = max(0, math.frexp(largest)[1] - 15)
    while largest and np.rint(largest / 2**shift) > 32767:
        shift += 1
    if shift > SHIFT_MAX:
        raise CheckpointError(
            f"{what} reaches {largest / Q16:.4g}; "
            f"the engine holds values up to {32767 * 2**SHIFT_MAX / Q16:.0f}."
        )
    return np.rint(scaled / 2**shift).astype(np.int16), shift


def _pixel_affine(prep: Preprocessing) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """A_c and B_c of NUMERICS.md, section 3."""
    if min(prep.std) * 255 < 2**24 / PIXEL_SCALE_MAX or max(map(abs, prep.mean)) > 16 * min(prep.std):
        raise CheckpointError(
            f"The preprocessing's mean {prep.mean} and std {prep.std} lie outside what the engine can hold.",
            "They are in units of a pixel scaled to 0..1.",
        )
    scale = [round(2**24 / (255 * std)) for std in prep.std]
    offset = [round(-(2**24) * mean / std) for mean, std in zip(prep.mean, prep.std, strict=True)]
    return (scale[0], scale[1], scale[2]), (offset[0], offset[1], offset[2])
