"""What requests and replies carry: sections 4 and 5 of LINE_PROTOCOL.md."""

from __future__ import annotations

import enum
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import LinkError
from .frames import Frame

VERSION = 1
REPLY = 0x80


class Type(enum.IntEnum):
    """Types of frames; the reply to a request has REPLY added."""

    HELLO = 0x01
    PUT = 0x02
    GET = 0x03
    RUN = 0x04
    CAMERA = 0x05
    THUMBNAILS = 0x06
    BENCH = 0x07
    WORKING = 0xC0
    THUMBNAIL = 0xC1
    ERROR = 0xFF


class Kind(enum.IntEnum):
    """What PUT writes and GET reads."""

    PIXELS = 1
    INFO = 2
    LABELS = 3
    LOGITS = 4
    SITES = 5


MOST_PICTURE_BYTES = 1 << 24
"""No camera's thumbnail is larger."""
DIGESTS, TIMES = 1, 2
"""Flags of RUN."""

PUT_HEADER = struct.Struct("<II")
GET_REQUEST = struct.Struct("<HHI")
GET_HEADER = struct.Struct("<HHII")
RUN_REQUEST = struct.Struct("<II")
_HELLO = struct.Struct("<BBHHHII")
_RUN = struct.Struct("<IIIHH")
_GUESS = struct.Struct("<HH")
_SITE = struct.Struct("<HHIII")
_BENCH = struct.Struct("<III")
_ERROR = struct.Struct("<HBBi")
_THUMBNAIL = struct.Struct("<IHHB3xI")


@dataclass(frozen=True)
class Hello:
    """How to talk to this board.

    Attributes:
        version: of the protocol.
        window: requests that may wait for their replies at once.
        max_payload_bytes: of a frame, both ways.
        session: echoed in every request; another after a reset.
        features: the requests that this board can serve.
        pixels_bytes: size of the model's input; 0 without a model.
    """

    version: int
    window: int
    max_payload_bytes: int
    session: int
    features: frozenset[Type]
    pixels_bytes: int


def read_hello(frame: Frame) -> Hello:
    """From the reply to HELLO."""
    version, _, window, payload, _, bits, pixels = _unpack(_HELLO, frame.payload)
    features = frozenset(kind for kind in Type if kind < 32 and bits >> kind & 1)
    if payload < 256 or window < 1:
        raise malformed("HELLO")
    return Hello(version, window, payload, frame.session, features, pixels)


@dataclass(frozen=True)
class ModelOnBoard:
    """The model that a board runs; `sha256` is the hash in the image's header."""

    sha256: str
    encoding: str
    numerics: int
    image_size: int
    classes: int
    depth: int


@dataclass(frozen=True)
class BoardInfo:
    """A board's description of itself.

    Attributes:
        record: the whole JSON object.
        model: None where it has none; `model_error` says why.
    """

    record: Mapping[str, Any] = field(repr=False)
    app: str
    version: str
    board: str
    model: ModelOnBoard | None
    model_error: str


def read_info(text: bytes) -> BoardInfo:
    """From the JSON that GET(INFO) reads."""
    try:
        record = json.loads(text)
        model = record["model"]
        known = None if model is None else _model(model)
        words = {name: str(record.get(name, "unknown")) for name in ("app", "version", "board")}
        return BoardInfo(record, **words, model=known, model_error=str(record.get("model_error", "")))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise malformed("INFO") from None


def _model(record: Any) -> ModelOnBoard:
    fields = {name: record[name] for name in ModelOnBoard.__dataclass_fields__}
    for name, value in fields.items():
        if type(value) is not (str if name in ("sha256", "encoding") else int):
            raise ValueError(name)
    return ModelOnBoard(**fields)


@dataclass(frozen=True)
class RunReply:
    """What a run came to; its results are read by GET."""

    microseconds: int
    logits_crc32: int
    classes: int
    sites: int
    top: tuple[tuple[int, float], ...]


def read_run(payload: bytes) -> RunReply:
    """From the reply to RUN."""
    microseconds, crc, classes, sites, count = _unpack(_RUN, payload[: _RUN.size])
    rest = payload[_RUN.size :]
    if len(rest) != count * _GUESS.size:
        raise malformed("RUN")
    top = tuple((index, share / 10000) for index, share in _GUESS.iter_unpack(rest))
    return RunReply(microseconds, crc, classes, sites, top)


@dataclass(frozen=True)
class SiteRecord:
    """What a run recorded at one site; block -1 outside blocks; 0 for what was not asked for."""

    site: int
    block: int
    values: int
    crc32: int
    microseconds: int


def read_sites(data: bytes) -> tuple[SiteRecord, ...]:
    """From what GET(SITES) reads."""
    rows = _SITE.iter_unpack(data)
    return tuple(SiteRecord(s, -1 if b == 0xFFFF else b, n, crc, us) for s, b, n, crc, us in rows)


@dataclass(frozen=True)
class Inference:
    """One image through the model on the board.

    Attributes:
        logits: int32 [classes], Q16.
        microseconds: from pixels to logits, by the board's clock.
        top: (class index, probability 0 to 1) by the board, best first.
        sites: in the order in which the model passes them; empty unless asked for.
    """

    logits: npt.NDArray[np.int32]
    microseconds: int
    top: tuple[tuple[int, float], ...]
    sites: tuple[SiteRecord, ...] = ()


@dataclass(frozen=True)
class BenchResult:
    """A kernel's time for all repetitions; `cycles` 0 where the board does not count them."""

    microseconds: int
    cycles: int
    crc32: int


def read_bench(payload: bytes) -> BenchResult:
    """From the reply to BENCH."""
    return BenchResult(*_unpack(_BENCH, payload))


def read_error(payload: bytes) -> tuple[int, int, str]:
    """(code, detail, sentence) of an error reply."""
    code, _, _, detail = _unpack(_ERROR, payload[: _ERROR.size])
    return code, detail, payload[_ERROR.size :].decode("utf-8", "replace")


@dataclass(frozen=True)
class Thumbnail:
    """A picture that the board's camera saw: uint8 [height, width, 3], RGB."""

    frame: int
    pixels: npt.NDArray[np.uint8]


class Pictures:
    """Puts thumbnails together; one that lacks a piece is dropped."""

    def __init__(self) -> None:
        self._head: tuple[int, ...] = ()
        self._data = bytearray()

    def add(self, payload: bytes) -> Thumbnail | None:
        """Take a THUMBNAIL frame's payload; the picture that it completes."""
        if len(payload) < _THUMBNAIL.size:
            return None
        *head, offset = _THUMBNAIL.unpack_from(payload)
        if offset == 0:
            self._head, self._data = tuple(head), bytearray()
        if tuple(head) != self._head or offset != len(self._data):
            return None
        self._data += payload[_THUMBNAIL.size :]
        return self._finished()

    def _finished(self) -> Thumbnail | None:
        frame, width, height, form = self._head
        size = {1: 3, 2: 2}.get(form, 0)
        total = width * height * size
        if not 0 < total <= MOST_PICTURE_BYTES or len(self._data) > total:
            self._head, self._data = (), bytearray()  # what follows is none of it
            return None
        if len(self._data) < total:
            return None
        raw = np.frombuffer(bytes(self._data), np.uint8 if size == 3 else ">u2")
        self._head, self._data = (), bytearray()
        pixels = raw.reshape(height, width, 3) if size == 3 else _from_rgb565(raw.reshape(height, width))
        return Thumbnail(frame, pixels)


def _from_rgb565(raw: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    red, green, blue = raw >> 11, raw >> 5 & 63, raw & 31
    scaled = [red << 3 | red >> 2, green << 2 | green >> 4, blue << 3 | blue >> 2]
    return np.stack(scaled, axis=-1).astype(np.uint8)


def _unpack(layout: struct.Struct, payload: bytes) -> tuple[Any, ...]:
    if len(payload) != layout.size:
        raise malformed("reply")
    return layout.unpack(payload)


def malformed(what: str) -> LinkError:
    """A reply that is intact on the line but not what the protocol says."""
    return LinkError(
        f"The board's {what} is not what the line protocol says.", "Flash an app of this version of ftervit."
    )
