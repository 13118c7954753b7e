"""Integers -> real weights: what an image's numbers mean, under timm's names. The way back from `lower`."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import numpy.typing as npt

from .checkpoint.shapes import parameter_shapes
from .lower import Q16, Embedding, IntegerLinear, IntegerModel, IntegerNorm

Floats = npt.NDArray[np.float32]


def raised(model: IntegerModel) -> dict[str, Floats]:
    """The real weights of an integer model: float32 arrays under timm's names and in timm's shapes.

    LayerScale is folded into proj and fc2, so `ls1.gamma` and `ls2.gamma` are ones. Biases and
    embeddings have the 16 bits that the image keeps.
    """
    arrays = {"cls_token": _embedding(model.cls), "pos_embed": _embedding(model.position)}
    arrays |= (
        _linear("patch_embed.proj", model.patch) | _norm("norm", model.norm) | _linear("head", model.head)
    )
    for index, block in enumerate(model.blocks):
        prefix = f"blocks.{index}"
        arrays |= _norm(f"{prefix}.norm1", block.norm1) | _norm(f"{prefix}.norm2", block.norm2)
        arrays |= _linear(f"{prefix}.attn.qkv", block.qkv) | _linear(f"{prefix}.attn.proj", block.proj)
        arrays |= _linear(f"{prefix}.mlp.fc1", block.fc1) | _linear(f"{prefix}.mlp.fc2", block.fc2)
    shapes = parameter_shapes(model.architecture)
    ones = {name: np.ones(shape, np.float32) for name, shape in shapes.items() if name.endswith(".gamma")}
    return {name: (arrays | ones)[name].reshape(shape) for name, shape in shapes.items()}


def as_safetensors(model: IntegerModel) -> tuple[bytes, int]:
    """The real weights as a checkpoint that `ftervit pack` reads.

    Returns:
        The file's content and its number of tensors.
    """
    from safetensors.numpy import save

    arrays = raised(model)
    metadata = {
        "ftervit.format": "latent-1",
        "ftervit.architecture": json.dumps(asdict(model.architecture)),
        "ftervit.preprocessing": json.dumps(asdict(model.preprocessing)),
        "ftervit.labels": json.dumps(model.labels, ensure_ascii=False),
        "ftervit.scheme": model.scheme,
    }
    return save(arrays, metadata), len(arrays)


def row_scales(linear: IntegerLinear) -> Floats:
    """The real weight scale of each row (IMAGE_FORMAT.md, affine): float32 [N], or [1] for all rows."""
    mantissa = linear.mantissa.astype(np.float64)
    return np.asarray(linear.scale * mantissa / mantissa.max(), np.float32)


def _linear(name: str, linear: IntegerLinear) -> dict[str, Floats]:
    return {
        f"{name}.weight": linear.codes * row_scales(linear)[:, None],
        f"{name}.bias": _real(linear.bias, linear.bias_shift),
    }


def _norm(name: str, norm: IntegerNorm) -> dict[str, Floats]:
    return {
        f"{name}.weight": norm.gamma * np.float32(norm.gamma_scale),
        f"{name}.bias": norm.beta * np.float32(norm.beta_scale),
    }


def _embedding(embedding: Embedding) -> Floats:
    return _real(embedding.values, embedding.shift)


def _real(values: npt.NDArray[np.int16], shift: int) -> Floats:
    return values.astype(np.float32) * np.float32(2.0**shift / Q16)
