"""The partition table in its binary form: ESP-IDF's "Partition Tables", esp_partition_info_t."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import FlashError
from ..project.manifest import MODEL_PARTITION, MODEL_PARTITION_SUBTYPE, MODEL_PARTITION_TYPE

TABLE_OFFSET = 0x8000
TABLE_BYTES = 0xC00
APP_TYPE = 0x00
_ROW = struct.Struct("<2sBBII16sI")
_ROW_MAGIC = b"\xaa\x50"
_MD5_START = b"\xeb\xeb" + b"\xff" * 14
_END = b"\xff" * _ROW.size


@dataclass(frozen=True)
class Partition:
    """One row of the table; offset and size in bytes."""

    label: str
    type: int
    subtype: int
    offset: int
    size: int

    @property
    def is_app(self) -> bool:
        """True where an application may be."""
        return self.type == APP_TYPE


def parse_partitions(data: bytes) -> tuple[Partition, ...]:
    """The rows of a partition table.

    Raises:
        FlashError: `data` is none, or damaged.
    """
    rows: list[Partition] = []
    for at in range(0, len(data) - _ROW.size + 1, _ROW.size):
        row = data[at : at + _ROW.size]
        if row == _END:
            break
        if row.startswith(_MD5_START):
            if row[16:] != hashlib.md5(data[:at]).digest():
                raise FlashError("The partition table is damaged: its MD5 does not fit.", _WAY_OUT)
            continue
        rows.append(_partition(row))
    if not rows:
        raise FlashError("There is no partition table: the board is empty.", _WAY_OUT)
    return tuple(rows)


_WAY_OUT = "Flash the whole project once: `ftervit build`, then `ftervit flash`."


def _partition(row: bytes) -> Partition:
    magic, kind, subtype, offset, size, label, _ = _ROW.unpack(row)
    if magic != _ROW_MAGIC:
        raise FlashError("There is no partition table where ESP-IDF puts one.", _WAY_OUT)
    return Partition(label.split(b"\0")[0].decode("utf-8", "replace"), kind, subtype, offset, size)


def model_partition(partitions: Sequence[Partition]) -> Partition | None:
    """The partition of the model."""
    wanted = (MODEL_PARTITION, MODEL_PARTITION_TYPE, MODEL_PARTITION_SUBTYPE)
    return next((p for p in partitions if (p.label, p.type, p.subtype) == wanted), None)
