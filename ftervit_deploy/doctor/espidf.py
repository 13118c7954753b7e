"""ESP-IDF: where it is, which version, and whether its compiler is there. Files are read, nothing is run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath

from .commands import install_command
from .eim import installations
from .machine import Check, Machine, Target
from .versions import Version, parsed, shown

MINIMUM_ESPIDF = (5, 1)
RECOMMENDED_ESPIDF = "v5.3.5"
"""The newest release that projects were linked with (boards/EVIDENCE.md)."""
PURPOSE = "needed by `ftervit build`"

_USUAL_PLACES = ("~/esp/esp-idf", "~/esp-idf", "/opt/esp/idf", "/opt/esp-idf", "/usr/local/esp-idf")
_USUAL_PLACES_WINDOWS = ("~/esp/esp-idf", "C:/Espressif/esp-idf", "C:/esp/esp-idf", "C:/esp-idf")
_PARENTS = ("~/esp", "~/.espressif", "~/.espressif/frameworks")
_PARENTS_WINDOWS = ("C:/Espressif/frameworks", "C:/Espressif", "C:/esp", *_PARENTS)
"""Folders in which installers make one folder for each version."""

_CLONE = (
    f"git clone -b {RECOMMENDED_ESPIDF} --recursive https://github.com/espressif/esp-idf.git ~/esp/esp-idf"
    " && ~/esp/esp-idf/install.sh {chip}"
)
_PREREQUISITES = {
    "debian": "git wget flex bison gperf python3 python3-pip python3-venv cmake ninja-build ccache"
    " libffi-dev libssl-dev dfu-util libusb-1.0-0",
    "fedora": "git wget flex bison gperf python3 cmake ninja-build ccache dfu-util libusbx",
    "arch": "gcc git make flex bison gperf python cmake ninja ccache dfu-util libusb python-pip",
    "macos": "cmake ninja dfu-util",
}
"""As ESP-IDF's guide for Linux and macOS lists them."""
_WINDOWS = f"winget install Espressif.EIM-CLI; eim install -i {RECOMMENDED_ESPIDF}"
_COMPILERS = re.compile(r"xtensa-esp-elf(?:-gcc)?|xtensa-(?P<chip>esp32\w*)-elf(?:-gcc)?")
_CMAKE_VERSION = re.compile(r"set\s*\(\s*IDF_VERSION_(MAJOR|MINOR|PATCH)\s+(\d{1,6})\s*\)")


@dataclass(frozen=True)
class EspIdf:
    """An ESP-IDF.

    Attributes:
        path: its folder.
        found: how, in words.
        version: numbers; None where its files do not tell.
    """

    path: PurePath
    found: str
    version: Version | None


def find_espidf(machine: Machine) -> EspIdf | None:
    """The ESP-IDF to use: what IDF_PATH says, idf.py on the PATH, else the newest in the usual places."""
    said = machine.environment.get("IDF_PATH")
    if said:
        path = machine.path(said)
        return EspIdf(path, "IDF_PATH", read_version(machine, path)) if is_espidf(machine, path) else None
    for folder in machine.search_path():
        if folder.name == "tools" and is_espidf(machine, folder.parent):
            return EspIdf(folder.parent, "idf.py on the PATH", read_version(machine, folder.parent))
    found = [EspIdf(path, "", read_version(machine, path)) for path in _usual_places(machine)]
    return max(found, key=lambda espidf: espidf.version or (), default=None)


def _usual_places(machine: Machine) -> Iterator[PurePath]:
    windows = machine.system == "windows"
    candidates = [machine.path(p) for p in (_USUAL_PLACES_WINDOWS if windows else _USUAL_PLACES)]
    candidates += [installation.path for installation in installations(machine)]
    for parent in map(machine.path, _PARENTS_WINDOWS if windows else _PARENTS):
        for name in machine.names(parent):
            candidates += [parent / name, parent / name / "esp-idf"]
    yield from (path for path in dict.fromkeys(candidates) if is_espidf(machine, path))


def is_espidf(machine: Machine, path: PurePath) -> bool:
    """Whether the folder is an ESP-IDF."""
    return all(machine.is_file(path / "tools" / name) for name in ("idf.py", "cmake/project.cmake"))


def read_version(machine: Machine, path: PurePath) -> Version | None:
    """From version.txt, which releases have, else from tools/cmake/version.cmake."""
    version = parsed(machine.text(path / "version.txt"))
    if version is not None:
        return version
    said = dict(_CMAKE_VERSION.findall(machine.text(path / "tools/cmake/version.cmake")))
    parts = [said.get(name) for name in ("MAJOR", "MINOR", "PATCH")]
    return tuple(int(part) for part in parts if part) if parts[0] and parts[1] else None


def has_compiler(machine: Machine, chip: str) -> bool:
    """Whether the compiler for the chip is on the PATH or among the tools that install.sh brought."""
    if machine.find_program("xtensa-esp-elf-gcc", f"xtensa-{chip}-elf-gcc"):
        return True
    places = [machine.environment.get("IDF_TOOLS_PATH"), "~/.espressif", "/opt/esp"]
    if machine.system == "windows":
        places.append("C:/Espressif")
    folders = [machine.path(place) / "tools" for place in places if place]
    folders += [installation.tools for installation in installations(machine)]
    names = [name for folder in folders for name in machine.names(folder)]
    found = (_COMPILERS.fullmatch(name) for name in names)
    return any(match is not None and match["chip"] in (None, chip) for match in found)


def check_espidf(machine: Machine, target: Target) -> Check:
    """ESP-IDF with its compiler for the target's chip."""
    said = machine.environment.get("IDF_PATH")
    espidf = find_espidf(machine)
    if espidf is None and said:
        what = f"IDF_PATH says {said}, which holds no ESP-IDF ({PURPOSE})."
        return Check("esp-idf", "wrong", False, what, _unset_idf_path(machine))
    fix = espidf_command(machine, target.chip)
    if espidf is None:
        what = f"There is no ESP-IDF in IDF_PATH, on the PATH or in the usual places ({PURPOSE})."
        return Check("esp-idf", "missing", False, what, fix)
    return _judged(machine, target, espidf)


def _judged(machine: Machine, target: Target, espidf: EspIdf) -> Check:
    why = f"{espidf.found}; {PURPOSE}" if espidf.found else PURPOSE
    if espidf.version is None:
        what = f"{espidf.path} does not say which version of ESP-IDF it is ({why})."
        return Check("esp-idf", "wrong", False, what, _update(machine, espidf, target.chip))
    name = f"ESP-IDF {shown(espidf.version)} at {espidf.path}"
    if espidf.version < MINIMUM_ESPIDF:
        what = f"{name} is too old: {shown(MINIMUM_ESPIDF)} or newer is needed ({why})."
        return Check("esp-idf", "wrong", False, what, _update(machine, espidf, target.chip))
    if not has_compiler(machine, target.chip):
        what = f"{name} has no compiler for {target.chip} ({why})."
        return Check("esp-idf", "missing", False, what, install_tools(machine, espidf, target.chip))
    return Check("esp-idf", "ok", False, f"{name} ({why}).")


def espidf_command(machine: Machine, chip: str) -> str:
    """How to install ESP-IDF here, prerequisites included."""
    if machine.system == "windows":
        return _WINDOWS
    clone = _CLONE.format(chip=chip)
    prerequisites = install_command(machine, _PREREQUISITES)
    return f"{prerequisites} && {clone}" if prerequisites else clone


def _update(machine: Machine, espidf: EspIdf, chip: str) -> str:
    """Moves a clone to the recommended version; what is no clone is installed anew."""
    if machine.system == "windows":
        return _WINDOWS
    path = _quoted(espidf.path)
    if not (machine.is_folder(espidf.path / ".git") or machine.is_file(espidf.path / ".git")):
        return espidf_command(machine, chip)
    return (
        f"git -C {path} fetch --tags && git -C {path} checkout {RECOMMENDED_ESPIDF}"
        f" && git -C {path} submodule update --init --recursive && {install_tools(machine, espidf, chip)}"
    )


def install_tools(machine: Machine, espidf: EspIdf, chip: str) -> str:
    """How to get the tools of an ESP-IDF for a chip."""
    if machine.system == "windows":
        return f'& "{espidf.path}\\install.bat" {chip}'
    return f"{_quoted(espidf.path / 'install.sh')} {chip}"


def _quoted(path: PurePath) -> str:
    return shlex.quote(str(path))


def _unset_idf_path(machine: Machine) -> str:
    return "Remove-Item Env:IDF_PATH" if machine.system == "windows" else "unset IDF_PATH"
