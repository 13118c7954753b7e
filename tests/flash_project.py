"""What tests of `ftervit flash` share: a small project, and what a chip holds of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from esp_files import APP_OFFSET, MODEL_OFFSET
from rom_standin import Chip

from ftervit_deploy.architecture import Architecture
from ftervit_deploy.image import write_image
from ftervit_deploy.lower import lower
from synthetic import random_graph

GOLDEN = Path(__file__).parent / "golden"
TINY = (GOLDEN / "tiny_t2.ftv").read_bytes()
BOARD = "esp32s3-eye"
PARTS = {
    0x0: "build/bootloader/bootloader.bin",
    0x8000: "build/partition_table/partition-table.bin",
    APP_OFFSET: "build/firmware.bin",
    MODEL_OFFSET: "model.ftv",
}
Flash = Callable[..., dict[str, Any]]
"""Runs the command with --json; it must succeed."""
Refused = Callable[..., str]
"""Runs the command; it must fail with one sentence, which comes back, and a hint."""


def large_model(seed: int = 3) -> bytes:
    """An image of several erase blocks."""
    shape = Architecture(16, 8, 128, 6, 2, 512, 5)
    return write_image(lower(random_graph(shape, seed)), "t2")


def holds(chip: Chip, project: Path) -> bool:
    contents = {at: (project / name).read_bytes() for at, name in PARTS.items()}
    return all(chip.flash[at : at + len(data)] == data for at, data in contents.items())


def touched(chip: Chip) -> bool:
    return chip.written_bytes > 0 or any(name.startswith(("FLASH_", "ERASE")) for name in chip.log)


def did(record: dict[str, Any]) -> dict[str, int]:
    return {part["name"]: part["written_bytes"] for part in record["parts"]}
