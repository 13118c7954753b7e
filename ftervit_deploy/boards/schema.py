"""Tables of a TOML file become frozen dataclasses; what does not fit is named with its place."""

from __future__ import annotations

import re
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ..errors import ConfigError
from ..tomlfile import suggestion

_Class = TypeVar("_Class")
_Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Range:
    """Smallest and largest value of a number, or length of a list; None is no limit."""

    least: int
    most: int | None = None


@dataclass(frozen=True)
class Gpio:
    """Marks a number as a GPIO, so that pins can be found and checked."""


@dataclass(frozen=True)
class Matching:
    """Pattern of the keys of a free table."""

    pattern: str


@dataclass(frozen=True)
class Place:
    """Where in a board's files a table stands.

    Attributes:
        layers: path and content of the board's file and of those that it extends, nearest first.
        path: keys and list positions that lead to the table.
    """

    layers: Sequence[tuple[Path, Mapping[str, object]]]
    path: _Path = ()

    def inside(self, step: str | int) -> Place:
        """The place one step further in."""
        return Place(self.layers, (*self.path, step))

    def error(self, message: str, hint: str = "") -> ConfigError:
        """An error that starts with the file and the table."""
        table = f" in {self._table()}" if self.path else ""
        return ConfigError(f"{self.file}{table}: {message}", hint)

    @property
    def file(self) -> Path:
        """The nearest file that has something at this place, else the board's own."""
        return next((file for file, content in self.layers if _holds(content, self.path)), self.layers[0][0])

    def _table(self) -> str:
        names = ".".join(str(step) for step in self.path if isinstance(step, str))
        number = next((step for step in reversed(self.path) if isinstance(step, int)), None)
        return f"[{names}]" if number is None else f"[[{names}]] number {number + 1}"


def _holds(content: object, path: _Path) -> bool:
    for step in path:
        if isinstance(content, list):
            content = dict(enumerate(content))
        if not isinstance(content, Mapping) or step not in content:
            return False
        content = content[step]
    return True


def read_table(cls: type[_Class], table: object, place: Place, **given: object) -> _Class:
    """An instance of the dataclass `cls` from a table.

    Args:
        cls: its fields are the table's keys; one without a default must be there.
        table: what TOML gave.
        place: for errors.
        given: fields that are no keys.

    Raises:
        ConfigError: an unknown key (the nearest is named), a missing one, a wrong type or value.
    """
    if not isinstance(table, dict):
        raise place.error(
            f"this must be a table, not {_shown(table)}.", "Put its keys below its name in [ ]."
        )
    keys = table_keys(cls)
    _check_known(table, keys, place)
    hints = get_type_hints(cls, include_extras=True)
    _check_complete(table, keys, hints, place)
    values = {key: _value(hints[key], value, place, key) for key, value in table.items()}
    return cls(**values, **given)


def table_keys(cls: type) -> dict[str, Field[Any]]:
    """The keys of a dataclass's table."""
    return {f.name: f for f in fields(cls) if f.metadata.get("key", True)}


def _check_known(table: Mapping[str, object], keys: Mapping[str, object], place: Place) -> None:
    for key in table:
        if key not in keys:
            raise _naming(place, key).error(
                f"there is no key {key!r}.{suggestion(key, keys)}", f"Known here: {', '.join(keys)}."
            )


def _check_complete(
    table: Mapping[str, object], keys: Mapping[str, Field[Any]], hints: Mapping[str, Any], place: Place
) -> None:
    for key, entry in keys.items():
        needed = entry.default is MISSING and entry.default_factory is MISSING
        if needed and key not in table:
            raise place.error(f"{key!r} is missing.", f"Add {key}: {_described(hints[key])}.")


def _value(hint: Any, value: object, place: Place, key: str) -> Any:
    """The value of one key, checked against its type; a list comes back as a tuple."""
    hint = _without_none(hint)
    marks: tuple[object, ...] = ()
    if get_origin(hint) is Annotated:
        hint, *rest = get_args(hint)
        marks = tuple(rest)
    if is_dataclass(hint):
        return read_table(hint, value, place.inside(key))  # type: ignore[arg-type]
    if get_origin(hint) is tuple:
        return _list(get_args(hint)[0], value, marks, place, key)
    if get_origin(hint) is not None and isinstance(value, dict) and _is_mapping(hint):
        return _free_table(hint, value, marks, place.inside(key))
    if not _fits(hint, value) or not _within(value, marks):
        raise _naming(place, key).error(
            f"{key} must be {_described(hint, marks)}, not {_shown(value)}.", f"Mend {key}."
        )
    return value


def _list(hint: Any, value: object, marks: tuple[object, ...], place: Place, key: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise _naming(place, key).error(f"{key} must be a list, not {_shown(value)}.", "Put it in [ ].")
    for mark in marks:
        if isinstance(mark, Range) and len(value) not in range(mark.least, (mark.most or len(value)) + 1):
            raise _naming(place, key).error(
                f"{key} must have {mark.least} entries, not {len(value)}.", "Mend it."
            )
    if is_dataclass(hint):
        inner = place.inside(key)
        return tuple(read_table(hint, entry, inner.inside(i)) for i, entry in enumerate(value))  # type: ignore[arg-type]
    return tuple(_value(hint, entry, place, key) for entry in value)


def _free_table(
    hint: Any, table: Mapping[str, object], marks: tuple[object, ...], place: Place
) -> dict[str, Any]:
    value_hint = get_args(hint)[1]
    for key, value in table.items():
        for mark in marks:
            if isinstance(mark, Matching) and not re.fullmatch(mark.pattern, key):
                raise _naming(place, key).error(f"{key!r} does not have the form {mark.pattern}.", "Mend it.")
        if not _fits(value_hint, value):
            raise _naming(place, key).error(
                f"{key} must be {_described(value_hint)}, not {_shown(value)}.", f"Mend {key}."
            )
    return dict(table)


def _naming(place: Place, key: str) -> Place:
    """`place`, but its file is the one that holds `key`."""
    holders = [layer for layer in place.layers if _holds(layer[1], (*place.path, key))]
    return Place(holders or place.layers, place.path)


def _is_mapping(hint: Any) -> bool:
    return isinstance(get_origin(hint), type) and issubclass(get_origin(hint), Mapping)


def _is_union(hint: Any) -> bool:
    return get_origin(hint) in (Union, types.UnionType)


def _without_none(hint: Any) -> Any:
    """The type beside None, which stands for an absent key."""
    if _is_union(hint) and type(None) in get_args(hint):
        return next(part for part in get_args(hint) if part is not type(None))
    return hint


def _fits(hint: Any, value: object) -> bool:
    if hint is object:
        return True
    if get_origin(hint) is Literal:
        return any(type(value) is type(choice) and value == choice for choice in get_args(hint))
    if _is_union(hint):
        return any(_fits(part, value) for part in get_args(hint))
    if hint is str:
        return isinstance(value, str) and bool(value.strip()) and value.isprintable()
    return type(value) is hint


def _within(value: object, marks: tuple[object, ...]) -> bool:
    for mark in marks:
        if isinstance(mark, Range) and isinstance(value, int):
            most = mark.most if mark.most is not None else 1 << 32
            return mark.least <= value <= most
        if isinstance(mark, Gpio) and isinstance(value, int):
            return 0 <= value < 64
    return True


def _described(hint: Any, marks: tuple[object, ...] = ()) -> str:
    """A type in words, for somebody who has to write a value of it."""
    hint = _without_none(hint)
    if get_origin(hint) is Annotated:
        hint, *rest = get_args(hint)
        return _described(hint, tuple(rest))
    if is_dataclass(hint):
        return f"a table with {', '.join(table_keys(hint))}"  # type: ignore[arg-type]
    if get_origin(hint) is Literal:
        return f"one of {', '.join(_shown(choice) for choice in get_args(hint))}"
    if get_origin(hint) is tuple:
        return "a list"
    if _is_union(hint):
        return " or ".join(_described(part) for part in get_args(hint))
    if _is_mapping(hint):
        return "a table"
    return (
        _number(marks) if hint is int else {bool: "true or false", str: "a line of text"}.get(hint, "a value")
    )


def _number(marks: tuple[object, ...]) -> str:
    for mark in marks:
        if isinstance(mark, Gpio):
            return "the number of a GPIO"
        if isinstance(mark, Range):
            return f"a whole number from {mark.least}" + (f" to {mark.most}" if mark.most else "")
    return "a whole number"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def pins_of(part: object, path: str = "") -> Iterator[tuple[str, int]]:
    """Every GPIO of a dataclass and those within it: its place in words (``camera.data[3]``), its number."""
    hints = get_type_hints(type(part), include_extras=True)
    for key, hint in hints.items():
        value = getattr(part, key)
        where = f"{path}.{key}" if path else key
        if is_dataclass(value):
            yield from pins_of(value, where)
        elif isinstance(value, tuple):
            yield from _pins_of_list(hint, value, where)
        elif isinstance(value, int) and _is_pin(hint):
            yield where, value


def _pins_of_list(hint: Any, values: tuple[object, ...], where: str) -> Iterator[tuple[str, int]]:
    if get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    for index, value in enumerate(values):
        if is_dataclass(value):
            yield from pins_of(value, f"{where}[{index}]")
        elif isinstance(value, int) and _is_pin(get_args(hint)[0]):
            yield f"{where}[{index}]", value


def _is_pin(hint: Any) -> bool:
    hint = _without_none(hint)
    return get_origin(hint) is Annotated and Gpio() in get_args(hint)[1:]
