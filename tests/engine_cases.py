"""Models that stress the engine, and the comparison with the NumPy definition at every site."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from image_models import random_model

from ftervit_deploy import reference
from ftervit_deploy.architecture import PRESETS, Architecture
from ftervit_deploy.folding import channels_read, left_out
from ftervit_deploy.lower import Embedding, IntegerLinear, IntegerModel, IntegerNorm, Multiplier, lower
from synthetic import random_graph

Pixels = np.ndarray
Trace = dict[tuple[str, int], np.ndarray]

PRESET_DEPTHS = {
    "mcu_nano_64": 4,
    "mcu_micro_64": 6,
    "mcu_small_96": 3,
    "deit_tiny_224": 2,
    "deit_small_224": 2,
    "deit3_small_224": 12,
    "deit3_small_384": 2,
}
"""Every preset at its true widths; a second block is like a third, and the whole of one model runs once."""

ODD = {
    "nothing is a multiple of 16": Architecture(30, 5, 40, 2, 5, 77, 3),
    "head of 24 channels, patch of 7": Architecture(49, 7, 72, 2, 3, 33, 17, layer_scale=True),
    "head of 40 channels": Architecture(12, 4, 80, 2, 2, 130, 10, position_on_class_token=False),
    "head of 96 channels": Architecture(16, 8, 192, 2, 2, 64, 33),
    "head of 256 channels": Architecture(8, 4, 512, 2, 2, 48, 5),
    "one head of 129 channels": Architecture(9, 3, 129, 1, 1, 31, 1),
    "one token beside the class token": Architecture(4, 4, 16, 2, 1, 16, 2),
    "one channel": Architecture(2, 1, 1, 3, 1, 1, 1),
    "many tokens": Architecture(45, 1, 8, 1, 2, 9, 2),
    "the largest patch": Architecture(37, 37, 24, 1, 3, 4128, 2),
    "one channel a head": Architecture(6, 2, 20, 2, 20, 15, 300),
}


def preset_model(name: str) -> IntegerModel:
    """A preset with random weights, blocks as PRESET_DEPTHS says."""
    return lower(random_graph(replace(PRESETS[name], depth=PRESET_DEPTHS[name]), seed=5))


def noise(architecture: Architecture, seed: int = 0) -> Pixels:
    """A random image, uint8 [S, S, 3]."""
    side = architecture.image_size
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)


def constant(architecture: Architecture, value: int) -> Pixels:
    """An image of one colour."""
    return np.full((architecture.image_size, architecture.image_size, 3), value, np.uint8)


def reference_trace(model: IntegerModel, pixels: Pixels) -> Trace:
    """What reference.forward computes on the way, by site and block, but for channels that are left out."""
    sites: Trace = {}

    def keep(site: str, block: int, values: np.ndarray) -> None:
        reader = _reader(model, site, block)
        shown = values if reader is None else values[:, channels_read(left_out(reader), values.shape[1])]
        sites[site, block] = shown.copy()

    reference.forward(model, pixels[None], keep)
    return sites


def _reader(model: IntegerModel, site: str, block: int) -> np.ndarray | None:
    """Weights of the matrix that reads a LayerNorm's rows; None for another site."""
    if site == "norm_codes":
        return model.head.codes
    layers = {"norm1_codes": "qkv", "norm2_codes": "fc1"}
    return getattr(model.blocks[block], layers[site]).codes if site in layers else None


def assert_same(got: Trace, expected: Trace) -> None:
    """Every value of every site is equal; the first site that differs is named."""
    assert got.keys() == expected.keys()
    for site, values in expected.items():
        different = np.argwhere(got[site] != values) if got[site].shape == values.shape else None
        assert different is not None, f"{site}: shape {got[site].shape} instead of {values.shape}"
        assert not len(different), f"{site}: {len(different)} of {values.size}, first at {different[0]}"


def hostile_model(seed: int) -> IntegerModel:
    """A small model whose numbers use the whole range of every field of an image, its ends above all."""
    draw = np.random.default_rng(seed)
    names = sorted(ODD)
    model = random_model(ODD[names[int(draw.integers(len(names) - 5))]], seed)

    def number(lowest: int, highest: int) -> int:
        return int(draw.choice([lowest, highest, draw.integers(lowest, highest + 1)], p=[0.25, 0.25, 0.5]))

    def norm(old: IntegerNorm) -> IntegerNorm:
        return replace(old, beta_ratio=Multiplier(number(2**14, 2**15 - 1), number(-32, 62)))

    blocks = tuple(replace(b, norm1=norm(b.norm1), norm2=norm(b.norm2)) for b in model.blocks)
    return replace(
        model,
        eps_q32=number(1, 2**24),
        attention=Multiplier(number(2**14, 2**15 - 1), number(0, 62)),
        pixel_scale=(number(0, 2**22), number(0, 2**22), number(0, 2**22)),
        pixel_offset=(number(-(2**29), 2**29), number(-(2**29), 2**29), number(-(2**29), 2**29)),
        blocks=blocks,
        norm=norm(model.norm),
    )


def extreme_models() -> Iterator[tuple[str, IntegerModel]]:
    """Operands at the ends of their ranges."""
    wide = Architecture(37, 37, 16, 1, 1, 4128, 2)
    model = random_model(wide, 1)
    (block,) = model.blocks
    ones = np.ones((16, 4128), np.int8)
    yield (
        "all +127 x all +1 at K = 4128",
        replace(
            model,
            pixel_scale=(0, 0, 0),
            pixel_offset=(2**29,) * 3,
            patch=_linear(np.ones((16, 4107), np.int8)),
            blocks=(
                replace(block, fc1=_linear(np.zeros((4128, 16), np.int8), bias=32767), fc2=_linear(ones)),
            ),
        ),
    )
    saturating = Architecture(8, 2, 24, 3, 2, 40, 3)
    for sign in (-1, 1):
        yield f"residuals saturate, sign {sign}", _saturating(random_model(saturating, 2), sign)
    for height, what in ((0, "zeros"), (2, "nearly constant")):
        yield f"rows of {what}", _quiet(lower(random_graph(saturating, 3)), height)
    yield "the widest rows, at both ends of the range", _widest()


def _linear(codes: np.ndarray, bias: int = 0, exponent: int = 15) -> IntegerLinear:
    rows = codes.shape[0]
    return IntegerLinear(
        codes, np.full(1, 32767, np.uint16), exponent, np.full(rows, bias, np.int16), 14, 1.0
    )


def _saturating(model: IntegerModel, sign: int) -> IntegerModel:
    """Every bias as far out as it goes, so that the residual stream meets its ends."""
    end = np.int16(32767 if sign > 0 else -32768)

    def far(layer: IntegerLinear) -> IntegerLinear:
        return replace(layer, bias=np.full_like(layer.bias, end), bias_shift=14, exponent=-32)

    blocks = tuple(replace(b, proj=far(b.proj), fc2=far(b.fc2), qkv=far(b.qkv)) for b in model.blocks)
    return replace(model, blocks=blocks, patch=far(model.patch))


def _quiet(model: IntegerModel, height: int) -> IntegerModel:
    """The residual stream starts with numbers below `height`."""
    a, draw = model.architecture, np.random.default_rng(0)
    values = draw.integers(0, max(height, 1), (a.tokens, a.width)).astype(np.int16)
    silent = _linear(np.zeros((a.width, a.patch_values), np.int8))
    return replace(
        model,
        eps_q32=1,
        patch=silent,
        cls=Embedding(values[:1], 0),
        position=Embedding(values[: a.position_rows], 0),
    )


def _widest() -> IntegerModel:
    """LayerNorm over 2048 channels whose squares add up to as much as they ever can."""
    model = random_model(Architecture(1, 1, 2048, 1, 8, 16, 2), 4)
    ends = np.where(np.arange(2048) % 2, 32767, -32768).astype(np.int16)
    position = np.broadcast_to(ends, (2, 2048)).copy()
    return replace(model, cls=Embedding(ends[None].copy(), 14), position=Embedding(position, 14))
