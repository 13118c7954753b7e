"""What no single key can say: pins that clash, memories that do not fit each other or the chip."""

from __future__ import annotations

import re
from collections.abc import Iterable

from .chips import CHIPS, ChipFacts
from .model import FRAME_SIZES, Board, Camera, ChipBoard
from .schema import Place, pins_of
from .sdkconfig import FLASH_SIZES_MB, contradiction

_SECTOR = 0x1000
_APP_ALIGNMENT = 0x10000
_MEBIBYTE = 1 << 20


def check_board(board: Board, place: Place) -> None:
    """Refuse a board whose parts contradict each other.

    Raises:
        ConfigError: names the file, the table and the key.
    """
    if "board" in board.defaults:
        raise place.inside("defaults").error("'board' cannot be a default of a board.", "Leave it out.")
    if not isinstance(board, ChipBoard):
        if board.images != "file":
            raise place.error(
                f"images = {board.images!r} needs a microcontroller.", 'Add [chip], or say images = "file".'
            )
        return
    chip = _chip(board, place)
    _check_flash(board, chip, place)
    _check_psram(board, chip, place)
    _check_cache(board, chip, place)
    _check_console(board, place)
    _check_partitions(board, place)
    _check_images(board, place)
    _check_camera(board, place)
    _check_parts(board, place)
    _check_pins(board, chip, place)
    _check_options(board, place)


def _chip(board: ChipBoard, place: Place) -> ChipFacts:
    inside = place.inside("chip")
    if board.chip.name not in CHIPS:
        raise inside.error(f"there is no chip {board.chip.name!r}.", f"Known: {', '.join(CHIPS)}.")
    chip = CHIPS[board.chip.name]
    if board.chip.cores > chip.cores:
        raise inside.error(
            f"{board.chip.name} has {chip.cores} cores, not {board.chip.cores}.", "Mend cores."
        )
    _one_of(board.chip.clock_hz, chip.clocks_hz, "clock_hz", inside)
    if board.memory.arena_bytes > chip.sram_bytes:
        raise place.inside("memory").error(
            f"arena_bytes is {board.memory.arena_bytes:,}, and the chip has {chip.sram_bytes:,} bytes.",
            "Mend arena_bytes.",
        )
    return chip


def _one_of(value: int, allowed: Iterable[int], key: str, place: Place) -> None:
    if value not in allowed:
        choices = ", ".join(str(choice) for choice in allowed)
        raise place.error(f"{key} cannot be {value}.", f"Take one of {choices}.")


def _check_flash(board: ChipBoard, chip: ChipFacts, place: Place) -> None:
    inside, size = place.inside("flash"), board.flash.size_bytes
    if size & (size - 1):
        raise inside.error(f"size_bytes = {size} is not a power of two.", "8 MB are 8388608.")
    _one_of(size, [mb * _MEBIBYTE for mb in FLASH_SIZES_MB], "size_bytes", inside)
    _one_of(board.flash.clock_hz, chip.flash_hz, "clock_hz", inside)


def _check_psram(board: ChipBoard, chip: ChipFacts, place: Place) -> None:
    if board.psram is None:
        return
    inside, size = place.inside("psram"), board.psram.size_bytes
    if size & (size - 1) or size < _MEBIBYTE:
        raise inside.error(f"size_bytes = {size} is no size of a PSRAM.", "8 MB are 8388608.")
    _one_of(board.psram.clock_hz, chip.psram_hz, "clock_hz", inside)
    if board.flash.mode == "opi" and board.psram.mode == "quad":
        raise inside.error("quad PSRAM does not go with octal flash (opi).", "Mend mode here or in [flash].")


def _check_cache(board: ChipBoard, chip: ChipFacts, place: Place) -> None:
    inside, cache = place.inside("cache"), board.cache
    _one_of(cache.icache_bytes, chip.icache_lines, "icache_bytes", inside)
    _one_of(cache.icache_line_bytes, chip.icache_lines[cache.icache_bytes], "icache_line_bytes", inside)
    _one_of(cache.dcache_bytes, chip.dcache_lines, "dcache_bytes", inside)
    _one_of(cache.dcache_line_bytes, chip.dcache_lines[cache.dcache_bytes], "dcache_line_bytes", inside)


def _check_console(board: ChipBoard, place: Place) -> None:
    inside, console = place.inside("console"), board.console
    for key in ("port", "tx", "rx", "baud"):
        given = getattr(console, key) is not None
        if console.kind == "uart" and not given:
            raise inside.error(
                f"{key!r} is missing.", 'A console of kind "uart" needs port, tx, rx and baud.'
            )
        if console.kind != "uart" and given:
            raise inside.error(f"{key!r} belongs to a console of kind 'uart' alone.", "Leave it out.")


def _check_partitions(board: ChipBoard, place: Place) -> None:
    inside, parts = place.inside("partitions"), board.partitions
    if parts.first_offset % _APP_ALIGNMENT:
        raise inside.error(f"first_offset = {parts.first_offset:#x} is not a multiple of 64 KB.", "Mend it.")
    for key in ("end_offset", "app_min_bytes"):
        if getattr(parts, key) % _SECTOR:
            raise inside.error(f"{key} = {getattr(parts, key):#x} is not a multiple of 4 KB.", "Mend it.")
    if parts.end_offset > board.flash.size_bytes:
        raise inside.error(
            f"end_offset = {parts.end_offset:#x} is behind the end of the flash, "
            f"{board.flash.size_bytes:#x}.",
            "Mend end_offset or [flash] size_bytes.",
        )
    if parts.usable_bytes <= parts.app_min_bytes:
        raise inside.error(
            f"{parts.usable_bytes:,} bytes leave no room for a model beside an app of "
            f"{parts.app_min_bytes:,} bytes.",
            "Mend first_offset, end_offset or app_min_bytes.",
        )


def _check_images(board: ChipBoard, place: Place) -> None:
    if board.images == "camera" and board.camera is None:
        raise place.error("images = 'camera', and there is no [camera].", 'Add it, or say images = "line".')
    if board.images == "file":
        raise place.error("a microcontroller reads no files.", 'Say images = "camera" or "line".')
    if board.images == "line" and board.console.kind == "none":
        raise place.error("images = 'line', and there is no console.", "Give [console] another kind.")


def _check_camera(board: ChipBoard, place: Place) -> None:
    camera: Camera | None = board.camera
    if camera is None:
        return
    inside = place.inside("camera")
    if camera.frame_size not in FRAME_SIZES:
        raise inside.error(
            f"there is no frame_size {camera.frame_size!r}.", f"Known: {', '.join(FRAME_SIZES)}."
        )
    if camera.frame_buffers_in == "psram" and board.psram is None:
        raise inside.error("frame_buffers_in = 'psram', and there is no [psram].", "Add it, or say sram.")


def _check_parts(board: ChipBoard, place: Place) -> None:
    for index, button in enumerate(board.buttons):
        if (button.adc_channel is None) != (button.adc_mv is None):
            raise (
                place.inside("buttons")
                .inside(index)
                .error("adc_channel and adc_mv go together.", "Give both, or neither.")
            )
    for index, write in enumerate(board.i2c.writes if board.i2c else ()):
        if write.value & ~write.mask:
            inside = place.inside("i2c").inside("writes").inside(index)
            raise inside.error(
                f"value {write.value:#04x} has bits outside mask {write.mask:#04x}.", "Mend it."
            )
    if board.power and board.power.active_min_mw > board.power.active_max_mw:
        raise place.inside("power").error("active_min_mw is above active_max_mw.", "Exchange them.")


def _check_pins(board: ChipBoard, chip: ChipFacts, place: Place) -> None:
    octal = board.flash.mode == "opi" or (board.psram is not None and board.psram.mode == "octal")
    users: dict[int, str] = {}
    if board.console.kind == "usb-serial-jtag":
        users = dict.fromkeys(chip.usb_pins, "console (USB)")
    for user, pin in pins_of(board):
        inside = place.inside(re.split(r"[.\[]", user)[0])
        if pin not in chip.pins:
            raise inside.error(f"{user} is GPIO{pin}, which {board.chip.name} does not have.", "Mend it.")
        if pin in chip.flash_pins:
            raise inside.error(f"{user} is GPIO{pin}, which the flash takes.", "Take another pin.")
        if octal and pin in chip.octal_pins:
            raise inside.error(f"{user} is GPIO{pin}, which octal flash or PSRAM takes.", "Take another pin.")
        other = users.setdefault(pin, user)
        if other != user and not (_shared(board, user) and _shared(board, user) == _shared(board, other)):
            raise inside.error(f"{user} and {other} both use GPIO{pin}.", "Give one of them another pin.")


def _shared(board: ChipBoard, user: str) -> str:
    """A name that is the same for uses which may share a pin; empty for one that shares with none."""
    if user in ("camera.sda", "i2c.sda", "camera.scl", "i2c.scl"):
        return user.rsplit(".", 1)[1]
    button = re.match(r"buttons\[(\d+)\]", user)
    if button and board.buttons[int(button[1])].adc_channel is not None:
        return f"adc {board.buttons[int(button[1])].adc_channel}"
    return ""


def _check_options(board: ChipBoard, place: Place) -> None:
    key = contradiction(board)
    if key:
        raise place.inside("sdkconfig").error(
            f"{key} contradicts the board's other tables.", "Leave it out, and mend the table it belongs to."
        )
