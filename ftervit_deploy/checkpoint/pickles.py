"""A pickle interpreter that can only build containers, numbers, text and tensor descriptions.

It imports nothing and calls nothing that a file names (torchglobals.py holds the stand-ins); unknown
opcodes and names are refused. Opcodes are those of Python's `pickletools`, protocols 0 to 5.
"""

from __future__ import annotations

import pickle
import pickletools
import struct
from collections.abc import Callable
from typing import Any

from ..errors import CheckpointError
from .torchglobals import CALLS, CREATES, Attributes, Name, Opaque, hashable, named

MAX_OPERATIONS = 500_000
"""Opcodes of one pickle; a checkpoint with optimizer state takes some ten thousand."""
MAX_COPIED = 6500_000
"""Items that calls (set, dict, encode ...) may copy in one pickle."""
MAX_INTEGER_BYTES = 64

_OPCODE_NAMES = {opcode.code: opcode.name for opcode in pickletools.opcodes}


class PickleReader:
    """Reads one pickle out of bytes.

    Args:
        data: the bytes.
        position: where the pickle starts; afterwards, where it ended.
        storage: turns a persistent id into a storage; without it, persistent ids are refused.
    """

    def __init__(self, data: bytes, position: int = 0, storage: Callable[[Any], Any] | None = None) -> None:
        self._data = data
        self.position = position
        self._storage = storage
        self._stack: list[Any] = []
        self._marks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self._copied = 0

    def load(self) -> Any:
        """The value that the pickle describes.

        Raises:
            CheckpointError: damaged, too large, or it wants what a checkpoint must not have.
        """
        try:
            return self._run()
        except CheckpointError:
            raise
        except (IndexError, KeyError, ValueError, TypeError, AttributeError, OverflowError, struct.error):
            raise CheckpointError("The checkpoint's list of contents is damaged.") from None

    def _run(self) -> Any:
        for _ in range(MAX_OPERATIONS):
            opcode = self._take(1)
            if opcode == pickle.STOP:
                return self._stack.pop()
            operation = _OPERATIONS.get(opcode)
            if operation is None:
                raise CheckpointError(self._refusal(opcode))
            operation(self)
        raise CheckpointError("The checkpoint's list of contents is longer than any model needs.")

    def _refusal(self, opcode: bytes) -> str:
        known = _OPCODE_NAMES.get(opcode.decode("latin-1"))
        if known is None:
            return "The checkpoint's list of contents is damaged."
        wants = known
        if opcode == pickle.INST:
            wants = f"call {'.'.join(self._line() for _ in range(2))[:200]}"
        elif opcode == pickle.OBJ:
            wants = "create an object (OBJ)"
        return (
            f"The checkpoint wants to {wants if ' ' in wants else f'use the pickle opcode {wants}'}; refused."
        )

    # Reading bytes

    def _take(self, count: int) -> bytes:
        end = self.position + count
        if count < 0 or end > len(self._data):
            raise CheckpointError("The checkpoint's list of contents is cut short.")
        taken = self._data[self.position : end]
        self.position = end
        return taken

    def _skip(self, count: int) -> None:
        self._take(count)

    def _number(self, layout: str) -> Any:
        return struct.unpack(layout, self._take(struct.calcsize(layout)))[0]

    def _sized(self, layout: str) -> bytes:
        return self._take(self._number(layout))

    def _line(self) -> str:
        end = self._data.index(b"\n", self.position)
        line = self._data[self.position : end]
        self.position = end + 1
        return line.decode("utf-8")

    # Operations

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _to_mark(self) -> list[Any]:
        items, self._stack = self._stack, self._marks.pop()
        return items

    def _mark(self) -> None:
        self._marks.append(self._stack)
        self._stack = []

    def _pop(self) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._to_mark()

    def _pop_mark(self) -> None:
        self._to_mark()

    def _integer(self, layout: str) -> None:
        data = self._sized(layout)
        if len(data) > MAX_INTEGER_BYTES:
            raise CheckpointError("The checkpoint holds an integer beyond any use.")
        self._push(int.from_bytes(data, "little", signed=True))

    def _text(self, layout: str) -> None:
        self._push(self._sized(layout).decode("utf-8", "surrogatepass"))

    def _tuple(self, count: int) -> None:
        if len(self._stack) < count:
            raise IndexError
        self._stack[-count:] = [tuple(self._stack[-count:])]

    def _get(self, layout: str) -> None:
        self._push(self._memo[self._number(layout)])

    def _put(self, layout: str) -> None:
        self._memo[self._number(layout)] = self._stack[-1]

    def _memoize(self) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _append(self, items: list[Any]) -> None:
        if type(self._stack[-1]) is not list:
            raise TypeError("append to no list")
        self._stack[-1].extend(items)

    def _add(self) -> None:
        items = self._to_mark()
        if type(self._stack[-1]) is not set:
            raise TypeError("add to no set")
        self._stack[-1].update(map(hashable, items))

    def _set_items(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, dict) or len(items) % 2:
            raise TypeError("items for no dict")
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[hashable(key)] = value

    def _global(self) -> None:
        module = self._line()
        self._push(named(module, self._line()))

    def _stack_global(self) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise TypeError("a global without a name")
        self._push(named(module, name))

    def _reduce(self) -> None:
        args, function = self._stack.pop(), self._stack.pop()
        if not isinstance(args, tuple) or not isinstance(function, Name):
            raise TypeError("a call of nothing")
        if function.path not in CALLS:
            raise CheckpointError(f"The checkpoint wants to call {function.path}; refused.")
        self._charge(args)
        self._push(CALLS[function.path](*args))

    def _charge(self, args: tuple[Any, ...]) -> None:
        """Counts what a call may copy."""
        sized = (list, tuple, set, dict, str, bytes, bytearray)
        self._copied += sum(len(argument) for argument in args if isinstance(argument, sized))
        if self._copied > MAX_COPIED:
            raise CheckpointError("The checkpoint's list of contents is longer than any model needs.")

    def _new_object(self) -> None:
        args, kind = self._stack.pop(), self._stack.pop()
        if not isinstance(kind, Name) or kind.path not in CREATES or args != ():
            path = kind.path if isinstance(kind, Name) else "something"
            raise CheckpointError(f"The checkpoint wants to create {path}; refused.")
        self._push(CALLS[kind.path]())

    def _build(self) -> None:
        """State of an object: kept for a Namespace, dropped (such as `_metadata`) for the others."""
        state, target = self._stack.pop(), self._stack[-1]
        if not isinstance(target, (dict, Opaque)):
            raise CheckpointError("The checkpoint wants to change a value that has no state; refused.")
        if isinstance(target, Attributes) and isinstance(state, dict):
            target.update(state)

    def _persistent(self) -> None:
        if self._storage is None:
            raise CheckpointError("The checkpoint refers to a storage that it does not have.")
        self._push(self._storage(self._stack.pop()))


def _constant(value: Any) -> Callable[[PickleReader], None]:
    return lambda reader: reader._push(value)


_Operation = Callable[[PickleReader], None]

_OPERATIONS: dict[bytes, _Operation] = {
    pickle.PROTO: lambda r: r._skip(1),
    pickle.FRAME: lambda r: r._skip(8),
    pickle.MARK: PickleReader._mark,
    pickle.POP: PickleReader._pop,
    pickle.POP_MARK: PickleReader._pop_mark,
    pickle.NONE: _constant(None),
    pickle.NEWTRUE: _constant(True),
    pickle.NEWFALSE: _constant(False),
    pickle.EMPTY_TUPLE: _constant(()),
    pickle.EMPTY_LIST: lambda r: r._push([]),
    pickle.EMPTY_DICT: lambda r: r._push({}),
    pickle.EMPTY_SET: lambda r: r._push(set()),
    pickle.BININT: lambda r: r._push(r._number("<i")),
    pickle.BININT1: lambda r: r._push(r._number("<B")),
    pickle.BININT2: lambda r: r._push(r._number("<H")),
    pickle.BINFLOAT: lambda r: r._push(r._number(">d")),
    pickle.LONG1: lambda r: r._integer("<B"),
    pickle.LONG4: lambda r: r._integer("<I"),
    pickle.SHORT_BINUNICODE: lambda r: r._text("<B"),
    pickle.BINUNICODE: lambda r: r._text("<I"),
    pickle.BINUNICODE8: lambda r: r._text("<Q"),
    pickle.SHORT_BINSTRING: lambda r: r._text("<B"),
    pickle.SHORT_BINBYTES: lambda r: r._push(r._sized("<B")),
    pickle.BINBYTES: lambda r: r._push(r._sized("<I")),
    pickle.BINBYTES8: lambda r: r._push(r._sized("<Q")),
    pickle.BYTEARRAY8: lambda r: r._push(bytearray(r._sized("<Q"))),
    pickle.TUPLE: lambda r: r._push(tuple(r._to_mark())),
    pickle.TUPLE1: lambda r: r._tuple(1),
    pickle.TUPLE2: lambda r: r._tuple(2),
    pickle.TUPLE3: lambda r: r._tuple(3),
    pickle.BINGET: lambda r: r._get("<B"),
    pickle.LONG_BINGET: lambda r: r._get("<I"),
    pickle.BINPUT: lambda r: r._put("<B"),
    pickle.LONG_BINPUT: lambda r: r._put("<I"),
    pickle.MEMOIZE: PickleReader._memoize,
    pickle.APPEND: lambda r: r._append([r._stack.pop()]),
    pickle.APPENDS: lambda r: r._append(r._to_mark()),
    pickle.ADDITEMS: PickleReader._add,
    pickle.SETITEM: lambda r: r._set_items([r._stack.pop(-2), r._stack.pop()]),
    pickle.SETITEMS: lambda r: r._set_items(r._to_mark()),
    pickle.GLOBAL: PickleReader._global,
    pickle.STACK_GLOBAL: PickleReader._stack_global,
    pickle.REDUCE: PickleReader._reduce,
    pickle.NEWOBJ: PickleReader._new_object,
    pickle.BUILD: PickleReader._build,
    pickle.BINPERSID: PickleReader._persistent,
}
