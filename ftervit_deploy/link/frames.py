"""Bytes of the line into text lines, predictions and frames, and frames into bytes.

Sections 1 to 3 of LINE_PROTOCOL.md. Feeding never fails, whatever the bytes are: what is no whole, intact
frame is text.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

MAX_PAYLOAD_BYTES = 4096
MAX_TEXT_BYTES = 4096
"""A longer line of text comes in pieces."""
HEADER = struct.Struct("<BBHHH")
CRC = struct.Struct("<I")

_Z85 = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
_B85 = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~"
_TO_Z85, _FROM_Z85 = bytes.maketrans(_B85, _Z85), bytes.maketrans(_Z85, _B85)
_OUTSIDE = re.compile(rb"[^" + re.escape(_Z85) + rb"]")
_MARKS = re.compile(rb"([~|\n])")
_PREDICTION = re.compile(rb'^(\{"event":"prediction".*),"crc":"([0-9a-f]{8})"\}$')
_PREFIX = b"@ftv "


@dataclass(frozen=True)
class Frame:
    """One frame, valid to the last bit; `type` as in section 4 of LINE_PROTOCOL.md."""

    version: int
    type: int
    id: int
    session: int
    payload: bytes = b""


@dataclass(frozen=True)
class Text:
    """A line of text without its end, or a piece of one: a log line, or what noise made."""

    line: str


@dataclass(frozen=True)
class Guess:
    """One class and its probability (0 to 1)."""

    index: int
    label: str
    probability: float


@dataclass(frozen=True)
class Prediction:
    """What the board saw on camera frame `frame`, best class first; `microseconds` from pixels to logits."""

    frame: int
    microseconds: int
    top: tuple[Guess, ...]


Event = Frame | Text | Prediction


def encode_frame(frame: Frame) -> bytes:
    """A frame's text, with start, stop and line end."""
    header = HEADER.pack(frame.version, frame.type, frame.id, len(frame.payload), frame.session)
    body = header + frame.payload + b"\0" * (-len(frame.payload) % 4)
    text = base64.b85encode(body + CRC.pack(binascii.crc32(body))).translate(_TO_Z85)
    return b"~" + text + b"|\r\n"


def decode_frame(text: bytes) -> Frame | None:
    """The frame between start and stop character; None where there is none."""
    binary = _binary(text)
    if len(text) % 5 or binary is None or len(binary) < HEADER.size + CRC.size:
        return None
    version, kind, number, length, session = HEADER.unpack_from(binary)
    body, end = binary[: -CRC.size], HEADER.size + length
    if len(body) != end + -length % 4 or any(body[end:]):
        return None
    if CRC.unpack(binary[-CRC.size :])[0] != binascii.crc32(body):
        return None
    return Frame(version, kind, number, session, body[HEADER.size : end])


def _binary(text: bytes) -> bytes | None:
    """What the whole groups of five characters stand for; None if one is not in Z85 or beyond 32 bits."""
    if _OUTSIDE.search(text):
        return None
    try:
        return base64.b85decode(text[: len(text) // 5 * 5].translate(_FROM_Z85))
    except ValueError:
        return None


def text_bytes(payload_bytes: int) -> int:
    """Characters of a frame with that payload (FTV_FRAME_TEXT_BYTES)."""
    return (HEADER.size + CRC.size + payload_bytes + -payload_bytes % 4) // 4 * 5 + 4


@dataclass
class Parser:
    """Takes the stream in pieces of any size; the events do not depend on where it was cut.

    Attributes:
        frames: frames found so far.
        damaged: what stopped like a frame but is none.
    """

    max_payload_bytes: int = MAX_PAYLOAD_BYTES
    frames: int = 0
    damaged: int = 0
    _text: bytearray = field(default_factory=bytearray)
    _candidate: bytearray | None = None
    _after_frame: bool = False

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes."""
        return [event for piece in _MARKS.split(data) if piece for event in self._take(piece)]

    def _take(self, piece: bytes) -> Iterator[Event]:
        if piece == b"~":
            yield from self._give_up()
            self._candidate = bytearray()
        elif piece == b"\n":
            yield from self._give_up()
            yield from self._end_line()
        elif self._candidate is None:
            yield from self._add_text(piece)
        elif piece == b"|":
            yield from self._stop()
        else:
            self._candidate += piece
            if len(self._candidate) > text_bytes(self.max_payload_bytes) or _OUTSIDE.search(piece):
                yield from self._give_up()

    def _stop(self) -> Iterator[Event]:
        text = bytes(self._candidate or b"")
        frame = decode_frame(text)
        if frame is None or len(frame.payload) > self.max_payload_bytes:
            self.damaged += len(_binary(text) or b"") >= HEADER.size + CRC.size
            yield from self._give_up()
            yield from self._add_text(b"|")
            return
        self.frames += 1
        self._candidate = None
        if self._text:
            yield from self._end_line()
        self._after_frame = True
        yield frame

    def _give_up(self) -> Iterator[Event]:
        """What looked like a frame is text."""
        if self._candidate is not None:
            text, self._candidate = b"~" + bytes(self._candidate), None
            yield from self._add_text(text)

    def _add_text(self, piece: bytes) -> Iterator[Event]:
        self._text += piece
        while len(self._text) > MAX_TEXT_BYTES:
            yield _as_text(bytes(self._text[:MAX_TEXT_BYTES]))
            del self._text[:MAX_TEXT_BYTES]

    def _end_line(self) -> Iterator[Event]:
        line = bytes(self._text).rstrip(b"\r")
        ends_frame, self._after_frame = self._after_frame, False
        self._text.clear()
        if line or not ends_frame:
            yield from _read_line(line)


def _read_line(line: bytes) -> Iterator[Event]:
    """A prediction, with what stands before it on its line; else the line as it is."""
    before, prefix, rest = line.rpartition(_PREFIX)
    prediction = parse_prediction(rest) if prefix else None
    if prediction is None:
        yield _as_text(line)
        return
    if before:
        yield _as_text(before)
    yield prediction


def parse_prediction(text: bytes) -> Prediction | None:
    """The JSON object of a prediction; None where it is none, or damaged."""
    found = _PREDICTION.match(text)
    if found is None or int(found[2], 16) != binascii.crc32(found[1]):
        return None
    try:
        record = json.loads(text)
        top = tuple(_guess(guess) for guess in record["top"])
        return Prediction(_count(record["frame"]), _count(record["microseconds"]), top)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _guess(record: Any) -> Guess:
    label, probability = record["label"], record["probability"]
    if not isinstance(label, str) or not isinstance(probability, (int, float)) or not 0 <= probability <= 1:
        raise ValueError(record)
    return Guess(_count(record["index"]), label, probability)


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(value)
    return value


def _as_text(line: bytes) -> Text:
    return Text(line.decode("utf-8", "replace"))
