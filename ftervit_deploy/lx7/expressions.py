"""Expressions of the assembler: integers, symbols, operators with GNU as's precedence (its manual, 6.2.3).

A comparison that holds is -1, as there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from .faults import AssemblyError, Place

_TOKEN = re.compile(
    r"\s*(?:(0[xX][0-9a-fA-F]+|0[bB][01]+|\d+)|('(?:\\.|[^\\])'?)|([A-Za-z_.$][\w.$]*)"
    r"|(<<|>>|<=|>=|==|!=|<>|&&|\|\||[-+*/%&|^~!<>()]))"
)
_BINARY: dict[str, tuple[int, Callable[[int, int], int]]] = {
    "||": (1, lambda a, b: int(bool(a or b))),
    "&&": (2, lambda a, b: int(bool(a and b))),
    "==": (3, lambda a, b: -(a == b)),
    "!=": (3, lambda a, b: -(a != b)),
    "<>": (3, lambda a, b: -(a != b)),
    "<": (3, lambda a, b: -(a < b)),
    ">": (3, lambda a, b: -(a > b)),
    "<=": (3, lambda a, b: -(a <= b)),
    ">=": (3, lambda a, b: -(a >= b)),
    "+": (4, lambda a, b: a + b),
    "-": (4, lambda a, b: a - b),
    "|": (5, lambda a, b: a | b),
    "^": (5, lambda a, b: a ^ b),
    "&": (5, lambda a, b: a & b),
    "*": (6, lambda a, b: a * b),
    "/": (6, lambda a, b: _divided(a, b)),
    "%": (6, lambda a, b: a - b * _divided(a, b)),
    "<<": (6, lambda a, b: a << b),
    ">>": (6, lambda a, b: (a & 2**64 - 1 if a < 0 else a) >> b),
}
_UNARY: dict[str, Callable[[int], int]] = {
    "-": lambda a: -a,
    "+": lambda a: a,
    "~": lambda a: ~a,
    "!": lambda a: int(not a),
}
_ESCAPES = {"n": 10, "t": 9, "r": 13, "0": 0, "\\": 92, "'": 39, '"': 34}


class UnknownSymbolError(Exception):
    """The name has no value yet."""


def _divided(a: int, b: int) -> int:
    """Truncates towards zero, as C does."""
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


def evaluate(text: str, symbols: Mapping[str, int], place: Place | None) -> int:
    """The value of an expression.

    Raises:
        UnknownSymbolError: a name without a value.
        AssemblyError: it is no expression.
    """
    try:
        return _Parser(text, symbols).value()
    except (ValueError, IndexError, ZeroDivisionError):
        raise AssemblyError(place, f"`{text}` is not an expression.") from None


class _Parser:
    def __init__(self, text: str, symbols: Mapping[str, int]) -> None:
        self._symbols = symbols
        self._tokens = _tokens(text)
        self._next = 0

    def value(self) -> int:
        result = self._binary(0)
        if self._next != len(self._tokens):
            raise ValueError
        return result

    def _binary(self, level: int) -> int:
        left = self._unary()
        while self._next < len(self._tokens):
            entry = _BINARY.get(self._tokens[self._next])
            if entry is None or entry[0] <= level:
                break
            self._next += 1
            left = entry[1](left, self._binary(entry[0]))
        return left

    def _unary(self) -> int:
        token = self._tokens[self._next]
        self._next += 1
        if token in _UNARY:
            return _UNARY[token](self._unary())
        if token == "(":
            inner = self._binary(0)
            if self._tokens[self._next] != ")":
                raise ValueError
            self._next += 1
            return inner
        return _atom(token, self._symbols)


def _tokens(text: str) -> list[str]:
    tokens, position = [], 0
    text = text.strip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if not match:
            raise ValueError
        tokens.append(match[0].strip())
        position = match.end()
    return tokens


def _atom(token: str, symbols: Mapping[str, int]) -> int:
    if token[0].isdigit():
        if len(token) > 1 and token[0] == "0" and token[1].isdigit():
            return int(token, 8)
        return int(token, 0)
    if token[0] == "'":
        return _ESCAPES[token[2]] if token[1] == "\\" else ord(token[1])
    if not re.match(r"[A-Za-z_.$]", token):
        raise ValueError
    if token not in symbols:
        raise UnknownSymbolError(token)
    return symbols[token]
