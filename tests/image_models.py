"""Integer models with random content, built directly: no graph, no lowering."""

from __future__ import annotations

import numpy as np

from ftervit_deploy.architecture import Architecture, Preprocessing
from ftervit_deploy.checkpoint.contents import Provenance
from ftervit_deploy.lower import (
    Embedding,
    IntegerBlock,
    IntegerLinear,
    IntegerModel,
    IntegerNorm,
    Multiplier,
)

TINY = Architecture(6, 3, 14, 2, 2, 21, 3, layer_scale=True)
"""Sizes that no block, tile or byte divides: every kind of padding occurs."""


def random_model(architecture: Architecture, seed: int = 0) -> IntegerModel:
    """A model that uses the whole range of every field; the same with every version of NumPy."""
    a, draw = architecture, np.random.RandomState(seed)
    return IntegerModel(
        architecture=a,
        preprocessing=Preprocessing(crop_fraction=0.9),
        labels=tuple(f"class {index} é" for index in range(a.classes)),
        scheme="ftervit",
        provenance=Provenance("user/name:a.pth", "user/name", "a.pth", "0" * 40, "1" * 64),
        eps_q32=4295,
        attention=Multiplier(24000, 30),
        pixel_scale=(287_000, 293_000, 292_000),
        pixel_offset=(-35_000_000, -34_000_000, -30_000_000),
        patch=_linear(draw, a.width, a.patch_values, per_channel=True),
        cls=Embedding(_int16(draw, (1, a.width)), 1),
        position=Embedding(_int16(draw, (a.position_rows, a.width)), 14),
        blocks=tuple(_block(draw, a) for _ in range(a.depth)),
        norm=_norm(draw, a.width),
        head=_linear(draw, a.classes, a.width),
    )


def _block(draw: np.random.RandomState, a: Architecture) -> IntegerBlock:
    return IntegerBlock(
        norm1=_norm(draw, a.width),
        qkv=_linear(draw, 3 * a.width, a.width, per_channel=a.layer_scale),
        proj=_linear(draw, a.width, a.width, per_channel=a.layer_scale),
        norm2=_norm(draw, a.width),
        fc1=_linear(draw, a.hidden, a.width),
        fc2=_linear(draw, a.width, a.hidden, per_channel=a.layer_scale),
    )


def _codes(draw: np.random.RandomState, shape: tuple[int, ...]) -> np.ndarray:
    return draw.randint(-1, 2, shape, np.int8)


def _int16(draw: np.random.RandomState, shape: int | tuple[int, ...]) -> np.ndarray:
    return draw.randint(-32768, 32768, shape, np.int16)


def _linear(
    draw: np.random.RandomState, outputs: int, inputs: int, per_channel: bool = False
) -> IntegerLinear:
    mantissa = draw.randint(0, 32768, outputs if per_channel else 1, np.uint16)
    mantissa[-1] |= 1 << 14
    return IntegerLinear(
        codes=_codes(draw, (outputs, inputs)),
        mantissa=mantissa,
        exponent=draw.randint(-32, 63),
        bias=_int16(draw, outputs),
        bias_shift=draw.randint(0, 15),
        scale=float(np.float32(draw.randint(1, 100) / 64)),
    )


def _norm(draw: np.random.RandomState, width: int) -> IntegerNorm:
    return IntegerNorm(
        gamma=_codes(draw, (width,)),
        beta=_codes(draw, (width,)),
        gamma_scale=float(np.float32(draw.randint(1, 100) / 64)),
        beta_scale=float(np.float32(draw.randint(1, 100) / 64)),
        beta_ratio=Multiplier(draw.randint(1 << 14, 1 << 15), draw.randint(-32, 63)),
    )
