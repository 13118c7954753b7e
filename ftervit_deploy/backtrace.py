"""Where in the source a panicking application was: addresses of its log, decoded by Espressif's decoder.

Nothing here waits or looks at a clock: lines and times (seconds, of any steady clock) go in, decoded
addresses come out.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import FtervitError

UNKNOWN_FOR_S = 0.5
"""A panic names its application below its backtrace; a watchdog's backtrace does not, and waits so long."""
DESCRIPTION_FILE = "project_description.json"
_ADDRESSES = (
    re.compile(r"(0x[0-9a-f]{8}):0x[0-9a-f]{8}"),
    re.compile(r"\b(?:PC|MEPC|RA)\s*:\s*(0x[0-9a-f]{8})"),
    re.compile(r"\bat PC (0x[0-9a-f]{8})"),
)
"""Of a backtrace's frames, of a register dump and of abort()."""
_PANIC = re.compile(r"Backtrace:|(?:Core\s+\d+ register dump|(?:ME)?PC\s*:)|.* at PC 0x")
_SHA256 = re.compile(r"\bELF file SHA256:\s*([0-9a-f]{8,64})")
_PROGRAMS = ("xtensa-esp32s3-elf-addr2line", "xtensa-esp-elf-addr2line")


class BacktraceError(FtervitError):
    """Symbols that cannot be read."""


@dataclass(frozen=True)
class Place:
    """One address in the source.

    Attributes:
        address: as in the log.
        function: its name.
        file: as the compiler was given it.
        line: in the file; None where the symbols do not tell.
        inlined: the place above this one is inlined here.
    """

    address: str
    function: str
    file: str
    line: int | None
    inlined: bool = False

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{'(inlined by)' if self.inlined else f'{self.address}:'} {self.function} at {where}"


@dataclass(frozen=True)
class Decoded:
    """Places of one line of the log, outermost call last; a note instead where they cannot be had."""

    places: tuple[Place, ...] = ()
    note: str = ""


class Symbols:
    """The symbols of an application.

    Args:
        elf: with its symbols; a project_description.json beside it names the compiler's tools.

    Raises:
        BacktraceError: no ELF file, no addr2line, no decoder.
    """

    def __init__(self, elf: Path) -> None:
        try:
            from esp_idf_panic_decoder import PcAddressDecoder
        except ImportError:
            raise BacktraceError(
                "Backtraces are not decoded: the package esp-idf-panic-decoder is not installed.",
                "pip install esp-idf-panic-decoder",
            ) from None
        self.elf = elf
        self.sha256 = _sha256_of_elf(elf)
        prefix = _toolchain_prefix(elf)
        try:
            self._decoder = PcAddressDecoder(prefix, str(elf))
        except Exception as error:  # of pyelftools, and whatever a damaged file leads to
            raise BacktraceError(f"{elf} is damaged: {error}.", "Build it again.") from error

    def places(self, addresses: Sequence[str]) -> tuple[Place, ...]:
        """Where these addresses are, functions that were inlined included; nothing of unknown ones."""
        found = self._decoder.translate_addresses(" ".join(addresses))
        return tuple(
            Place(address, at.func, at.path, int(at.line) if at.line.isdecimal() else None, bool(i))
            for address, trace in found
            for i, at in enumerate(trace)
        )


def _sha256_of_elf(elf: Path) -> str:
    try:
        content = elf.read_bytes()
    except OSError as error:
        raise BacktraceError(
            f"{elf} cannot be read: {error.strerror}.", "Name another with --elf."
        ) from error
    if not content.startswith(b"\x7fELF"):
        raise BacktraceError(f"{elf} is no ELF file.", "Name the .elf file of the build with --elf.")
    return hashlib.sha256(content).hexdigest()


def _toolchain_prefix(elf: Path) -> str:
    """What stands before ``addr2line``: as the build says, else one on the PATH.

    Raises:
        BacktraceError: there is none.
    """
    said = description(elf.parent)
    prefix = str(Path(said.get("c_compiler", "")).parent / said.get("monitor_toolprefix", ""))
    for program in (f"{prefix}addr2line", *_PROGRAMS):
        found = shutil.which(program)
        if found:
            return found.removesuffix(".exe").removesuffix("addr2line")
    raise BacktraceError(
        "Backtraces are not decoded: there is no addr2line of the application's compiler.",
        f"Put the folder of {_PROGRAMS[0]}, which ESP-IDF brings, on the PATH.",
    )


def description(build: Path) -> dict[str, str]:
    """The texts in a build's project_description.json; empty where there is none."""
    try:
        said = json.loads((build / DESCRIPTION_FILE).read_bytes())
        return {key: value for key, value in said.items() if isinstance(value, str)}
    except (OSError, ValueError, AttributeError, RecursionError):
        return {}


class Backtraces:
    """Decodes a log's addresses, once it is known that the board runs the application of the symbols.

    Args:
        places: where addresses are in the source.
        sha256: of the application's ELF file, in hex.
        name: of the application, for people.
    """

    def __init__(self, places: Callable[[Sequence[str]], tuple[Place, ...]], sha256: str, name: str) -> None:
        self._places, self._sha256, self._name = places, sha256, name
        self._fits: bool | None = None
        self._told = False
        self._waiting: list[list[str]] = []
        self._since = 0.0

    def lost(self) -> None:
        """The port is gone: another application may come back."""
        self._fits, self._told = None, False

    def line(self, text: str, now: float) -> list[Decoded]:
        """Take a line without colours; gives what is now decoded."""
        said = _SHA256.search(text)
        if said:
            fits = self._sha256.startswith(said[1])
            self._told = self._told and fits == self._fits
            self._fits = fits
            return self._released()
        addresses = addresses_of(text)
        if not addresses:
            return []
        self._waiting.append(addresses)
        self._since = now
        return [] if self._fits is None else self._released()

    def due(self, now: float) -> list[Decoded]:
        """What waited long enough for the application's name."""
        return self._released() if self._waiting and now >= self._since + UNKNOWN_FOR_S else []

    def _released(self) -> list[Decoded]:
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return []
        if self._fits is False:
            return self._note(f"The board does not run {self._name}: its backtrace is not decoded.")
        note = [] if self._fits else self._note(f"If the board runs {self._name}, it was here:")
        decoded = [Decoded(places) for addresses in waiting if (places := self._places(addresses))]
        return [*note, *decoded] if decoded else []

    def _note(self, text: str) -> list[Decoded]:
        """Once for each application."""
        told, self._told = self._told, True
        return [] if told else [Decoded(note=text)]


def addresses_of(text: str) -> list[str]:
    """Code addresses of a line that a panic, abort() or a watchdog printed."""
    if not _PANIC.match(text):
        return []
    return [address for pattern in _ADDRESSES for address in pattern.findall(text)]
