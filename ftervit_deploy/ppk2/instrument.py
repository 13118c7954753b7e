"""The instrument itself, by Nordic's protocol as the package ppk2-api speaks it."""

from __future__ import annotations

import importlib.util
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import numpy as np

from ..errors import EnergyError
from .samples import SAMPLE_BYTES, SAMPLES_PER_S, Recording

MILLIVOLTS = 3300
"""The supply of a board with an ESP32-S3, behind its own regulator."""
SETTLE_S = 0.1
"""Before and after what is recorded, so that a recording shows the idle board, too."""
_POLL_S = 0.005
_START_S = 0.05
"""Until the first samples come."""
_LEAST_SHARE = 0.97
"""Of the samples of a recording; with fewer, USB lost some."""


def check_package() -> None:
    """That ppk2-api is installed.

    Raises:
        EnergyError: it is not.
    """
    if importlib.util.find_spec("ppk2_api") is None:
        raise EnergyError("--ppk2 needs the package ppk2-api.", 'pip install "ftervit[ppk2]"')


class Ppk2:
    """A PPK2 that supplies the board; use it as a context manager. Opening it switches the board on.

    Args:
        port: its serial port; None: the only one there is.
        open_api: makes a `PPK2_API` for a port.

    Raises:
        EnergyError: no package, no PPK2, several, or one that does not answer.
    """

    def __init__(
        self,
        port: str | None = None,
        open_api: Callable[[str], Any] | None = None,
        millivolts: int = MILLIVOLTS,
    ) -> None:
        self.port = port or find_port()
        self._millivolts = millivolts
        self._api = _opened(self.port, open_api or _open_api)
        self._api.use_source_meter()
        self._api.set_source_voltage(millivolts)
        self._api.toggle_DUT_power("ON")

    def __enter__(self) -> Ppk2:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._api.toggle_DUT_power("OFF")
        self._api.ser.close()

    @contextmanager
    def recording(self) -> Iterator[list[Recording]]:
        """Records while the body runs; the list holds the recording afterwards.

        Raises:
            EnergyError: samples were lost.
        """
        found: list[Recording] = []
        raw: list[bytes] = []
        stop = threading.Event()
        reader = threading.Thread(target=self._read, args=(raw, stop), daemon=True)
        self._api.get_data()  # what an earlier recording left
        self._api.start_measuring()
        started = time.monotonic()
        reader.start()
        try:
            time.sleep(SETTLE_S)
            yield found
            time.sleep(SETTLE_S)
        finally:
            seconds = time.monotonic() - started
            self._api.stop_measuring()
            stop.set()
            reader.join()
        found.append(self._decoded(b"".join(raw), seconds))

    def _read(self, raw: list[bytes], stop: threading.Event) -> None:
        while not stop.is_set():
            raw.append(self._api.get_data())
            stop.wait(_POLL_S)
        raw.append(self._api.get_data())

    def _decoded(self, raw: bytes, seconds: float) -> Recording:
        whole = len(raw) // SAMPLE_BYTES * SAMPLE_BYTES
        if whole < _LEAST_SHARE * (seconds - _START_S) * SAMPLES_PER_S * SAMPLE_BYTES:
            raise EnergyError(
                f"The PPK2 gave {whole // SAMPLE_BYTES} samples in {seconds:.1f} s "
                f"instead of {seconds * SAMPLES_PER_S:.0f}.",
                "Connect it directly, without a hub.",
            )
        current, logic = self._api.get_samples(raw[:whole])
        return Recording(np.array(current), np.array(logic, np.uint8), self._millivolts / 1e3)


def find_port() -> str:
    """The port of the only PPK2.

    Raises:
        EnergyError: no package, no PPK2, or several.
    """
    check_package()
    from ppk2_api.ppk2_api import PPK2_API

    found = [device if isinstance(device, str) else device[0] for device in PPK2_API.list_devices()]
    if not found:
        raise EnergyError("There is no PPK2.", "Connect it, or name its port: --ppk2 PORT.")
    if len(found) > 1:
        raise EnergyError("There are several PPK2s.", f"Choose one with --ppk2 PORT: {', '.join(found)}.")
    return found[0]


def _open_api(port: str) -> Any:
    check_package()
    from ppk2_api.ppk2_api import PPK2_API

    return PPK2_API(port, timeout=1, write_timeout=1, exclusive=True)


def _opened(port: str, open_api: Callable[[str], Any]) -> Any:
    try:
        api = open_api(port)
    except (OSError, ValueError) as error:
        raise EnergyError(f"{port} cannot be opened: {error}.", "Look whether it is the PPK2's.") from error
    if not api.get_modifiers():
        api.ser.close()
        raise EnergyError(f"{port} does not answer as a PPK2 does.", "Unplug it and plug it in again.")
    return api
