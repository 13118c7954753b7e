"""A command whose output is kept and watched, and which never outlives this process's interest in it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

GRACE_S = 5.0
"""After so long a process that was asked to end is killed."""
_CSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


def run_logged(
    command: Sequence[str],
    environment: Mapping[str, str],
    log: Path,
    on_line: Callable[[str], None],
) -> int:
    """Run `command`, its output in the file `log` and line by line in `on_line`; returns the exit status.

    Whatever ends this call early (Ctrl-C, an error in `on_line`) ends the command and all its children.

    Raises:
        OSError: the command or the log cannot be opened.
    """
    with log.open("wb") as file, _started(command, environment) as process:
        try:
            assert process.stdout is not None
            for raw in process.stdout:
                file.write(raw)
                on_line(plain(raw))
            return process.wait()
        except BaseException:
            _end(process)
            raise


def plain(raw: bytes) -> str:
    """A line of output without its end and without the terminal's control sequences."""
    return _CSI.sub("", raw.decode("utf-8", "replace")).rstrip()


def _started(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """In a process group of its own, so that it can be ended with all its children."""
    flags = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
    return subprocess.Popen(
        command, env=dict(environment), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, start_new_session=os.name == "posix", creationflags=flags,
    )  # fmt: skip


def _end(process: subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":
        subprocess.run(["taskkill", "/T", "/F", "/PID", str(process.pid)], capture_output=True, check=False)
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(GRACE_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
