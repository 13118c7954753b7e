"""A built ESP-IDF project of small files, byte for byte as `idf.py build` lays them out."""

from __future__ import annotations

import hashlib
import json
import random
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ftervit_deploy.flash.partitions import Partition
from ftervit_deploy.image import ENCODINGS, read_info
from ftervit_deploy.project import MANIFEST_FILE, Manifest, Shape, manifest_text

CHIP_ID = 9
MODEL_OFFSET, MODEL_ROOM = 0x11_0000, 0x6F_0000
APP_OFFSET, APP_ROOM = 0x1_0000, 0x10_0000
LAYOUT = (
    Partition("nvs", 1, 2, 0x9000, 0x6000),
    Partition("factory", 0, 0, APP_OFFSET, APP_ROOM),
    Partition("model", 0x40, 0, MODEL_OFFSET, MODEL_ROOM),
)


def esp_image(
    segments: Sequence[bytes], *, chip_id: int = CHIP_ID, revisions: tuple[int, int] = (0, 99)
) -> bytes:
    """Header, segments, checksum and SHA-256: Espressif's "App Image Format"."""
    header = struct.pack(
        "<BBBBIB3sHBHH4sB", 0xE9, len(segments), 2, 0x3F, 0x40374000, 0xEE, bytes(3), chip_id,
        revisions[0] // 100, *revisions, bytes(4), 1,
    )  # fmt: skip
    body, checksum = header, 0xEF
    for number, content in enumerate(segments):
        body += struct.pack("<II", 0x3C000020 + (number << 20), len(content)) + content
        for byte in content:
            checksum ^= byte
    body = body.ljust(len(body) | 15, b"\0") + bytes((checksum,))
    return body + hashlib.sha256(body).digest()


def shape_of(model: bytes) -> Shape:
    """The shape that an application for exactly this model has."""
    header = read_info(model).header
    a = header.architecture
    sizes = (a.image_size, a.patch_size, a.width, a.depth, a.heads, a.hidden, a.classes)
    return Shape(header.encoding, *sizes)


def descriptor_bytes(shape: Shape, board: str, numerics: int = 1, image_version: int = 2) -> bytes:
    """`ftv_app_descriptor` of c_runtime/app/ftv_app.h."""
    sizes = (
        shape.image_size, shape.patch_size, shape.width, shape.depth, shape.heads, shape.hidden,
        shape.most_classes,
    )  # fmt: skip
    head = (b"ftv-app\0", 1, 96, board.encode(), ENCODINGS[shape.encoding])
    return struct.pack("<8sII32s8III8x", *head, *sizes, numerics, image_version)


def app_image(descriptor: bytes, code_bytes: int = 150_000, seed: int = 1, **header: Any) -> bytes:
    """An application: esp_app_desc_t, our descriptor behind it, code that does not compress well."""
    app_desc = struct.pack(
        "<II8s32s32s16s16s32s32s80x", 0xABCD5432, 0, b"", b"0.4.0", b"ftervit", b"12:00:00",
        b"Nov 24 2026", b"v5.1.4", bytes(32),
    )  # fmt: skip
    assert len(app_desc) == 256
    code = random.Random(seed).randbytes(code_bytes // 2) + bytes(code_bytes - code_bytes // 2)
    return esp_image([app_desc + descriptor, code], **header)


def table_bytes(partitions: Sequence[Partition] = LAYOUT) -> bytes:
    """A partition table with its MD5 row, as ESP-IDF's gen_esp32part.py writes it."""
    rows = b"".join(
        struct.pack("<2sBBII16sI", b"\xaa\x50", p.type, p.subtype, p.offset, p.size, p.label.encode(), 0)
        for p in partitions
    )
    return (rows + b"\xeb\xeb" + b"\xff" * 14 + hashlib.md5(rows).digest()).ljust(0xC00, b"\xff")


def write_project(folder: Path, model: bytes, **manifest: Any) -> Manifest:
    """Write a built project; `manifest` replaces what its ftervit.json says."""
    header = read_info(model).header
    values: dict[str, Any] = {
        "ftervit": "0.4.0", "board": "esp32s3-eye", "chip": "esp32s3", "cores": 2, "flash_bytes": 8 << 20,
        "flash_mode": "qio", "psram_bytes": 8 << 20, "psram_mode": "octal", "model_file": "model.ftv",
        "model_sha256": header.content_sha256, "model_bytes": len(model), "model_offset": MODEL_OFFSET,
        "model_partition_bytes": MODEL_ROOM, "app_offset": APP_OFFSET, "app_partition_bytes": APP_ROOM,
        "arena_bytes": 200_000,
        "shape": shape_of(model),
    }  # fmt: skip
    written = Manifest(**{**values, **manifest})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST_FILE).write_text(manifest_text(written))
    (folder / written.model_file).write_bytes(model)
    write_build(folder, app_image(descriptor_bytes(written.shape, written.board)))
    return written


def write_build(
    folder: Path, app: bytes, *, bootloader: bytes | None = None, table: bytes | None = None
) -> None:
    """What `idf.py build` leaves in build/."""
    build = folder / "build"
    files = {
        0x0: ("bootloader/bootloader.bin", bootloader or esp_image([bytes(range(256)) * 60])),
        APP_OFFSET: ("firmware.bin", app),
        0x8000: ("partition_table/partition-table.bin", table or table_bytes()),
    }
    for name, content in files.values():
        (build / name).parent.mkdir(parents=True, exist_ok=True)
        (build / name).write_bytes(content)
    keys = {"bootloader": 0x0, "app": APP_OFFSET, "partition-table": 0x8000}
    entries = {
        key: {"offset": hex(at), "file": files[at][0], "encrypted": "false"} for key, at in keys.items()
    }
    content = {
        "write_flash_args": ["--flash_mode", "dio", "--flash_size", "8MB", "--flash_freq", "80m"],
        "flash_settings": {"flash_mode": "dio", "flash_size": "8MB", "flash_freq": "80m"},
        "flash_files": {hex(at): name for at, (name, _) in files.items()},
        **entries,
        "extra_esptool_args": {
            "after": "hard_reset", "before": "default_reset", "stub": True, "chip": "esp32s3",
        },
    }  # fmt: skip
    (build / "flasher_args.json").write_text(json.dumps(content))
