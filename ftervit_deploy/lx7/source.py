"""The file as lines of assembler: comments gone, preprocessor lines obeyed, every line with its place.

Of the C preprocessor: `#define` with or without parameters, `#undef`, `#include "x"`, `#if`, `#ifdef`,
`#ifndef`, `#elif`, `#else`, `#endif`. `#` elsewhere starts a comment, as in GNU as for Xtensa.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .expressions import evaluate
from .faults import AssemblyError, Place

_NOTE = re.compile(r"lx7:\s*([\w ,-]+)")
_WORD = re.compile(r"[A-Za-z_.$][\w.$]*")
_NAME = re.compile(r'"(?:\\.|[^"\\])*"|[A-Za-z_]\w*')
_DIRECTIVE = re.compile(r"\s*#\s*(\w+)\s*(.*)")
_MARK = re.compile(r'"(?:\\.|[^"\\])*"|//|/\*|#')


@dataclass(frozen=True)
class Line:
    """One statement or a label with its statement.

    Attributes:
        notes: words of a comment `lx7: word word` on the line, which tell the model what is meant.
    """

    text: str
    place: Place
    notes: frozenset[str] = frozenset()


@dataclass
class _Macro:
    parameters: tuple[str, ...] | None
    body: str


@dataclass
class Preprocessor:
    """Definitions while files are read; `lines` may be called for several files in turn."""

    defines: dict[str, _Macro] = field(default_factory=dict)

    @classmethod
    def with_defines(cls, defines: Mapping[str, object]) -> Preprocessor:
        """With the values that `-D` would set."""
        return cls({name: _Macro(None, str(value)) for name, value in defines.items()})

    def included(self, name: str, line: Line) -> Iterator[Line]:
        """Lines of a file beside the file of a line."""
        yield from self.lines(Path(line.place.file).parent / name)

    def lines(self, path: Path) -> Iterator[Line]:
        """Lines of a file and of what it includes.

        Raises:
            AssemblyError: a file that cannot be read, or a directive that is not known.
        """
        try:
            text = path.read_text("utf-8")
        except OSError as error:
            raise AssemblyError(None, f"{path} cannot be read: {error.strerror}.") from None
        yield from self.text_lines(text, path)

    def text_lines(self, text: str, path: Path) -> Iterator[Line]:
        """Lines of text that stands for the file `path`."""
        active = [True]
        taken = [True]
        for raw in _joined(_uncommented(text, str(path))):
            match = _DIRECTIVE.match(raw.text)
            if match and match[1] in _KNOWN:
                yield from self._directive(match[1], match[2].strip(), raw.place, path, active, taken)
            elif all(active) and not match:
                yield from _split(self._expanded(raw.text, raw.place), raw)
        if len(active) != 1:
            raise AssemblyError(Place(str(path), text.count("\n") + 1), "#if without #endif.")

    def _directive(
        self, name: str, rest: str, place: Place, path: Path, active: list[bool], taken: list[bool]
    ) -> Iterator[Line]:
        if name in ("if", "ifdef", "ifndef"):
            value = all(active) and self._condition(name, rest, place)
            active.append(value)
            taken.append(value)
        elif name in ("elif", "else", "endif"):
            self._branch(name, rest, place, active, taken)
        elif all(active):
            yield from self._command(name, rest, place, path)

    def _branch(self, name: str, rest: str, place: Place, active: list[bool], taken: list[bool]) -> None:
        if len(active) == 1:
            raise AssemblyError(place, f"#{name} without #if.")
        if name == "endif":
            active.pop()
            taken.pop()
            return
        outer = all(active[:-1])
        active[-1] = outer and not taken[-1] and (name == "else" or self._condition("if", rest, place))
        taken[-1] = taken[-1] or active[-1]

    def _command(self, name: str, rest: str, place: Place, path: Path) -> Iterator[Line]:
        if name == "define":
            self._define(rest, place)
        elif name == "undef":
            self.defines.pop(rest, None)
        elif name == "include":
            if rest.startswith('"'):
                yield from self.lines(path.parent / rest.strip('"'))
        elif name == "error":
            raise AssemblyError(place, rest)

    def _define(self, rest: str, place: Place) -> None:
        match = re.match(r"(\w+)(\(([^)]*)\))?\s*(.*)", rest, re.S)
        if not match:
            raise AssemblyError(place, f"#define {rest} has no name.")
        parameters = tuple(p.strip() for p in match[3].split(",")) if match[2] else None
        self.defines[match[1]] = _Macro(parameters, match[4].strip())

    def _condition(self, name: str, rest: str, place: Place) -> bool:
        if name != "if":
            return (rest.split()[0] in self.defines) == (name == "ifdef")
        known = re.sub(r"defined\s*\(?\s*(\w+)\s*\)?", lambda m: "1" if m[1] in self.defines else "0", rest)
        return bool(evaluate(_WORD.sub("0", self._expanded(known, place)), {}, place))

    def _expanded(self, text: str, place: Place, active: frozenset[str] = frozenset()) -> str:
        if not self.defines:
            return text
        out: list[str] = []
        position = 0
        while match := _NAME.search(text, position):
            out.append(text[position : match.start()])
            position = match.end()
            macro = self.defines.get(match[0])
            if macro is None or match[0] in active or _is_part(text, match):
                out.append(match[0])
            elif macro.parameters is None:
                out.append(self._expanded(macro.body, place, active | {match[0]}))
            else:
                arguments, position = _arguments(text, position, place)
                body = _filled(macro, arguments, place)
                out.append(self._expanded(body, place, active | {match[0]}))
        out.append(text[position:])
        return "".join(out)


_KNOWN = {"define", "undef", "include", "if", "ifdef", "ifndef", "elif", "else", "endif", "error", "pragma"}


def _is_part(text: str, match: re.Match[str]) -> bool:
    """Whether the word is a piece of a mnemonic or of a directive: `ee.vld.128.ip`, `.align`."""
    before, after = text[match.start() - 1 : match.start()], text[match.end() : match.end() + 1]
    return before in (".", "\\") or (after == "." and match[0].lower() == "ee")


def _arguments(text: str, position: int, place: Place) -> tuple[list[str], int]:
    """Arguments of a function-like macro that begin at `position`, and where they end."""
    start = re.compile(r"\s*\(").match(text, position)
    if not start:
        raise AssemblyError(place, "a macro with parameters is used without them.")
    arguments: list[str] = []
    depth, current = 1, ""
    for index in range(start.end(), len(text)):
        c = text[index]
        depth += (c == "(") - (c == ")")
        if depth == 0:
            return [*arguments, current.strip()], index + 1
        if c == "," and depth == 1:
            arguments.append(current.strip())
            current = ""
        else:
            current += c
    raise AssemblyError(place, "a macro's arguments have no closing parenthesis.")


def _filled(macro: _Macro, arguments: list[str], place: Place) -> str:
    assert macro.parameters is not None
    if len(arguments) != len(macro.parameters):
        raise AssemblyError(place, f"{len(arguments)} arguments where {len(macro.parameters)} are due.")
    values = dict(zip(macro.parameters, arguments, strict=True))
    return re.sub(r"\w+", lambda m: values.get(m[0], m[0]), macro.body)


def _uncommented(text: str, file: str) -> Iterator[Line]:
    """Physical lines without comments; a preprocessor line keeps its `#`."""
    inside = False
    for number, raw in enumerate(text.split("\n"), 1):
        note = _NOTE.search(raw)
        notes = frozenset(note[1].replace(",", " ").split()) if note else frozenset()
        match = None if inside else _DIRECTIVE.match(raw)
        bare, inside = _bare(raw, inside, match is not None and match[1] in _KNOWN)
        yield Line(bare, Place(file, number), notes)


def _bare(raw: str, inside: bool, directive: bool) -> tuple[str, bool]:
    """A line without comments, and whether it ends within one that has begun."""
    out: list[str] = []
    position = 0
    while True:
        if inside:
            end = raw.find("*/", position)
            if end < 0:
                return "".join(out), True
            out.append(" ")
            position, inside = end + 2, False
        match = _MARK.search(raw, position)
        if match is None:
            return "".join([*out, raw[position:]]), False
        out.append(raw[position : match.start()])
        position = match.end()
        if match[0] == "/*":
            inside = True
        elif match[0][0] == '"' or (match[0] == "#" and directive):
            out.append(match[0])
        else:
            return "".join(out), False


def _joined(lines: Iterable[Line]) -> Iterator[Line]:
    """Lines that end in a backslash joined to the next."""
    held: Line | None = None
    for line in lines:
        whole = Line(held.text + " " + line.text, held.place, held.notes) if held else line
        if whole.text.rstrip().endswith("\\"):
            held = Line(whole.text.rstrip()[:-1], whole.place, whole.notes)
        else:
            held = None
            yield whole


def _split(text: str, line: Line) -> Iterator[Line]:
    """Statements between semicolons."""
    for piece in re.findall(r'(?:"(?:\\.|[^"\\])*"|[^;"])+', text):
        if piece.strip():
            yield Line(piece.strip(), line.place, line.notes)
