"""Bytes -> IntegerModel. The input is hostile: every rule of c_runtime/IMAGE_FORMAT.md is checked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..folding import channels_read
from ..lower import Int8, IntegerBlock, IntegerLinear, IntegerModel, IntegerNorm, UInt16
from .defects import Defect, require
from .header import Header, unpack_header
from .layout import (
    FILE_ALIGN,
    HEADER_BYTES,
    NO_BLOCK,
    NORM_OF,
    ROW,
    LeftOut,
    Place,
    Role,
    Section,
    left_out_by,
    prescribed,
    round_up,
    table_end,
)
from .tensors import unpack_affine, unpack_embedding, unpack_norm
from .text import Meta, unpack_labels, unpack_meta
from .trits import unpack_matrix

Bytes = npt.NDArray[np.uint8]
ImageData = bytes | bytearray | memoryview | npt.NDArray[np.uint8]
"""What holds an image: anything with contiguous bytes."""


@dataclass(frozen=True, eq=False)
class ImageInfo:
    """What an image says without its tensors.

    Attributes:
        sections: every section at its place.
        labels: one per class.
    """

    header: Header
    sections: tuple[Section, ...]
    labels: tuple[str, ...]
    meta: Meta

    @property
    def left_out(self) -> LeftOut:
        """How many channels each LayerNorm leaves out; only those that leave out some."""
        return left_out_by(self.header.architecture, [section.length for section in self.sections])


def read_image(data: ImageData) -> IntegerModel:
    """Reads and validates an image.

    Args:
        data: the whole file, bytes or uint8 [n].

    Raises:
        ImageFormatError: its `code` is the status that the C reader gives for the same bytes; only
            meta data, which the C reader does not look into, is judged here alone, and last.
    """
    return _Tensors(as_array(data)).model()


def read_info(data: ImageData) -> ImageInfo:
    """Reads header, table, labels and meta data, and checks the hash; leaves the tensors alone.

    Raises:
        ImageFormatError: as `read_image`, for what it looks at.
    """
    array = as_array(data)
    header, sections = _outline(array)
    return ImageInfo(header, sections, _labels(array, header, sections), _meta(array, sections))


def as_array(data: ImageData) -> Bytes:
    """The image's bytes, uint8 [n], without a copy where that is possible."""
    if isinstance(data, np.ndarray):
        return np.ascontiguousarray(data).reshape(-1).view(np.uint8)
    return np.frombuffer(data, np.uint8)


def _outline(data: Bytes) -> tuple[Header, tuple[Section, ...]]:
    """Checks header, hash, table and the bytes between sections."""
    header = unpack_header(data)
    sections = _sections(data, header)
    _check_gaps(data, header, sections)
    return header, sections


def _sections(data: Bytes, header: Header) -> tuple[Section, ...]:
    """Checks each row of the table against what the architecture prescribes."""
    end = table_end(header.architecture)
    require(end <= data.size, Defect.TABLE, "The image ends within its table.")
    rows = data[HEADER_BYTES:end].view(ROW).tolist()
    sections: list[Section] = []
    left_out = left_out_by(header.architecture, [row[3] for row in rows]) if header.version > 1 else {}
    places = prescribed(header.architecture, header.encoding, left_out)
    for place, row in zip(places, rows, strict=True):
        offset = round_up(end, place.align)
        length = row[3]
        valid = row[:3] == (place.role, place.block, offset) and length in place.lengths
        require(valid, Defect.TABLE, f"The image's table is wrong in the row of {_name(place)}.")
        end = offset + length
        require(end <= data.size, Defect.TABLE, f"The image ends within {_name(place)}.")
        sections.append(Section(place, offset, length))
    fits = round_up(end, FILE_ALIGN) == data.size
    require(fits, Defect.TABLE, "The image goes on after its last section.")
    needed = bool(left_out) == (header.version > 1)
    require(needed, Defect.TABLE, "The image leaves out no channels, and its format version is not 1.")
    return tuple(sections)


def _check_gaps(data: Bytes, header: Header, sections: tuple[Section, ...]) -> None:
    end = table_end(header.architecture)
    for start in (*(section.offset for section in sections), data.size):
        own = next((s for s in sections if s.offset == start), None)
        require(not data[end:start].any(), Defect.PADDING, "The image has bytes between its sections.")
        end = own.end if own else start


def _name(place: Place) -> str:
    """What people call a section: ``blocks.3.qkv weight``."""
    name = place.role.name.lower().replace("_", " ")
    return name if place.block == NO_BLOCK else f"blocks.{place.block}.{name}"


def _labels(data: Bytes, header: Header, sections: tuple[Section, ...]) -> tuple[str, ...]:
    section = sections[1]
    return unpack_labels(data[section.offset : section.end].tobytes(), header.architecture.classes)


def _meta(data: Bytes, sections: tuple[Section, ...]) -> Meta:
    return unpack_meta(data[sections[0].offset : sections[0].end].tobytes())


class _Tensors:
    """Reads the sections in their order, so that the first defect is the one that the C reader finds."""

    def __init__(self, data: Bytes) -> None:
        self._data = data
        self._header, self._sections = _outline(data)
        self._by_role = {(s.place.role, s.place.block): s for s in self._sections}
        self._left_out: dict[tuple[Role, int], UInt16] = {}

    def model(self) -> IntegerModel:
        a = self._header.architecture
        labels = _labels(self._data, self._header, self._sections)
        patch = self._linear(Role.PATCH_WEIGHT)
        cls, position = unpack_embedding(self._bytes(self._by_role[Role.EMBEDDING, NO_BLOCK]), a)
        blocks = tuple(self._block(block) for block in range(a.depth))
        norm = self._norm(Role.NORM)
        head = self._linear(Role.HEAD_WEIGHT)
        meta, h = _meta(self._data, self._sections), self._header
        return IntegerModel(
            a, meta.preprocessing, labels, meta.scheme, meta.provenance,
            h.eps_q32, h.attention, h.pixel_scale, h.pixel_offset,
            patch, cls, position, blocks, norm, head,
        )  # fmt: skip

    def _block(self, block: int) -> IntegerBlock:
        return IntegerBlock(
            norm1=self._norm(Role.NORM1, block),
            qkv=self._linear(Role.QKV_WEIGHT, block),
            proj=self._linear(Role.PROJ_WEIGHT, block),
            norm2=self._norm(Role.NORM2, block),
            fc1=self._linear(Role.FC1_WEIGHT, block),
            fc2=self._linear(Role.FC2_WEIGHT, block),
        )

    def _linear(self, weight: Role, block: int = NO_BLOCK) -> IntegerLinear:
        section, affine = (self._by_role[role, block] for role in (weight, Role(weight + 1)))
        shape = section.place.matrix
        assert shape is not None
        name = _name(section.place).removesuffix(" weight")
        codes = unpack_matrix(self._bytes(section), shape, self._header.encoding, name)
        if weight in NORM_OF:
            codes = _whole(codes, self._left_out[NORM_OF[weight], block])
        return unpack_affine(self._bytes(affine), shape, codes, name)

    def _norm(self, role: Role, block: int = NO_BLOCK) -> IntegerNorm:
        section = self._by_role[role, block]
        width = self._header.architecture.width
        norm, self._left_out[role, block] = unpack_norm(self._bytes(section), width, _name(section.place))
        return norm

    def _bytes(self, section: Section) -> Bytes:
        return self._data[section.offset : section.end]


def _whole(codes: Int8, left_out: UInt16) -> Int8:
    """A matrix with the columns of zeros that its image leaves out."""
    whole = np.zeros((codes.shape[0], codes.shape[1] + left_out.size), np.int8)
    whole[:, channels_read(left_out, whole.shape[1])] = codes
    return whole
