"""The application in ftv-board: unfit models, requests during an inference, faults, display."""

from __future__ import annotations

import binascii
import struct
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from display_text import Draw, build_draw, inked
from engine_cases import noise
from line_board import Board, running_board
from line_talk import Talk
from PIL import Image

from ftervit_deploy.architecture import Architecture
from ftervit_deploy.engine import Engine
from ftervit_deploy.image import write_image
from ftervit_deploy.link import BoardError, ErrorCode, Frame, Link, Prediction, open_stream
from ftervit_deploy.lower import lower
from synthetic import random_graph

SHAPE = Architecture(24, 6, 40, 2, 2, 77, 5)
SLOW = Architecture(112, 8, 192, 3, 3, 768, 10)
HELLO, PUT, GET, RUN, CAMERA, BENCH, WORKING = 1, 2, 3, 4, 5, 7, 0xC0
GREEN, RED = (66, 211, 140), (189, 36, 41)


def _write(path: Path, shape: Architecture, seed: int = 3, encoding: str = "t2") -> Path:
    path.write_bytes(write_image(lower(random_graph(shape, seed)), encoding))
    return path


def _frames(path: Path, shape: Architecture, count: int = 2) -> Path:
    path.write_bytes(np.stack([noise(shape, seed) for seed in range(count)]).tobytes())
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("app")
    _write(folder / "model.ftv", SHAPE)
    _frames(folder / "frames.rgb", SHAPE)
    return folder


def _link(board: Board) -> Link:
    return Link(open_stream(board.url))


def _display(folder: Path, timeout_s: float = 10.0) -> np.ndarray:
    """What the display shows, once it shows something: uint8 [height, width, 3]."""
    path, deadline = folder / "display.png", time.monotonic() + timeout_s
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    return np.asarray(Image.open(path))


# ---- models ----


def _padded(folder: Path) -> tuple[object, ...]:
    (folder / "partition.bin").write_bytes((folder / "model.ftv").read_bytes() + b"\xff" * 4096)
    return (folder / "partition.bin",)


def test_what_follows_the_model_in_flash_does_not_matter(folder: Path) -> None:
    with running_board("--tcp", 0, *_padded(folder)) as board, _link(board) as link:
        assert link.info().model is not None
        with Engine(folder / "model.ftv", threads=1) as engine:
            pixels = noise(SHAPE, 8)
            assert (link.infer(pixels).logits == engine.logits(pixels[None])[0]).all()


def test_fewer_classes_than_the_application_was_made_for_are_served(folder: Path) -> None:
    more = _write(folder / "more.ftv", replace(SHAPE, classes=9), seed=5)
    with running_board("--tcp", 0, "--made-for", more, folder / "model.ftv") as board, _link(board) as link:
        assert link.info().model is not None
        assert link.infer(noise(SHAPE)).logits.shape == (5,)


def _damaged(folder: Path) -> list[object]:
    data = bytearray((folder / "model.ftv").read_bytes())
    data[len(data) // 2] ^= 1
    return [_bytes(folder / "damaged.ftv", bytes(data))]


def _bytes(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _made_for(folder: Path, shape: Architecture, encoding: str = "t2") -> list[object]:
    return ["--made-for", _write(folder / "other.ftv", shape, 4, encoding), folder / "model.ftv"]


MODELS = {
    "erased flash": (lambda f: [_bytes(f / "erased.bin", b"\xff" * 8192)], "is empty", "ftervit flash"),
    "another file": (lambda f: [_bytes(f / "other.bin", bytes(8192))], "is no model", "ftervit flash"),
    "next to nothing": (lambda f: [_bytes(f / "short.bin", b"FTVI")], "There is no model", "ftervit flash"),
    "a flipped bit": (_damaged, "is damaged", "ftervit flash"),
    "its end is missing": (
        lambda f: [_bytes(f / "cut.bin", (f / "model.ftv").read_bytes()[:-16])],
        "its place in flash",
        "ftervit build",
    ),
    "another encoding": (lambda f: _made_for(f, SHAPE, "t5"), "encoding is t", "ftervit build"),
    "another depth": (lambda f: _made_for(f, replace(SHAPE, depth=1)), "depth is 2", "ftervit build"),
    "another width": (lambda f: _made_for(f, replace(SHAPE, width=32)), "width is 40", "ftervit build"),
    "more classes": (lambda f: _made_for(f, replace(SHAPE, classes=4)), "classes are 5", "ftervit build"),
}  # fmt: skip


@pytest.mark.parametrize("case", MODELS)
def test_a_model_that_cannot_serve_is_a_sentence_and_an_open_line(
    folder: Path, tmp_path: Path, case: str
) -> None:
    arguments, what, way_out = MODELS[case]
    command = ("--tcp", 0, "--display", tmp_path, "--display-fps", 1000, *arguments(folder))
    with running_board(*command) as board, _link(board) as link:
        info = link.info()
        assert info.model is None
        assert what in info.model_error
        assert f"`{way_out}`" in info.model_error
        assert info.model_error.endswith(".")
        with pytest.raises(BoardError) as caught:
            link.infer(noise(SHAPE))
        assert caught.value.code == ErrorCode.NO_MODEL
        assert (_display(tmp_path)[2, 2] == RED).all(), "the display says it, too"


# ---- requests during an inference ----


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    """A board whose camera's inference takes a good second."""
    folder = tmp_path_factory.mktemp("slow")
    model, frames = _write(folder / "slow.ftv", SLOW), _frames(folder / "frames.rgb", SLOW)
    with running_board("--tcp", 0, "--kernels", "ref", "--frames", frames, "--fps", 50, model) as board:
        yield board


def _in_an_inference(board: Board) -> Talk:
    """A host that the board has just told of a prediction, so that the next inference has begun."""
    talk = Talk(board)
    talk.ask(1, CAMERA, bytes((1, 0, 0, 0)))
    while not any(isinstance(event, Prediction) for event in talk.events(30)):
        pass
    time.sleep(0.1)
    return talk


def _until(talk: Talk, number: int) -> list[object]:
    """Events up to the reply to request `number`."""
    heard: list[object] = []
    while not any(isinstance(e, Frame) and e.id == number and e.type != WORKING for e in heard):
        events = talk.events(30)
        assert events, "the board is mute"
        heard += events
    return heard


def _kinds(events: list[object]) -> list[str]:
    names = {GET | 0x80: "get", RUN | 0x80: "run", BENCH | 0x80: "bench", WORKING: "working"}
    return [
        "prediction" if isinstance(event, Prediction) else names.get(event.type, str(event.type))
        for event in events
        if isinstance(event, Prediction | Frame)
    ]


@pytest.mark.parametrize("kind", ["run", "bench"])
def test_what_needs_the_engine_waits_for_the_cameras_inference(slow: Board, kind: str) -> None:
    talk = _in_an_inference(slow)
    pixels = bytes(3 * SLOW.image_size**2)  # as they are after a reset
    request = (
        Frame(1, RUN, 12, talk.session, struct.pack("<II", 0, binascii.crc32(pixels)))
        if kind == "run"
        else Frame(1, BENCH, 12, talk.session, struct.pack("<III", 3, 20, 1) + b"linear_s8t2_ref")
    )
    get = struct.pack("<HHI", 2, 0, 0)
    talk.send(Frame(1, GET, 11, talk.session, get), request, Frame(1, GET, 13, talk.session, get))
    heard = _until(talk, 13)
    talk.stream.close()
    kinds = _kinds(heard)
    assert kinds.index("get") < kinds.index("working") < kinds.index("prediction") < kinds.index(kind)
    assert kinds[-1] == "get", "what comes after it keeps its place"
    assert kinds.count("prediction") == 1
    waiting = [
        e for e in heard if isinstance(e, Frame) and e.type == WORKING and e.payload[:4] == b"\0\0\xff\xff"
    ]
    assert waiting
    assert {frame.id for frame in waiting} == {12}


def test_a_run_that_cannot_be_is_refused_at_once(slow: Board) -> None:
    talk = _in_an_inference(slow)
    talk.send(Frame(1, RUN, 12, talk.session, struct.pack("<II", 0, 1)))
    heard = _until(talk, 12)
    talk.stream.close()
    assert _kinds(heard) == [str(0xFF)], "before the prediction"


def test_a_host_that_measures_has_the_board_for_itself(folder: Path) -> None:
    camera = ("--frames", folder / "frames.rgb", "--fps", 50)
    with running_board("--tcp", 0, *camera, folder / "model.ftv") as board, _link(board) as link:
        link.infer(noise(SHAPE))
        assert not [e for e in link.events(1.0) if isinstance(e, Prediction)]
        assert [e for e in link.events(1.5) if isinstance(e, Prediction)], "after a while the camera goes on"
        link.infer(noise(SHAPE, 1))
        link.camera(True)
        assert [e for e in link.events(1.0) if isinstance(e, Prediction)], "at once for who asks for it"


# ---- the camera ----


def test_a_camera_looks_from_the_start_unless_told_not_to(folder: Path) -> None:
    camera = ("--frames", folder / "frames.rgb", "--fps", 50)
    for off in (False, True):
        arguments = ("--camera-off",) if off else ()
        with (
            running_board("--tcp", 0, *camera, *arguments, folder / "model.ftv") as board,
            _link(board) as link,
        ):
            heard = [e for e in link.events(1.0) if isinstance(e, Prediction)]
            assert (not heard) == off


@pytest.mark.parametrize(
    ("fault", "counter"),
    [("timeout", "camera_timeouts"), ("overflow", "camera_overflows"), ("failed", "camera_failures")],
)
def test_faults_of_the_camera_are_mended_and_counted(folder: Path, fault: str, counter: str) -> None:
    camera = ("--frames", folder / "frames.rgb", "--fps", 100, "--fail-camera", f"{fault}:3")
    with running_board("--tcp", 0, *camera, folder / "model.ftv") as board, _link(board) as link:
        link.camera(True)
        frames = [e.frame for e in link.events(2.5) if isinstance(e, Prediction)]
        record = link.info().record
    assert len(frames) > 4
    assert frames == sorted(set(frames))
    assert record[counter] >= 2
    assert record["frames"] >= frames[-1]
    assert (record["camera_restarts"] > 0) == (fault != "overflow")


def test_a_board_that_nobody_listens_to_does_not_stand_still(folder: Path) -> None:
    camera = ("--frames", folder / "frames.rgb", "--fps", 100)
    with running_board("--pty", *camera, folder / "model.ftv") as board:
        time.sleep(4)
        with _link(board) as link:
            assert link.info().record["frames"] > 100
            assert link.infer(noise(SHAPE)).logits.shape == (5,)


# ---- the display ----


@pytest.fixture(scope="module")
def draw(tmp_path_factory: pytest.TempPathFactory) -> Draw:
    return build_draw(tmp_path_factory.mktemp("draw"))


def _label(board: Board) -> str:
    with _link(board) as link:
        link.camera(True)
        return next(e for e in link.events(3.0) if isinstance(e, Prediction)).top[0].label


@pytest.mark.parametrize("size", [(240, 240), (320, 240), (240, 320), (128, 160)])
def test_the_display_shows_picture_and_label(
    folder: Path, tmp_path: Path, draw: Draw, size: tuple[int, int]
) -> None:
    width, height = size
    frames = _frames(tmp_path / "frame.rgb", SHAPE, 1)
    display = ("--display", tmp_path, "--display-size", f"{width}x{height}", "--display-fps", 100)
    with running_board("--tcp", 0, "--frames", frames, "--fps", 50, *display, folder / "model.ftv") as board:
        label = _label(board)
        time.sleep(0.5)
        shown = _display(tmp_path)
    assert shown.shape == (height, width, 3)
    scale = 2 if min(size) >= 160 else 1
    text = draw(label, 6 * scale * len(label), 10 * scale, scale)
    assert inked((shown == 255).all(2), text), f"{label!r} is not on the display"
    assert (shown == GREEN).all(2).any(), "probability"
    _assert_picture(shown, noise(SHAPE, 0))


@pytest.mark.parametrize("size", ["240x240", "128x160"])
def test_a_long_label_takes_two_lines_and_its_rest_is_cut(tmp_path: Path, draw: Draw, size: str) -> None:
    label = "Alaskan husky, with a most detailed description"
    model = replace(lower(random_graph(SHAPE, 3)), labels=(label,) * 5)
    (tmp_path / "long.ftv").write_bytes(write_image(model, "t2"))
    frames = _frames(tmp_path / "frame.rgb", SHAPE, 1)
    display = ("--display", tmp_path, "--display-size", size, "--display-fps", 100)
    with running_board("--tcp", 0, "--frames", frames, "--fps", 50, *display, tmp_path / "long.ftv") as board:
        assert _label(board) == label
        time.sleep(0.5)
        shown = (_display(tmp_path) == 255).all(2)
    scale = 2 if size == "240x240" else 1
    for line in ("Alaskan husky, with", "a most detailed"):
        assert inked(shown, draw(line, 6 * scale * len(line), 10 * scale, scale)), line


def _assert_picture(shown: np.ndarray, picture: np.ndarray) -> None:
    """The upper half of the picture, enlarged, is there as RGB565 has it."""
    height, width, _ = shown.shape
    side = min(width, height)
    at = np.arange(side) * len(picture) // side
    bits = np.array([0xF8, 0xFC, 0xF8])
    left = (width - side) // 2
    square = shown[: side // 2, left : left + side]
    assert ((square & bits) == (picture[at][:, at] & bits)[: side // 2]).all()


def test_each_screen_can_be_kept(folder: Path, tmp_path: Path) -> None:
    display = ("--display", tmp_path, "--display-keep", "--display-fps", 20)
    camera = ("--frames", folder / "frames.rgb", "--fps", 50)
    with running_board("--tcp", 0, *camera, *display, folder / "model.ftv") as board, _link(board) as link:
        list(link.events(1.5))
    kept = sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("display-"))
    assert kept[0] == "display-000001.png"
    assert 5 < len(kept) <= 60
    assert Image.open(tmp_path / kept[-1]).size == (240, 240)


def test_a_reset_shows_the_boot_screen_again_and_counts_anew(folder: Path, tmp_path: Path) -> None:
    display = ("--display", tmp_path, "--display-fps", 1000)
    camera = ("--frames", folder / "frames.rgb", "--fps", 50, "--camera-off")
    with running_board("--tcp", 0, *camera, *display, folder / "model.ftv") as board:
        boot = _display(tmp_path).copy()
        with _link(board) as link:
            link.camera(True)
            list(link.events(1.0))
            assert link.info().record["frames"] > 0
        board.reset()
        time.sleep(0.5)
        with _link(board) as link:
            assert link.info().record["frames"] == 0
        assert (_display(tmp_path)[:140] == boot[:140]).all()


def test_wrong_options_are_a_sentence(folder: Path) -> None:
    for arguments in (
        ("--camera", folder / "frames.rgb"),
        ("--fps", "0"),
        ("--fail-camera", "fire:1"),
        ("--what",),
    ):
        with pytest.raises(AssertionError, match="ftv-board: "):
            Board(*arguments, folder / "model.ftv")
