"""torch's file formats, read without torch: the zip of today and the plain stream of before 1.6."""

from __future__ import annotations

import copy
import io
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from ..errors import CheckpointError
from .pickles import PickleReader
from .tensors import Array, ByteOrder, Storage, decode, item_bytes
from .torchglobals import UNTYPED, UntypedStorage, storage_dtype

ZIP_MAGIC = b"PK\x03\x04"
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001

MAX_CONTENTS_BYTES = 64 << 20
"""The pickle that lists the tensors; that of a deit_small takes 50 KB."""
MAX_INFLATED_BYTES = 256 << 20
"""One compressed storage; torch itself never compresses."""
SLACK_BYTES = 16
"""A storage may hold a part of a value more than its tensors need."""
MAX_ENTRIES = 200_000

_LEGACY_START = re.compile(rb"\x80[\x02-\x05](\x8a\x0a|\x95)", re.DOTALL)
"""A pickle of protocol 2 to 5 that begins with an integer of ten bytes."""

_BROKEN_ZIP = (
    zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError,
    KeyError, IndexError, struct.error, OSError, OverflowError,
)  # fmt: skip


def is_torch_file(start: bytes) -> bool:
    """Whether a file with these first bytes (at least 4) is one that `TorchFile` reads."""
    return start.startswith(ZIP_MAGIC) or _LEGACY_START.match(start) is not None


class TorchFile:
    """An open .pth; its tensors can be read until it is closed.

    Attributes:
        contents: what `torch.load` would return, with `StridedTensor` for tensors.
    """

    def __init__(self, path: Path) -> None:
        """Opens the file and reads its contents, not its tensors' values.

        Raises:
            CheckpointError: no torch file, damaged, or it wants to run code.
            OSError: the file cannot be read.
        """
        self._file: IO[bytes] = path.open("rb")
        try:
            is_zip = self._file.read(4) == ZIP_MAGIC
            self._file.seek(0)
            self.contents: Any = _read_zip(self._file) if is_zip else _read_legacy(self._file)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> TorchFile:
        return self

    def __exit__(self, *_error: object) -> None:
        self._file.close()


def _read_zip(file: IO[bytes]) -> Any:
    try:
        archive = zipfile.ZipFile(file)
    except _BROKEN_ZIP as error:
        raise CheckpointError(
            "The checkpoint is cut short or damaged: its zip archive has no end."
        ) from error
    return _Archive(archive, file.seek(0, io.SEEK_END)).contents()


class _Archive:
    """torch's layout of a zip: ROOT/data.pkl lists the contents, ROOT/data/KEY holds each storage."""

    def __init__(self, archive: zipfile.ZipFile, size: int) -> None:
        names = archive.namelist()
        if len(names) > MAX_ENTRIES or len(set(names)) != len(names):
            raise CheckpointError("The checkpoint's zip archive names entries twice, or absurdly many.")
        self._zip = archive
        self._size = size
        self._root = _root(names)
        self._order = self._byte_order()
        self._storages: dict[str, Storage | UntypedStorage] = {}
        self._latest: tuple[str, bytes] = ("", b"")

    def contents(self) -> Any:
        return PickleReader(self._entry("data.pkl", MAX_CONTENTS_BYTES), storage=self._storage).load()

    def _byte_order(self) -> ByteOrder:
        if f"{self._root}/byteorder" not in self._zip.NameToInfo:
            return "<"
        order = self._entry("byteorder", 16)
        if order not in (b"little", b"big"):
            raise CheckpointError("The checkpoint states no known byte order.")
        return "<" if order == b"little" else ">"

    def _entry(self, name: str, limit: int) -> bytes:
        """The bytes of an entry, refused if it claims more than `limit` or than the file can hold."""
        try:
            info = self._zip.NameToInfo[f"{self._root}/{name}"]
            stored = info.compress_type == zipfile.ZIP_STORED
            if info.file_size > (min(limit, self._size) if stored else min(limit, MAX_INFLATED_BYTES)):
                raise CheckpointError(f"The checkpoint's entry {name[:100]} claims {info.file_size} bytes.")
            with self._zip.open(_without_empty_checksum(info)) as entry:
                data = entry.read(info.file_size)
        except _BROKEN_ZIP as error:
            raise CheckpointError(f"The checkpoint's entry {name[:100]!r} is missing or damaged.") from error
        if len(data) != info.file_size:
            raise CheckpointError(f"The checkpoint's entry {name[:100]!r} is cut short.")
        return data

    def _storage(self, identity: Any) -> Storage | UntypedStorage:
        """Persistent id: ("storage", class, key, device, number of values); the first mention decides."""
        tag, kind, key, _device, count = identity
        dtype = _checked(tag, kind, key, count)
        if key not in self._storages:
            self._storages[key] = _lazy(dtype, count, lambda limit: self._bytes(key, limit), self._order)
        return self._storages[key]

    def _bytes(self, key: str, limit: int) -> bytes:
        """A storage's bytes; the latest stays, because neighbouring tensors often share one."""
        if self._latest[0] != key:
            self._latest = (key, self._entry(f"data/{key}", min(limit, MAX_INFLATED_BYTES)))
        return self._latest[1]


def _without_empty_checksum(info: zipfile.ZipInfo) -> zipfile.ZipInfo:
    """A copy without the checksum 0, which torch writes where it was told to compute none."""
    if info.CRC == 0 and info.file_size:
        info = copy.copy(info)
        del info.CRC
    return info


def _root(names: list[str]) -> str:
    """The folder that holds data.pkl."""
    roots = [name.split("/")[0] for name in names if name.count("/") == 1 and name.endswith("/data.pkl")]
    if any(name.count("/") == 1 and name.endswith("/constants.pkl") for name in names):
        raise CheckpointError(
            "The file is a TorchScript program, not a checkpoint.",
            "Save its weights: torch.save(model.state_dict(), path).",
        )
    if len(roots) != 1:
        raise CheckpointError("The file is a zip archive, but not one that torch.save wrote.")
    return roots[0]


def _checked(tag: Any, kind: Any, key: Any, count: Any) -> str:
    """The dtype that a persistent id states."""
    dtype = storage_dtype(kind)
    if tag != "storage" or dtype is None or type(key) is not str:
        raise CheckpointError("The checkpoint refers to a storage of an unknown kind.")
    if type(count) is not int or not 0 <= count < 2**48:
        raise CheckpointError(f"The checkpoint's storage {key[:50]} claims an impossible size.")
    return dtype


def _lazy(
    dtype: str, count: int, read: Callable[[int], bytes], byte_order: ByteOrder
) -> Storage | UntypedStorage:
    """A storage whose bytes come from `read`, called with the number of bytes needed."""

    def typed(name: str, values: int) -> Storage:
        def load() -> Array:
            needed = values * item_bytes(name)
            data = read(needed)
            if len(data) < needed:
                raise CheckpointError("The checkpoint's storages are cut short.")
            return decode(data[:needed] if len(data) > needed else data, name, byte_order)

        return Storage(name, values, load)

    if dtype == UNTYPED:
        return UntypedStorage(lambda name: typed(name, count // item_bytes(name)))
    return typed(dtype, count)


def _read_legacy(file: IO[bytes]) -> Any:
    """Five pickles (magic, protocol, system, contents, order of storages), then the storages' bytes."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    data = file.read(min(size, MAX_CONTENTS_BYTES))
    offsets: dict[str, tuple[int, int]] = {}
    found: dict[str, tuple[Storage | UntypedStorage, int]] = {}

    def storage(identity: Any) -> Storage | UntypedStorage:
        tag, kind, key, _device, count, view = identity
        if view is not None:
            raise CheckpointError(
                "The checkpoint was written by a very old torch.", "Load it with torch and save it again."
            )
        dtype = _checked(tag, kind, key, count)
        if key not in found:
            found[key] = (_lazy(dtype, count, lambda limit: _slice(file, offsets, key, limit), "<"),
                          count * (1 if dtype == UNTYPED else item_bytes(dtype)))  # fmt: skip
        return found[key][0]

    position = _legacy_header(data)
    contents, position = _next(data, position, storage)
    order, position = _next(data, position)
    offsets.update(_legacy_offsets(file, order, {key: value[1] for key, value in found.items()}, position))
    return contents


def _legacy_header(data: bytes) -> int:
    """Where the contents start."""
    magic, position = _next(data, 0)
    protocol, position = _next(data, position)
    system, position = _next(data, position)
    if magic != LEGACY_MAGIC or protocol != LEGACY_PROTOCOL:
        raise CheckpointError("The file is a pickle, but not a checkpoint that torch.save wrote.")
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise CheckpointError(
            "The checkpoint was written on a big-endian machine.", "Load it with torch and save it again."
        )
    return position


def _next(data: bytes, position: int, storage: Callable[[Any], Any] | None = None) -> tuple[Any, int]:
    reader = PickleReader(data, position, storage)
    return reader.load(), reader.position


def _legacy_offsets(
    file: IO[bytes], order: Any, sizes: dict[str, int], position: int
) -> dict[str, tuple[int, int]]:
    """(offset, bytes) of every storage; each is a 64-bit count of values, then the values."""
    known = isinstance(order, list) and all(isinstance(key, str) for key in order)
    if not known or sorted(order) != sorted(sizes):
        raise CheckpointError("The checkpoint's list of storages is damaged.")
    offsets = {}
    for key in order:
        offsets[key] = (position + 8, sizes[key])
        position += 8 + sizes[key]
    if position > file.seek(0, io.SEEK_END):
        raise CheckpointError("The checkpoint is cut short.")
    return offsets


def _slice(file: IO[bytes], offsets: dict[str, tuple[int, int]], key: str, limit: int) -> bytes:
    offset, size = offsets[key]
    file.seek(offset)
    return file.read(min(size, limit))
