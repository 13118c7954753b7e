"""Which sections an image has, in which order, where and how long: c_runtime/IMAGE_FORMAT.md, "Table"."""

from __future__ import annotations

import enum
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..architecture import Architecture

HEADER_BYTES = 144
ROW = np.dtype([("role", "<u2"), ("block", "<u2"), ("offset", "<u4"), ("length", "<u4")])
"""A row of the table."""
FILE_ALIGN = 16
FILE_MAX = 1 << 28
"""Largest image, bytes."""
NO_BLOCK = 0xFFFF
TILE = 16
"""Output channels that are stored together."""

ENCODINGS = {"t2": 2, "t5": 5}
"""Encodings of a matrix by name, and the header's number for each: four or five weights a byte."""

META_BYTES = range(2, 65536 + 1)
LABELS_BYTES = range(2, (1 << 22) + 1)


class Role(enum.IntEnum):
    """What a section holds."""

    META = 1
    LABELS = 2
    PATCH_WEIGHT = 3
    PATCH_AFFINE = 4
    EMBEDDING = 5
    NORM = 6
    HEAD_WEIGHT = 7
    HEAD_AFFINE = 8
    NORM1 = 16
    QKV_WEIGHT = 17
    QKV_AFFINE = 18
    PROJ_WEIGHT = 19
    PROJ_AFFINE = 20
    NORM2 = 21
    FC1_WEIGHT = 22
    FC1_AFFINE = 23
    FC2_WEIGHT = 24
    FC2_AFFINE = 25


NORM_OF = {Role.QKV_WEIGHT: Role.NORM1, Role.FC1_WEIGHT: Role.NORM2, Role.HEAD_WEIGHT: Role.NORM}
"""The LayerNorm whose rows a matrix reads."""

LeftOut = Mapping[tuple[Role, int], int]
"""How many channels a LayerNorm leaves out of its rows, by its role and block; only where there are any."""


@dataclass(frozen=True)
class MatrixShape:
    """A matrix as it is stored.

    Attributes:
        rows: output channels N of the checkpoint.
        inputs: K, channels that are left out not counted.
        heads: of a fused QKV matrix, whose rows are grouped by head; 0 for all others.
    """

    rows: int
    inputs: int
    heads: int = 0

    def checkpoint_rows(self) -> npt.NDArray[np.intp]:
        """Row of the checkpoint for each stored row, -1 for a pad row: intp [N'], N' a multiple of 16."""
        if not self.heads:
            stored = np.full(round_up(self.rows, TILE), -1, np.intp)
            stored[: self.rows] = np.arange(self.rows)
            return stored
        channels = self.rows // (3 * self.heads)
        grouped = np.full((self.heads, 3, round_up(channels, TILE)), -1, np.intp)
        order = np.arange(self.rows).reshape(3, self.heads, channels)
        grouped[:, :, :channels] = order.transpose(1, 0, 2)
        return grouped.reshape(-1)

    @property
    def stored_rows(self) -> int:
        """N', a multiple of 16."""
        if not self.heads:
            return round_up(self.rows, TILE)
        return 3 * self.heads * round_up(self.rows // (3 * self.heads), TILE)

    def positions(self) -> npt.NDArray[np.intp]:
        """Stored row of each of the checkpoint's rows: intp [N]."""
        return np.argsort(self.checkpoint_rows(), kind="stable")[-self.rows :]

    def matrix_bytes(self, encoding: str) -> int:
        """Length of the matrix's section."""
        tile = 64 * -(-self.inputs // 16) if encoding == "t2" else 16 * -(-self.inputs // 5)
        return self.stored_rows // TILE * tile

    def affine_bytes(self, per_channel: bool) -> int:
        """Length of the section with the matrix's multipliers and biases."""
        return 8 + (2 * self.stored_rows if per_channel else 4) + 2 * self.stored_rows


@dataclass(frozen=True)
class Place:
    """A section that the architecture prescribes.

    Attributes:
        block: of the transformer, or NO_BLOCK.
        align: of its offset, bytes.
        lengths: which lengths in bytes are valid.
        matrix: the matrix that it holds or describes, if any.
    """

    role: Role
    block: int
    align: int
    lengths: Container[int]
    matrix: MatrixShape | None = None


@dataclass(frozen=True)
class Section:
    """A section at its offset in the image."""

    place: Place
    offset: int
    length: int

    @property
    def end(self) -> int:
        """Offset of the first byte after it."""
        return self.offset + self.length


def round_up(value: int, step: int) -> int:
    """The smallest multiple of `step` that is at least `value`."""
    return -(-value // step) * step


def table_rows(architecture: Architecture) -> int:
    """Number of sections."""
    return 8 + 10 * architecture.depth


def table_end(architecture: Architecture) -> int:
    """Offset of the first byte after the table."""
    return HEADER_BYTES + ROW.itemsize * table_rows(architecture)


def norm_bytes(width: int, left_out: int = 0) -> int:
    """Length of a LayerNorm's section of which so many channels are left out."""
    return 12 + 2 * -(-width // 4) + 2 * left_out


def count_left_out(length: int, width: int) -> int:
    """How many channels a LayerNorm's section of this length leaves out; 0 for a length that cannot be."""
    count, odd = divmod(length - norm_bytes(width), 2)
    return count if 0 < count < width and not odd else 0


def prescribed(architecture: Architecture, encoding: str, left_out: LeftOut | None = None) -> Iterator[Place]:
    """The sections of an image in their order."""
    a, out = architecture, left_out or {}
    yield Place(Role.META, NO_BLOCK, 16, META_BYTES)
    yield Place(Role.LABELS, NO_BLOCK, 16, LABELS_BYTES)
    yield from _linear(Role.PATCH_WEIGHT, NO_BLOCK, MatrixShape(a.width, a.patch_values), encoding)
    yield Place(Role.EMBEDDING, NO_BLOCK, 16, (4 + 2 * a.width * (1 + a.position_rows),))
    for block in range(a.depth):
        yield from _block(a, block, encoding, out)
    head = a.width - out.get((Role.NORM, NO_BLOCK), 0)
    yield _norm(a, Role.NORM, NO_BLOCK, out)
    yield from _linear(Role.HEAD_WEIGHT, NO_BLOCK, MatrixShape(a.classes, head), encoding)


def _block(a: Architecture, block: int, encoding: str, out: LeftOut) -> Iterator[Place]:
    qkv, fc1 = (a.width - out.get((norm, block), 0) for norm in (Role.NORM1, Role.NORM2))
    yield _norm(a, Role.NORM1, block, out)
    yield from _linear(Role.QKV_WEIGHT, block, MatrixShape(3 * a.width, qkv, a.heads), encoding)
    yield from _linear(Role.PROJ_WEIGHT, block, MatrixShape(a.width, a.width), encoding)
    yield _norm(a, Role.NORM2, block, out)
    yield from _linear(Role.FC1_WEIGHT, block, MatrixShape(a.hidden, fc1), encoding)
    yield from _linear(Role.FC2_WEIGHT, block, MatrixShape(a.width, a.hidden), encoding)


def _norm(a: Architecture, role: Role, block: int, out: LeftOut) -> Place:
    return Place(role, block, 16, (norm_bytes(a.width, out.get((role, block), 0)),))


def _linear(weight: Role, block: int, shape: MatrixShape, encoding: str) -> Iterator[Place]:
    """A matrix and, under the next role, its multipliers and biases."""
    affine = (shape.affine_bytes(per_channel=False), shape.affine_bytes(per_channel=True))
    yield Place(weight, block, 64, (shape.matrix_bytes(encoding),), shape)
    yield Place(Role(weight + 1), block, 16, affine, shape)


def left_out_by(architecture: Architecture, lengths: Sequence[int]) -> LeftOut:
    """How many channels the LayerNorms leave out, given the lengths of all sections in bytes."""
    places = zip(prescribed(architecture, "t2"), lengths, strict=True)
    counts = {
        (place.role, place.block): count_left_out(length, architecture.width)
        for place, length in places
        if place.role in NORM_OF.values()
    }
    return {norm: count for norm, count in counts.items() if count}


def placed(architecture: Architecture, encoding: str, lengths: Sequence[int]) -> tuple[Section, ...]:
    """Every section at its offset, given their lengths in bytes."""
    sections: list[Section] = []
    end = table_end(architecture)
    places = prescribed(architecture, encoding, left_out_by(architecture, lengths))
    for place, length in zip(places, lengths, strict=True):
        sections.append(Section(place, round_up(end, place.align), length))
        end = sections[-1].end
    return tuple(sections)
