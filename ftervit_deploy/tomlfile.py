"""Reading TOML files, and naming the nearest known word for a misspelt one."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable
from pathlib import Path

from .errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DEEPEST = 16
"""Levels of tables and lists that a file may have; ours need five."""


def read_toml(path: Path) -> dict[str, object]:
    """The content of a TOML file.

    Raises:
        ConfigError: it cannot be read or is no TOML; the place is named.
    """
    try:
        with path.open("rb") as file:
            content = tomllib.load(file)
    except ValueError as error:  # no TOML, no UTF-8, or a number of thousands of digits
        raise ConfigError(f"{path} is not valid TOML: {error}.", "Mend that line.") from None
    except RecursionError:
        raise ConfigError(f"{path} is nested too deeply.", "Nothing of ours has so many levels.") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None
    if deeper_than(content, DEEPEST):
        raise ConfigError(f"{path} is nested too deeply.", "Nothing of ours has so many levels.")
    return content


def deeper_than(content: object, levels: int) -> bool:
    """Whether dicts and lists within each other have more levels; without recursion."""
    level = [content]
    for _ in range(levels):
        level = [
            inner
            for outer in level
            if isinstance(outer, (dict, list))
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return bool(level)


def suggestion(word: str, known: Iterable[str]) -> str:
    """`` Did you mean 'this'?`` for the known word nearest to `word`; empty where none is near."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
