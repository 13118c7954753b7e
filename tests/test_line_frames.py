"""Frames: C and Python agree on every byte, and nothing but whole, intact frames is ever delivered."""

from __future__ import annotations

import json
import random
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from c_compiler import ROOT, SANITIZERS, build, compiler
from hypothesis import given, settings
from hypothesis import strategies as st
from line_board import LINE_INCLUDE
from line_proxy import LOG, Damage, flips, log_lines, losses

from ftervit_deploy.link import Event, Frame, Parser, Prediction, Text, encode_frame
from ftervit_deploy.link.frames import HEADER, text_bytes

GOLDEN = ROOT / "tests" / "golden" / "line_frames.json"
CAPACITY = 1036
"""Bytes of a board's decoder: payloads up to 1024."""
VECTORS = (
    Frame(0, 0x01, 1, 0, bytes((1, 1, 0, 0))),
    Frame(0, 0x81, 1, 0xBEEF, bytes.fromhex("01000800000400008f00000000300000")),
    Frame(1, 0x05, 0xFFFF, 0x1234),
    Frame(1, 0x02, 2, 0xFFFF, bytes(range(251))),
    Frame(0, 0xFF, 7, 1, b"\x08\0\x05\0\0\0\0\0not on this board"),
    Frame(255, 255, 255, 255, b"\xff" * 1024),
    Frame(1, 0xC1, 0, 1, b"~|\r\n\0"),
)

frames = st.builds(
    Frame,
    st.integers(0, 255),
    st.integers(0, 255),
    st.integers(0, 65535),
    st.integers(0, 65535),
    st.binary(max_size=80),
)
log_text = st.text(st.characters(codec="utf-8", exclude_characters="~|\r\n\ufffd"), min_size=1, max_size=40)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """line_frames.c under the sanitizers."""
    sources = tuple(
        ROOT / name
        for name in ("tests/c/line_frames.c", "c_runtime/line/ftv_frame.c", "c_runtime/line/ftv_crc32.c")
    )
    output = tmp_path_factory.mktemp("frames") / "line_frames"
    return build(compiler(), output, sources, LINE_INCLUDE, *SANITIZERS)


def _run(program: Path, data: bytes, *arguments: str) -> bytes:
    done = subprocess.run((program, *arguments), input=data, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()[-4000:]
    return done.stdout


def _record(frame: Frame) -> bytes:
    fields = (frame.version, frame.type, frame.id, len(frame.payload), frame.session)
    return HEADER.pack(*fields) + frame.payload


def _encoded_by_c(program: Path, what: Sequence[Frame]) -> list[bytes]:
    out, texts = _run(program, b"".join(map(_record, what)), "encode"), []
    while out:
        (size,) = struct.unpack_from("<I", out)
        texts.append(out[4 : 4 + size])
        out = out[4 + size :]
    return texts


def _decoded_by_c(program: Path, streams: Sequence[bytes]) -> list[tuple[list[Frame], int]]:
    data = b"".join(struct.pack("<I", len(stream)) + stream for stream in streams)
    out, results = _run(program, data, "decode", str(CAPACITY)), []
    while out:
        count, damaged = struct.unpack_from("<II", out)
        out, found = out[8:], []
        for _ in range(count):
            version, kind, number, length, session = HEADER.unpack_from(out)
            payload = out[HEADER.size : HEADER.size + length]
            found.append(Frame(version, kind, number, session, payload))
            out = out[HEADER.size + length :]
        results.append((found, damaged))
    return results


def _decoded(stream: bytes) -> tuple[list[Frame], int]:
    parser = Parser(max_payload_bytes=1024)
    found = [event for event in parser.feed(stream) if isinstance(event, Frame)]
    return found, parser.damaged


def _frames(events: Sequence[Event]) -> list[Frame]:
    return [event for event in events if isinstance(event, Frame)]


# ---- every byte ----


def test_frames_are_the_golden_ones(request: pytest.FixtureRequest) -> None:
    vectors = [{"record": _record(f).hex(), "text": encode_frame(f).decode("ascii")} for f in VECTORS]
    if request.config.getoption("--regenerate-golden"):
        GOLDEN.write_text(json.dumps(vectors, indent=1) + "\n")
    assert vectors == json.loads(GOLDEN.read_text())


def test_c_writes_the_golden_frames(program: Path) -> None:
    golden = [vector["text"].encode("ascii") for vector in json.loads(GOLDEN.read_text())]
    assert _encoded_by_c(program, VECTORS) == golden
    assert _decoded_by_c(program, golden) == [([frame], 0) for frame in VECTORS]


def test_c_and_python_encode_alike_at_every_length(program: Path) -> None:
    draw = random.Random(1)
    what = [Frame(1, 3, n + 1, 9, draw.randbytes(n)) for n in (*range(40), 255, 1021, 1022, 1023, 1024)]
    texts = [encode_frame(frame) for frame in what]
    assert _encoded_by_c(program, what) == texts
    assert [len(text) for text in texts] == [text_bytes(len(frame.payload)) for frame in what]


@given(frames)
@settings(deadline=None)
def test_a_frame_is_printable_and_comes_back(frame: Frame) -> None:
    text = encode_frame(frame)
    assert text.endswith(b"|\r\n")
    assert all(0x21 <= byte <= 0x7E for byte in text[:-2])
    assert Parser().feed(text) == [frame]


# ---- damage ----


def _streams(count: int) -> list[bytes]:
    """Frames among log lines, cut short, damaged, repeated, out of order, oversized; and plain garbage."""
    draw = random.Random(7)
    damages: list[Damage] = [lambda d, _: d, flips(0.002), losses(0.002), log_lines(0.002), flips(0.05)]
    streams = []
    for index in range(count):
        pieces = [_piece(draw) for _ in range(draw.randrange(12))]
        draw.shuffle(pieces)
        streams.append(damages[index % len(damages)](b"".join(pieces), draw))
    return streams


def _piece(draw: random.Random) -> bytes:
    size = draw.choice((0, 1, 4, 60, 1023, 1024, 1025, 1500))
    text = encode_frame(Frame(1, draw.randrange(256), draw.randrange(65536), 5, draw.randbytes(size)))
    kinds = (
        text,
        text * 2,
        text[: draw.randrange(len(text))],
        text[:-2],
        LOG,
        b"~",
        b"|",
        draw.randbytes(40),
    )
    return draw.choice(kinds)


def test_c_and_python_deliver_the_same_frames_from_any_stream(program: Path) -> None:
    streams = _streams(600)
    expected = [_decoded(stream) for stream in streams]
    assert _decoded_by_c(program, streams) == expected
    assert sum(len(found) for found, _ in expected) > 500, "the streams hold intact frames"
    assert sum(damaged for _, damaged in expected) > 50, "and damaged ones"


@given(st.binary(max_size=200), frames)
@settings(deadline=None)
def test_an_intact_frame_is_delivered_whatever_came_before(garbage: bytes, frame: Frame) -> None:
    assert Parser().feed(garbage + encode_frame(frame))[-1] == frame


@given(frames, st.data())
@settings(deadline=None)
def test_a_frame_with_one_wrong_byte_is_none(frame: Frame, data: st.DataObject) -> None:
    text = bytearray(encode_frame(frame))
    place = data.draw(st.integers(0, len(text) - 3))
    text[place] = data.draw(st.integers(0, 255).filter(lambda byte: byte != text[place]))
    assert not _frames(Parser().feed(bytes(text)))


@given(frames, st.data())
@settings(deadline=None)
def test_a_frame_that_lacks_or_gains_a_byte_is_none(frame: Frame, data: st.DataObject) -> None:
    text = encode_frame(frame)[:-2]
    place = data.draw(st.integers(1, len(text) - 2))
    assert not _frames(Parser().feed(text[:place] + text[place + 1 :]))
    extra = bytes((data.draw(st.integers(0, 255).filter(lambda byte: byte != ord("~"))),))
    assert not _frames(Parser().feed(text[:place] + extra + text[place:]))


@given(st.lists(st.one_of(frames, st.binary(max_size=60)), max_size=8), st.data())
@settings(deadline=None)
def test_events_do_not_depend_on_where_the_stream_is_cut(
    parts: list[Frame | bytes], data: st.DataObject
) -> None:
    stream = b"".join(part if isinstance(part, bytes) else encode_frame(part) for part in parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    parser, pieces = Parser(), zip([0, *cuts], [*cuts, len(stream)], strict=True)
    assert [e for a, b in pieces for e in parser.feed(stream[a:b])] == Parser().feed(stream)


def test_a_log_line_within_a_frame_costs_that_frame_alone() -> None:
    first, second = Frame(1, 0x83, 1, 1, b"a" * 50), Frame(1, 0x83, 2, 1, b"b" * 50)
    text = encode_frame(first)
    events = Parser().feed(text[:30] + LOG + text[30:] + encode_frame(second))
    assert _frames(events) == [second]
    assert Text("I (4711) wifi: a log line of another task with ~ and | in it") in events


# ---- text ----


@given(st.lists(st.one_of(log_text, frames), max_size=10))
@settings(deadline=None)
def test_log_lines_flow_as_they_are_among_frames(parts: list[str | Frame]) -> None:
    stream = b"".join(p.encode() + b"\r\n" if isinstance(p, str) else encode_frame(p) for p in parts)
    assert Parser().feed(stream) == [Text(p) if isinstance(p, str) else p for p in parts]


@pytest.mark.parametrize(
    "line", ["took ~5 ms", "a ~ b | c", "~~||", "|", "~" + "x" * 9000, "", "päckchen ~ö|"]
)
def test_marks_in_a_log_line_stay_where_they_are(line: str) -> None:
    events = Parser().feed(line.encode() + b"\n")
    assert "".join(event.line for event in events if isinstance(event, Text)) == line


def test_a_line_without_end_does_not_fill_the_memory() -> None:
    parser = Parser()
    pieces = [event for _ in range(100) for event in parser.feed(b"\xff\x00garbage" * 100)]
    assert len(pieces) > 10
    assert len(parser._text) <= 4096


PREDICTION = (
    b'@ftv {"event":"prediction","frame":17,"microseconds":412345,'
    b'"top":[{"index":3,"label":"three","probability":0.9312}],"crc":"%s"}\r\n'
)


def _prediction_line(line: bytes = PREDICTION) -> bytes:
    import binascii

    body = line[5 : line.index(b',"crc"')]
    return line % f"{binascii.crc32(body):08x}".encode()


def test_a_prediction_is_read_from_its_line_and_from_a_line_that_another_task_began() -> None:
    line = _prediction_line()
    (prediction,) = Parser().feed(line)
    assert isinstance(prediction, Prediction)
    assert (prediction.frame, prediction.microseconds) == (17, 412345)
    assert (prediction.top[0].label, prediction.top[0].probability) == ("three", 0.9312)
    assert Parser().feed(b"I (1) half" + line) == [Text("I (1) half"), prediction]


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (b"17", b'"17"'), (b"17", b"-1"), (b"17", b"1.5"), (b"17", b"[" * 4000), (b"17", b"9" * 4050),
        (b"412345", b"null"), (b":3,", b":true,"), (b'"three"', b"3"), (b'"three"', b'["three"]'),
        (b"0.9312", b'"0.9"'), (b"0.9312", b"NaN"), (b"0.9312", b"1.1"), (b"0.9312", b"1e999"),
        (b'[{"', b'["'), (b'{"index"', b'{"no"'),
    ],
)  # fmt: skip
def test_what_is_no_prediction_under_a_crc_that_fits_is_text(right: bytes, wrong: bytes) -> None:
    assert right in PREDICTION
    line = _prediction_line(PREDICTION.replace(right, wrong, 1))
    events = Parser().feed(line)
    assert events
    assert all(isinstance(event, Text) for event in events)


def test_the_examples_of_the_specification_are_valid() -> None:
    page = (ROOT / "c_runtime" / "LINE_PROTOCOL.md").read_bytes()
    events = Parser().feed(page)
    assert Frame(0, 1, 1, 0, bytes((1, 1, 0, 0))) in events
    assert sum(isinstance(event, Prediction) for event in events) == 1


def test_noise_turns_no_prediction_into_another() -> None:
    line = _prediction_line()
    for place in range(5, len(line) - 2):
        damaged = line[:place] + bytes((line[place] ^ 1,)) + line[place + 1 :]
        events = Parser().feed(damaged)
        assert not any(isinstance(event, Prediction) for event in events), damaged
