"""Projects for tests: boards of the package, small models, rendered."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ftervit_deploy.architecture import Architecture
from ftervit_deploy.boards import ChipBoard, board_folders, chip_board, load_board
from ftervit_deploy.image import read_info, write_image
from ftervit_deploy.lower import lower
from ftervit_deploy.project import Project, render_project
from synthetic import random_graph

TINY = Architecture(16, 8, 32, 2, 2, 64, 5)
LARGE = 1 << 27
"""Bytes of PSRAM of a made-up board, so that every shape finds room."""


def board_named(name: str) -> ChipBoard:
    """A board of the package."""
    return chip_board(load_board(name, board_folders({}, None)))


def chip_board_names() -> list[str]:
    """Every board of the package that has a microcontroller."""
    from ftervit_deploy.boards import board_paths

    names = board_paths(board_folders({}, None))
    return [name for name in names if name != "host"]


def roomy_board(near_bytes: int = 310_000, *, vector: bool = True) -> ChipBoard:
    """An S3-EYE with any amount of PSRAM."""
    board = board_named("esp32s3-eye")
    assert board.psram is not None
    psram, memory = replace(board.psram, size_bytes=LARGE), replace(board.memory, arena_bytes=near_bytes)
    board = replace(board, psram=psram, memory=memory)
    return board if vector else scalar(board)


def scalar(board: ChipBoard) -> ChipBoard:
    """The board, whose firmware leaves the chip's vector unit alone."""
    return replace(board, chip=replace(board.chip, vector=False))


def tiny_image(encoding: str = "t2", classes: int = 5) -> bytes:
    """A very small model."""
    return write_image(lower(random_graph(TINY.with_classes(classes), 1)), encoding)


def rendered(image: bytes, board: ChipBoard | None = None) -> Project:
    """The project for an image, by default on a board with room for everything."""
    return render_project(board or roomy_board(), image, read_info(np.frombuffer(image, np.uint8)))
