"""Models that others published, for the scatter of accuracy against size.

All figures: FTerViT (arXiv 2605.21171), its tables and its model card. An FP32 size is four bytes a
parameter of the preset.
"""

from __future__ import annotations

from ..architecture import PRESETS
from ..image import fp32_components
from .contents import Method

_PAPER = "FTerViT, arXiv 2605.21171"
_IMAGENET = "ImageNet-1k"


def _fp32_megabytes(preset: str) -> float:
    return sum(component.bytes for component in fp32_components(PRESETS[preset])) / 1e6


def published_methods() -> tuple[Method, ...]:
    """Accuracy (0 to 1) and decimal megabytes as published."""
    rows = (
        ("FTerViT DeiT-S 224", 5.81, 77.47, _IMAGENET),
        ("FTerViT DeiT-III-S 224", 5.81, 79.64, _IMAGENET),
        ("FTerViT DeiT-III-S 384", 6.09, 82.43, _IMAGENET),
        ("FTerViT DeiT-Tiny", 1.53, 97.43, "CIFAR-10"),
        ("FTerViT DeiT-Tiny", 1.53, 86.01, "CIFAR-100"),
        ("TerViT DeiT-S, 2/8 bits", 6.0, 74.2, _IMAGENET),
        ("ViT-1.58b ViT-L, 2/8 bits", 57.0, 74.25, _IMAGENET),
        ("Q-ViT DeiT-S, 2/2 bits", 6.0, 72.1, _IMAGENET),
        ("FP32 DeiT-III-S 224", _fp32_megabytes("deit3_small_224"), 83.08, _IMAGENET),
        ("FP32 DeiT-III-S 384", _fp32_megabytes("deit3_small_384"), 84.85, _IMAGENET),
    )
    return tuple(
        Method(name, megabytes, top1 / 100, data, "published", _PAPER) for name, megabytes, top1, data in rows
    )
