"""A stream of bytes to a board: what `Link` needs, and a serial port that gives it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from ..errors import LinkError

if TYPE_CHECKING:
    import serial

READ_BYTES = 65536
SHORTEST_NAP_S, LONGEST_NAP_S = 0.0005, 0.005
BITS_PER_BYTE = 10
"""On a wire: start bit, eight bits, stop bit."""
RESET_S = 0.2
"""As long as esptool holds the reset line of the slowest kind of port."""


class Stream(Protocol):
    """Bytes both ways.

    Attributes:
        name: what the user called it.
        seconds_per_byte: how long a byte takes on the wire; 0 where that is not known.
    """

    name: str
    seconds_per_byte: float

    def read(self, timeout_s: float) -> bytes:
        """What has arrived, after waiting at most `timeout_s` for the first byte; b"" if nothing did.

        Raises:
            LinkError: the line is gone.
        """

    def write(self, data: bytes) -> None:
        """Send all of it.

        Raises:
            LinkError: the line is gone, or takes no more.
        """

    def close(self) -> None:
        """Let go of the line."""


class SerialStream:
    """A port of pyserial: /dev/tty*, COM*, socket://, rfc2217://. `ports.open_stream` opens one."""

    def __init__(self, port: serial.SerialBase, name: str, seconds_per_byte: float = 0.0) -> None:
        self._port = port
        self.name = name
        self.seconds_per_byte = seconds_per_byte

    def read(self, timeout_s: float) -> bytes:
        """As Stream.read."""
        deadline = time.monotonic() + timeout_s
        nap = SHORTEST_NAP_S
        while True:
            data = self._read_now()
            left = deadline - time.monotonic()
            if data or left <= 0:
                return data
            time.sleep(min(nap, left))
            nap = min(2 * nap, LONGEST_NAP_S)

    def _read_now(self) -> bytes:
        try:
            return bytes(self._port.read(READ_BYTES))
        except (OSError, TypeError) as error:  # SerialException is an OSError; a closed port gives TypeError
            raise self._gone() from error

    def write(self, data: bytes) -> None:
        """As Stream.write."""
        import serial

        try:
            self._port.write(data)
        except serial.SerialTimeoutException as error:
            raise LinkError(
                f"{self.name} takes no more data.", "Reset the board, or plug it out and in again."
            ) from error
        except (OSError, TypeError) as error:
            raise self._gone() from error

    @property
    def has_reset_line(self) -> bool:
        """True where the port has modem lines; a socket and a pseudo-terminal have none."""
        if self.name.lower().startswith("socket:"):
            return False
        try:
            return isinstance(self._port.cts, bool)
        except (OSError, TypeError, AttributeError):
            return False

    def hard_reset(self) -> None:
        """Reset the board as esptool does: RTS holds the chip's EN low, DTR leaves its boot pin alone.

        Raises:
            LinkError: the line is gone.
        """
        try:
            self._port.dtr = False
            self._port.rts = True
            time.sleep(RESET_S)
            self._port.rts = False
        except (OSError, TypeError) as error:
            raise self._gone() from error

    def close(self) -> None:
        """As Stream.close."""
        self._port.close()

    def _gone(self) -> LinkError:
        return LinkError(f"{self.name} is gone.", "Look at the cable and whether the board has power.")
