"""The machine that this process runs on."""

from __future__ import annotations

import functools
import getpass
import os
import shutil
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from ..checkpoint.hub import ask_hub
from ..resources import c_runtime_folder, signs_folder
from .machine import Machine, Port, SelfRun, System

_LINUX_PORTS = ("ttyACM", "ttyUSB")
_MACOS_PORTS = ("cu.usbmodem", "cu.usbserial", "cu.wchusbserial", "cu.SLAB_USBtoUART")


def this_machine(*, offline: bool = False) -> Machine:
    """A view of this machine. `offline`: the hub will not be asked."""
    system = _system()
    return Machine(
        system=system,
        home=str(Path.home()),
        environment=dict(os.environ),
        python=sys.version_info[:3],
        executable=sys.executable,
        version_of=version_of,
        self_run=run_bundled_model,
        ask_hub=None if offline else functools.cache(ask_hub),
        free_bytes=_free_bytes(),
        sources=_sources(),
        user=_user(),
        ports=_ports(system),
        usb_ids=tuple(usb_ids(Path("/"))),
    )


def _system() -> System:
    if sys.platform == "win32":
        return "windows"
    return "macos" if sys.platform == "darwin" else "linux"


def _sources() -> str | None:
    folder = c_runtime_folder().parent
    return str(folder) if (folder / "CMakeLists.txt").is_file() else None


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return ""


def _free_bytes() -> int | None:
    try:
        return shutil.disk_usage(".").free
    except OSError:
        return None


def version_of(distribution: str) -> str | None:
    """The version of an installed distribution, from its metadata; nothing is imported."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def run_bundled_model() -> SelfRun:
    """The first bundled photo through the C engine and through NumPy.

    Raises:
        FtervitError: the engine, the image or the photo cannot serve.
    """
    from ..engine import Engine
    from ..image import read_image
    from ..photos import find_photos, load_photo, preprocess
    from ..reference import forward

    path = signs_folder() / "signs.ftv"
    model = read_image(path.read_bytes())
    photo = load_photo(find_photos(signs_folder() / "photos")[0])
    pixels = preprocess(photo, model.architecture.image_size, model.preprocessing)[None]
    with Engine(path, threads=1) as engine:
        ours = engine.logits(pixels)[0]
    return SelfRun(tuple(map(int, ours)), tuple(map(int, forward(model, pixels)[0])))


def _ports(system: System) -> tuple[Port, ...]:
    if system == "windows":
        return tuple(Port(name, None, accessible=True) for name in _windows_ports())
    if system == "macos":
        return tuple(device_ports(Path("/"), _MACOS_PORTS))
    return tuple(device_ports(Path("/"), _LINUX_PORTS))


def device_ports(root: Path, prefixes: tuple[str, ...]) -> Iterator[Port]:
    """Serial ports below dev/ of `root`, with the USB ids that sys/ tells."""
    for path in _entries(root / "dev"):
        if path.name.startswith(prefixes):
            usb_id = _usb_id_above(root / "sys/class/tty" / path.name / "device")
            yield Port(f"/dev/{path.name}", usb_id, os.access(path, os.R_OK | os.W_OK), _group(path))


def _usb_id_above(device: Path) -> str | None:
    """The id of the USB device that a tty belongs to: some folders above it."""
    if not device.exists():
        return None
    folder = device.resolve()
    return next((found for part in (folder, *folder.parents) if (found := _usb_id(part))), None)


def usb_ids(root: Path) -> Iterator[str]:
    """Ids of everything that Linux says is plugged in."""
    for device in _entries(root / "sys/bus/usb/devices"):
        usb_id = _usb_id(device)
        if usb_id is not None:
            yield usb_id


def _usb_id(folder: Path) -> str | None:
    try:
        vendor, product = ((folder / name).read_text().strip() for name in ("idVendor", "idProduct"))
    except OSError:
        return None
    return f"{vendor}:{product}".lower()


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _group(path: Path) -> str | None:
    """Name of the owning group, its number where it has no name."""
    try:
        return path.group()
    except KeyError:
        return str(path.stat().st_gid)
    except (OSError, NotImplementedError):
        return None


def _windows_ports() -> list[str]:
    """As the registry lists them."""
    if sys.platform != "win32":
        return []
    import winreg

    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, r"HARDWARE\DEVICEMAP\SERIALCOMM") as key:
            return sorted(winreg.EnumValue(key, i)[1] for i in range(winreg.QueryInfoKey(key)[1]))
    except OSError:
        return []
