"""The shape of a Vision Transformer: what timm calls deit and deit3, at any size, and our presets."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, replace

from .errors import ConfigError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
MIN_CROP_FRACTION = 0.25
"""What a model may crop photos to; timm's take 0.875 and more. The photo is resized to 1 / so much first."""


@dataclass(frozen=True)
class Architecture:
    """Sizes of a plain Vision Transformer with class-token pooling.

    Attributes:
        image_size: side of the square input, pixels.
        patch_size: side of a square patch, pixels; divides `image_size`.
        width: channels of a token (timm: embed_dim).
        depth: number of blocks.
        heads: attention heads; divides `width`.
        hidden: channels between fc1 and fc2.
        classes: number of logits.
        layer_scale: True where residual branches are scaled per channel (deit3's ls1, ls2).
        position_on_class_token: True where the position embedding has a row for the class
            token (deit); False where it covers patches only (deit3).
    """

    image_size: int
    patch_size: int
    width: int
    depth: int
    heads: int
    hidden: int
    classes: int
    layer_scale: bool = False
    position_on_class_token: bool = True

    @property
    def head_dim(self) -> int:
        """Channels of one head."""
        return self.width // self.heads

    @property
    def patches(self) -> int:
        """Number of patches of an image."""
        return (self.image_size // self.patch_size) ** 2

    @property
    def tokens(self) -> int:
        """Patches and the class token."""
        return self.patches + 1

    @property
    def patch_values(self) -> int:
        """Values in one RGB patch, the K of the patch embedding."""
        return 3 * self.patch_size**2

    @property
    def position_rows(self) -> int:
        """Rows of the position embedding."""
        return self.tokens if self.position_on_class_token else self.patches

    def with_classes(self, classes: int) -> Architecture:
        """The same model with another number of classes."""
        return replace(self, classes=classes)


def _vit(
    image: int, patch: int, width: int, depth: int, heads: int, classes: int, deit3: bool
) -> Architecture:
    return Architecture(
        image, patch, width, depth, heads, 4 * width, classes,
        layer_scale=deit3, position_on_class_token=not deit3,
    )  # fmt: skip


PRESETS: dict[str, Architecture] = {
    "mcu_nano_64": _vit(64, 8, 64, 4, 2, 10, deit3=False),
    "mcu_micro_64": _vit(64, 8, 96, 6, 3, 10, deit3=False),
    "mcu_small_96": _vit(96, 12, 128, 6, 4, 10, deit3=False),
    "deit_tiny_224": _vit(224, 16, 192, 12, 3, 1000, deit3=False),
    "deit_small_224": _vit(224, 16, 384, 12, 6, 1000, deit3=False),
    "deit3_small_224": _vit(224, 16, 384, 12, 6, 1000, deit3=True),
    "deit3_small_384": _vit(384, 16, 384, 12, 6, 1000, deit3=True),
}
"""Presets by name; `classes` is replaced by that of the data."""

_TIMM_SIZES: dict[str, tuple[int, int, int]] = {
    "tiny": (192, 12, 3),
    "small": (384, 12, 6),
    "medium": (512, 12, 8),
    "base": (768, 12, 12),
    "large": (1024, 24, 16),
    "huge": (1280, 32, 16),
}
"""Width, depth and heads of timm's sizes."""
_TIMM_NAME = re.compile(
    r"(?:timm/)?(?P<kind>deit3?)_(?P<size>[a-z]+)_patch(?P<patch>14|16)_(?P<image>224|384)(?P<tag>\.[a-z0-9_]+)?"
)
_TIMM_TAG = ".fb_in1k"
"""The weights that timm itself takes for these names."""


def timm_architecture(name: str) -> Architecture | None:
    """The DeiT that timm calls `name`, with or without ``timm/`` and a tag; None if it is none."""
    found = _TIMM_NAME.fullmatch(name)
    if found is None or found["size"] not in _TIMM_SIZES:
        return None
    width, depth, heads = _TIMM_SIZES[found["size"]]
    return _vit(int(found["image"]), int(found["patch"]), width, depth, heads, 1000, found["kind"] == "deit3")


def timm_repository(name: str) -> str | None:
    """The hub repository of the weights that timm calls `name`; None if it is no DeiT's name."""
    found = _TIMM_NAME.fullmatch(name)
    if found is None or timm_architecture(name) is None:
        return None
    return f"timm/{name.removeprefix('timm/')}" + ("" if found["tag"] else _TIMM_TAG)


def architecture_named(name: str) -> Architecture:
    """The preset called `name`, or timm's DeiT of that name.

    Raises:
        ConfigError: there is none; the message names the nearest.
    """
    known = PRESETS.get(name) or timm_architecture(name)
    if known is not None:
        return known
    near = difflib.get_close_matches(name, [*PRESETS, *_TIMM_EXAMPLES], n=2)
    hint = f"Did you mean {' or '.join(map(repr, near))}? " if near else ""
    raise ConfigError(f"There is no preset {name!r}.", f"{hint}There are: {', '.join(PRESETS)}; timm's DeiT.")


_TIMM_EXAMPLES = (
    "deit_tiny_patch16_224", "deit_small_patch16_224", "deit_base_patch16_224", "deit_base_patch16_384",
    "deit3_small_patch16_224", "deit3_small_patch16_384", "deit3_medium_patch16_224",
    "deit3_base_patch16_224", "deit3_base_patch16_384", "deit3_large_patch16_224",
    "deit3_large_patch16_384", "deit3_huge_patch14_224",
)  # fmt: skip
"""Those that have weights on the hub."""


@dataclass(frozen=True)
class Preprocessing:
    """How a photo becomes model input: resize, centre crop, scale to 0..1, subtract mean, divide by std.

    Attributes:
        mean, std: per RGB channel, in units of a pixel scaled to 0..1.
        crop_fraction: side of the centre crop over the side after resizing (timm: crop_pct),
            MIN_CROP_FRACTION to 1.
        interpolation: ``bicubic`` or ``bilinear``, with Pillow's antialiasing filters.
    """

    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    crop_fraction: float = 1.0
    interpolation: str = "bicubic"
