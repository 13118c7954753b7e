"""Small pictures on a terminal: two pixels a character, as coloured half blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

RESET = "\x1b[0m"
_CUBE = (0, 95, 135, 175, 215, 255)
"""Levels of the 6x6x6 colour cube of 256-colour terminals."""

Pixel = tuple[int, int, int]


def half_blocks(photo: Image.Image, columns: int, depth: int) -> list[str]:
    """Lines of `columns` characters that show the photo's centre square.

    Args:
        photo: mode RGB.
        columns: width in characters, which is also the height in pixels; even.
        depth: bits of colour of the terminal, 24 or 8.
    """
    pixels = _square(photo, columns)
    return [
        "".join(_cell(pixels[row][column], pixels[row + 1][column], depth) for column in range(columns))
        + RESET
        for row in range(0, columns, 2)
    ]


def _square(photo: Image.Image, side: int) -> list[list[Pixel]]:
    import numpy as np

    from ..photos import centre_crop, resize_shorter_side

    small = centre_crop(resize_shorter_side(photo, side, "bicubic"), side, side)
    rows: list[list[Pixel]] = np.asarray(small.convert("RGB")).tolist()
    return rows


def _cell(upper: Pixel, lower: Pixel, depth: int) -> str:
    return f"\x1b[38;{_colour(upper, depth)};48;{_colour(lower, depth)}m▀"


def _colour(pixel: Pixel, depth: int) -> str:
    red, green, blue = pixel
    if depth == 24:
        return f"2;{red};{green};{blue}"
    return f"5;{16 + 36 * _cube_index(red) + 6 * _cube_index(green) + _cube_index(blue)}"


def _cube_index(level: int) -> int:
    return min(range(6), key=lambda index: abs(_CUBE[index] - level))


def side_by_side(pictures: Sequence[Sequence[str]], captions: Sequence[Sequence[str]], columns: int) -> str:
    """Pictures of equal height in a row, caption lines below each.

    Captions are plain text, at most `columns` characters long each.
    """
    gap = "  "
    lines = [gap.join(parts) for parts in zip(*pictures, strict=True)]
    for parts in zip(*captions, strict=True):
        lines.append(gap.join(part[:columns].ljust(columns) for part in parts).rstrip())
    return "\n".join(lines)
