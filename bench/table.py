"""Groups of figures, and how they are printed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from ftervit_deploy.machine import describe_machine

Value = float | int | str | None


@dataclass(frozen=True)
class Row:
    """One line: what was measured, and its figures by column, units in the columns' names.

    Attributes:
        missed: an aim that this row states is not met.
    """

    name: str
    figures: Mapping[str, Value]
    missed: bool = False


@dataclass(frozen=True)
class Group:
    """Rows that belong together, in the order in which they are printed; notes are sentences."""

    title: str
    rows: Sequence[Row]
    notes: Sequence[str] = ()


def figure(
    name: str, value: float, unit: str, *, kind: str, source: str, at_most: float | None = None,
    at_least: float | None = None,
) -> Row:  # fmt: skip
    """One number beside its aim, if it has one.

    Args:
        kind: ``measured``, ``modelled`` or ``emulated``.
    """
    missed = (at_most is not None and value > at_most) or (at_least is not None and value < at_least)
    aims = [f"at most {at_most:g}"] if at_most is not None else []
    aims += [f"at least {at_least:g}"] if at_least is not None else []
    aim = ", ".join(aims)
    return Row(name, {"value": value, "unit": unit, "aim": aim, "kind": kind, "source": source}, missed)


def as_text(group: Group) -> str:
    """Title, aligned columns, notes."""
    columns = list(dict.fromkeys(column for row in group.rows for column in row.figures))
    lines = [[group.title, *columns]]
    lines += [[row.name, *(_shown(row.figures.get(column)) for column in columns)] for row in group.rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    marks = ["", *("   MISSED" if row.missed else "" for row in group.rows)]
    table = [_aligned(line, widths) + mark for line, mark in zip(lines, marks, strict=True)]
    return "\n".join([*table, *(f"  {note}" for note in group.notes)])


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *rest = (
        cell.ljust(width) if index == 0 else cell.rjust(width)
        for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "  ".join([first, *rest]).rstrip()


def _shown(value: Value) -> str:
    """Three digits that count."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, int) or abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:#.3g}"


def report(groups: Iterable[Group], as_json: bool) -> int:
    """Print the machine and each group as soon as it is measured; 1 if an aim is missed, else 0."""
    machine, missed, done = describe_machine(), False, []
    if not as_json:
        print(f"Machine: {machine}")
    for group in groups:
        missed |= any(row.missed for row in group.rows)
        done.append(asdict(group))
        if not as_json:
            print(f"\n{as_text(group)}", flush=True)
    if as_json:
        print(json.dumps({"machine": machine, "groups": done}))
    return int(missed)
