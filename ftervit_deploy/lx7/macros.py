"""Macros, repetitions, conditions and symbols of GNU as, worked off in the order of the text.

What comes out are labels and statements without any of them. Symbols of `.set` are replaced by their value
at that place, so a symbol may change within a repetition; local labels `1:`, `1b`, `1f` become names that
occur once.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from .expressions import UnknownSymbolError, evaluate
from .faults import AssemblyError, Place
from .source import Line

_LABEL = re.compile(r"\s*([A-Za-z_.$][\w.$]*|\d+)\s*:(?!:)\s*(.*)", re.S)
_ASSIGN = re.compile(r"\s*([A-Za-z_.$][\w.$]*)\s*=(?!=)\s*(.*)", re.S)
_STATEMENT = re.compile(r"\s*(\S+)\s*(.*)", re.S)
_LOCAL = re.compile(r"(?<![\w.$\"])(\d+)([bf])(?![\w.$])")
_SYMBOL = re.compile(r'"(?:\\.|[^"\\])*"|(?<![\w.$\'])[A-Za-z_.$][\w.$]*')
_OPENING = {".macro": ".endm", ".rept": ".endr", ".irp": ".endr", ".irpc": ".endr"}
_LIMIT = 1_000_000
_DEPTH = 50

Include = Callable[[str, Line], Iterable[Line]]


@dataclass(frozen=True)
class Statement:
    """One label (`name` ends with a colon) or one instruction or directive, with its arguments."""

    name: str
    arguments: str
    line: Line


@dataclass
class _Macro:
    parameters: list[tuple[str, str | None, str]]
    """Name, default, kind: ``""``, ``req`` or ``vararg``."""
    body: list[Line]


@dataclass
class _If:
    active: bool
    taken: bool
    outer: bool


class Expander:
    """Turns lines into statements; one per program, so that symbols of one file serve the next."""

    def __init__(self) -> None:
        self.symbols: dict[str, int] = {}
        self.deferred: list[tuple[str, str, Line]] = []
        self._macros: dict[str, _Macro] = {}
        self._pending: deque[Line] = deque()
        self._include: Include = lambda name, line: []
        self._ifs: list[_If] = []
        self._locals: dict[str, int] = {}
        self._uses = 0
        self._steps = 0

    def statements(self, lines: Iterable[Line], include: Include) -> Iterator[Statement]:
        """Statements of one file.

        Args:
            include: the lines of a file that `.include` names on a line.

        Raises:
            AssemblyError: a block without its end, a macro used wrongly, an expression that is none.
        """
        self._pending = deque(lines)
        self._include = include
        while self._pending:
            self._steps += 1
            line = self._pending.popleft()
            if self._steps > _LIMIT:
                raise AssemblyError(line.place, "macros expand without end.")
            yield from self._one(line)
        if self._ifs:
            raise AssemblyError(None, ".if without .endif.")

    def _one(self, line: Line) -> Iterator[Statement]:
        label = _LABEL.match(line.text)
        if label and self._active():
            yield Statement(self._defined(label[1]) + ":", "", line)
            self._again(line, label[2])
            return
        assignment = _ASSIGN.match(line.text)
        if assignment:
            if self._active():
                self._set(assignment[1], assignment[2], line)
            return
        match = _STATEMENT.match(line.text)
        if not match:
            return
        name, rest = match[1].lower(), match[2].strip()
        if name in _CONDITIONS or name in (".else", ".elseif", ".endif"):
            self._condition(name, rest, line)
        elif self._active():
            yield from self._statement(name, rest, line)
        elif name in _OPENING:
            self._block(name, line)

    def _again(self, line: Line, text: str) -> None:
        if text.strip():
            self._pending.appendleft(replace(line, text=text))

    def _statement(self, name: str, rest: str, line: Line) -> Iterator[Statement]:
        handler = _DIRECTIVES.get(name)
        if handler:
            handler(self, rest, line)
        elif name in _OPENING:
            self._repeat(name, rest, line)
        elif name in self._macros:
            self._use(self._macros[name], rest, line)
        else:
            yield Statement(name, self._resolved(rest), line)

    # ---- labels and symbols ----

    def _defined(self, name: str) -> str:
        if not name.isdigit():
            return name
        self._locals[name] = self._locals.get(name, 0) + 1
        return f".L{name}.{self._locals[name]}"

    def _resolved(self, text: str) -> str:
        """Local labels by their full name, symbols of `.set` by their value."""
        text = _LOCAL.sub(self._local, text)
        return _SYMBOL.sub(lambda m: str(self.symbols.get(m[0], m[0])), text) if self.symbols else text

    def _local(self, match: re.Match[str]) -> str:
        return f".L{match[1]}.{self._locals.get(match[1], 0) + (match[2] == 'f')}"

    def _set(self, name: str, text: str, line: Line) -> None:
        try:
            self.symbols[name] = self._value(text, line)
        except UnknownSymbolError:
            self.symbols.pop(name, None)
            self.deferred.append((name, self._resolved(text), line))

    def _set_directive(self, rest: str, line: Line) -> None:
        name, _, text = rest.partition(",")
        self._set(name.strip(), text, line)

    def _value(self, text: str, line: Line) -> int:
        return evaluate(self._resolved(text), self.symbols, line.place)

    def _known_value(self, text: str, line: Line) -> int:
        try:
            return self._value(text, line)
        except UnknownSymbolError as error:
            raise AssemblyError(line.place, f"`{error}` has no value here.") from None

    # ---- conditions ----

    def _active(self) -> bool:
        return not self._ifs or self._ifs[-1].active

    def _condition(self, name: str, rest: str, line: Line) -> None:
        if name in _CONDITIONS:
            outer = self._active()
            active = outer and _CONDITIONS[name](self, rest, line)
            self._ifs.append(_If(active, active, outer))
            return
        if not self._ifs:
            raise AssemblyError(line.place, f"{name} without .if.")
        if name == ".endif":
            self._ifs.pop()
            return
        top = self._ifs[-1]
        fits = top.outer and not top.taken
        top.active = fits and (name == ".else" or bool(self._known_value(rest, line)))
        top.taken = top.taken or top.active

    def _compares(self, rest: str, line: Line) -> int:
        return self._known_value(rest, line)

    def _is_defined(self, rest: str) -> bool:
        return rest.strip() in self.symbols

    # ---- macros and repetitions ----

    def _block(self, name: str, line: Line) -> list[Line]:
        """Lines up to the end that fits; the end is taken away."""
        kind = _OPENING[name]
        openings = {key for key, end in _OPENING.items() if end == kind}
        depth = 1
        body: list[Line] = []
        while self._pending:
            inner = self._pending.popleft()
            label = _LABEL.match(inner.text)
            match = _STATEMENT.match(label[2] if label else inner.text)
            word = match[1].lower() if match else ""
            depth += (word in openings) - (word in (kind, ".endmacro" if kind == ".endm" else kind))
            if depth == 0:
                return body
            body.append(inner)
        raise AssemblyError(line.place, f"{name} without {kind}.")

    def _define(self, rest: str, line: Line) -> None:
        match = re.match(r"([\w.$]+)\s*,?\s*(.*)", rest, re.S)
        if not match:
            raise AssemblyError(line.place, ".macro without a name.")
        parameters = [_parameter(p, line) for p in _parameters(match[2])]
        self._macros[match[1].lower()] = _Macro(parameters, self._block(".macro", line))

    def _purge(self, rest: str, line: Line) -> None:
        self._macros.pop(rest.strip().lower(), None)

    def _use(self, macro: _Macro, rest: str, line: Line) -> None:
        if line.place.depth >= _DEPTH:
            raise AssemblyError(line.place, "macros use one another without end.")
        values = _bound(macro, self._arguments(rest), line)
        self._uses += 1
        values["@"] = str(self._uses - 1)
        lines = [_with(inner, values) for inner in macro.body]
        self._pending.extendleft(reversed([_used(inner, line.place) for inner in lines]))

    def _arguments(self, rest: str) -> list[str]:
        return [a.strip() for a in split_arguments(rest, blanks=True)]

    def _repeat(self, name: str, rest: str, line: Line) -> None:
        body = self._block(name, line)
        if name == ".rept":
            count = self._known_value(rest, line)
            if count * len(body) > _LIMIT:
                raise AssemblyError(line.place, f"{count} repetitions are too many.")
            self._pending.extendleft(reversed(body * max(count, 0)))
            return
        symbol, _, values = rest.partition(",")
        items = self._arguments(values) if name == ".irp" else list(values.strip())
        lines = [_with(inner, {symbol.strip(): item}) for item in items or [""] for inner in body]
        self._pending.extendleft(reversed(lines))

    def _stop(self, rest: str, line: Line) -> None:
        raise AssemblyError(line.place, rest.strip().strip('"') or ".err")

    def _ignore(self, rest: str, line: Line) -> None:
        pass

    def _included(self, rest: str, line: Line) -> None:
        self._pending.extendleft(reversed(list(self._include(rest.strip().strip('"'), line))))


_Test = Callable[[Expander, str, Line], bool]
_CONDITIONS: dict[str, _Test] = {
    ".if": lambda e, rest, line: e._compares(rest, line) != 0,
    ".ifne": lambda e, rest, line: e._compares(rest, line) != 0,
    ".ifeq": lambda e, rest, line: e._compares(rest, line) == 0,
    ".ifgt": lambda e, rest, line: e._compares(rest, line) > 0,
    ".ifge": lambda e, rest, line: e._compares(rest, line) >= 0,
    ".iflt": lambda e, rest, line: e._compares(rest, line) < 0,
    ".ifle": lambda e, rest, line: e._compares(rest, line) <= 0,
    ".ifdef": lambda e, rest, line: e._is_defined(rest),
    ".ifndef": lambda e, rest, line: not e._is_defined(rest),
    ".ifnotdef": lambda e, rest, line: not e._is_defined(rest),
    ".ifb": lambda e, rest, line: not rest.strip(),
    ".ifnb": lambda e, rest, line: bool(rest.strip()),
    ".ifc": lambda e, rest, line: _same(rest),
    ".ifnc": lambda e, rest, line: not _same(rest),
}
_DIRECTIVES: dict[str, Callable[[Expander, str, Line], None]] = {
    ".macro": Expander._define,
    ".purgem": Expander._purge,
    ".set": Expander._set_directive,
    ".equ": Expander._set_directive,
    ".include": Expander._included,
    ".error": Expander._stop,
    ".err": Expander._stop,
    ".warning": Expander._ignore,
    ".print": Expander._ignore,
}


def _same(rest: str) -> bool:
    left, _, right = rest.partition(",")
    return left.strip() == right.strip()


def split_arguments(text: str, blanks: bool = False) -> list[str]:
    """Pieces between commas outside parentheses and strings; with `blanks`, blanks separate too."""
    out, current, depth, quoted = [], "", 0, False
    for c in text.strip():
        quoted ^= c == '"'
        depth += (c == "(") - (c == ")")
        if not quoted and depth == 0 and c == ",":
            out.append(current)
            current = ""
        else:
            current += c
    if current.strip() or out:
        out.append(current)
    out = [piece.strip() for piece in out]
    return [word for piece in out for word in _words(piece)] if blanks else out


def _words(piece: str) -> list[str]:
    """Blanks separate macro arguments unless an operator stands beside them."""
    if piece.startswith('"') and piece.endswith('"') and len(piece) > 1:
        return [piece[1:-1]]
    return re.split(r"(?<![-+*/%&|^~(<>=,])\s+(?![-+*/%&|^)<>=])", piece) if piece else [""]


def _parameters(text: str) -> list[str]:
    spaced = re.sub(r"\s*([=:])\s*", r"\1", text.strip())
    return [p for p in re.split(r"[\s,]+", spaced) if p]


def _parameter(text: str, line: Line) -> tuple[str, str | None, str]:
    match = re.fullmatch(r"([\w.$]+)(?::(req|vararg))?(?:=(.*))?", text)
    if not match:
        raise AssemblyError(line.place, f"`{text}` is no macro parameter.")
    return match[1], match[3], match[2] or ""


def _bound(macro: _Macro, arguments: list[str], line: Line) -> dict[str, str]:
    values: dict[str, str] = {}
    names = [name for name, _, _ in macro.parameters]
    position = 0
    for index, argument in enumerate(arguments):
        named = re.match(r"([\w.$]+)\s*=\s*(.*)", argument, re.S)
        if named and named[1] in names:
            values[named[1]] = named[2]
            continue
        if position >= len(names):
            raise AssemblyError(line.place, f"the macro takes {len(names)} arguments.")
        name, _, kind = macro.parameters[position]
        if kind == "vararg":
            values[name] = ", ".join(arguments[index:])
            break
        values[name] = argument
        position += 1
    for name, default, kind in macro.parameters:
        if not values.get(name):
            if kind == "req":
                raise AssemblyError(line.place, f"the macro's argument {name} is missing.")
            values[name] = default or ""
    return values


def _used(line: Line, place: Place) -> Line:
    return replace(line, place=replace(line.place, used=place, depth=place.depth + 1))


def _with(line: Line, values: dict[str, str]) -> Line:
    r"""The line with ``\name`` replaced, longest name first; ``\()`` separates."""
    names = sorted(values, key=len, reverse=True)
    pattern = "|".join(re.escape(n) + ("" if n == "@" else r"(?![\w$])") for n in names)
    text = re.sub(rf"\\({pattern})", lambda m: values[m[1]], line.text)
    return replace(line, text=text.replace("\\()", ""))
