"""Version numbers out of text."""

from __future__ import annotations

import re

Version = tuple[int, ...]
_LEADING = re.compile(r"\s*v?(\d{1,6}(?:\.\d{1,6}){0,3})")


def parsed(text: str) -> Version | None:
    """The numbers that `text` begins with (a ``v`` may stand before them); None where there are none."""
    found = _LEADING.match(text)
    return tuple(int(part) for part in found[1].split(".")) if found else None


def shown(version: Version) -> str:
    """As people write it."""
    return ".".join(map(str, version))
