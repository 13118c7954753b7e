"""The monitor's state: rates, percentiles, resets, damage, what is asked of the board, and keys."""

from __future__ import annotations

import binascii
import struct

import pytest

from ftervit_deploy.cli.screen import bar, block, coloured, status_line
from ftervit_deploy.link import Frame, Guess, Parser, Prediction, Text
from ftervit_deploy.link.messages import Type
from ftervit_deploy.monitor import Action, Keys, Session, Watch, log_level, percentile, plain_text

ALL = 0b11111111


def _prediction(frame: int, microseconds: int = 1000) -> Prediction:
    return Prediction(frame, microseconds, (Guess(3, "three", 0.75), Guess(1, "one", 0.25)))


@pytest.mark.parametrize(("percent", "expected"), [(0, 1), (1, 1), (50, 50), (90, 90), (99, 99), (100, 100)])
def test_percentiles_are_nearest_ranks(percent: int, expected: int) -> None:
    assert percentile(list(range(100, 0, -1)), percent) == expected


def test_one_value_is_every_percentile() -> None:
    assert [percentile([7], p) for p in (0, 50, 99, 100)] == [7, 7, 7, 7]


def test_rate_and_latency_of_a_steady_board() -> None:
    watch = Watch()
    watch.connected()
    assert watch.view(0.0).frames_per_second is None
    assert watch.view(0.0).latency_us == ()
    for i in range(101):
        watch.prediction(_prediction(i, 1000 + i), i * 0.25)
    view = watch.view(25.0)
    assert view.frames_per_second == pytest.approx(4.0)
    assert view.latency_us == (1050, 1090, 1099)
    assert (view.predictions, view.prediction) == (101, _prediction(100, 1100))
    assert watch.view(100.0).frames_per_second is None, "nothing came in the last ten seconds"


def test_latencies_are_those_of_the_last_thousand() -> None:
    watch = Watch()
    for i in range(3000):
        watch.prediction(_prediction(i, 9 if i < 2000 else 5), i * 0.01)
    assert watch.view(30.0).latency_us == (5, 5, 5)


def test_a_reset_forgets_measurements_and_keeps_counts() -> None:
    watch = Watch()
    watch.connected()
    for i in range(3):
        watch.prediction(_prediction(i), float(i))
    watch.reset()
    view = watch.view(3.0)
    assert (view.latency_us, view.frames_per_second, view.top) == ((), None, ())
    assert (view.resets, view.predictions) == (1, 3)


def test_a_port_is_lost_once() -> None:
    watch = Watch()
    watch.connected()
    watch.lost()
    watch.lost()
    assert (watch.view(0.0).losses, watch.view(0.0).connected) == (1, False)


def test_a_damaged_prediction_is_text_and_counted() -> None:
    body = b'{"event":"prediction","frame":17,"microseconds":41,"top":[]'
    whole = b"@ftv " + body + b',"crc":"%08x"}\n' % binascii.crc32(body)
    parser, watch = Parser(), Watch()
    (good,) = parser.feed(whole)
    assert isinstance(good, Prediction)
    (bad,) = parser.feed(whole.replace(b"17", b"71"))
    assert isinstance(bad, Text)
    watch.text(bad)
    watch.text(Text("I (5) app: fine"))
    watch.damage(2)
    assert watch.view(0.0).damaged == 3


# ---- log lines ----


@pytest.mark.parametrize("level", "EWIDV")
def test_levels_of_the_log_are_known(level: str) -> None:
    assert log_level(f"{level} (4711) wifi: words") == level
    assert log_level(f"{level} (12:13:14.156) wifi: words") == level
    assert log_level(plain_text(f"\x1b[0;31m{level} (1) a: b\x1b[0m")) == level


def test_other_lines_have_no_level() -> None:
    assert [log_level(line) for line in ("", "I am", "X (1) a: b", "rst:0x1 (POWERON)")] == [""] * 4


def test_a_hostile_line_moves_no_cursor() -> None:
    assert "\x1b" not in coloured("I (1) x: \x1b[2J\x1b]0;title\x07 \x9b2J")


# ---- what is asked of the board ----


def _sent(data: bytes) -> list[Frame]:
    return [event for event in Parser().feed(data) if isinstance(event, Frame)]


def _hello(session: int, features: int = ALL) -> Frame:
    return Frame(0, Type.HELLO | 0x80, 1, session, struct.pack("<BBHHHII", 1, 0, 8, 1024, 0, features, 12))


def _error(code: int) -> Frame:
    return Frame(0, Type.ERROR, 2, 9, struct.pack("<HBBi", code, 5, 0, 0) + b"words")


def test_the_camera_is_switched_on_and_again_after_a_reset() -> None:
    session = Session(thumbnails=True)
    assert session.due(0.0) == b""
    session.start(0.0)
    assert [f.type for f in _sent(session.due(0.0))] == [Type.HELLO]
    assert session.due(0.1) == b""
    assert session.frame(_hello(9), 0.2) == (False, "")
    (camera,) = _sent(session.due(0.2))
    assert (camera.type, camera.session, camera.payload) == (Type.CAMERA, 9, bytes((1, 0, 0, 0)))
    session.frame(Frame(1, Type.CAMERA | 0x80, camera.id, 9), 0.3)
    (thumbnails,) = _sent(session.due(0.3))
    assert thumbnails.type == Type.THUMBNAILS
    session.frame(Frame(1, Type.THUMBNAILS | 0x80, thumbnails.id, 9), 0.4)
    assert session.due(0.5) == b""
    session.text(Text("I (24) boot: ESP-IDF v5.5"), 1.0)
    assert [f.type for f in _sent(session.due(1.0))] == [Type.HELLO]
    assert session.frame(_hello(10), 1.1)[0], "another session"
    assert [f.session for f in _sent(session.due(1.1))] == [10]
    assert [f.payload for f in _sent(session.goodbye())] == [bytes(4)]


def test_a_silent_board_is_asked_again_and_its_answer_tells_of_a_reset() -> None:
    session = Session(thumbnails=False)
    session.start(0.0)
    session.due(0.0)
    session.frame(_hello(9), 0.0)
    (camera,) = _sent(session.due(0.0))
    session.frame(Frame(1, Type.CAMERA | 0x80, camera.id, 9), 0.0)
    session.prediction(1.0)
    assert session.due(2.9) == b""
    assert [f.type for f in _sent(session.due(3.1))] == [Type.CAMERA]
    assert [f.type for f in _sent(session.due(4.2))] == [Type.CAMERA], "sent again"
    session.frame(_error(2), 4.3)
    assert [f.type for f in _sent(session.due(4.3))] == [Type.HELLO]


def test_a_line_without_a_board_of_ours_is_left_alone_after_six_seconds() -> None:
    session = Session(thumbnails=True)
    session.start(0.0)
    asked = [i for i in range(1000) if session.due(i * 0.1)]
    assert len(asked) == 12
    assert asked[-1] < 65


def test_a_board_without_a_camera_is_not_asked_to_look() -> None:
    session = Session(thumbnails=False)
    session.start(0.0)
    session.due(0.0)
    _, note = session.frame(_hello(9, ALL & ~(1 << 5)), 0.0)
    assert "no camera" in note
    assert not any(session.due(i * 0.1) for i in range(100))


def test_a_refusal_is_told_once() -> None:
    session = Session(thumbnails=False)
    session.start(0.0)
    session.due(0.0)
    session.frame(_hello(9), 0.0)
    session.due(0.0)
    assert "words" in session.frame(_error(8), 0.1)[1]
    assert not any(session.due(i * 0.1) for i in range(2, 100))


def test_nonsense_replies_change_nothing() -> None:
    session = Session(thumbnails=False)
    session.start(0.0)
    session.due(0.0)
    for frame in (
        Frame(0, Type.HELLO | 0x80, 1, 3, b"short"),
        Frame(0, Type.ERROR, 1, 3, b"x"),
        Frame(0, Type.HELLO, 1, 3, bytes(4)),
    ):
        assert session.frame(frame, 0.1) == (False, "")
    assert [f.type for f in _sent(session.due(0.6))] == [Type.HELLO]


# ---- keys ----


def test_keys_of_esp_idf() -> None:
    keys = Keys()
    assert keys.press("\x1d") is Action.QUIT
    for letter, action in (("h", Action.HELP), ("R", Action.RESET), ("y", Action.MUTE), ("x", Action.QUIT)):
        assert keys.press(letter) is None, "only in the menu"
        assert keys.press("\x14") is None
        assert keys.press(letter) is action
    assert [keys.press(key) for key in "\x14\x08"] == [None, Action.HELP], "Ctrl-H counts as H"
    assert [keys.press(key) for key in "\x14q\x00é"] == [None] * 4


def test_what_cannot_be_done_is_not_offered() -> None:
    keys = Keys(frozenset({Action.RESET, Action.LOG}))
    assert not any(word in "\n".join(keys.help()) for word in ("reset", "log"))
    assert [keys.press(key) for key in "\x14r\x14l"] == [None] * 4


# ---- the picture ----


def test_the_block_shows_classes_with_bars_and_the_numbers() -> None:
    watch = Watch()
    watch.connected()
    watch.prediction(_prediction(1, 412300), 0.0)
    lines = block(watch.view(0.0))
    assert lines[0].startswith("three ")
    assert " 75.0 %  ██" in lines[0]
    assert "p50 412.3, p90 412.3, p99 412.3 ms" in status_line(watch.view(0.0))
    assert all(len(line) < 80 for line in lines)
    assert (bar(0.0), len(bar(1.0)), len(bar(7.0))) == ("", 30, 30)
