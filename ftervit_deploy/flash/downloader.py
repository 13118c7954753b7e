"""A chip in its download mode, spoken to through esptool."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from ..boards.chips import CHIPS
from ..errors import FlashError
from ..link import open_port
from .facts import ChipFacts, read_facts, security_sentence, target_name
from .logger import Progress, Report, install, progress_to

ROM_BAUD = 115_200
FAST_BAUD = 460_800
"""What bridges on boards bear; esptool's own default for scripts of ESP-IDF."""
ANSWER_S = 3.0
"""For answers that esptool awaits without a limit of its own, such as its flasher's greeting."""
_SOCKET = "socket://"
_GO_ON = "Run `ftervit flash` again: what is written already is kept."


class Downloader:
    """The flash of a connected chip.

    Attributes:
        url: the port.
        baud: the rate that both sides speak now; 0 where none matters.
        stub: True where esptool's flasher runs on the chip, False where its ROM answers.
        half_written: a part was begun and is not whole yet.
    """

    def __init__(self, esp: Any, url: str, baud: int) -> None:
        self._esp = esp
        self.url = url
        self.baud = baud
        self.stub = bool(esp.IS_STUB)
        self.half_written = False
        self._was_reset = False

    def facts(self) -> ChipFacts:
        """What the chip says of itself."""
        with self._talking("asking the chip"):
            return read_facts(self._esp)

    def md5(self, offset: int, size: int) -> str:
        """MD5 of a stretch of the flash, in hexadecimal; the chip computes it."""
        with self._talking("reading the flash"):
            return str(self._esp.flash_md5sum(offset, size))

    def read(self, offset: int, size: int) -> bytes:
        """A stretch of the flash."""
        with self._talking("reading the flash"):
            return bytes(self._esp.read_flash(offset, size))

    def write(self, name: str, offset: int, data: bytes, progress: Progress) -> None:
        """Erase what `data` covers, to whole sectors, and write it; `name` says in errors what it is.

        Raises:
            FlashError: the line broke, or the flash did not take it.
        """
        from esptool.cmds import write_flash

        self.half_written = True
        with self._talking(f"writing the {name}"), progress_to(progress):
            write_flash(self._esp, [(offset, data)], compress=True, flash_size="keep")

    def erase(self) -> None:
        """Erase the whole flash.

        Raises:
            FlashError: the line broke, or the chip's ROM, which cannot, answers.
        """
        from esptool.cmds import erase_flash

        if not self.stub:
            raise FlashError(
                "The whole flash cannot be erased: esptool's flasher does not run on the chip.",
                "Leave --erase out.",
            )
        self.half_written = True
        with self._talking("erasing the flash"):
            erase_flash(self._esp)

    def reset(self) -> str:
        """Start what the flash holds; returns how: ``rts`` or ``watchdog``."""
        from esptool.cmds import reset_chip

        watchdog = self._needs_watchdog()
        with self._talking("resetting the board"):
            reset_chip(self._esp, "watchdog-reset" if watchdog else "hard-reset")
        self._was_reset = True
        return "watchdog" if watchdog else "rts"

    def leave(self) -> None:
        """Start what the flash holds, if that is whole and runs not yet, and let go of the port."""
        try:
            if not self.half_written and not self._was_reset:
                with suppress(FlashError):
                    self.reset()
        finally:
            self._esp._port.close()

    def _needs_watchdog(self) -> bool:
        """A socket has no reset line; on the chip's own USB one cannot leave what the BOOT button chose."""
        if self.url.startswith(_SOCKET):
            return True
        with self._talking("resetting the board"):
            if not self._esp.uses_usb_jtag_serial():
                return False
            strap = int(self._esp.read_reg(self._esp.GPIO_STRAP_REG))
            return strap & int(self._esp.GPIO_STRAP_SPI_BOOT_MASK) == 0

    @contextmanager
    def _talking(self, doing: str) -> Iterator[None]:
        """What esptool raises becomes one sentence, which tells whether the board is still there."""
        try:
            yield
        except (RuntimeError, OSError) as error:
            reason = first_line(error)
            if self._answers():
                raise FlashError(f"{doing.capitalize()} failed: {reason}", self._retry()) from error
            raise FlashError(
                f"The board on {self.url} was lost while {doing}: {reason}", self._retry()
            ) from error
        except KeyboardInterrupt:
            if not self.half_written:
                raise
            raise FlashError(f"Interrupted while {doing}: the board holds a part of it.", _GO_ON) from None

    def _retry(self) -> str:
        slower = f" If this comes again, try --baud {ROM_BAUD} or another cable." if self.baud else ""
        return (_GO_ON if self.half_written else "Run `ftervit flash` again.") + slower

    def _answers(self) -> bool:
        with suppress(RuntimeError, OSError):
            self._esp.flush_input()
            self._esp.flash_md5sum(0, 16)
            return True
        return False


def first_line(error: BaseException) -> str:
    """What esptool says, without its advice."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    return text if text.endswith((".", "!")) else f"{text}."


@contextmanager
def connected(url: str, baud: int | None, chip: str | None, report: Report) -> Iterator[Downloader]:
    """The chip on a port, in download mode while the body runs; reset afterwards unless half-written.

    Args:
        url: device name or URL.
        baud: rate to write with; None: what suits the port.
        chip: the target that it must be; None: any that ftervit knows.

    Raises:
        LinkError: the port cannot be opened.
        FlashError: no chip answers, or not one that may be flashed.
    """
    install(report)
    downloader = _start(url, baud, chip, report)
    try:
        yield downloader
    finally:
        downloader.leave()


def _start(url: str, baud: int | None, chip: str | None, report: Report) -> Downloader:
    """The fastest way that works: esptool's flasher at a high rate, the same at the ROM's, the ROM itself."""
    ways = [(True, baud), (True, ROM_BAUD), (False, ROM_BAUD)]
    for number, (stub, rate) in enumerate(ways):
        esp = _connect(url, chip)
        try:
            return _prepare(esp, url, stub, rate)
        except (RuntimeError, OSError) as error:
            esp._port.close()
            reason = first_line(error)
            if number + 1 == len(ways):
                raise FlashError(
                    f"The chip on {url} answers, but cannot be worked with: {reason}",
                    "Reset the board and try again, with a shorter cable or another port.",
                ) from error
            report.note(f"A slower way is tried: {reason}")
        except BaseException:
            esp._port.close()
            raise
    raise AssertionError("the last way raises")


def _connect(url: str, chip: str | None) -> Any:
    """Esptool's object for a chip whose ROM or flasher answers, after all checks that need no flash."""
    from esptool.cmds import detect_chip

    port = open_port(url, ROM_BAUD, timeout=ANSWER_S)
    try:
        esp = detect_chip(port, ROM_BAUD, "no-reset" if url.startswith(_SOCKET) else "default-reset")
        check_chip(esp, chip)
    except (RuntimeError, OSError) as error:
        port.close()
        raise FlashError(
            f"No chip answers on {url}: {first_line(error)}",
            "Hold the board's BOOT button while you press RESET, then try again.",
        ) from error
    except BaseException:
        port.close()
        raise
    esp.WRITE_FLASH_ATTEMPTS = 1  # after a lost connection esptool would go on with an object of its own
    return esp


def check_chip(esp: Any, wanted: str | None) -> None:
    """The chip must be the one wanted, and open.

    Raises:
        FlashError: it must not be written.
    """
    found = target_name(esp)
    if wanted is not None and found != wanted:
        raise FlashError(
            f"The project is for the chip {wanted}, and the board has an {found} ({esp.CHIP_NAME}).",
            "Connect the right board, or name its port with --port.",
        )
    if found not in CHIPS:
        known = ", ".join(CHIPS)
        raise FlashError(f"The board's chip is an {found} ({esp.CHIP_NAME}).", f"ftervit knows {known}.")
    reason = security_sentence(esp.get_security_info())
    if reason is not None:
        raise FlashError(
            f"The chip is locked: {reason}. Plain images could make the board useless.",
            "Use a board without these, or sign and encrypt the build yourself with ESP-IDF's tools.",
        )


def _prepare(esp: Any, url: str, stub: bool, baud: int | None) -> Downloader:
    """Start esptool's flasher, raise the rate, attach the flash."""
    from esptool.cmds import attach_flash, run_stub

    if stub:
        esp = run_stub(esp)
        esp.WRITE_FLASH_ATTEMPTS = 1
    rate = _rate(esp, url, baud)
    if rate and rate != ROM_BAUD:
        esp.change_baud(rate)
    attach_flash(esp)
    esp.flash_set_parameters(_flash_bytes(esp))
    return Downloader(esp, url, rate)


def _rate(esp: Any, url: str, baud: int | None) -> int:
    """Rate of a UART; 0 where there is none: the chip's own USB, a socket."""
    if url.startswith(_SOCKET) or ("://" not in url and esp.get_usb_mode() is not None):
        return 0
    if baud is not None:
        return baud
    return ROM_BAUD if "://" in url else FAST_BAUD


def _flash_bytes(esp: Any) -> int:
    """What the ROM and the flasher must know before they read: all of the flash, or 16 MB of it."""
    from esptool.cmds import detect_flash_size
    from esptool.util import flash_size_bytes

    size = detect_flash_size(esp)
    return int(flash_size_bytes(size)) if size else 16 << 20
