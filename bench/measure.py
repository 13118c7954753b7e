"""Wall time and peak memory of a command, as a user at a shell meets them."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PYTHON = sys.executable
FTERVIT = str(Path(sys.executable).with_name("ftervit"))


@dataclass(frozen=True)
class Measurement:
    """Medians of `repeats` runs, after one that is not counted: wall seconds, resident bytes."""

    seconds: float
    peak_bytes: float
    repeats: int


def measure(command: Sequence[str], repeats: int) -> Measurement:
    """Run `command` once to warm the caches, then `repeats` times."""
    runs = [_once(command) for _ in range(repeats + 1)][1:]
    return Measurement(
        statistics.median(seconds for seconds, _ in runs),
        statistics.median(peak for _, peak in runs),
        repeats,
    )


def _once(command: Sequence[str]) -> tuple[float, float]:
    with open(os.devnull, "w") as nowhere:
        started = time.perf_counter()
        child = subprocess.Popen(command, stdout=nowhere)
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - started
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, command)
    unit = 1 if sys.platform == "darwin" else 1024
    return seconds, float(usage.ru_maxrss * unit)


def command_output(command: Sequence[str], folder: Path) -> str:
    """What `command`, run in `folder`, prints on stdout."""
    return subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout
