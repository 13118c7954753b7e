"""Made-up photos to train on, and a model that is small enough for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from ftervit_deploy.architecture import Architecture

TINY = Architecture(16, 4, 16, 2, 2, 32, 3)
CLASSES = 3
PER_CLASS = 16


def write_photos(
    folder: Path, classes: int = CLASSES, per_class: int = PER_CLASS, side: int = 20, seed: int = 7
) -> Path:
    """Class folders of noisy photos, one colour per class, names IMG_1... running through the classes."""
    generator = np.random.default_rng(seed)
    for number in range(classes * per_class):
        label = number % classes
        pixels = generator.integers(0, 80, (side, side + 4, 3))
        pixels[..., label % 3] += 150
        path = folder / f"sign{label}" / f"IMG_{number + 1}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(path)
    return folder
