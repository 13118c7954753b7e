"""Serial ports: which there are, whether they may be used, and who else opens them."""

from __future__ import annotations

import shlex

from .commands import family
from .machine import Check, Machine, Port, Target

OWN_USB = "303a:1001"
"""USB-Serial-JTAG, the ESP32-S3's own USB port."""
_KNOWN = {
    OWN_USB: "USB-Serial-JTAG",
    "10c4:ea60": "CP210x",
    "1a86:7523": "CH340",
    "1a86:55d3": "CH343",
    "1a86:55d4": "CH9102",
    "0403:6001": "FT232R",
    "0403:6010": "FT2232",
}
_DRIVERS = {
    OWN_USB: "cdc_acm",
    "10c4:ea60": "cp210x",
    "1a86:7523": "ch341",
    "1a86:55d3": "cdc_acm",
    "1a86:55d4": "cdc_acm",
    "0403:6001": "ftdi_sio",
    "0403:6010": "ftdi_sio",
}
"""The Linux driver of each."""
_UDEV_RULES = ("/usr/lib/udev/rules.d", "/lib/udev/rules.d", "/etc/udev/rules.d")
_MODEM_RULE = "/etc/udev/rules.d/99-esp-not-a-modem.rules"


def ordered(ports: tuple[Port, ...]) -> list[Port]:
    """The chip's own USB first, then known bridges, then the rest."""
    return sorted(ports, key=lambda port: (port.usb_id != OWN_USB, port.usb_id not in _KNOWN, port.device))


def check_ports(machine: Machine, target: Target) -> Check:
    """Every serial port, or why there is none that can be used."""
    if machine.is_wsl2 and target.console == "usb-serial-jtag":
        what = (
            "WSL2 cannot flash through USB-Serial-JTAG, even with usbipd: "
            "use the board from Windows itself, with a Python of its own."
        )
        return Check("ports", "wrong", False, what, "winget install Python.Python.3.13")
    if not machine.ports:
        return _no_port(machine)
    forbidden = [port for port in machine.ports if not port.accessible]
    if len(forbidden) == len(machine.ports):
        return _forbidden(machine, ordered(tuple(forbidden))[0])
    usable = tuple(port for port in machine.ports if port.accessible)
    return Check("ports", "ok", False, f"Serial ports: {', '.join(map(_described, ordered(usable)))}.")


def _described(port: Port) -> str:
    if port.usb_id is None:
        return port.device
    name = _KNOWN.get(port.usb_id)
    return f"{port.device} ({port.usb_id}{f', {name}' if name else ''})"


def _no_port(machine: Machine) -> Check:
    plugged = next((usb_id for usb_id in machine.usb_ids if usb_id in _DRIVERS), None)
    if machine.system == "linux" and plugged is not None:
        what = f"A board is plugged in ({plugged}, {_KNOWN[plugged]}), but its driver made no port."
        return Check("ports", "wrong", False, what, f"sudo modprobe {_DRIVERS[plugged]}")
    if machine.is_wsl2:
        what = "WSL2 sees no serial port until Windows hands one over; `usbipd list` there shows BUSID."
        return Check("ports", "missing", False, what, "usbipd attach --wsl --busid BUSID")
    what = "There is no serial port; `ftervit flash`, `verify` and `monitor` of a board on a cable need one."
    return Check("ports", "missing", False, what, "Plug the board in with a USB cable that carries data.")


def _forbidden(machine: Machine, port: Port) -> Check:
    what = f"{_described(port)} may not be read and written by you"
    if port.group in (None, "root", "wheel"):
        fix = f"sudo chmod a+rw {shlex.quote(port.device)}"
        if machine.system == "windows":
            fix = "Close the program that has the port open."
        return Check("ports", "wrong", False, f"{what}.", fix)
    if port.group in _groups_on_file(machine):
        what = f"{what} yet: you joined the group {port.group} after you logged in."
        return Check("ports", "wrong", False, what, f"newgrp {port.group}")
    what = f"{what}: the group {port.group} may; log in again after joining it."
    return Check("ports", "wrong", False, what, f"sudo usermod -aG {port.group} $USER")


def _groups_on_file(machine: Machine) -> set[str]:
    """Groups that /etc/group gives the user, whether or not this session has them."""
    entries = (line.split(":") for line in machine.text(machine.path("/etc/group")).splitlines())
    return {entry[0] for entry in entries if len(entry) == 4 and machine.user in entry[3].split(",")}


def check_busybodies(machine: Machine, target: Target) -> Check | None:
    """Services that open or take away a board's port; None where the system has no such thing."""
    if machine.system != "linux" or machine.is_wsl2:
        return None
    if _brltty_takes_bridges(machine):
        what = "brltty takes the ports of boards with a CH340 or CP210x bridge for braille displays."
        return Check("port-services", "wrong", False, what, _remove_brltty(machine))
    if _modem_manager_is_on(machine) and "303a" not in _rules(machine, "ID_MM_DEVICE_IGNORE"):
        what = "ModemManager may open a board's port just after it is plugged in, to look for a modem."
        rule = 'ATTRS{idVendor}=="303a", ENV{ID_MM_DEVICE_IGNORE}="1"'
        fix = f"echo '{rule}' | sudo tee {_MODEM_RULE} && sudo udevadm control --reload"
        return Check("port-services", "wrong", False, what, fix)
    return Check("port-services", "ok", False, "No service is set to open boards' ports.")


def _remove_brltty(machine: Machine) -> str:
    removers = {
        "debian": "sudo apt-get remove -y brltty",
        "fedora": "sudo dnf remove -y brltty",
        "arch": "sudo pacman -R brltty",
    }
    return removers.get(family(machine), "sudo systemctl mask brltty-udev.service")


def _brltty_takes_bridges(machine: Machine) -> bool:
    rules = _rules(machine, "brltty").lower()
    return any(usb_id in rules for usb_id in ("1a86/7523", "10c4/ea60"))


def _rules(machine: Machine, word: str) -> str:
    """The text of all udev rules that contain `word`, comments left out."""
    texts = [
        machine.text(machine.path(folder) / name)
        for folder in _UDEV_RULES
        for name in machine.names(machine.path(folder))
        if name.endswith(".rules")
    ]
    lines = [line for text in texts if word in text for line in text.splitlines()]
    return "\n".join(line for line in lines if not line.lstrip().startswith("#"))


def _modem_manager_is_on(machine: Machine) -> bool:
    wants = machine.path("/etc/systemd/system/multi-user.target.wants")
    return "ModemManager.service" in machine.names(wants)
