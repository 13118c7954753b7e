"""What a build made, from the files that ESP-IDF writes for programs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import ProjectError
from .preparing import BUILD_FOLDER
from .toolchain import Toolchain

DESCRIPTION_FILE = "project_description.json"
FLASHER_FILE = "flasher_args.json"
SIZE_S = 120
_INSTRUCTIONS = (".text", ".vectors")
_PSRAM = ("External RAM", "SPI DRAM", "PSRAM")
"""esp_idf_size's names of it, by version."""
_PSRAM_SECTIONS, _PSRAM_DUMMY = ".ext_ram", ".ext_ram.dummy"
"""ESP-IDF's linker scripts keep addresses free with the latter."""

_HEAP_SECTION = ".dram0.heap_start"


@dataclass(frozen=True)
class StaticMemory:
    """Bytes of memory that the linker laid out; None where the tool does not tell.

    Attributes:
        iram_bytes: instructions in internal memory.
        dram_bytes: data in internal memory, zeroed or not.
        psram_bytes: data in external memory.
    """

    iram_bytes: int | None = None
    dram_bytes: int | None = None
    psram_bytes: int | None = None


@dataclass(frozen=True)
class Paths:
    """Files of a build.

    Attributes:
        elf: the application with its symbols.
        app: the application as it is flashed.
        flasher_args: what goes where in the flash.
    """

    elf: Path
    app: Path
    flasher_args: Path


def read_paths(project: Path) -> Paths:
    """The files of the build in the folder `project`.

    Raises:
        ProjectError: a file that ESP-IDF should have written is missing or damaged.
    """
    build = project / BUILD_FOLDER
    description, flasher = build / DESCRIPTION_FILE, build / FLASHER_FILE
    said = _read(description)
    names = [said.get("app_elf"), said.get("app_bin"), *_read(flasher).get("flash_files", {}).values()]
    for name in names:
        if not isinstance(name, str) or not (build / name).is_file():
            raise ProjectError(f"The build in {build} lacks {name or 'its application'}.", "Build again.")
    return Paths(build / str(names[0]), build / str(names[1]), flasher)


def app_file(project: Path) -> Path | None:
    """The application of a build that may have failed; None where there is none."""
    try:
        name = _read(project / BUILD_FOLDER / DESCRIPTION_FILE).get("app_bin")
    except ProjectError:
        return None
    path = project / BUILD_FOLDER / str(name)
    return path if path.is_file() else None


def _read(path: Path) -> dict[str, Any]:
    try:
        said = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise ProjectError(f"ESP-IDF left no readable {path}.", "Build again.")
    return said


def static_memory(toolchain: Toolchain, elf: Path) -> StaticMemory:
    """As esp_idf_size counts it: the form of ESP-IDF 5.2 and newer, else that of 5.1.

    The latter leaves external memory out, which is then counted in the ELF file.
    """
    for form in ("json2", "json"):
        said = _asked_for_sizes(toolchain, elf.with_suffix(".map"), form)
        if said is not None:
            memory = read_sizes(said)
            return (
                memory if memory.psram_bytes is not None else replace(memory, psram_bytes=psram_of_elf(elf))
            )
    return StaticMemory()


def psram_of_elf(elf: Path) -> int | None:
    """Bytes of the sections in external memory; None where the file is no ELF file."""
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    try:
        with elf.open("rb") as file:
            sections = [(section.name, section["sh_size"]) for section in ELFFile(file).iter_sections()]
    except (ELFError, OSError):
        return None
    return sum(size for name, size in sections if name.startswith(_PSRAM_SECTIONS) and name != _PSRAM_DUMMY)


def heap_start(elf: Path) -> int | None:
    """Where internal RAM's static data ends and ESP-IDF's heap begins; None where the file does not tell."""
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    try:
        with elf.open("rb") as file:
            section = ELFFile(file).get_section_by_name(_HEAP_SECTION)
            return None if section is None else int(section["sh_addr"])
    except (ELFError, OSError):
        return None


def _asked_for_sizes(toolchain: Toolchain, map_file: Path, form: str) -> dict[str, Any] | None:
    command = [str(toolchain.python), "-m", "esp_idf_size", "--format", form, str(map_file)]
    newer = {"ESP_IDF_SIZE_NG": "1"} if form == "json2" else {}
    try:
        done = subprocess.run(
            command, env={**toolchain.environment, **newer}, stdin=subprocess.DEVNULL,
            capture_output=True, timeout=SIZE_S, check=False,
        )  # fmt: skip
        said = json.loads(done.stdout[done.stdout.find(b"{") :])
    except (OSError, ValueError, RecursionError, subprocess.TimeoutExpired):
        return None
    return said if isinstance(said, dict) and not done.returncode else None


def read_sizes(said: Mapping[str, Any]) -> StaticMemory:
    """Either form of esp_idf_size's JSON; what it lacks is None."""
    try:
        return _of_layout(said["layout"]) if "layout" in said else _of_totals(said)
    except (KeyError, TypeError, ValueError, AttributeError):
        return StaticMemory()


def _of_layout(layout: list[dict[str, Any]]) -> StaticMemory:
    """Memories, each with its sections; a chip's DIRAM holds instructions and data."""
    iram = dram = 0
    psram: int | None = None
    for memory in layout:
        parts = {name: int(part["size"]) for name, part in memory["parts"].items()}
        if memory["name"] in _PSRAM:
            psram = (psram or 0) + int(memory["used"])
        elif memory["name"] in ("IRAM", "DIRAM", "DRAM"):
            instructions = sum(size for name, size in parts.items() if name.endswith(_INSTRUCTIONS))
            iram += instructions
            dram += sum(parts.values()) - instructions
    return StaticMemory(iram, dram, psram)


def _of_totals(said: Mapping[str, Any]) -> StaticMemory:
    """One total for each kind of section; external memory is not among them."""
    iram = int(said["used_iram"]) + int(said["diram_text"]) + int(said["diram_vectors"])
    dram = int(said["used_dram"]) + int(said["used_diram"])
    return StaticMemory(iram, dram - int(said["diram_text"]) - int(said["diram_vectors"]), None)
