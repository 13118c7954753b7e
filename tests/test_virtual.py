"""`ftervit virtual`: a board on this computer, found, started, spoken to, ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from line_board import running_board, sanitized_board
from PIL import Image

from ftervit_deploy import resources
from ftervit_deploy.cli import main
from ftervit_deploy.errors import BoardProgramError, DataError, LinkError
from ftervit_deploy.link import Link, Prediction, open_stream
from ftervit_deploy.virtual import MAX_PHOTOS, Camera, camera_frame, choose_photos, virtual_board

pytestmark = pytest.mark.skipif(os.name != "posix", reason="hardware: the virtual board needs POSIX")

SIGNS = resources.signs_folder() / "signs.ftv"


@pytest.fixture(autouse=True)
def program(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTERVIT_BOARD_PROGRAM", str(sanitized_board()))


@contextmanager
def _running(*arguments: object) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """`ftervit virtual` as its own process, and its first three lines (one with --json)."""
    command = [sys.executable, "-m", "ftervit_deploy", "virtual", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    count = 1 if "--json" in arguments else 3
    lines = [process.stdout.readline().rstrip("\n") for _ in range(count)]
    try:
        yield process, lines
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_it_prints_its_port_and_what_to_do_next_and_ends_with_ctrl_c() -> None:
    with _running(SIGNS) as (process, lines):
        port = lines[0]
        assert port.startswith("/dev/")
        assert lines[1:] == [
            f"  ftervit monitor --port {port}", f"  ftervit verify {SIGNS} --port {port}",
        ]  # fmt: skip
        with Link(open_stream(port)) as link:
            assert link.info().model is not None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        assert process.returncode == 0
        assert out == ""
        assert "Traceback" not in err


def test_it_does_not_outlive_the_command_however_that_ends() -> None:
    with _running(SIGNS, "--tcp", 0, "--json") as (process, lines):
        url = json.loads(lines[0])["port"]
        process.kill()
        process.wait()
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                open_stream(url).close()
            except LinkError:
                return
            time.sleep(0.1)
    pytest.fail(f"something still listens at {url}")


def test_verify_finds_it_identical(capsys: pytest.CaptureFixture[str]) -> None:
    with _running(SIGNS, "--tcp", 0, "--json") as (_, lines):
        record = json.loads(lines[0])
        assert record["photos"] == 12
        assert main(["verify", str(SIGNS), "--port", record["port"], "--random", "1"]) == 0
    assert "identical" in capsys.readouterr().out


def test_its_camera_sees_the_photos_and_its_display_shows_them(tmp_path: Path) -> None:
    photos, display = tmp_path / "photos", tmp_path / "new" / "display"
    photos.mkdir()
    display.mkdir(parents=True)
    for index, colour in enumerate(((255, 0, 0), (0, 0, 255))):
        Image.new("RGB", (300, 200), colour).save(photos / f"{index}.png")
    camera = Camera(choose_photos(photos), fps=30, dwell_s=0.5)
    with (
        virtual_board(SIGNS, camera, display=display, tcp=0) as board,
        Link(open_stream(board.port)) as link,
    ):
        link.camera(True)
        predictions = [e for e in link.events(2.0) if isinstance(e, Prediction)]
    assert len({prediction.top for prediction in predictions}) == 2, "one for each photo"
    shown = np.asarray(Image.open(display / "display.png"))
    assert tuple(shown[20, 120]) in {(255, 0, 0), (0, 0, 255)}


def test_a_frame_is_the_middle_of_a_photo_in_rgb565(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (240, 300, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    frame = camera_frame(tmp_path / "photo.png")
    assert (frame.shape, frame.dtype) == ((240, 240), np.dtype(">u2"))
    middle = pixels[:, 30:270].astype(int)
    expected = (middle[..., 0] >> 3) << 11 | (middle[..., 1] >> 2) << 5 | middle[..., 2] >> 3
    assert (frame.astype(int) == expected).all()


def test_of_many_photos_some_are_chosen_from_the_whole_folder(tmp_path: Path) -> None:
    for index in range(3 * MAX_PHOTOS):
        (tmp_path / f"{index}.png").touch()
    chosen = choose_photos(tmp_path)
    assert len(set(chosen)) == MAX_PHOTOS
    assert int(chosen[-1].stem) >= 3 * MAX_PHOTOS - 3


def test_a_folder_without_photos_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no photos"):
        choose_photos(tmp_path)


def _mistake(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main(["virtual", *map(str, arguments)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    return err


def test_what_is_no_image_is_refused_before_a_board_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.ftv"
    other.write_bytes(bytes(300))
    assert str(other) in _mistake(capsys, other)
    assert "no image" in _mistake(capsys, tmp_path / "nowhere.ftv")


def test_a_display_that_cannot_be_written_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert "no folder to write to" in _mistake(capsys, SIGNS, "--display", tmp_path / "file")


def test_a_port_that_is_taken_is_an_error_with_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    with running_board("--tcp", 0, SIGNS) as board:
        taken = board.url.rpartition(":")[2]
        err = _mistake(capsys, SIGNS, "--tcp", taken)
    assert "The virtual board ended: TCP port: Address already in use." in err


def test_where_the_program_is_not_there_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FTERVIT_BOARD_PROGRAM", str(tmp_path / "nowhere"))
    assert "FTERVIT_BOARD_PROGRAM" in _mistake(capsys, SIGNS)
    monkeypatch.delenv("FTERVIT_BOARD_PROGRAM")
    monkeypatch.setattr(resources, "_library_folders", lambda: [tmp_path])
    with pytest.raises(BoardProgramError, match="is not built") as caught:
        resources.board_program()
    assert "make board" in caught.value.hint
    monkeypatch.setattr(resources, "_has_pseudo_terminals", lambda: False)
    with pytest.raises(BoardProgramError, match="pseudo-terminals") as caught:
        resources.board_program()
    assert "WSL" in caught.value.hint
