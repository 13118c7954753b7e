"""What went wrong in a build, out of its log: the first error, in one sentence and the lines around it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MOST_LINES = 8
LAST_LINES = 5
_PROGRESS = re.compile(r"\[(\d+)/(\d+)\] ")
_OTHER = re.compile(r"\[\d+/\d+\] |FAILED: |ninja: |collect2: |-- |Call Stack|compilation terminated|HINT: ")
"""Lines that no longer belong to an error."""
_CMAKE = re.compile(r"CMake Error(?: at (?P<file>.+?):(?P<line>\d+)(?: \([^)]*\))?)?:?\s*(?P<what>.*)")
_STRONG = (
    _CMAKE,
    re.compile(r"(?P<file>(?:[A-Za-z]:)?[^\s:][^:]*):(?P<line>\d+):(?:\d+:)? (?:fatal )?error: (?P<what>.+)"),
    re.compile(r"(?:.*\bld(?:\.exe)?: )?(?P<file>[^:]+):(?P<line>\d+): (?P<what>undefined reference to .+)"),
    re.compile(
        r".*\bld(?:\.exe)?: (?P<what>.*(?:will not fit|overflowed by|cannot find|undefined reference"
        r"|multiple definition|discarded|No such file).*)"
    ),
    re.compile(r"\S*(?:gcc|g\+\+|cc1|cc1plus|as|ld)(?:\.exe)?: (?:fatal )?error: (?P<what>.+)"),
    re.compile(r"ninja: error: (?P<what>.+)"),
    re.compile(r"(?P<what>The following Python requirements are not satisfied.*)"),
)
_WEAK = (
    re.compile(r"(?:ERROR|Error|error|FATAL|FatalError): (?P<what>.+)"),
    re.compile(r"(?P<what>.*must be available on the PATH.*)"),
    re.compile(r"(?P<what>.*No space left on device.*)"),
    re.compile(r"(?P<what>[A-Za-z_.]*(?:Error|Exception): .+)"),
)
"""Looked for where no line is of the others."""


@dataclass(frozen=True)
class Diagnosis:
    """The first error.

    Attributes:
        what: the error, with file and line where they are known.
        lines: as they stand in the log.
    """

    what: str
    lines: tuple[str, ...]


def progress(line: str) -> tuple[int, int] | None:
    """Steps done and steps in all, of a line of ninja's."""
    found = _PROGRESS.match(line)
    return (int(found[1]), int(found[2])) if found else None


def diagnose(lines: Sequence[str], project: Path) -> Diagnosis:
    """The first error in the log `lines`; files of `project` are named relative to it."""
    for patterns in (_STRONG, _WEAK):
        for i, line in enumerate(lines):
            found = next((match for p in patterns if (match := p.match(line))), None)
            if found is not None:
                return _told(lines, i, found, project)
    last = _after_failure(lines)
    return Diagnosis(last[-1].strip() if last else "it says nothing", tuple(last))


def _after_failure(lines: Sequence[str]) -> list[str]:
    """What the first step that failed said, below its name and its command, else the end of the log."""
    failed = next((i for i, line in enumerate(lines) if line.startswith("FAILED: ")), None)
    if failed is not None:
        said = list(itertools.takewhile(lambda line: not _OTHER.match(line), lines[failed + 2 :]))
        if any(said):
            return [line for line in said if line][:MOST_LINES]
    return [line for line in lines if line][-LAST_LINES:]


def _told(lines: Sequence[str], first: int, found: re.Match[str], project: Path) -> Diagnosis:
    excerpt = _cmake_message(lines, first) if found.re is _CMAKE else _around(lines, first)
    if found.re is _CMAKE:
        found = _CMAKE.match(excerpt[0].strip()) or found
    groups = found.groupdict()
    message = (line.strip() for line in excerpt[1:])
    what = groups["what"].strip() or next(message, "CMake stops")
    if groups.get("file"):
        what = f"{_short(groups['file'], project)}:{groups['line']}: {what}"
    return Diagnosis(what, tuple(excerpt))


def _around(lines: Sequence[str], first: int) -> list[str]:
    """The error and what follows it; the linker says in the line before where it is."""
    before = lines[first - 1] if first else ""
    names_function = before.endswith("':") and "in function" in before.lower()
    excerpt = [before, lines[first]] if names_function else [lines[first]]
    for line in lines[first + 1 : first + MOST_LINES]:
        if _OTHER.match(line) or any(pattern.match(line) for pattern in _STRONG):
            break
        excerpt.append(line)
    return excerpt


def _cmake_message(lines: Sequence[str], first: int) -> list[str]:
    """The error and the indented lines below, or the error of another CMake that these tell of.

    Status lines may stand between them.
    """
    below = (line for line in lines[first + 1 :] if line and not line.startswith("-- "))
    message = [lines[first], *itertools.takewhile(lambda line: line.startswith(" "), below)]
    inner = next((i for i, line in enumerate(message) if i and _CMAKE.match(line.strip())), 0)
    return [line for line in message[inner:] if line.strip()][:MOST_LINES]


def _short(name: str, project: Path) -> str:
    """A file's name, relative to the project where it lies in it."""
    path = Path(name)
    for folder in (project, project / "build"):
        whole = path if path.is_absolute() else Path(folder / path)
        if whole.exists() and whole.resolve().is_relative_to(project.resolve()):
            return str(whole.resolve().relative_to(project.resolve()))
    return name
