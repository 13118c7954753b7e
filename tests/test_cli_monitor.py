"""`ftervit monitor` with the virtual board: what comes out, resets, vanished ports, files, keys."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_cases import noise
from line_board import Board, running_board

from ftervit_deploy.architecture import Architecture
from ftervit_deploy.cli import main
from ftervit_deploy.image import write_image
from ftervit_deploy.link import SerialStream
from ftervit_deploy.lower import lower
from synthetic import random_graph

SHAPE = Architecture(16, 8, 32, 3, 2, 48, 5)
FTERVIT = [sys.executable, "-m", "ftervit_deploy", "monitor"]
PATIENCE_S = 20.0

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="hardware: the virtual board needs POSIX")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("monitor")
    (folder / "model.ftv").write_bytes(write_image(lower(random_graph(SHAPE, 2)), "t2"))
    (folder / "frames.rgb").write_bytes(np.stack([noise(SHAPE, seed) for seed in range(3)]).tobytes())
    return folder


@contextmanager
def _camera_board(folder: Path, *port: object) -> Iterator[Board]:
    camera = ("--frames", folder / "frames.rgb", "--fps", 50)
    with running_board(*port, *camera, folder / "model.ftv") as board:
        yield board


@pytest.fixture(params=["pty", "tcp"])
def board(request: pytest.FixtureRequest, folder: Path) -> Iterator[Board]:
    with _camera_board(folder, *(("--pty",) if request.param == "pty" else ("--tcp", 0))) as board:
        yield board


def _until(true: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        found = true()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError(what)


class Monitor:
    """`ftervit monitor --json` in a process; its events, with when they came."""

    def __init__(self, url: str, *arguments: object, command: Sequence[str] = FTERVIT) -> None:
        self.signal = signal.SIGINT
        line = [*command, "--json", "--port", url, *map(str, arguments)]
        self.process = subprocess.Popen(
            line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.events: list[tuple[float, dict[str, Any]]] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.append((time.monotonic(), json.loads(line)))

    def wait(self, event: str, after: float = 0.0) -> float:
        """When the first such event came after `after`."""

        def find() -> list[float]:
            return [at for at, record in list(self.events) if record["event"] == event and at > after]

        return float(_until(find, f"no {event}: {self.events[-5:]}")[0])

    def end(self) -> str:
        """Ctrl-C, unless another signal was chosen; what was on stderr."""
        self.process.send_signal(self.signal)
        status = self.process.wait(PATIENCE_S)
        self._thread.join(PATIENCE_S)
        assert self.process.stderr is not None
        assert self.process.stdout is not None
        err = self.process.stderr.read()
        self.process.stderr.close()
        self.process.stdout.close()
        assert status == 2, err
        assert "Traceback" not in err
        return err


@contextmanager
def _monitor(url: str, *arguments: object, command: Sequence[str] = FTERVIT) -> Iterator[Monitor]:
    monitor = Monitor(url, *arguments, command=command)
    try:
        yield monitor
        monitor.end()
    finally:
        monitor.process.kill()


def test_predictions_appear_as_lines(board: Board, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["monitor", "--port", board.url, "--seconds", "1.5"]) == 0
    out, err = capsys.readouterr()
    assert out.count(" ms)") > 3
    assert "\x1b" not in out
    assert "frames/s; p50 " in err


def test_json_is_one_object_per_event(board: Board, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["monitor", "--port", board.url, "--seconds", "1.5", "--json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert events[0]["event"] == "connected"
    predictions = [event for event in events if event["event"] == "prediction"]
    assert len(predictions) > 3
    assert set(predictions[0]["top"][0]) == {"index", "label", "probability"}
    assert events[-1]["event"] == "summary"
    assert events[-1]["predictions"] == len(predictions)
    assert (events[-1]["damaged"], events[-1]["resets"], events[-1]["losses"]) == (0, 0, 0)


def test_a_reset_is_survived(board: Board) -> None:
    with _monitor(board.url) as monitor:
        before = monitor.wait("prediction")
        assert before
        board.reset()
        reset = monitor.wait("reset")
        monitor.wait("prediction", reset)
    assert [r["resets"] for _, r in monitor.events if r["event"] == "summary"] == [1]
    assert any(r["event"] == "log" and r["level"] == "I" and "boot" in r["text"] for _, r in monitor.events)


def test_ctrl_c_ends_it_though_what_it_raised_was_swallowed(
    board: Board, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Closing a socket, pyserial swallows every exception, KeyboardInterrupt among them."""
    read, swallowed = SerialStream.read, []

    def swallowing(stream: SerialStream, timeout_s: float) -> bytes:
        if not swallowed:
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt:
                swallowed.append(True)
        return read(stream, timeout_s)

    monkeypatch.setattr(SerialStream, "read", swallowing)
    assert main(["monitor", "--json", "--port", board.url, "--seconds", str(PATIENCE_S)]) == 2
    assert swallowed
    assert '"summary"' in capsys.readouterr().out


@pytest.mark.parametrize("name", ["SIGHUP", "SIGINT"])
def test_a_signal_that_is_ignored_stays_ignored(board: Board, name: str) -> None:
    """As with nohup, and as a shell does it for what it starts in the background."""
    ignoring = f"import signal, runpy; signal.signal(signal.{name}, signal.SIG_IGN); "
    run = "runpy.run_module('ftervit_deploy', run_name='__main__', alter_sys=True)"
    command = [sys.executable, "-c", ignoring + run, *FTERVIT[3:]]
    with _monitor(board.url, command=command) as monitor:
        monitor.wait("prediction")
        monitor.process.send_signal(signal.Signals[name])
        monitor.wait("prediction", time.monotonic() + 0.5)
        monitor.signal = signal.SIGTERM


def _number(url: str) -> str:
    return url.rpartition(":")[2]


@pytest.mark.parametrize("kind", ["pty", "tcp"])
def test_a_port_that_vanishes_is_found_again_within_half_a_second(
    folder: Path, tmp_path: Path, kind: str
) -> None:
    port: tuple[object, ...] = ("--pty",) if kind == "pty" else ("--tcp", 0)
    link = tmp_path / "port"

    def name(url: str) -> str:
        if kind == "tcp":
            return url
        link.unlink(missing_ok=True)
        link.symlink_to(url)
        return str(link)

    with _camera_board(folder, *port) as first, _monitor(url := name(first.url)) as monitor:
        monitor.wait("prediction")
        link.unlink(missing_ok=True)
        first.kill()
        lost = monitor.wait("lost")
        again: tuple[object, ...] = ("--pty",) if kind == "pty" else ("--tcp", _number(url))
        with _camera_board(folder, *again) as second:
            name(second.url)
            there = time.monotonic()
            assert monitor.wait("connected", lost) - there < 0.5
            monitor.wait("prediction", there)
            kinds = [record["event"] for _, record in monitor.events]
    assert (kinds.count("lost"), kinds.count("connected")) == (1, 2)


def test_the_log_holds_every_byte_and_is_appended_to(board: Board, tmp_path: Path) -> None:
    log = tmp_path / "board.log"
    log.write_bytes(b"before\n")
    assert main(["monitor", "--port", board.url, "--seconds", "1", "--json", "--log", str(log)]) == 0
    raw = log.read_bytes()
    assert raw.startswith(b"before\n")
    assert raw.count(b"@ftv {") > 3
    assert b"|\r\n" in raw, "frames, too"


def test_frames_are_saved_as_pictures(board: Board, tmp_path: Path) -> None:
    from PIL import Image

    frames = tmp_path / "new" / "frames"
    arguments = ["monitor", "--port", board.url, "--seconds", "1.5", "--save-frames", str(frames)]
    assert main(arguments) == 0
    saved = sorted(frames.iterdir())
    assert len(saved) > 3
    assert not [path for path in saved if path.suffix != ".png"]
    pictures = [noise(SHAPE, seed).tobytes() for seed in range(3)]
    seen = [pictures.index(np.asarray(Image.open(path)).tobytes()) for path in saved]
    assert set(seen) == {0, 1, 2}, "a frame may be skipped, but none is damaged"


def test_a_port_that_is_not_there_exits_2(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for url in ("/dev/no-such-port", "socket://127.0.0.1:1"):
        assert main(["monitor", "--json", "--port", url]) == 2
        out, err = capsys.readouterr()
        assert (out, err.startswith("ftervit: error: ")) == ("", True)


def test_a_log_that_cannot_be_written_exits_2(
    folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with _camera_board(folder, "--tcp", 0) as board:
        assert main(["monitor", "--port", board.url, "--log", str(tmp_path)]) == 2
    assert "cannot be written" in capsys.readouterr().err


# ---- a person at a terminal ----


class Terminal:
    """`ftervit monitor` at a pseudo-terminal of its own."""

    def __init__(self, *arguments: object, variables: dict[str, str] | None = None) -> None:
        import pty
        import termios

        self._master, self._slave = pty.openpty()
        self.before = termios.tcgetattr(self._slave)
        environment = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
        self.process = subprocess.Popen(
            [*FTERVIT, *map(str, arguments)],
            stdin=self._slave, stdout=self._slave, stderr=self._slave, start_new_session=True,
            env={**environment, "TERM": "xterm", **(variables or {})},
        )  # fmt: skip
        self.seen = b""

    def see(self, wanted: bytes) -> bytes:
        """What came up to and with `wanted`; it is not seen again."""
        import select

        def read() -> bool:
            if select.select([self._master], [], [], 0.05)[0]:
                self.seen += os.read(self._master, 65536)
            return wanted in self.seen

        _until(read, f"{wanted!r} does not appear")
        found, _, self.seen = self.seen.partition(wanted)
        return found + wanted

    def press(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def status(self) -> int:
        """Waits for the end, and that the terminal is as it was."""
        import select
        import termios

        def ended() -> bool:
            if select.select([self._master], [], [], 0.05)[0]:
                self.seen += os.read(self._master, 65536)
            return self.process.poll() is not None

        _until(ended, "the monitor does not end")
        assert termios.tcgetattr(self._slave) == self.before
        return int(self.process.returncode)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)
        os.close(self._slave)


@contextmanager
def _terminal(*arguments: object, **variables: str) -> Iterator[Terminal]:
    terminal = Terminal(*arguments, variables=variables)
    try:
        yield terminal
    finally:
        terminal.close()


def test_a_person_sees_bars_and_quits_with_a_key(board: Board) -> None:
    with _terminal("--port", board.url) as terminal:
        terminal.see("█".encode())
        terminal.see(b"frames/s; p50 ")
        terminal.press(b"\x14h")
        text = terminal.see(b"quit\r\n") + terminal.see(b"Ctrl-T X  quit")
        assert b"reset the board" not in text, "this port has no reset line"
        assert b"log file" not in text
        board.reset()
        terminal.see(b"\x1b[32mI (0) boot: virtual board\x1b[0m")
        terminal.press(b"\x14y")
        terminal.see(b"muted")
        terminal.press(b"\x1d")
        assert terminal.status() == 0


def test_no_colour_where_none_is_wanted(folder: Path) -> None:
    with (
        _camera_board(folder, "--tcp", 0) as board,
        _terminal("--port", board.url, NO_COLOR="1") as terminal,
    ):
        terminal.see(b"frames/s; p50 ")
        board.reset()
        assert b"m" not in terminal.see(b"I (0) boot: virtual board")[-30:-25]
        terminal.press(b"\x14x")
        assert terminal.status() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_the_terminal_as_it_was(folder: Path, number: signal.Signals) -> None:
    with _camera_board(folder, "--tcp", 0) as board, _terminal("--port", board.url) as terminal:
        terminal.see(b"frames/s; p50 ")
        terminal.process.send_signal(number)
        assert terminal.status() == 2
        assert b"Traceback" not in terminal.seen


def test_an_error_leaves_the_terminal_as_it_was(folder: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("hardware: no /dev/full")
    with (
        _camera_board(folder, "--tcp", 0) as board,
        _terminal("--port", board.url, "--log", "/dev/full") as terminal,
    ):
        terminal.see(b"/dev/full cannot be written")
        assert terminal.status() == 2


def test_the_log_is_switched_by_a_key(folder: Path, tmp_path: Path) -> None:
    log = tmp_path / "board.log"
    with (
        _camera_board(folder, "--tcp", 0) as board,
        _terminal("--port", board.url, "--log", log) as terminal,
    ):
        _until(lambda: log.exists() and b"@ftv" in log.read_bytes(), "nothing is logged")
        terminal.press(b"\x14l")
        terminal.see(b"Not writing ")
        size = log.stat().st_size
        terminal.see(b"frames/s; p50 ")
        assert log.stat().st_size == size
        terminal.press(b"\x14l\x1d")
        assert terminal.status() == 0
