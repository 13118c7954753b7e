"""The logs that `ftervit train` writes: one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..files import read_file


def read_entries(path: Path) -> tuple[dict[str, Any], ...]:
    """The objects of a log; lines that are cut off or hold something else are left out.

    Raises:
        FileError: the log cannot be read.
    """
    return tuple(_entries(read_file(path, "log").decode("utf-8", errors="replace")))


def _entries(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            yield entry


def configuration(entries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The newest configuration among the objects of a log; empty where there is none."""
    return next((entry for entry in reversed(entries) if entry.get("kind") == "configuration"), {})
