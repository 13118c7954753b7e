"""How each system installs things."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from .machine import Machine

_DISTRIBUTIONS = {
    "debian": "debian",
    "ubuntu": "debian",
    "fedora": "fedora",
    "rhel": "fedora",
    "centos": "fedora",
    "arch": "arch",
}
"""ID and ID_LIKE of /etc/os-release, and whose package manager that means."""

_INSTALLERS = {
    "debian": "sudo apt-get install -y",
    "fedora": "sudo dnf install -y",
    "arch": "sudo pacman -S --needed",
    "macos": "brew install",
    "windows": "winget install",
}


def family(machine: Machine) -> str:
    """`debian`, `fedora`, `arch`, `macos` or `windows`; ``other`` is a Linux that we do not know."""
    if machine.system != "linux":
        return machine.system
    release = machine.text(machine.path("/etc/os-release"))
    said = dict(line.split("=", 1) for line in release.splitlines() if "=" in line)
    names = [said.get("ID", ""), *said.get("ID_LIKE", "").strip("\"'").split()]
    known = (_DISTRIBUTIONS.get(name.strip("\"'")) for name in names)
    return next((name for name in known if name), "other")


def install_command(machine: Machine, packages: Mapping[str, str]) -> str | None:
    """The command that installs `packages`, which hold by family what the system calls them.

    None where the family is not known or not among them.
    """
    kind = family(machine)
    return f"{_INSTALLERS[kind]} {packages[kind]}" if kind in _INSTALLERS and kind in packages else None


def install(machine: Machine, packages: Mapping[str, str], otherwise: str) -> str:
    """The same; where there is no such command, what to look for (`otherwise`)."""
    command = install_command(machine, packages)
    return command or f"Install {otherwise} with your system's package manager."


def pip_install(machine: Machine, requirement: str, option: str = "") -> str:
    """The command that installs a Python package beside ftervit."""
    pip = f"-m pip install {option}".strip()
    if machine.system == "windows":
        python = "python" if " " in machine.executable else machine.executable
        return f'{python} {pip} "{requirement}"'
    return f"{shlex.quote(machine.executable)} {pip} {shlex.quote(requirement)}"


def install_ftervit(machine: Machine) -> str:
    """The command that installs ftervit and what it needs again, from its sources if it runs from them."""
    if machine.sources is None:
        return pip_install(machine, "ftervit")
    return pip_install(machine, machine.sources, "--editable")
