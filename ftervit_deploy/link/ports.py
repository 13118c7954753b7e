"""Finding and opening ports."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

from ..errors import LinkError
from .stream import BITS_PER_BYTE, SerialStream

if TYPE_CHECKING:
    from serial.tools.list_ports_common import ListPortInfo

DEFAULT_BAUD = 115200
WRITE_TIMEOUT_S = 5.0
OWN_USB = (0x303A, 0x1001)
"""USB ids of the ESP32-S3's own USB-Serial-JTAG."""


def open_stream(url: str, baud: int = DEFAULT_BAUD) -> SerialStream:
    """Open a port by device name or URL (socket://host:port, rfc2217://host:port).

    The modem lines stay as the system sets them on opening: changing them one by one would reset the board.

    Raises:
        LinkError: no such port, busy, forbidden, or not a possible URL.
    """
    port = open_port(url, baud, timeout=0, write_timeout=WRITE_TIMEOUT_S)
    wired = "://" not in url
    return SerialStream(port, url, BITS_PER_BYTE / baud if wired else 0.0)


def open_port(url: str, baud: int, **timeouts: float) -> Any:
    """The pyserial object for a port, for this process alone where the system knows such a thing.

    Raises:
        LinkError: as `open_stream`.
    """
    import serial

    try:
        port = serial.serial_for_url(url, baudrate=baud, **timeouts)
        _claim(port)
    except ValueError as error:
        raise LinkError(f"{url} at {baud} baud is no possible port: {error}.") from error
    except OSError as error:
        raise _cannot_open(url, error) from error
    return port


def _claim(port: object) -> None:
    """Nobody else may open the port meanwhile, where the system knows such a thing."""
    if os.name == "posix" and hasattr(port, "exclusive") and hasattr(port, "fileno"):
        try:
            port.exclusive = True
        except NotImplementedError:
            return


def _cannot_open(url: str, error: OSError) -> LinkError:
    number = error.errno or _errno_in(str(error))
    if number == errno.EACCES:
        return LinkError(
            f"{url} may not be opened.",
            "Join its group: sudo usermod -a -G dialout $USER, then log in again.",
        )
    if number in (errno.EBUSY, errno.EAGAIN):
        return LinkError(f"{url} is in use.", "Close the monitor or program that holds it.")
    if number == errno.ENOENT:
        return LinkError(f"There is no port {url}.", _found(_ports()))
    if "://" in url:
        return LinkError(f"{url} cannot be opened: {error}.", "Look whether something listens there.")
    return LinkError(f"{url} cannot be opened: {error}.", _found(_ports()))


def _errno_in(text: str) -> int | None:
    """Pyserial puts the system's error number into its words."""
    for number in (errno.EACCES, errno.EBUSY, errno.EAGAIN, errno.ENOENT):
        if f"[Errno {number}]" in text:
            return number
    return None


def choose_port(named: str | None) -> str:
    """The port named, else the only one with the chip's own USB ids, else the only one there is.

    Raises:
        LinkError: none, or several; they are listed.
    """
    if named:
        return named
    ports = _ports()
    own = [port for port in ports if (port.vid, port.pid) == OWN_USB]
    candidates = own or ports
    if len(candidates) == 1:
        return str(candidates[0].device)
    if not candidates:
        raise LinkError("There is no serial port.", "Connect a board, or name a port with --port.")
    raise LinkError("There are several serial ports.", f"Choose one with --port. {_found(candidates)}")


def _ports() -> list[ListPortInfo]:
    """USB ports; built-in ones that nothing is connected to are left out."""
    from serial.tools import list_ports

    return [port for port in list_ports.comports() if port.vid is not None]


def _found(ports: list[ListPortInfo]) -> str:
    if not ports:
        return "No USB serial port was found: connect a board."
    return "Found: " + ", ".join(f"{port.device} ({port.description})" for port in ports) + "."
