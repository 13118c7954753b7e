"""What an application of ftervit's can run: `ftv_app_descriptor` of c_runtime/app/ftv_app.h."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from ..image import ENCODINGS
from ..project import Shape

DESCRIPTOR_OFFSET = 288
"""From the application's first byte."""
DESCRIPTOR_BYTES = 96
VERSION = 1
_LAYOUT = struct.Struct("<8sII32s8III8s")
_MAGIC = b"ftv-app\0"


@dataclass(frozen=True)
class AppDescriptor:
    """What an application was built for.

    Attributes:
        board: the board's name.
        shape: the models that it can run.
        numerics: version of c_runtime/NUMERICS.md that its engine computes.
        image_version: latest version of c_runtime/IMAGE_FORMAT.md that it reads.
    """

    board: str
    shape: Shape
    numerics: int
    image_version: int


def parse_descriptor(data: bytes) -> AppDescriptor | None:
    """The descriptor that `data` starts with; None: it is none, or of a later version."""
    if len(data) < _LAYOUT.size:
        return None
    magic, version, length, board, encoding, *rest = _LAYOUT.unpack_from(data)
    names = [name for name, number in ENCODINGS.items() if number == encoding]
    if (magic, version, length) != (_MAGIC, VERSION, DESCRIPTOR_BYTES) or not names:
        return None
    name = board.split(b"\0")[0].decode("utf-8", "replace")
    return AppDescriptor(name, Shape(names[0], *rest[:7]), rest[7], rest[8])
