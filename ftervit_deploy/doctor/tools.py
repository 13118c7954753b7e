"""Programs and packages that only some commands need."""

from __future__ import annotations

from collections.abc import Mapping

from .commands import install, pip_install
from .machine import Check, Machine, Target
from .versions import parsed, shown

MINIMUM_ESPTOOL = (5,)
FOR_FLASH = "needed by `ftervit flash`"
FOR_VERIFY = "needed by `ftervit verify` and `ftervit monitor`"
_ONLY_SOURCES = "only building ftervit from its sources needs it"
_APPLE_TOOLS = ("/Library/Developer/CommandLineTools", "/Applications/Xcode.app")
_COMPILER_PACKAGES = {
    "debian": "build-essential",
    "fedora": "gcc make",
    "arch": "base-devel",
    "windows": "Microsoft.VisualStudio.2022.BuildTools",
}
_CMAKE_PACKAGES = {
    "debian": "cmake",
    "fedora": "cmake",
    "arch": "cmake",
    "macos": "cmake",
    "windows": "Kitware.CMake",
}


def check_compiler(machine: Machine, target: Target) -> Check:
    """A C compiler for this computer: only a source checkout needs one."""
    if machine.system == "macos":
        return _apple_compiler(machine)
    names = ("cc", "gcc", "clang", "cl")
    return _program(machine, "compiler", names, "A C compiler", _COMPILER_PACKAGES)


def _apple_compiler(machine: Machine) -> Check:
    """/usr/bin/cc is always there; the compiler behind it comes with one of two folders."""
    if any(machine.is_folder(machine.path(folder)) for folder in _APPLE_TOOLS):
        return Check("compiler", "ok", False, "A C compiler: Xcode's.")
    what = f"A C compiler is not installed; {_ONLY_SOURCES}."
    return Check("compiler", "missing", False, what, "xcode-select --install")


def check_cmake(machine: Machine, target: Target) -> Check:
    """CMake: only a source checkout needs it."""
    return _program(machine, "cmake", ("cmake",), "CMake", _CMAKE_PACKAGES)


def _program(
    machine: Machine, check: str, names: tuple[str, ...], what: str, packages: Mapping[str, str]
) -> Check:
    found = machine.find_program(*names)
    if found is not None:
        return Check(check, "ok", False, f"{what}: {found}.")
    return Check(
        check, "missing", False,
        f"{what} is not on the PATH; {_ONLY_SOURCES}.",
        install(machine, packages, otherwise=what),
    )  # fmt: skip


def check_esptool(machine: Machine, target: Target) -> Check:
    """esptool, known by its metadata alone."""
    version = machine.version_of("esptool")
    fix = pip_install(machine, f"esptool>={shown(MINIMUM_ESPTOOL)}")
    if version is None:
        return Check("esptool", "missing", False, f"esptool is not installed ({FOR_FLASH}).", fix)
    if (parsed(version) or ()) < MINIMUM_ESPTOOL:
        what = f"esptool {version} is older than {shown(MINIMUM_ESPTOOL)} ({FOR_FLASH})."
        return Check("esptool", "wrong", False, what, fix)
    return Check("esptool", "ok", False, f"esptool {version} ({FOR_FLASH}).")


def check_pyserial(machine: Machine, target: Target) -> Check:
    """The package pyserial, known by its metadata alone."""
    version = machine.version_of("pyserial")
    if version is None:
        what = f"pyserial is not installed ({FOR_VERIFY})."
        return Check("pyserial", "missing", False, what, pip_install(machine, "pyserial"))
    return Check("pyserial", "ok", False, f"pyserial {version} ({FOR_VERIFY}).")
