"""What the file of an application or a bootloader says of itself: Espressif's "App Image Format"."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

from .descriptor import DESCRIPTOR_BYTES, DESCRIPTOR_OFFSET, AppDescriptor, parse_descriptor

MAGIC = 0xE9
HEAD_BYTES = DESCRIPTOR_OFFSET + DESCRIPTOR_BYTES
"""What `parse_head` reads of an application."""
ANY_REVISION = 0xFFFF

_HEADER = struct.Struct("<BBBBIB3sHBHH4sB")
_SEGMENT = struct.Struct("<II")
_APP = struct.Struct("<II8s32s32s16s16s32s")
_APP_OFFSET = _HEADER.size + _SEGMENT.size
_APP_MAGIC = 0xABCD5432
_CHECKSUM_START = 0xEF
_SHA256_BYTES = 32


@dataclass(frozen=True)
class EspImage:
    """The head of an image.

    Attributes:
        segments: how many follow the header.
        chip_id: Espressif's number of the chip; 9 is the ESP32-S3.
        min_revision, max_revision: of the chip, 100 × major + minor; 65535 is any.
        hashed: a SHA-256 stands at the end.
        version, idf_version: of an application; empty where the image does not say.
        descriptor: where the application is one of ftervit's.
    """

    segments: int
    chip_id: int
    min_revision: int
    max_revision: int
    hashed: bool
    version: str
    idf_version: str
    descriptor: AppDescriptor | None


def parse_head(data: bytes) -> EspImage | None:
    """The head of the image that starts with `data` (HEAD_BYTES for all of it); None: it is none."""
    if len(data) < _HEADER.size or data[0] != MAGIC:
        return None
    fields = _HEADER.unpack_from(data)
    segments, chip_id, min_major, min_full, max_full = fields[1], *fields[7:11]
    version, idf_version = _app_versions(data)
    return EspImage(
        segments=segments,
        chip_id=chip_id,
        min_revision=min_full or 100 * min_major,
        max_revision=max_full or ANY_REVISION,
        hashed=fields[12] == 1,
        version=version,
        idf_version=idf_version,
        descriptor=parse_descriptor(data[DESCRIPTOR_OFFSET:]),
    )


def _app_versions(data: bytes) -> tuple[str, str]:
    """Versions of the application and of ESP-IDF, from esp_app_desc_t."""
    if len(data) < _APP_OFFSET + _APP.size:
        return "", ""
    fields = _APP.unpack_from(data, _APP_OFFSET)
    if fields[0] != _APP_MAGIC:
        return "", ""
    return _text(fields[3]), _text(fields[7])


def _text(field: bytes) -> str:
    return field.split(b"\0")[0].decode("utf-8", "replace")


def is_whole(data: bytes) -> bool:
    """True where the image has all its segments and its checksum and SHA-256 fit."""
    head = parse_head(data)
    end = _end_of_segments(data, head.segments) if head else None
    if head is None or end is None or end >= len(data):
        return False
    checksum_at = end | 15  # the last byte of a row of 16
    if checksum_at >= len(data) or data[checksum_at] != _checksum(data, head.segments):
        return False
    content, digest = data[: checksum_at + 1], data[checksum_at + 1 :][:_SHA256_BYTES]
    return not head.hashed or hashlib.sha256(content).digest() == digest


def _end_of_segments(data: bytes, segments: int) -> int | None:
    """Offset of the first byte behind the segments; None: the image ends before."""
    at = _HEADER.size
    for _ in range(segments):
        if at + _SEGMENT.size > len(data):
            return None
        at += _SEGMENT.size + _SEGMENT.unpack_from(data, at)[1]
    return at


def _checksum(data: bytes, segments: int) -> int:
    """All bytes of all segments, exclusive-ored."""
    import numpy as np

    value, at = _CHECKSUM_START, _HEADER.size
    for _ in range(segments):
        length = _SEGMENT.unpack_from(data, at)[1]
        at += _SEGMENT.size
        value ^= int(np.bitwise_xor.reduce(np.frombuffer(data, np.uint8, length, at)))
        at += length
    return value
