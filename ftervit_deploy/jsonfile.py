"""Reading JSON that a run or another program left, which may be damaged."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from .errors import RecordError
from .tomlfile import deeper_than

DEEPEST = 16
"""Levels of objects and lists that a text may have; ours need six."""
MOST_BYTES = 1_000_000_000
"""Of a file; the names of ten million photos take less."""
_SHOWN = 40
"""Characters of a wrong value that a sentence repeats."""
_Record = TypeVar("_Record")


@dataclass(frozen=True)
class Within:
    """Bounds of a number, both allowed: ``Annotated[float, Within(0, 1)]``."""

    low: float
    high: float


Share = Annotated[float, Within(0, 1)]
"""0 to 1."""
Count = Annotated[int, Within(0, 1_000_000_000_000)]
"""Of photos, steps, epochs, bytes."""
Seconds = Annotated[float, Within(0, 1e12)]
"""Of work."""
_BOUNDS = {int: Within(-(2**63), 2**63 - 1), float: Within(-sys.float_info.max, sys.float_info.max)}
_CALLED = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}


def json_object(text: str | bytes) -> dict[str, Any]:
    """The object that a JSON text holds.

    Raises:
        ValueError: it is damaged, nested too deeply, or holds something else; the text says which.
    """
    try:
        found = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError(f"it holds {_shown(found)}, no object")
    if deeper_than(found, DEEPEST):
        raise ValueError("it is nested too deeply")
    return found


def read_object(path: Path, hint: str) -> dict[str, Any]:
    """The JSON object in a file.

    Args:
        path: the file.
        hint: the way out, where it is damaged.

    Raises:
        RecordError: it cannot be read, has more than MOST_BYTES, or holds no object.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise ValueError(f"it has more than {MOST_BYTES // 10**6} MB")
        return json_object(content)
    except OSError as defect:
        raise RecordError(f"{path} cannot be read ({defect.strerror}).", hint) from None
    except ValueError as defect:
        raise RecordError(f"{path} cannot be read ({defect}).", hint) from None


def read_record(path: Path, kind: type[_Record], hint: str) -> _Record:
    """The dataclass `kind` from the JSON object in a file; see `record_of`.

    Raises:
        RecordError: as `read_object`, or an attribute is missing or impossible.
    """
    values = read_object(path, hint)
    try:
        return record_of(kind, values)
    except ValueError as defect:
        raise RecordError(f"{path} cannot be read ({defect}).", hint) from None


def objects_of_lines(content: bytes) -> Iterator[dict[str, Any]]:
    """The JSON objects of a text that has one on each line.

    Lines that are cut off, damaged or hold something else are left out.
    """
    for line in content.decode("utf-8", errors="replace").splitlines():
        try:
            yield json_object(line)
        except ValueError:
            continue


def record_of(kind: type[_Record], values: Mapping[str, Any]) -> _Record:
    """The dataclass `kind` from what JSON has of its attributes; other names are ignored.

    Lists become tuples, numbers are finite and within the bounds that an attribute is annotated with.

    Raises:
        ValueError: an attribute is missing, of another type or beyond its bounds; the text names it.
    """
    hints = get_type_hints(kind, include_extras=True)
    found: dict[str, Any] = {}
    for attribute in fields(kind):  # type: ignore[arg-type]  # it is a dataclass
        name = attribute.name
        if name in values:
            try:
                found[name] = _of_type(hints[name], values[name])
            except ValueError as defect:
                raise ValueError(f"{name}: {defect}") from None
        elif attribute.default is MISSING and attribute.default_factory is MISSING:
            raise ValueError(f"it lacks {name}")
    return kind(**found)


def number_in(value: object, low: float, high: float) -> float | None:
    """`value` as a float where it is a number from `low` to `high`, else None; NaN is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        return None
    return float(value)


def count_in(value: object, low: int, high: int) -> int | None:
    """`value` where it is a whole number from `low` to `high`, else None."""
    return value if type(value) is int and low <= value <= high else None


def _of_type(hint: Any, value: Any) -> Any:
    """`value` as the type `hint`, as far as our dataclasses have types."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin is Annotated:
        return _number(arguments[0], value, arguments[1])
    if origin in (Union, UnionType):
        (own,) = (argument for argument in arguments if argument is not NoneType)
        return None if value is None else _of_type(own, value)
    if origin is tuple:
        return _tuple(arguments, value)
    if origin is dict:
        if not isinstance(value, dict):
            raise ValueError(f"{_shown(value)} is no object")
        return {name: _of_type(arguments[1], own) for name, own in value.items()}
    if is_dataclass(hint):
        if not isinstance(value, dict):
            raise ValueError(f"{_shown(value)} is no object")
        return record_of(hint, value)  # type: ignore[arg-type]  # a class, no instance
    if hint in _BOUNDS:
        return _number(hint, value, _BOUNDS[hint])
    if type(value) is not hint:
        raise ValueError(f"{_shown(value)} is not {_CALLED[hint]}")
    return value


def _tuple(kinds: tuple[Any, ...], value: Any) -> tuple[Any, ...]:
    """Of any length where `kinds` are a type and an ellipsis."""
    if not isinstance(value, list):
        raise ValueError(f"{_shown(value)} is no list")
    if kinds == (str, ...) and all(type(own) is str for own in value):  # millions of names, maybe
        return tuple(value)
    if kinds[-1] is Ellipsis:
        kinds = (kinds[0],) * len(value)
    if len(value) != len(kinds):
        raise ValueError(f"{len(value)} values are not {len(kinds)}")
    return tuple(_of_type(kind, own) for kind, own in zip(kinds, value, strict=True))


def _number(kind: type, value: Any, bounds: Within) -> Any:
    own = type(value)  # no subclass, since a truth value is no number
    if own is not kind and not (kind is float and own is int):
        raise ValueError(f"{_shown(value)} is not {_CALLED[kind]}")
    if not bounds.low <= value <= bounds.high:
        limits = "finite" if bounds == _BOUNDS[float] else f"from {bounds.low:g} to {bounds.high:g}"
        raise ValueError(f"{_shown(value)} is not {limits}")
    return kind(value)


def _shown(value: object) -> str:
    """A value as JSON has it, cut where it is long."""
    text = json.dumps(value) if not isinstance(value, float) or math.isfinite(value) else str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
