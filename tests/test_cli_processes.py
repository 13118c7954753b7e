"""The command as a process: signals, pipes, and what it never imports."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

FTERVIT = [sys.executable, "-m", "ftervit_deploy"]

posix = pytest.mark.skipif(sys.platform == "win32", reason="hardware: POSIX signals and pipes")


@posix
def test_ctrl_c_during_a_download_exits_2_and_leaves_nothing(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(30)
        variables = {
            **os.environ,
            "HF_ENDPOINT": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "HF_HOME": str(tmp_path / "cache"),
            "HF_HUB_OFFLINE": "0",
        }
        command = [*FTERVIT, "pack", "user/repo:model.safetensors", "-o", str(tmp_path / "out.ftv")]
        process = subprocess.Popen(command, env=variables, stderr=subprocess.PIPE, text=True)
        connection, _ = silent.accept()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
        connection.close()
    assert process.returncode == 2, err
    assert "interrupted" in err
    assert "Traceback" not in err
    assert not [path for path in tmp_path.iterdir() if path.name != "cache"]


@posix
def test_a_reader_that_goes_away_is_no_traceback() -> None:
    program = "import sys; from ftervit_deploy.cli import main; sys.exit(main(['models'] ))"
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait(30) == 2
    assert err == b""


def test_no_colour_where_none_is_wanted() -> None:
    done = subprocess.run([*FTERVIT, "models"], capture_output=True, text=True, check=True)
    assert "\x1b" not in done.stdout + done.stderr


def test_the_module_runs_as_the_command_does() -> None:
    done = subprocess.run([*FTERVIT, "models", "--json"], capture_output=True, text=True, check=True)
    assert "published" in json.loads(done.stdout)


@posix
@pytest.mark.parametrize(("closed", "status"), [("1", 0), ("2", 0)])
def test_a_closed_stream_is_no_defect(closed: str, status: int) -> None:
    shell = f'exec "$@" {closed}>&-'
    done = subprocess.run(
        ["sh", "-c", shell, "sh", *FTERVIT, "models"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (status, "")


@posix
def test_errors_do_not_reach_stdout_where_stderr_is_closed() -> None:
    command = ["sh", "-c", 'exec "$@" 2>&-', "sh", *FTERVIT, "pack", "no-such-model", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")


@posix
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="hardware: needs /dev/full, which Linux has")
@pytest.mark.parametrize("arguments", [["models"], ["models", "--json"], ["--help"]], ids=" ".join)
def test_a_full_disk_behind_stdout_is_one_sentence(arguments: list[str]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*FTERVIT, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (2, "ftervit: error: No space left on device.\n")


@pytest.mark.parametrize(
    ("name", "value"), [("HF_ENDPOINT", "http://[::bad"), ("HF_HUB_ETAG_TIMEOUT", "abc")]
)
def test_an_impossible_variable_of_the_hub_is_one_sentence(name: str, value: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [*FTERVIT, "pack", "user/repo:a.pth", "-o", str(tmp_path / "a.ftv")],
        env={**os.environ, name: value}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "HF_" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def _on_a_terminal(variables: dict[str, str], *arguments: str) -> str:
    """What a command shows on a terminal, both streams."""
    import pty

    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [*FTERVIT, *arguments],
        env={**os.environ, "TERM": "xterm", **variables},
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    shown = b""
    while chunk := _read(controller):
        shown += chunk
    os.close(controller)
    assert process.wait(30) == 0
    return shown.decode()


def _read(controller: int) -> bytes:
    try:
        return os.read(controller, 65536)
    except OSError:  # Linux's way to say that the other end is closed
        return b""


@posix
def test_colour_on_a_terminal_unless_it_is_not_wanted() -> None:
    assert "\x1b[1m" in _on_a_terminal({"NO_COLOR": ""}, "models")
    assert "\x1b" not in _on_a_terminal({"NO_COLOR": "1"}, "models")
    assert "\x1b" not in _on_a_terminal({"TERM": "dumb"}, "models")
