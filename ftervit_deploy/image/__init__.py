"""The `.ftv` file: one image that host and chip map and read in place.

c_runtime/IMAGE_FORMAT.md gives every byte. Pure NumPy; touches no disk.
"""

from __future__ import annotations

from .components import (
    ENCODER_MATRICES,
    Component,
    encoder_only_components,
    fp32_components,
    image_components,
    image_sha256,
    leftover_fraction,
    parameter_counts,
    section_components,
)
from .header import Header
from .layout import ENCODINGS
from .reader import ImageData, ImageInfo, read_image, read_info
from .sizes import Part, scheme_bytes, scheme_parts
from .text import Meta
from .writer import write_image

__all__ = [
    "ENCODER_MATRICES",
    "ENCODINGS",
    "Component",
    "Header",
    "ImageData",
    "ImageInfo",
    "Meta",
    "Part",
    "encoder_only_components",
    "fp32_components",
    "image_components",
    "image_sha256",
    "leftover_fraction",
    "parameter_counts",
    "read_image",
    "read_info",
    "scheme_bytes",
    "scheme_parts",
    "section_components",
    "write_image",
]
