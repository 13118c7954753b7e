"""Made-up models with plausible numbers, for tests and benchmarks: no training, no download."""

from __future__ import annotations

import numpy as np

from ftervit_deploy.architecture import Architecture, Preprocessing
from ftervit_deploy.checkpoint.contents import Provenance
from ftervit_deploy.checkpoint.shapes import parameter_shapes
from ftervit_deploy.graph import Block, Graph, LayerNorm, Linear
from ftervit_deploy.ternary import Codes, Floats, TernaryMatrix

ZERO_FRACTION = 0.37
"""FTerViT reports 37 % zeros among its weights."""


def random_graph(architecture: Architecture, seed: int = 0) -> Graph:
    """A graph with random ternary weights in the ranges that trained models show."""
    a, draw = architecture, np.random.default_rng(seed)
    return Graph(
        architecture=a,
        preprocessing=Preprocessing(),
        labels=tuple(f"class {index}" for index in range(a.classes)),
        scheme="ftervit",
        provenance=Provenance(source=f"synthetic:{seed}"),
        patch=_linear(draw, a.width, a.patch_values, per_channel=True),
        cls_token=_normal(draw, a.width, 0.1),
        position=_normal(draw, (a.position_rows, a.width), 0.2),
        blocks=tuple(_block(draw, a) for _ in range(a.depth)),
        norm=_norm(draw, a.width),
        head=_linear(draw, a.classes, a.width),
    )


def random_checkpoint_arrays(architecture: Architecture, seed: int = 0) -> dict[str, Floats]:
    """Latent float32 parameters under timm's names, as training would leave them."""
    draw = np.random.default_rng(seed)
    shapes = parameter_shapes(architecture)
    return {name: _latent(draw, name, shape) for name, shape in shapes.items()}


def _block(draw: np.random.Generator, a: Architecture) -> Block:
    return Block(
        norm1=_norm(draw, a.width),
        qkv=_linear(draw, 3 * a.width, a.width),
        proj=_linear(draw, a.width, a.width),
        ls1=_layer_scale(draw, a),
        norm2=_norm(draw, a.width),
        fc1=_linear(draw, a.hidden, a.width),
        fc2=_linear(draw, a.width, a.hidden),
        ls2=_layer_scale(draw, a),
    )


def _codes(draw: np.random.Generator, shape: tuple[int, ...], zeros: float = ZERO_FRACTION) -> Codes:
    """Trits from random bytes: quick even for a deit_small."""
    byte = draw.integers(0, 256, shape, np.uint8)
    edge = round(256 * zeros)
    return (byte >= edge).astype(np.int8) * np.where(byte & 1, np.int8(1), np.int8(-1))


def _normal(draw: np.random.Generator, shape: int | tuple[int, ...], spread: float) -> Floats:
    return draw.standard_normal(shape, np.float32) * np.float32(spread)


def _linear(draw: np.random.Generator, outputs: int, inputs: int, per_channel: bool = False) -> Linear:
    scale = draw.uniform(0.02, 0.05, outputs if per_channel else 1).astype(np.float32)
    return Linear(TernaryMatrix(_codes(draw, (outputs, inputs)), scale), _normal(draw, outputs, 0.05))


def _norm(draw: np.random.Generator, width: int) -> LayerNorm:
    gamma = np.abs(_codes(draw, (width,), zeros=0.05))
    gamma[:: max(width // 8, 1)] *= -1
    scales = draw.uniform([0.6, 0.05], [1.4, 0.3]).astype(np.float32)
    return LayerNorm(gamma, float(scales[0]), _codes(draw, (width,)), float(scales[1]))


def _layer_scale(draw: np.random.Generator, a: Architecture) -> Floats | None:
    """Around 0.1, some of them negative."""
    return _normal(draw, a.width, 0.05) + np.float32(0.08) if a.layer_scale else None


def _latent(draw: np.random.Generator, name: str, shape: tuple[int, ...]) -> Floats:
    """Spreads by kind of parameter."""
    if name.endswith("gamma"):
        return _normal(draw, shape, 0.05) + np.float32(0.08)
    if "norm" in name and name.endswith("weight"):
        return _normal(draw, shape, 0.3) + np.float32(1)
    spread = 0.2 if name == "pos_embed" else 0.1 if "norm" in name else 0.04
    return _normal(draw, shape, spread)
