"""Requests byte by byte: what a board answers to each, right or wrong, alone or several at once."""

from __future__ import annotations

import binascii
import struct
from collections.abc import Iterator

import pytest
from engine_cases import noise
from line_board import Board, running_board
from line_talk import Talk

from ftervit_deploy.architecture import Architecture
from ftervit_deploy.image import write_image
from ftervit_deploy.link import ErrorCode, Frame
from ftervit_deploy.lower import lower
from synthetic import random_graph

SHAPE = Architecture(16, 8, 16, 1, 1, 16, 3)
PIXELS = noise(SHAPE).tobytes()
PUT, GET, RUN = 2, 3, 4


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    path = tmp_path_factory.mktemp("requests") / "model.ftv"
    path.write_bytes(write_image(lower(random_graph(SHAPE, 1)), "t2"))
    with running_board("--tcp", 0, path) as board:
        yield board


@pytest.fixture
def talk(board: Board) -> Iterator[Talk]:
    talk = Talk(board)
    yield talk
    talk.stream.close()


def _put(offset: int, data: bytes) -> bytes:
    return struct.pack("<II", 1, offset) + data


def _run(flags: int = 0, crc: int | None = None) -> bytes:
    return struct.pack("<II", flags, binascii.crc32(PIXELS) if crc is None else crc)


def _get(kind: int, run: int = 0, offset: int = 0) -> bytes:
    return struct.pack("<HHI", kind, run, offset)


def test_requests_before_the_first_reply_are_answered_in_their_order(talk: Talk) -> None:
    half = len(PIXELS) // 2
    requests = [
        Frame(1, PUT, 11, talk.session, _put(half, PIXELS[half:])),
        Frame(1, PUT, 12, talk.session, _put(0, PIXELS[:half])),
        Frame(1, RUN, 13, talk.session, _run()),
        Frame(1, GET, 14, talk.session, _get(4, run=13)),
        Frame(1, GET, 15, talk.session, _get(2)),
    ]
    talk.send(*requests)
    replies = talk.hear(5)
    assert [(r.type, r.id, r.session) for r in replies] == [
        (f.type | 0x80, f.id, talk.session) for f in requests
    ]
    assert replies[2].payload[4:8] == struct.pack("<I", binascii.crc32(replies[3].payload[12:]))


def test_a_run_asked_for_again_is_answered_without_running(talk: Talk) -> None:
    talk.ask(1, PUT, _put(0, PIXELS))
    first = talk.ask(1, RUN, _run(2))
    talk.ask(1, PUT, _put(0, bytes(4)))
    assert talk.ask(1, RUN, _run(2)) == first, "microseconds and all"
    assert talk.refused(1, RUN, _run(0)) == ErrorCode.CHECKSUM


def test_another_version_is_refused_in_words_that_every_version_reads(talk: Talk) -> None:
    assert talk.refused(0, 1, bytes((2, 9, 0, 0)), session=0) == ErrorCode.VERSION
    assert talk.refused(2, GET, _get(2)) == ErrorCode.VERSION
    assert talk.ask(0, 1, bytes((0, 9, 0, 0)), session=0).payload[0] == 1


def test_a_request_of_another_session_is_refused(talk: Talk) -> None:
    assert talk.refused(1, GET, _get(2), session=talk.session ^ 1) == ErrorCode.SESSION
    assert talk.refused(1, GET, _get(2), session=0) == ErrorCode.SESSION


@pytest.mark.parametrize(
    ("kind", "payload", "code"),
    [
        (0x08, b"", ErrorCode.REQUEST),
        (0x7F, bytes(1024), ErrorCode.REQUEST),
        (0x01, bytes(4), ErrorCode.REQUEST),
        (PUT, b"", ErrorCode.PAYLOAD),
        (PUT, struct.pack("<II", 2, 0), ErrorCode.PAYLOAD),
        (PUT, _put(len(PIXELS) - 3, bytes(4)), ErrorCode.RANGE),
        (PUT, _put(0xFFFFFFFF, bytes(4)), ErrorCode.RANGE),
        (GET, b"", ErrorCode.PAYLOAD),
        (GET, _get(1), ErrorCode.PAYLOAD),
        (GET, _get(99), ErrorCode.PAYLOAD),
        (GET, _get(2, offset=0x7FFFFFFF), ErrorCode.RANGE),
        (GET, _get(3, offset=0xFFFFFFFF), ErrorCode.RANGE),
        (GET, _get(4), ErrorCode.NO_RESULT),
        (GET, _get(5, run=77), ErrorCode.NO_RESULT),
        (GET, _get(4, offset=2), ErrorCode.PAYLOAD),
        (RUN, b"", ErrorCode.PAYLOAD),
        (RUN, _run(4), ErrorCode.PAYLOAD),
        (RUN, _run(crc=1), ErrorCode.CHECKSUM),
        (0x05, b"", ErrorCode.PAYLOAD),
        (0x05, bytes((2, 0, 0, 0)), ErrorCode.PAYLOAD),
        (0x05, bytes((1, 0, 0, 0)), ErrorCode.ABSENT),
        (0x06, b"\1", ErrorCode.PAYLOAD),
        (0x06, bytes(4), ErrorCode.ABSENT),
        (0x07, bytes(12), ErrorCode.PAYLOAD),
        (0x07, struct.pack("<III", 1, 1, 0) + b"x", ErrorCode.PAYLOAD),
        (0x07, struct.pack("<III", 1, 1, 1) + b"x", ErrorCode.ABSENT),
    ],
)
def test_a_wrong_request_has_its_code(talk: Talk, kind: int, payload: bytes, code: ErrorCode) -> None:
    assert talk.refused(1, kind, payload) == code


def test_echoes_and_requests_without_an_id_are_passed_over(talk: Talk) -> None:
    talk.send(Frame(1, GET | 0x80, 5, talk.session), Frame(1, GET, 0, talk.session, _get(2)))
    talk.send(Frame(1, GET, 6, talk.session, _get(2)))
    assert [frame.id for frame in talk.hear(2, timeout_s=0.3)] == [6]


def test_garbage_and_log_lines_before_a_request_do_not_matter(talk: Talk) -> None:
    talk.stream.write(bytes(range(256)) * 20 + b"~~~I (1) log |")
    assert talk.ask(1, GET, _get(2)).type == GET | 0x80
