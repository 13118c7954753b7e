"""A contestant's process, seen from outside: it runs when asked and is stopped in between."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
CAN_STOP = hasattr(signal, "SIGSTOP")


class WorkerError(Exception):
    """The contestant cannot run; says why."""


class Worker:
    """`python -m bench.serve` with its answers; a context manager.

    While it is not asked it is stopped (POSIX), so that its idle threads take nothing from the others.

    Args:
        python: interpreter of the environment it lives in.
        arguments: of bench.serve.
        environment: variables beside this process's own.
        log: file for what its libraries print.
    """

    def __init__(self, python: Path, arguments: list[str], environment: Mapping[str, str], log: Path) -> None:
        if not python.is_file():
            raise WorkerError("not installed: make peers")
        with log.open("w") as stderr:
            self._process = subprocess.Popen(
                [python, "-m", "bench.serve", *arguments],
                cwd=ROOT,
                env={**os.environ, **environment},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )  # fmt: skip

    def ask(self, batch: int, runs: int) -> dict[str, Any]:
        """One request of bench.serve, and its answer.

        Raises:
            WorkerError: it says that it cannot, or it died.
        """
        self._signal("SIGCONT")
        try:
            line = self._exchange(json.dumps({"batch": batch, "runs": runs}))
        finally:
            self._signal("SIGSTOP")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise WorkerError(answer["error"])
        return answer

    def close(self) -> None:
        """Ends the process."""
        self._signal("SIGCONT")
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _exchange(self, request: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(request + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise WorkerError(f"ended with status {self._process.wait()}")
        return line

    def _signal(self, name: str) -> None:
        if CAN_STOP and self._process.poll() is None:
            self._process.send_signal(getattr(signal, name))
