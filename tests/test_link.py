"""The host's end of the line against boards that are mute, wrong, or no boards; and thumbnails."""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Callable

import numpy as np
import pytest

from ftervit_deploy.errors import LinkError
from ftervit_deploy.link import (
    BoardError,
    ErrorCode,
    Frame,
    Link,
    Parser,
    SerialStream,
    Text,
    Timing,
    choose_port,
    encode_frame,
    open_stream,
)
from ftervit_deploy.link.messages import ModelOnBoard, Pictures

BRIEF = Timing(reply_s=0.02, run_s=0.02, hello_s=0.02, tries=3, hello_tries=3)
HELLO = bytes.fromhex("01000800000400008f00000000000000")
Answer = Callable[[Frame], bytes]


class _Board:
    """A stream whose far end is a function from requests to bytes."""

    name, seconds_per_byte = "test", 0.0

    def __init__(self, answer: Answer) -> None:
        self._answer, self._parser, self._ready = answer, Parser(), b""
        self.heard: list[Frame] = []

    def read(self, timeout_s: float) -> bytes:
        data, self._ready = self._ready, b""
        return data

    def write(self, data: bytes) -> None:
        for frame in self._parser.feed(data):
            assert isinstance(frame, Frame)
            self.heard.append(frame)
            self._ready += self._answer(frame)

    def close(self) -> None:
        pass


def _reply(request: Frame, payload: bytes, kind: int | None = None) -> bytes:
    kind = request.type | 0x80 if kind is None else kind
    return encode_frame(Frame(request.version, kind, request.id, 7, payload))


def _after_hello(answer: Answer) -> _Board:
    return _Board(lambda frame: _reply(frame, HELLO) if frame.type == 1 else answer(frame))


def _info(request: Frame, text: bytes) -> bytes:
    kind, run, offset = struct.unpack("<HHI", request.payload)
    piece = text[offset : offset + 1012]
    return _reply(request, struct.pack("<HHII", kind, run, offset, len(text)) + piece)


INFO = json.dumps({"protocol": 1, "app": "x", "model": None, "model_error": "y" * 3000, "new": [1]}).encode()


def test_a_mute_board_and_a_line_of_garbage_are_told_apart() -> None:
    with pytest.raises(LinkError, match="says nothing"):
        Link(_Board(lambda _: b""), BRIEF).connect()
    with pytest.raises(LinkError, match="but no reply of a board") as caught:
        Link(_Board(lambda _: b"\x80\xfe~garbage|\n" * 50), BRIEF).connect()
    assert "baud" in caught.value.hint


def test_an_echo_is_no_answer() -> None:
    with pytest.raises(LinkError, match="but no reply of a board"):
        Link(_Board(encode_frame), BRIEF).connect()


def test_a_board_of_another_version_is_named_as_such() -> None:
    sentence = struct.pack("<HBBi", 1, 1, 0, 2) + b"the board speaks another version of the line protocol"
    with pytest.raises(BoardError, match="another version") as caught:
        Link(_Board(lambda frame: _reply(frame, sentence, 0xFF)), BRIEF).connect()
    assert (caught.value.code, caught.value.detail) == (ErrorCode.VERSION, 2)
    assert caught.value.hint


def test_an_error_that_only_later_versions_know_keeps_its_sentence() -> None:
    sentence = struct.pack("<HBBi", 4711, 3, 0, 0) + b"too hot"
    with pytest.raises(BoardError, match=r"too hot \(error 4711\)"):
        Link(_after_hello(lambda frame: _reply(frame, sentence, 0xFF)), BRIEF).info()


def test_a_long_description_is_read_in_pieces_and_unknown_members_do_not_matter() -> None:
    info = Link(_after_hello(lambda frame: _info(frame, INFO)), BRIEF).info()
    assert (info.app, info.version, info.model, info.model_error) == ("x", "unknown", None, "y" * 3000)


def test_lost_replies_are_asked_for_again() -> None:
    seen: dict[int, int] = {}

    def lossy(frame: Frame) -> bytes:
        seen[frame.id] = seen.get(frame.id, 0) + 1
        return _info(frame, INFO) if seen[frame.id] > frame.id % 2 else b""

    assert Link(_after_hello(lossy), BRIEF).info().app == "x"
    assert max(seen.values()) == 2


def test_a_board_that_falls_silent_is_named() -> None:
    board = _after_hello(lambda _: b"")
    with pytest.raises(LinkError, match="does not answer"):
        Link(board, BRIEF).info()
    assert [frame.type for frame in board.heard] == [1, 3, 3, 3]


class _Busy(_Board):
    """Works on each request for ten times the host's patience, and says so."""

    def __init__(self) -> None:
        super().__init__(lambda frame: _reply(frame, HELLO) if frame.type == 1 else b"")
        self._signs = 40

    def read(self, timeout_s: float) -> bytes:
        request = self.heard[-1]
        if request.type == 1:
            return super().read(timeout_s)
        time.sleep(BRIEF.run_s / 4)
        self._signs -= 1
        working = _reply(request, struct.pack("<HHII", 3, 0, 2, 0), 0xC0)
        return working if self._signs else _reply(request, bytes(12))


def test_a_board_at_work_is_waited_for_as_long_as_it_says_so() -> None:
    board = _Busy()
    assert Link(board, BRIEF).bench("linear_s8t2_ref", 1, 1).microseconds == 0
    assert [frame.type for frame in board.heard] == [1, 7], "and not asked again"


def test_a_board_that_resets_again_and_again_is_named() -> None:
    sentence = struct.pack("<HBBi", 2, 3, 0, 0) + b"the board was reset since the session began"
    with pytest.raises(BoardError, match="was reset") as caught:
        Link(_after_hello(lambda frame: _reply(frame, sentence, 0xFF)), BRIEF).info()
    assert "power" in caught.value.hint


WORDY = json.dumps({"model": dict.fromkeys(ModelOnBoard.__dataclass_fields__, "7")}).encode()
WRONG = {
    "another type": lambda frame: _reply(frame, b"", 0x87),
    "no payload": lambda frame: _reply(frame, b""),
    "another offset": lambda frame: _reply(frame, struct.pack("<HHII", 2, 0, 4, 9) + b"{}"),
    "no JSON": lambda frame: _info(frame, b"{"),
    "no object": lambda frame: _info(frame, b"[]"),
    "a model without sizes": lambda frame: _info(frame, b'{"model":{}}'),
    "nested without end": lambda frame: _info(frame, b'{"model":' + b"[" * 900_000),
    "a model with words for sizes": lambda frame: _info(frame, WORDY),
    "more than any board has": lambda frame: _reply(frame, struct.pack("<HHII", 2, 0, 0, 1 << 31) + b"{}"),
    "more than it said": lambda frame: _reply(frame, struct.pack("<HHII", 2, 0, 0, 1) + b"{}"),
    "pieces of nothing": lambda frame: _reply(frame, frame.payload + struct.pack("<I", 4000)),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_reply_that_is_not_as_specified_is_no_traceback(what: str) -> None:
    with pytest.raises(LinkError, match="not what the line protocol says"):
        Link(_after_hello(WRONG[what]), BRIEF).info()


@pytest.mark.parametrize("payload", [b"", bytes(16), HELLO[:2] + bytes(2) + HELLO[4:], HELLO + b"x"])
def test_a_senseless_hello_is_no_traceback(payload: bytes) -> None:
    with pytest.raises(LinkError, match="not what the line protocol says"):
        Link(_Board(lambda frame: _reply(frame, payload)), BRIEF).connect()


def test_lines_that_come_between_requests_and_replies_are_kept() -> None:
    link = Link(_after_hello(lambda frame: b"I (1) a\n" + _info(frame, INFO) + b"W (2) b\n"), BRIEF)
    link.info()
    lines = [event for event in link.events(0) if isinstance(event, Text)]
    assert [text.line for text in lines][:2] == ["I (1) a", "W (2) b"]


def test_pixels_of_another_size_are_refused_before_they_are_sent() -> None:
    hello = HELLO[:12] + (12).to_bytes(4, "little")
    with pytest.raises(LinkError, match="takes 12"):
        Link(_Board(lambda frame: _reply(frame, hello)), BRIEF).infer(np.zeros((4, 4, 3), np.uint8))


# ---- thumbnails ----


def _piece(offset: int, data: bytes, form: int = 1, frame: int = 1) -> bytes:
    return struct.pack("<IHHB3xI", frame, 2, 2, form, offset) + data


def test_a_thumbnail_is_put_together() -> None:
    pictures, data = Pictures(), bytes(range(12))
    assert pictures.add(_piece(0, data[:5])) is None
    thumbnail = pictures.add(_piece(5, data[5:]))
    assert thumbnail is not None
    assert thumbnail.pixels.tobytes() == data
    assert thumbnail.pixels.shape == (2, 2, 3)


def test_a_thumbnail_in_the_displays_colours_is_put_together() -> None:
    raw = struct.pack(">4H", 0xF800, 0x07E0, 0x001F, 0xFFFF)
    thumbnail = Pictures().add(_piece(0, raw, form=2))
    assert thumbnail is not None
    expected = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]
    assert thumbnail.pixels.reshape(4, 3).tolist() == expected


def test_a_thumbnail_that_lacks_a_piece_is_dropped() -> None:
    pictures, data = Pictures(), bytes(12)
    for piece in (
        b"",
        _piece(6, data[6:]),
        _piece(0, data[:5]),
        _piece(6, data[6:]),
        _piece(5, data[5:], frame=2),
    ):
        assert pictures.add(piece) is None
    assert pictures.add(_piece(0, data, form=9)) is None
    assert pictures.add(_piece(0, data)) is not None


def test_a_thumbnail_of_nothing_or_of_too_much_is_dropped() -> None:
    pictures = Pictures()
    assert pictures.add(struct.pack("<IHHB3xI", 1, 0, 5, 1, 0)) is None
    assert pictures.add(struct.pack("<IHHB3xI", 1, 65535, 65535, 1, 0) + bytes(12)) is None
    assert pictures.add(_piece(0, bytes(13))) is None
    for offset in (12, 13, 14):
        assert pictures.add(_piece(offset, b"x")) is None
    assert not pictures._data, "a board that goes on and on fills no memory"
    assert pictures.add(_piece(0, bytes(12))) is not None


# ---- ports ----


@pytest.mark.parametrize("url", ["/dev/no-such-port", "socket://127.0.0.1:1", "nonsense://x"])
def test_a_port_that_cannot_be_opened_is_named(url: str) -> None:
    with pytest.raises(LinkError, match=url):
        open_stream(url)


class _Port:
    def __init__(self, device: str, vid: int | None, pid: int | None) -> None:
        self.device, self.vid, self.pid, self.description = device, vid, pid, "a port"


def test_ports_are_never_guessed_among(monkeypatch: pytest.MonkeyPatch) -> None:
    own, bridge, built_in = _Port("A", 0x303A, 0x1001), _Port("B", 0x10C4, 0xEA60), _Port("S0", None, None)
    found: list[_Port] = []
    monkeypatch.setattr("serial.tools.list_ports.comports", lambda: found)
    assert choose_port("socket://x:1") == "socket://x:1"
    for ports, expected in (([bridge, built_in], "B"), ([own, bridge], "A")):
        found[:] = ports
        assert choose_port(None) == expected
    for ports, words in (([built_in], "There is no serial port"), ([own, own, bridge], "several")):
        found[:] = ports
        with pytest.raises(LinkError, match=words) as caught:
            choose_port(None)
        assert "B (" not in caught.value.hint


class _ModemPort:
    """What happens to the modem lines of a port, in order."""

    cts = True

    def __init__(self) -> None:
        object.__setattr__(self, "changes", [])

    def __setattr__(self, name: str, value: object) -> None:
        self.changes.append((name, value))


def test_a_hard_reset_pulls_en_low_and_leaves_the_boot_pin_alone() -> None:
    port = _ModemPort()
    stream = SerialStream(port, "/dev/ttyUSB0")
    assert stream.has_reset_line
    stream.hard_reset()
    assert port.changes == [("dtr", False), ("rts", True), ("rts", False)]


def test_a_socket_has_no_reset_line() -> None:
    assert not SerialStream(_ModemPort(), "socket://127.0.0.1:1").has_reset_line
