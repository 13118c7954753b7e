"""Boards for tests: those that ship, and files that differ from one."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from ftervit_deploy.boards import BoardFile, ChipBoard, board_from, chip_board, load_board
from ftervit_deploy.errors import ConfigError
from ftervit_deploy.resources import boards_folder
from ftervit_deploy.tomlfile import read_toml

SHIPPED = (boards_folder(),)
CHIP_BOARDS = [
    "esp32s3-devkitc-n16r8v",
    "esp32s3-devkitc-n8r8",
    "esp32s3-eye",
    "freenove-esp32s3-cam",
    "m5stack-cores3",
    "qemu-esp32s3",
    "xiao-esp32s3-sense",
]
MIB = 1 << 20


def shipped(name: str) -> ChipBoard:
    return chip_board(load_board(name, SHIPPED))


def _eye() -> dict[str, Any]:
    return read_toml(boards_folder() / "esp32s3-eye.toml")


def changed_eye(path: str, value: object) -> dict[str, Any]:
    """The ESP32-S3-EYE's tables with one key set, or removed where the value is None."""
    content = copy.deepcopy(_eye())
    *outer, last = path.split(".")
    table = content
    for key in outer:
        table = table.setdefault(key, {})
    if value is None:
        del table[last]
    else:
        table[last] = value
    return content


def refusal(content: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        board_from([BoardFile(Path("my.toml"), content)])
    assert str(caught.value).startswith("my.toml")
    assert caught.value.hint
    return str(caught.value)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path
