"""The logs that `ftervit train` writes: one JSON object a line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..files import read_file
from ..jsonfile import objects_of_lines


def read_entries(path: Path) -> tuple[dict[str, Any], ...]:
    """The objects of a log; lines that are cut off or hold something else are left out.

    Raises:
        FileError: the log cannot be read.
    """
    return tuple(objects_of_lines(read_file(path, "log")))


def configuration(entries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The newest configuration among the objects of a log; empty where there is none."""
    return next((entry for entry in reversed(entries) if entry.get("kind") == "configuration"), {})
