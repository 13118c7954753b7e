"""Boards are data: a TOML file each, found by name or path and checked against the schema in model.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from .checks import check_board
from .files import BoardFile, board_folders, board_paths, merged, read_board_files
from .model import Board, ChipBoard
from .schema import Place, read_table, table_keys
from .sdkconfig import sdkconfig_options

__all__ = [
    "Board",
    "BoardFile",
    "ChipBoard",
    "as_json",
    "board_folders",
    "board_from",
    "board_paths",
    "chip_board",
    "load_board",
    "read_board_files",
    "sdkconfig_options",
]


def load_board(board: str, folders: Sequence[Path]) -> Board:
    """A board by name, or by the path of a `.toml` file.

    Args:
        board: name or path.
        folders: where names are looked for (see board_folders).

    Raises:
        ConfigError: there is none, or its file is wrong; file, table and key are named.
    """
    return board_from(read_board_files(board, folders))


def board_from(files: Sequence[BoardFile]) -> Board:
    """The board that a file and those which it extends describe.

    Raises:
        ConfigError: an unknown, missing or impossible key, or parts that contradict each other.
    """
    table = merged(files)
    place = Place([(file.path, file.content) for file in files])
    cls = Board if set(table) <= set(table_keys(Board)) else ChipBoard
    given: dict[str, Any] = {"name": files[0].path.stem, "files": tuple(file.path for file in files)}
    board = read_table(cls, table, place, **given)
    check_board(board, place)
    return board


def chip_board(board: Board) -> ChipBoard:
    """`board`, if firmware can be built for it.

    Raises:
        ConfigError: it has no microcontroller.
    """
    if not isinstance(board, ChipBoard):
        raise ConfigError(
            f"The board {board.name!r} has no microcontroller.",
            "Name another with --board; `ftervit boards` lists them.",
        )
    return board


def as_json(board: Board) -> dict[str, Any]:
    """Everything about a board, ready for JSON; `sdkconfig` holds all its options."""
    record = {**asdict(board), "files": [str(path) for path in board.files]}
    if isinstance(board, ChipBoard):
        record["sdkconfig"] = sdkconfig_options(board)
    return record
