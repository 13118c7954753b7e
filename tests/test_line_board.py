"""End to end: the host's link and the virtual board, over a pseudo-terminal, TCP, and a bad cable."""

from __future__ import annotations

import binascii
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from engine_cases import noise, reference_trace
from line_board import Board, running_board
from line_proxy import Damage, flips, log_lines, losses, proxy, repeats

from ftervit_deploy.architecture import Architecture
from ftervit_deploy.engine import SITE_NUMBERS, Engine
from ftervit_deploy.errors import LinkError
from ftervit_deploy.image import read_info, write_image
from ftervit_deploy.link import (
    BoardError,
    ErrorCode,
    Frame,
    Link,
    Parser,
    Prediction,
    Text,
    Thumbnail,
    Timing,
    encode_frame,
    open_stream,
)
from ftervit_deploy.lower import lower
from synthetic import random_graph

SHAPE = Architecture(64, 8, 32, 2, 2, 64, 7)
"""Its pixels take thirteen frames."""
MODEL = lower(random_graph(SHAPE, 3))
IMPATIENT = Timing(reply_s=0.2, run_s=1.0, hello_s=0.2, tries=40, hello_tries=40)
BRIEF = Timing(reply_s=0.1, run_s=0.3, hello_s=0.1, tries=3, hello_tries=3)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("board") / "model.ftv"
    path.write_bytes(write_image(MODEL, "t2"))
    return path


@pytest.fixture(scope="module")
def engine(image: Path) -> Iterator[Engine]:
    with Engine(image, threads=1) as engine:
        yield engine


@pytest.fixture(params=["pty", "tcp"])
def board(request: pytest.FixtureRequest, image: Path) -> Iterator[Board]:
    with running_board(*_port(request.param), image) as board:
        yield board


@pytest.fixture
def tcp_board(image: Path) -> Iterator[Board]:
    with running_board("--tcp", 0, image) as board:
        yield board


def _port(kind: str) -> tuple[object, ...]:
    return ("--pty",) if kind == "pty" else ("--tcp", 0)


def _link(board: Board | str, timing: Timing | None = None) -> Link:
    return Link(open_stream(board if isinstance(board, str) else board.url), timing)


def test_the_board_gives_the_hosts_logits_and_digests(board: Board, engine: Engine) -> None:
    with _link(board) as link:
        for seed in range(3):
            pixels = noise(SHAPE, seed)
            found = link.infer(pixels, digests=True, times=True)
            assert (found.logits == engine.logits(pixels[None])[0]).all()
            expected = [
                (SITE_NUMBERS[name], block, values.size, _crc32(name, values))
                for (name, block), values in reference_trace(MODEL, pixels).items()
            ]
            assert [(s.site, s.block, s.values, s.crc32) for s in found.sites] == expected
            assert 0 < sum(s.microseconds for s in found.sites) <= found.microseconds


def _crc32(site: str, values: np.ndarray) -> int:
    return binascii.crc32(values.astype(np.int8 if site.endswith("codes") else "<i4").tobytes())


def test_digests_and_times_come_only_when_asked_for(board: Board) -> None:
    with _link(board) as link:
        assert link.infer(noise(SHAPE)).sites == ()
        assert not any(s.microseconds for s in link.infer(noise(SHAPE), digests=True).sites)
        assert not any(s.crc32 for s in link.infer(noise(SHAPE), times=True).sites)


def test_the_board_describes_itself(board: Board, image: Path) -> None:
    with _link(board) as link:
        info = link.info()
        assert (info.app, info.board, info.model_error) == ("ftv-board", "host", "")
        assert info.model is not None
        header = read_info(np.fromfile(image, np.uint8)).header
        assert info.model.sha256 == header.content_sha256
        assert (info.model.image_size, info.model.classes, info.model.depth) == (64, 7, 2)
        assert link.labels() == MODEL.labels
        assert link.hello.pixels_bytes == 3 * 64 * 64


def test_a_result_larger_than_a_frame_comes_whole(tmp_path: Path) -> None:
    many = Architecture(8, 4, 16, 1, 1, 16, 3000)
    model = lower(random_graph(many, 1))
    path = tmp_path / "many.ftv"
    path.write_bytes(write_image(model, "t5"))
    with running_board("--tcp", 0, path) as board, _link(board) as link, Engine(path, threads=1) as engine:
        pixels = noise(many)
        assert (link.infer(pixels).logits == engine.logits(pixels[None])[0]).all()
        assert link.labels() == model.labels


DAMAGES: dict[str, Damage] = {
    "wrong bytes": flips(0.0003),
    "lost bytes": losses(0.0003),
    "log lines in the middle": log_lines(0.0002),
    "everything twice": repeats(0.5),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_bad_cable_costs_time_and_nothing_else(tcp_board: Board, engine: Engine, damage: str) -> None:
    with proxy(tcp_board.url, DAMAGES[damage]) as url, _link(url, IMPATIENT) as link:
        for seed in range(3):
            pixels = noise(SHAPE, seed)
            found = link.infer(pixels, digests=True)
            assert (found.logits == engine.logits(pixels[None])[0]).all()


class _Recording:
    """A stream that keeps what the board says."""

    def __init__(self, url: str) -> None:
        self._stream = open_stream(url)
        self.name, self.seconds_per_byte = url, 0.0
        self.heard = b""

    def read(self, timeout_s: float) -> bytes:
        data = self._stream.read(timeout_s)
        self.heard += data
        return data

    def write(self, data: bytes) -> None:
        self._stream.write(data)

    def close(self) -> None:
        self._stream.close()


def test_a_board_says_that_it_is_at_work(tmp_path: Path) -> None:
    slow = Architecture(112, 8, 192, 3, 3, 768, 10)
    path = tmp_path / "slow.ftv"
    path.write_bytes(write_image(lower(random_graph(slow, 1)), "t2"))
    with running_board("--tcp", 0, "--kernels", "ref", path) as board:
        stream = _Recording(board.url)
        with Link(stream) as link, Engine(path, threads=1) as engine:
            pixels = noise(slow)
            found = link.infer(pixels)
            assert (found.logits == engine.logits(pixels[None])[0]).all()
    working = [f for f in Parser().feed(stream.heard) if isinstance(f, Frame) and f.type == 0xC0]
    times = [int.from_bytes(frame.payload[8:], "little") for frame in working]
    assert times
    assert times == sorted(times)
    assert times[-1] <= found.microseconds


class _Meddling:
    """A stream that calls `meddle` before the n-th write."""

    def __init__(self, url: str, n: int, meddle: object) -> None:
        self._stream, self._n, self._meddle = open_stream(url), n, meddle
        self.name, self.seconds_per_byte = url, 0.0

    def read(self, timeout_s: float) -> bytes:
        return self._stream.read(timeout_s)

    def write(self, data: bytes) -> None:
        self._n -= 1
        if self._n == 0:
            assert callable(self._meddle)
            self._meddle()
            time.sleep(0.05)
        self._stream.write(data)

    def close(self) -> None:
        self._stream.close()


@pytest.mark.parametrize("write", [2, 7, 15, 16])
def test_a_reset_in_the_middle_is_mended(board: Board, engine: Engine, write: int) -> None:
    """Before the first piece of an upload, in it, before RUN, and before the logits are read."""
    with Link(_Meddling(board.url, write, board.reset), IMPATIENT) as link:
        before = link.connect().session
        found = link.infer(noise(SHAPE, 5))
        assert (found.logits == engine.logits(noise(SHAPE, 5)[None])[0]).all()
        assert link.hello.session != before
        assert any(isinstance(event, Text) and "boot" in event.line for event in link.events(0.1))


def test_a_board_that_vanishes_is_an_error_with_a_way_out(board: Board) -> None:
    with Link(_Meddling(board.url, 7, board.kill), BRIEF) as link, pytest.raises(LinkError) as caught:
        link.infer(noise(SHAPE))
    assert caught.value.hint


def test_the_next_program_is_served_after_one_that_went_away_in_the_middle(
    board: Board, engine: Engine
) -> None:
    stream = open_stream(board.url)
    stream.write(b"~0rr910000000")
    stream.close()
    with _link(board) as link:
        pixels = noise(SHAPE, 1)
        assert (link.infer(pixels).logits == engine.logits(pixels[None])[0]).all()


def test_what_a_board_lacks_has_an_answer(board: Board) -> None:
    with _link(board) as link:
        for request in (lambda: link.camera(True), lambda: link.thumbnails(1), lambda: link.bench("x", 1, 1)):
            with pytest.raises(BoardError) as caught:
                request()
            assert caught.value.code == ErrorCode.ABSENT
            assert "not on this board" in caught.value.what


def test_a_board_without_a_valid_model_keeps_the_line_open(tmp_path: Path) -> None:
    broken = tmp_path / "broken.ftv"
    broken.write_bytes(bytes(200))
    with running_board("--tcp", 0, broken) as board, _link(board) as link:
        info = link.info()
        assert info.model is None
        assert info.model_error
        for request in (lambda: link.infer(noise(SHAPE)), link.labels):
            with pytest.raises(BoardError) as caught:
                request()
            assert caught.value.code == ErrorCode.NO_MODEL


def test_kernels_give_the_sums_of_the_numbers_in_the_protocol(board: Board) -> None:
    tokens, inputs = 6, 37
    t, k, c = np.arange(tokens)[:, None], np.arange(inputs), np.arange(16)[None]
    rows = (37 * t + 11 * k) % 255 - 127
    weights = (7 * k[:, None] + 5 * c) % 3 - 1
    crc = binascii.crc32((rows @ weights).astype("<i4").tobytes())
    with _link(board) as link:
        for kernel in ("s8t2_ref", "s8t2_portable", "s8t5_ref", "s8t5_portable"):
            assert link.bench(f"linear_{kernel}", tokens, inputs, 3).crc32 == crc
        with pytest.raises(BoardError, match="impossible value"):
            link.bench("linear_s8t2_ref", 0, inputs)


def test_the_camera_speaks_for_people_and_programs(tmp_path: Path, image: Path, engine: Engine) -> None:
    pictures = np.stack([noise(SHAPE, seed) for seed in range(2)])
    (tmp_path / "frames.rgb").write_bytes(pictures.tobytes())
    camera = ("--frames", tmp_path / "frames.rgb", "--fps", 50)
    with running_board("--tcp", 0, *camera, image) as board, _link(board) as link:
        link.thumbnails(1)
        link.camera(True)
        found = link.infer(noise(SHAPE, 9))
        assert (found.logits == engine.logits(noise(SHAPE, 9)[None])[0]).all(), "between predictions"
        link.camera(True)  # else they pause for a host that may want more
        events = list(link.events(1.0))
        link.camera(False)
    shown = {}
    for event in events:
        if isinstance(event, Prediction):
            right = [p for p in pictures if _is_right(event, engine.logits(p[None])[0])]
            assert right, "neither of the two pictures gives that"
            shown[event.frame] = right[0]
    assert len(shown) > 3
    thumbnails = [event for event in events if isinstance(event, Thumbnail) and event.frame in shown]
    assert len(thumbnails) > 3
    steps = np.arange(48) * 64 // 48
    for thumbnail in thumbnails:
        assert (thumbnail.pixels == shown[thumbnail.frame][steps][:, steps]).all()


def _is_right(prediction: Prediction, logits: np.ndarray) -> bool:
    from ftervit_deploy.evaluate import probabilities, ranked

    chances = probabilities(logits[None])[0]
    if [guess.index for guess in prediction.top] != ranked(logits[None], 5)[0].tolist():
        return False
    assert [guess.label for guess in prediction.top] == [MODEL.labels[g.index] for g in prediction.top]
    return all(abs(guess.probability - chances[guess.index]) < 2e-4 for guess in prediction.top)


def test_no_label_is_a_frame_or_reaches_a_terminal_as_a_command(tmp_path: Path) -> None:
    """A whole thumbnail, and the character that starts terminals' commands, in eight bits."""
    picture = (7).to_bytes(4, "little") + b"\1\0\1\0\1\0\0\0" + bytes(4) + b"rgb"
    forged = encode_frame(Frame(1, 0xC1, 0, 0x1234, picture)).decode().rstrip()
    labels = (forged, "\u009b2J", "~" * 48, "a ~ b", "\u00a0\u00ff", '"\\"', "plain")
    (tmp_path / "model.ftv").write_bytes(write_image(replace(MODEL, labels=labels), "t2"))
    (tmp_path / "frames.rgb").write_bytes(noise(SHAPE).tobytes())
    seen = set()
    with running_board("--tcp", 0, "--frames", tmp_path / "frames.rgb", tmp_path / "model.ftv") as board:
        with _link(board) as link:
            link.camera(True)
            events = list(link.events(0.5))
            assert link.labels() == labels
        stream = open_stream(board.url)
        data = stream.read(5)
        stream.close()
    assert not any(isinstance(event, Thumbnail) for event in events)
    predictions = [event for event in events if isinstance(event, Prediction)]
    assert predictions
    for prediction in predictions:
        assert [guess.label for guess in prediction.top] == [labels[guess.index] for guess in prediction.top]
        seen |= {guess.index for guess in prediction.top}
    assert seen & {0, 1, 2}, "another picture is needed"
    assert data
    assert b"~" not in data
    assert b"\xc2\x9b" not in data


def test_a_person_at_a_terminal_sees_printable_lines(tmp_path: Path, image: Path) -> None:
    (tmp_path / "frames.rgb").write_bytes(noise(SHAPE).tobytes())
    with running_board("--tcp", 0, "--frames", tmp_path / "frames.rgb", image) as board:
        with _link(board) as link:
            link.camera(True)
        stream = open_stream(board.url)
        deadline, data = time.monotonic() + 5, b""
        while data.count(b"\n") < 3 and time.monotonic() < deadline:
            data += stream.read(0.2)
        stream.close()
    assert data.startswith(b"@ftv {")
    assert all(byte in b"\r\n" or 0x20 <= byte < 0x7F for byte in data)
