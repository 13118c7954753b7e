"""`idf.py build` of a rendered project, watched."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from ..boards.chips import CHIPS
from ..doctor.machine import Machine
from ..errors import ProjectError
from ..project import Manifest, read_manifest
from .diagnosis import diagnose, progress
from .outcome import app_file, heap_start, read_paths, static_memory
from .preparing import BUILD_FOLDER, prepare
from .running import plain, run_logged
from .toolchain import Toolchain, find_toolchain

LOG_FILE = "ftervit-build.log"


@dataclass(frozen=True)
class FirmwareBuild:
    """Firmware.

    Attributes:
        project: the folder it was built from.
        chip: ESP-IDF's target.
        espidf_version: as people write it.
        elf: the application with its symbols.
        app: the application as it is flashed.
        flasher_args: what goes where in the flash, for esptool.
        app_bytes, app_partition_bytes: the application's size, and the room for it.
        iram_bytes, dram_bytes, psram_bytes: static memory (see outcome.StaticMemory); None if not known.
        log: everything that the build said.
        seconds: it took.
    """

    project: Path
    chip: str
    espidf_version: str
    elf: Path
    app: Path
    flasher_args: Path
    app_bytes: int
    app_partition_bytes: int
    iram_bytes: int | None
    dram_bytes: int | None
    psram_bytes: int | None
    log: Path
    seconds: float


class BuildError(ProjectError):
    """A build that failed.

    Args:
        lines: of the log, about the first error.
    """

    def __init__(self, what: str, hint: str, lines: tuple[str, ...] = ()) -> None:
        super().__init__(what, hint)
        self.lines = lines


class Listener:
    """Who wants to know how a build goes; each method may be overridden."""

    def progress(self, done: int, total: int) -> None:
        """So many steps of the application are done; `total` is ninja's guess of now."""

    def line(self, text: str) -> None:
        """A line of the build's output."""

    def note(self, text: str) -> None:
        """What a person may want to know, in a sentence."""


def build_firmware(project: Path, machine: Machine, listener: Listener | None = None) -> FirmwareBuild:
    """Build the project that `ftervit build` rendered in the folder `project`.

    Args:
        machine: where to look for ESP-IDF; its environment is that of the build.

    Raises:
        ProjectError: no project, no ESP-IDF that can serve.
        BuildError: the build failed, or the application is too large for its partition.
    """
    listener = listener or Listener()
    manifest = read_manifest(project)
    toolchain = find_toolchain(machine, manifest.chip)
    other = machine.environment.get("IDF_TARGET", manifest.chip)
    if other != manifest.chip:
        listener.note(f"IDF_TARGET says {other}; the project is for {manifest.chip}, which counts.")
    prepare(project, manifest.chip, toolchain, listener.note)
    started = time.time()
    _run(project, toolchain, listener, manifest, started)
    return _result(project, toolchain, manifest, time.time() - started)


def _run(
    project: Path, toolchain: Toolchain, listener: Listener, manifest: Manifest, started: float
) -> None:  # fmt: skip
    log = project / BUILD_FOLDER / LOG_FILE
    listener.note(f"Building with ESP-IDF {toolchain.version} ({toolchain.espidf.path}); log: {log}.")
    command = toolchain.idf_py("-C", str(project.resolve()), "build")
    steps = _Steps(listener)
    status = run_logged(command, toolchain.environment, log, steps.line)
    if not status:
        return
    app = app_file(project)
    if app is not None and app.stat().st_mtime >= started:
        _check_size(app, manifest, log)
    lines = [plain(raw) for raw in log.read_bytes().splitlines()]
    found = diagnose(lines, project)
    what = found.what.rstrip(".")
    raise BuildError(f"The firmware does not build: {what}.", f"All that was said: {log}", found.lines)


class _Steps:
    """Counts the application's steps; the bootloader's, in between, are fewer and count for one."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._largest = 0

    def line(self, text: str) -> None:
        """A line of the build's output."""
        self._listener.line(text)
        found = progress(text)
        if found is None:
            return
        done, total = found
        if 2 * total >= self._largest:
            self._largest = max(self._largest, total)
            self._listener.progress(done, total)


def _check_size(app: Path, manifest: Manifest, log: Path) -> None:
    """Raises BuildError if the application does not fit."""
    app_bytes, room = app.stat().st_size, manifest.app_partition_bytes
    if app_bytes > room:
        missing = app_bytes - room
        raise BuildError(
            f"The application has {app_bytes:,} bytes, and its partition {room:,}: {missing:,} too few.",
            f"Take a smaller model, or --encoding t5, to leave it more room; log: {log}",
        )


START_BYTES = 24 << 10
"""What ESP-IDF takes of the heap's first piece before the application starts (16 KB were seen), and what the heap
loses to its classes of sizes (up to 8 KB)."""


def _check_arena(elf: Path, manifest: Manifest, log: Path) -> None:
    """Raises BuildError if the heap will have no piece as large as the engine's arena."""
    start = heap_start(elf)
    if start is None:
        return
    piece = CHIPS[manifest.chip].heap_end - start - START_BYTES
    if piece < manifest.arena_bytes:
        raise BuildError(
            f"The firmware leaves the engine {max(piece, 0):,} bytes of internal RAM in one piece, and the model "
            f"is planned for {manifest.arena_bytes:,}.",
            f"Lower arena_bytes in the board's [memory] to {max(piece, 0):,}, then `ftervit build` again; log: {log}",
        )


def _result(project: Path, toolchain: Toolchain, manifest: Manifest, seconds: float) -> FirmwareBuild:
    log = project / BUILD_FOLDER / LOG_FILE
    paths = read_paths(project)
    _check_size(paths.app, manifest, log)
    _check_arena(paths.elf, manifest, log)
    memory = static_memory(toolchain, paths.elf)
    return FirmwareBuild(
        project, manifest.chip, toolchain.version, paths.elf, paths.app, paths.flasher_args,
        paths.app.stat().st_size, manifest.app_partition_bytes,
        memory.iram_bytes, memory.dram_bytes, memory.psram_bytes, log, seconds,
    )  # fmt: skip
