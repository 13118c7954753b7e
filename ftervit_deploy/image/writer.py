"""IntegerModel -> bytes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ..folding import channels_read, left_out
from ..lower import IntegerBlock, IntegerLinear, IntegerModel, UInt16
from .defects import Defect, defect
from .header import check_architecture, pack_header
from .layout import (
    ENCODINGS,
    FILE_ALIGN,
    FILE_MAX,
    HEADER_BYTES,
    LABELS_BYTES,
    META_BYTES,
    NO_BLOCK,
    NORM_OF,
    ROW,
    Place,
    Role,
    Section,
    placed,
    prescribed,
    round_up,
    table_end,
)
from .reader import read_image
from .tensors import is_per_channel, pack_affine, pack_embedding, pack_norm
from .text import meta_of, pack_labels, pack_meta
from .trits import pack_matrix

Bytes = npt.NDArray[np.uint8]
Gaps = dict[tuple[Role, int], UInt16]
"""Channels that are left out, by LayerNorm and block."""


def write_image(model: IntegerModel, encoding: str = "t2") -> bytes:
    """The `.ftv` file of a model; the same model and program version give the same bytes.

    Args:
        model: lowered to integers.
        encoding: ``t2``, four weights a byte, or ``t5``, five.

    Raises:
        ImageFormatError: the model cannot be an image (size limits, labels, scales).
    """
    sections = layout_of(model, encoding)
    data = np.zeros(round_up(sections[-1].end, FILE_ALIGN), np.uint8)
    data[HEADER_BYTES : table_end(model.architecture)] = _table(sections)
    gaps = _gaps(model)
    contents = _contents(model, encoding, gaps)
    for section, content in zip(sections, contents, strict=True):
        data[section.offset : section.end] = np.frombuffer(content, np.uint8)
    version = 2 if any(channels.size for channels in gaps.values()) else 1
    header = pack_header(model, encoding, version, data[HEADER_BYTES:])
    data[:HEADER_BYTES] = np.frombuffer(header, np.uint8)
    read_image(data)
    return data.tobytes()


def layout_of(model: IntegerModel, encoding: str) -> tuple[Section, ...]:
    """Where each section of a model's image will be.

    Raises:
        ImageFormatError: the model is too large for an image, or its labels cannot be written.
    """
    if encoding not in ENCODINGS:
        raise ValueError(f"encoding {encoding!r} is none of {tuple(ENCODINGS)}")
    check_architecture(model.architecture)
    lengths = list(_lengths(model, encoding))
    sections = placed(model.architecture, encoding, lengths)
    small = lengths[0] in META_BYTES and lengths[1] in LABELS_BYTES
    if not small or sections[-1].end > FILE_MAX:
        what = "The model's labels, provenance or weights are too large for an image."
        raise defect(Defect.LENGTH, what, "Choose another model or shorter labels.")
    return sections


def _gaps(model: IntegerModel) -> Gaps:
    """Which channels the image leaves out of the rows of each LayerNorm."""
    gaps = {(Role.NORM, NO_BLOCK): left_out(model.head.codes)}
    for index, block in enumerate(model.blocks):
        gaps[Role.NORM1, index] = left_out(block.qkv.codes)
        gaps[Role.NORM2, index] = left_out(block.fc1.codes)
    return gaps


def _places(model: IntegerModel, encoding: str, gaps: Gaps) -> list[Place]:
    """Every section but the text."""
    counts = {norm: channels.size for norm, channels in gaps.items()}
    return list(prescribed(model.architecture, encoding, counts))[2:]


def _lengths(model: IntegerModel, encoding: str) -> Iterator[int]:
    """Length of every section in bytes, in order."""
    yield len(pack_meta(meta_of(model)))
    yield len(pack_labels(model.labels, model.architecture.classes))
    linears = iter(_linears(model))
    for place in _places(model, encoding, _gaps(model)):
        yield _affine_length(place, next(linears)) if _is_affine(place) else _only(place)


def _is_affine(place: Place) -> bool:
    return place.role.name.endswith("_AFFINE")


def _affine_length(place: Place, linear: IntegerLinear) -> int:
    assert place.matrix is not None
    return place.matrix.affine_bytes(is_per_channel(linear))


def _only(place: Place) -> int:
    assert isinstance(place.lengths, tuple)
    return int(place.lengths[0])


def _linears(model: IntegerModel) -> Iterator[IntegerLinear]:
    """Every linear layer in the image's order."""
    yield model.patch
    for block in model.blocks:
        yield from (block.qkv, block.proj, block.fc1, block.fc2)
    yield model.head


def _table(sections: tuple[Section, ...]) -> Bytes:
    rows = [(s.place.role, s.place.block, s.offset, s.length) for s in sections]
    return np.array(rows, ROW).view(np.uint8)


def _contents(model: IntegerModel, encoding: str, gaps: Gaps) -> Iterator[bytes | Bytes]:
    """Content of every section, in order."""
    yield pack_meta(meta_of(model))
    yield pack_labels(model.labels, model.architecture.classes)
    for place in _places(model, encoding, gaps):
        yield _content(model, place, encoding, gaps)


def _content(model: IntegerModel, place: Place, encoding: str, gaps: Gaps) -> bytes | Bytes:
    if place.role == Role.EMBEDDING:
        return pack_embedding(model.cls, model.position)
    part: IntegerModel | IntegerBlock = model if place.role < Role.NORM1 else model.blocks[place.block]
    layer, _, kind = place.role.name.lower().partition("_")
    if not kind:
        return pack_norm(getattr(part, layer), gaps[place.role, place.block])
    assert place.matrix is not None
    linear: IntegerLinear = getattr(part, layer)
    if kind == "affine":
        return pack_affine(linear, place.matrix)
    codes = linear.codes
    if place.role in NORM_OF:
        channels = channels_read(gaps[NORM_OF[place.role], place.block], model.architecture.width)
        codes = codes[:, channels]
    return pack_matrix(codes, place.matrix, encoding)
