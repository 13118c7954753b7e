"""Small facts that templates and plans need and no other module states."""

from __future__ import annotations

from ..image import ImageInfo
from ..image.layout import FILE_ALIGN, Section, placed, round_up

_SPARE_CLASSES = 32
"""A model with a few more classes may follow by `ftervit flash --model-only`."""


def most_classes(classes: int) -> int:
    """How many classes an application keeps room for."""
    return -(-(classes + 1) // _SPARE_CLASSES) * _SPARE_CLASSES


def reduced_bytes(info: ImageInfo) -> int | None:
    """Bytes of the same image with five weights a byte; None where it has five already."""
    if info.header.encoding == "t5":
        return None
    lengths = [_reduced_length(section) for section in info.sections]
    return round_up(placed(info.header.architecture, "t5", lengths)[-1].end, FILE_ALIGN)


def _reduced_length(section: Section) -> int:
    matrix = section.place.matrix
    if matrix is None or not section.place.role.name.endswith("_WEIGHT"):
        return section.length
    return matrix.matrix_bytes("t5")
