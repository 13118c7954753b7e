"""A PPK2 at the other end of a serial port: its commands, its calibration, 100,000 samples a second."""

from __future__ import annotations

import time

CALIBRATION = "".join(
    f"{name}{index}: {value}\n"
    for name, value in (("R", 1.0), ("GS", 0.0), ("GI", 1.0), ("O", 0.0), ("S", 0.0), ("I", 0.0), ("UG", 1.0))
    for index in range(5)
)
_ADC_VOLTS = 1.8 / 163840
IDLE_ADC, BUSY_ADC = 500, 2000
"""Of the 14-bit converter; with R = 1 the current is 4 ADC * 1.8 / 163840 amperes."""
GET_META_DATA, START, STOP, RUNNING, REGULATOR, MODE = 0x19, 0x06, 0x07, 0x0C, 0x0D, 0x11


def microamperes(adc: int) -> float:
    """What the converter's value means."""
    return 4 * adc * _ADC_VOLTS * 1e6


def sample(adc: int, logic: int, measuring_range: int = 0) -> bytes:
    """Four bytes as the instrument sends them."""
    return (adc | measuring_range << 14 | logic << 24).to_bytes(4, "little")


class PpkSerial:
    """Stands for `serial.Serial`.

    Attributes:
        commands: bytes of each.
        lost: share of the samples that USB loses.
    """

    def __init__(self, port: str = "", meta: str = CALIBRATION + "END", **_: object) -> None:
        self.port, self.baudrate, self.commands, self.open = port, 0, [], True
        self.lost = 0.0
        self._meta, self._waiting = meta, b""
        self._channel, self._since, self._sent, self._changes = 0, None, 0, [(0.0, False)]

    commands: list[bytes]
    _since: float | None

    def trigger(self, high: bool, channel: int = 0) -> None:
        """The board's pin."""
        self._channel = channel
        self._changes.append((time.monotonic(), high))

    @property
    def in_waiting(self) -> int:
        self._produce()
        return len(self._waiting)

    def read(self, size: int) -> bytes:
        data, self._waiting = self._waiting[:size], self._waiting[size:]
        return data

    def write(self, data: bytes) -> None:
        self.commands.append(data)
        if data[0] == GET_META_DATA:
            self._waiting += self._meta.encode()
        elif data[0] == START:
            self._since, self._sent = time.monotonic(), 0
        elif data[0] == STOP:
            self._produce()
            self._since = None

    def close(self) -> None:
        self.open = False

    def _produce(self) -> None:
        if self._since is None:
            return
        due = int((time.monotonic() - self._since) * 100_000)
        for index in range(self._sent, due):
            high = self._is_high(self._since + index / 100_000)
            if index % 100 >= 100 * self.lost:
                self._waiting += sample(BUSY_ADC if high else IDLE_ADC, high << self._channel)
        self._sent = due

    def _is_high(self, moment: float) -> bool:
        return next(high for since, high in reversed(self._changes) if since <= moment)
