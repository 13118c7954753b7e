"""The 144 bytes at the start of an image: c_runtime/IMAGE_FORMAT.md, "Header"."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..architecture import Architecture
from ..lower import IntegerModel, Multiplier
from .defects import Defect, defect, require
from .layout import ENCODINGS, FILE_ALIGN, FILE_MAX, HEADER_BYTES, table_rows

Bytes = npt.NDArray[np.uint8]

MAGIC = b"FTVI\r\n\x1a\n"
VERSION = 2
"""Of the format: the latest. An image that leaves out no channels is of version 1."""
NUMERICS = 1
HASHED_FROM = 48
"""Offset of the first byte that the header's SHA-256 covers."""
RESERVED = bytes(40)

POSITION_ON_CLASS_TOKEN = 1
LAYER_SCALE = 2

INPUTS_MAX = 4128
"""Largest K of a matrix, so that accumulators fit 20 bits (NUMERICS.md, conventions)."""
MANTISSA_MIN = 1 << 14
MANTISSA_MAX = (1 << 15) - 1

_PREFIX = struct.Struct("<8sHHI32s")
_FIELDS = struct.Struct("<BB7HIIIHh3i3i40s")


@dataclass(frozen=True)
class Header:
    """The header's fields; see c_runtime/IMAGE_FORMAT.md for ranges.

    Attributes:
        version: of the format, 1 or 2.
        content_sha256: hex digest of the bytes from 48 to the end, as stored.
        eps_q32, attention, pixel_scale, pixel_offset: as in `IntegerModel`.
    """

    architecture: Architecture
    encoding: str
    version: int
    file_bytes: int
    content_sha256: str
    eps_q32: int
    attention: Multiplier
    pixel_scale: tuple[int, int, int]
    pixel_offset: tuple[int, int, int]


def pack_header(model: IntegerModel, encoding: str, version: int, rest: Bytes) -> bytes:
    """The header of an image whose bytes from 144 on are `rest`."""
    a, attention = model.architecture, model.attention
    flags = POSITION_ON_CLASS_TOKEN * a.position_on_class_token | LAYER_SCALE * a.layer_scale
    fields = _FIELDS.pack(
        ENCODINGS[encoding], flags,
        a.image_size, a.patch_size, a.width, a.depth, a.heads, a.hidden, a.classes,
        a.tokens, table_rows(a), model.eps_q32, attention.mantissa, attention.exponent,
        *model.pixel_scale, *model.pixel_offset, RESERVED,
    )  # fmt: skip
    digest = hashlib.sha256(fields)
    digest.update(rest.data)
    return _PREFIX.pack(MAGIC, version, NUMERICS, HEADER_BYTES + rest.size, digest.digest()) + fields


def unpack_header(data: Bytes) -> Header:
    """Reads and checks the header and the hash, in the order of the specification.

    Raises:
        ImageFormatError: FTV_ERR_TRUNCATED to FTV_ERR_PADDING.
    """
    version, file_bytes, stored = _check_prefix(data)
    fields = _FIELDS.unpack(data[HASHED_FROM:HEADER_BYTES].tobytes())
    encoding, flags = fields[:2]
    known = encoding in ENCODINGS.values()
    require(known, Defect.ENCODING, f"The image has the unknown encoding {encoding}.")
    architecture = _architecture(flags, *fields[2:9])
    tokens, rows, eps_q32, mantissa, exponent = fields[9:14]
    _check_counts(architecture, tokens, rows)
    scale, offset = fields[14:17], fields[17:20]
    _check_scales(eps_q32, mantissa, exponent, scale, offset)
    require(fields[20] == RESERVED, Defect.PADDING, "The image's header uses bytes that are reserved.")
    name = next(name for name, number in ENCODINGS.items() if number == encoding)
    attention = Multiplier(mantissa, exponent)
    return Header(architecture, name, version, file_bytes, stored.hex(), eps_q32, attention, scale, offset)


def _check_prefix(data: Bytes) -> tuple[int, int, bytes]:
    """Checks magic, versions, length and hash; returns version, length in bytes and digest."""
    start = data[: len(MAGIC)].tobytes()
    if start != MAGIC[: len(start)]:
        raise defect(
            Defect.MAGIC,
            "This is no ftervit image: it does not start with FTVI.",
            "Name a .ftv file made by `ftervit pack`.",
        )
    require(data.size >= HEADER_BYTES, Defect.TRUNCATED, f"The image ends after {data.size} bytes.")
    _, version, numerics, file_bytes, digest = _PREFIX.unpack(data[:HASHED_FROM].tobytes())
    _check_version(version, numerics)
    _check_length(data.size, file_bytes)
    actual = hashlib.sha256(data[HASHED_FROM:].data).digest()
    require(actual == digest, Defect.HASH, "The image is damaged: its SHA-256 does not fit its content.")
    return int(version), int(file_bytes), bytes(digest)


def _check_version(version: int, numerics: int) -> None:
    if version not in range(1, VERSION + 1) or numerics != NUMERICS:
        raise defect(
            Defect.VERSION,
            f"The image has format version {version} and numerics version {numerics}; "
            f"this program reads up to {VERSION}, and {NUMERICS}.",
            "Pack the model again, or use the ftervit that made it.",
        )


def _check_length(given: int, file_bytes: int) -> None:
    says = f"its header says {file_bytes}"
    require(given >= file_bytes, Defect.TRUNCATED, f"The image ends after {given} bytes; {says}.")
    require(given <= file_bytes, Defect.LENGTH, f"The image has {given} bytes; {says}.")
    valid = file_bytes % FILE_ALIGN == 0 and HEADER_BYTES <= file_bytes <= FILE_MAX
    require(valid, Defect.LENGTH, f"An image cannot have {file_bytes} bytes.")


def _architecture(flags: int, *sizes: int) -> Architecture:
    known = POSITION_ON_CLASS_TOKEN | LAYER_SCALE
    require(flags & ~known == 0, Defect.ARCHITECTURE, f"The image has unknown flags ({flags:#x}).")
    layer_scale, on_class_token = bool(flags & LAYER_SCALE), bool(flags & POSITION_ON_CLASS_TOKEN)
    image, patch, width, depth, heads, hidden, classes = sizes
    architecture = Architecture(
        image, patch, width, depth, heads, hidden, classes, layer_scale, on_class_token
    )
    check_architecture(architecture)
    return architecture


def check_architecture(a: Architecture) -> None:
    """Checks the limits of IMAGE_FORMAT.md.

    Raises:
        ImageFormatError: FTV_ERR_ARCHITECTURE.
    """
    for name, value, largest in (
        ("image size", a.image_size, 4096),
        ("patch size", a.patch_size, 37),
        ("width", a.width, 2048),
        ("depth", a.depth, 64),
        ("number of heads", a.heads, 2048),
        ("hidden width", a.hidden, INPUTS_MAX),
        ("number of classes", a.classes, 65535),
    ):
        _limit(1 <= value <= largest, f"a {name} of {value}; 1 to {largest} are possible")
    _limit(a.image_size % a.patch_size == 0, f"an image size that is no multiple of {a.patch_size}")
    _limit(a.width % a.heads == 0, f"a width of {a.width}, which {a.heads} heads do not divide")
    _limit(a.head_dim <= 256, f"{a.head_dim} channels a head; at most 256 are possible")
    _limit(a.tokens <= 2064, f"{a.tokens} tokens; at most 2064 are possible")


def _limit(holds: bool, what: str) -> None:
    if not holds:
        raise defect(Defect.ARCHITECTURE, f"The model has {what}.", "Choose another model.")


def _check_counts(a: Architecture, tokens: int, rows: int) -> None:
    require(tokens == a.tokens, Defect.ARCHITECTURE, f"The image says {tokens} tokens instead of {a.tokens}.")
    expected = table_rows(a)
    require(rows == expected, Defect.ARCHITECTURE, f"The image has {rows} table rows instead of {expected}.")


def _check_scales(
    eps_q32: int, mantissa: int, exponent: int, scale: tuple[int, ...], offset: tuple[int, ...]
) -> None:
    require(1 <= eps_q32 <= 1 << 24, Defect.SCALE, f"LayerNorm's epsilon {eps_q32} / 2^32 is impossible.")
    valid = MANTISSA_MIN <= mantissa <= MANTISSA_MAX and 0 <= exponent <= 62
    require(valid, Defect.SCALE, f"The attention scale {mantissa} * 2^-{exponent} is impossible.")
    valid = all(0 <= a <= 1 << 22 for a in scale) and all(abs(b) <= 1 << 29 for b in offset)
    require(valid, Defect.SCALE, "The image's pixel scales are impossible.")
