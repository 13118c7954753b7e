"""The shape of a Vision Transformer: what timm calls deit and deit3, at any size, and our presets."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .errors import ConfigError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


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


def preset_named(name: str) -> Architecture:
    """The preset called `name`.

    Raises:
        ConfigError: there is none; the message lists those that exist.
    """
    if name not in PRESETS:
        raise ConfigError(f"There is no preset {name!r}.", f"Known presets: {', '.join(PRESETS)}.")
    return PRESETS[name]


@dataclass(frozen=True)
class Preprocessing:
    """How a photo becomes model input: resize, centre crop, scale to 0..1, subtract mean, divide by std.

    Attributes:
        mean, std: per RGB channel, in units of a pixel scaled to 0..1.
        crop_fraction: side of the centre crop over the side after resizing (timm: crop_pct).
        interpolation: ``bicubic`` or ``bilinear``, with Pillow's antialiasing filters.
    """

    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    crop_fraction: float = 1.0
    interpolation: str = "bicubic"
