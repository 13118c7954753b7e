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
