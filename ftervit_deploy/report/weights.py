"""What the weights show: bytes in four formats, zeros per layer, patch filters beside FP32."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ..architecture import PRESETS, Architecture
from ..checkpoint import Checkpoint
from ..estimate import preset_components
from ..image import (
    ENCODER_MATRICES,
    Component,
    encoder_only_components,
    fp32_components,
    image_components,
    leftover_fraction,
    read_image,
)
from ..image.components import ATTENTION, HEAD, LAYER_NORM, MLP, PATCH_EMBEDDING
from ..lower import IntegerModel
from .contents import FilterPair, Filters, Format, LayerZeros, Picture, Sizes

PAPERS_MODEL = "deit_tiny_224"
"""The model for which FTerViT reports that leftovers shrink from 39 % to 10 %."""
PAIRS_SHOWN = 24
_PATCH = "patch_embed.proj.weight"


def image_sizes(name: str, image: bytes, architecture: Architecture) -> Sizes:
    """Bytes of an image beside the same model in FP32 and with a ternary encoder alone."""
    return _sizes(name, architecture, image_components(image))


def reference_sizes() -> Sizes:
    """The same of DeiT-Tiny with 1000 classes, for which FTerViT (arXiv 2605.21171) has published figures."""
    architecture = PRESETS[PAPERS_MODEL]
    return _sizes("DeiT-Tiny, 1000 classes", architecture, preset_components(architecture, "t2"))


def _sizes(name: str, architecture: Architecture, ours: tuple[Component, ...]) -> Sizes:
    fp32 = fp32_components(architecture)
    partial = encoder_only_components(architecture)
    half = encoder_only_components(architecture, leftover_bits=16)
    return Sizes(
        name,
        (
            Format("FP32", "four bytes a parameter", fp32, 1.0),
            Format(
                "partially ternary, rest FP32",
                "two bits a weight in the blocks' matrices, else 32-bit floats",
                partial, leftover_fraction(partial, ENCODER_MATRICES),
            ),
            Format(
                "partially ternary, rest FP16",
                "two bits a weight in the blocks' matrices, else 16-bit floats",
                half, leftover_fraction(half, ENCODER_MATRICES),
            ),
            Format("fully ternary", "the .ftv image, every byte of it", ours, leftover_fraction(ours)),
        ),
    )  # fmt: skip


def layer_zeros(image: bytes) -> tuple[LayerZeros, ...]:
    """Ternary weights and zeros of every layer, in the order of computation."""
    return tuple(_zeros(read_image(image)))


def _zeros(model: IntegerModel) -> Iterator[LayerZeros]:
    yield _layer("patch_embed.proj", PATCH_EMBEDDING, model.patch.codes)
    for index, block in enumerate(model.blocks):
        prefix = f"blocks.{index}"
        yield _layer(f"{prefix}.norm1", LAYER_NORM, block.norm1.gamma, block.norm1.beta)
        yield _layer(f"{prefix}.attn.qkv", ATTENTION, block.qkv.codes)
        yield _layer(f"{prefix}.attn.proj", ATTENTION, block.proj.codes)
        yield _layer(f"{prefix}.norm2", LAYER_NORM, block.norm2.gamma, block.norm2.beta)
        yield _layer(f"{prefix}.mlp.fc1", MLP, block.fc1.codes)
        yield _layer(f"{prefix}.mlp.fc2", MLP, block.fc2.codes)
    yield _layer("norm", LAYER_NORM, model.norm.gamma, model.norm.beta)
    yield _layer("head", HEAD, model.head.codes)


def _layer(name: str, group: str, *codes: npt.NDArray[np.int8]) -> LayerZeros:
    weights = sum(array.size for array in codes)
    return LayerZeros(name, group, weights, weights - sum(int(np.count_nonzero(array)) for array in codes))


def filters(student: Checkpoint, teacher: Checkpoint | None, image: bytes) -> Filters:
    """The ternary filters of the image, beside the teacher's; features come later, with the photos."""
    ternary = _filters_of(_image_filters(image), student.architecture)
    full = None if teacher is None else _filters_of(teacher.dense()[_PATCH], teacher.architecture)
    if full is None or full.shape != ternary.shape:
        shown = _spread(len(ternary), PAIRS_SHOWN)
        why = "is not at hand; name it with --teacher" if full is None else "has other filters: no such pairs"
        alone = tuple(_picture(ternary[index]) for index in shown)
        return Filters((), (), alone, None, f"There is no cosine: the FP32 model {why}.")
    a, b = full.reshape(len(full), -1), ternary.reshape(len(ternary), -1)
    norms = np.maximum(np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1), 1e-30)
    cosines = np.einsum("nk,nk->n", a, b) / norms
    order = np.argsort(-cosines, kind="stable")[_spread(len(cosines), PAIRS_SHOWN)]
    pairs = tuple(
        FilterPair(int(i), _picture(full[i]), _picture(ternary[i]), float(cosines[i])) for i in order
    )
    return Filters(tuple(float(value) for value in cosines), pairs, (), None, "")


def _image_filters(image: bytes) -> npt.NDArray[np.float32]:
    from ..raising import raised

    return raised(read_image(image))[_PATCH]


def _filters_of(weight: npt.NDArray[np.float32], a: Architecture) -> npt.NDArray[np.float64]:
    """Float64 [width, p, p, 3] of a weight [width, 3, p, p]."""
    shaped = np.asarray(weight, np.float64).reshape(a.width, 3, a.patch_size, a.patch_size)
    return shaped.transpose(0, 2, 3, 1)


def _spread(count: int, shown: int) -> npt.NDArray[np.int64]:
    """Indices of up to `shown` of `count` things, evenly spread, first and last among them."""
    return np.unique(np.linspace(0, count - 1, min(shown, count)).round().astype(np.int64))


def _picture(values: npt.NDArray[np.float64]) -> Picture:
    """Weights [p, p, 3] as colours: grey is 0, the largest magnitude is full black or full colour."""
    largest = max(float(np.abs(values).max()), 1e-30)
    return np.asarray(np.clip(127.5 + 127.5 * values / largest, 0, 255).round(), np.uint8)
