"""The smallest ELF files, with sections of any size and name."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

CODE_ADDRESS = 0x4200_0000
_NOBITS, _STRTAB, _ALLOC_EXECUTE = 8, 3, 6
_HEADER = "<16sHHIIIIIHHHHHH"


def write_elf(path: Path, sizes: Mapping[str, int] | None = None, address: int = CODE_ADDRESS) -> None:
    """Sections without content, one behind the other from `address` on; by default 64 KB of code."""
    sizes = sizes or {".text": 0x1_0000}
    names = [*sizes, ".names"]
    table = b"\0" + b"".join(name.encode() + b"\0" for name in names)
    header_bytes = struct.calcsize(_HEADER)
    sections = [(0,) * 10]
    for name, size in sizes.items():
        at = table.index(name.encode() + b"\0")
        sections.append((at, _NOBITS, _ALLOC_EXECUTE, address, 0, size, 0, 0, 4, 0))
        address += size
    sections.append((table.index(b".names"), _STRTAB, 0, 0, header_bytes, len(table), 0, 0, 1, 0))
    xtensa = 94
    header = struct.pack(
        _HEADER, b"\x7fELF\1\1\1", 2, xtensa, 1, 0, 0, header_bytes + len(table), 0,
        header_bytes, 0, 0, 40, len(sections), len(sections) - 1,
    )  # fmt: skip
    path.write_bytes(header + table + b"".join(struct.pack("<10I", *section) for section in sections))
