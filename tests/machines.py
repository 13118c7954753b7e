"""Made-up machines for `ftervit doctor`: a folder stands for the file system."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from ftervit_deploy.checkpoint.hub import HubAnswer
from ftervit_deploy.doctor.machine import Machine, SelfRun, System

HOMES = {"linux": "/home/mira", "macos": "/Users/mira", "windows": r"C:\Users\mira"}
PYTHONS = {"linux": "/venv/bin/python", "macos": "/venv/bin/python", "windows": r"C:\venv\python.exe"}
OS_RELEASE = {
    "debian": "ID=debian\n",
    "ubuntu": 'ID=ubuntu\nID_LIKE="debian"\n',
    "mint": 'ID=linuxmint\nID_LIKE="ubuntu debian"\n',
    "fedora": "ID=fedora\n",
    "rocky": 'ID="rocky"\nID_LIKE="rhel centos fedora"\n',
    "arch": "ID=arch\n",
    "alpine": "ID=alpine\n",
}
WSL2 = {"/proc/sys/kernel/osrelease": "5.15.153.1-microsoft-standard-WSL2\n"}

Make = Callable[..., Machine]


def write_files(root: Path, files: Mapping[str, str]) -> None:
    """Puts files, named as the made-up machine names them, below `root`."""
    for name, content in files.items():
        path = root / name.replace("\\", "/").replace(":", "").lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def machine(
    root: Path,
    system: System = "linux",
    *,
    distribution: str = "debian",
    files: Mapping[str, str] | None = None,
    packages: Mapping[str, str] | None = None,
    **given: Any,
) -> Machine:
    """A healthy bare machine of the kind, on which `given` and `files` make the difference."""
    release = {"/etc/os-release": OS_RELEASE[distribution]} if system == "linux" else {}
    write_files(root, {**release, **(files or {})})
    facts: dict[str, Any] = {
        "system": system,
        "home": HOMES[system],
        "environment": {},
        "python": (3, 11, 2),
        "executable": PYTHONS[system],
        "version_of": dict(packages or {}).get,
        "self_run": lambda: SelfRun((1, 2), (1, 2)),
        "ask_hub": lambda: HubAnswer("https://hub.example", 401, has_token=False),
        "free_bytes": 50_000_000_000,
        "root": root,
        "user": "mira",
    }
    return Machine(**{**facts, **given})


def maker(tmp_path: Path) -> Make:
    """`machine` with its file system in a folder of the test's own."""
    root = tmp_path / "root"
    root.mkdir()

    def make(system: System = "linux", **given: Any) -> Machine:
        return machine(root, system, **given)

    return make


make_fixture = pytest.fixture(maker, name="make")
