"""ESP-IDF options that follow from a board's tables, so that no file says a thing twice."""

from __future__ import annotations

import re

from .chips import CHIPS
from .model import ChipBoard

Option = bool | int | str
FLASH_SIZES_MB = (1, 2, 4, 8, 16, 32, 64, 128)
_CHOICES = re.compile(
    r"CONFIG_(ESPTOOLPY_FLASH(MODE_[A-Z]+|FREQ_\d+M|SIZE_\d+MB)|SPIRAM_(MODE|SPEED)_\w+"
    r"|ESP_DEFAULT_CPU_FREQ_MHZ_\d+|\w+_CACHE_\d+KB|\w+_CACHE_LINE_\d+B"
    r"|ESP_CONSOLE_(NONE|USB_CDC|USB_SERIAL_JTAG|UART_\w+))"
)
"""Options of which the tables take one and leave the others."""
_MEBIBYTE = 1 << 20
_MEGAHERTZ = 1_000_000
_KIBIBYTE = 1 << 10


def sdkconfig_options(board: ChipBoard) -> dict[str, Option]:
    """All options of a board: those that follow from its tables, and those of its [sdkconfig]."""
    return {**derived_options(board), **board.sdkconfig}


def derived_options(board: ChipBoard) -> dict[str, Option]:
    """The options that follow from chip, flash, PSRAM, caches and console."""
    return {**_chip(board), **_flash(board), **_psram(board), **_cache(board), **_console(board)}


def contradiction(board: ChipBoard) -> str:
    """The first option of [sdkconfig] that contradicts the other tables; empty where none does."""
    derived = derived_options(board)
    for key, value in board.sdkconfig.items():
        if key in derived and derived[key] != value:
            return key
        if key not in derived and value is not False and _CHOICES.fullmatch(key):
            return key
    return ""


def _chip(board: ChipBoard) -> dict[str, Option]:
    return {
        "CONFIG_IDF_TARGET": board.chip.name,
        f"CONFIG_ESP_DEFAULT_CPU_FREQ_MHZ_{board.chip.clock_hz // _MEGAHERTZ}": True,
        "CONFIG_FREERTOS_UNICORE": board.chip.cores == 1,
        "CONFIG_COMPILER_OPTIMIZATION_PERF": True,
    }


def _flash(board: ChipBoard) -> dict[str, Option]:
    """Names from ESP-IDF's components/esptool_py/Kconfig.projbuild."""
    flash = board.flash
    options: dict[str, Option] = {"CONFIG_ESPTOOLPY_OCT_FLASH": True} if flash.mode == "opi" else {}
    options |= {
        f"CONFIG_ESPTOOLPY_FLASHMODE_{flash.mode.upper()}": True,
        f"CONFIG_ESPTOOLPY_FLASHFREQ_{flash.clock_hz // _MEGAHERTZ}M": True,
        f"CONFIG_ESPTOOLPY_FLASHSIZE_{flash.size_bytes // _MEBIBYTE}MB": True,
    }
    return options


def _psram(board: ChipBoard) -> dict[str, Option]:
    """Names from ESP-IDF's components/esp_psram/esp32s3/Kconfig.spiram."""
    psram = board.psram
    if psram is None:
        return {"CONFIG_SPIRAM": False}
    options: dict[str, Option] = {
        "CONFIG_SPIRAM": True,
        "CONFIG_SPIRAM_MALLOC_RESERVE_INTERNAL": 0,  # nothing here takes PSRAM by malloc, and the arena wants one piece
        f"CONFIG_SPIRAM_MODE_{'OCT' if psram.mode == 'octal' else 'QUAD'}": True,
        f"CONFIG_SPIRAM_SPEED_{psram.clock_hz // _MEGAHERTZ}M": True,
    }
    if psram.clock_hz in CHIPS[board.chip.name].experimental_hz:
        options["CONFIG_IDF_EXPERIMENTAL_FEATURES"] = True
    return options


def _cache(board: ChipBoard) -> dict[str, Option]:
    """Names from ESP-IDF's components/esp_system/port/soc/<target>/Kconfig.cache."""
    cache, prefix = board.cache, f"CONFIG_{board.chip.name.upper()}"
    return {
        f"{prefix}_INSTRUCTION_CACHE_{cache.icache_bytes // _KIBIBYTE}KB": True,
        f"{prefix}_INSTRUCTION_CACHE_LINE_{cache.icache_line_bytes}B": True,
        f"{prefix}_DATA_CACHE_{cache.dcache_bytes // _KIBIBYTE}KB": True,
        f"{prefix}_DATA_CACHE_LINE_{cache.dcache_line_bytes}B": True,
    }


def _console(board: ChipBoard) -> dict[str, Option]:
    """Names from ESP-IDF's components/esp_system/Kconfig."""
    console = board.console
    if console.kind == "none":
        return {"CONFIG_ESP_CONSOLE_NONE": True}
    if console.kind == "usb-serial-jtag":
        return {"CONFIG_ESP_CONSOLE_USB_SERIAL_JTAG": True}
    return {
        "CONFIG_ESP_CONSOLE_UART_CUSTOM": True,
        f"CONFIG_ESP_CONSOLE_UART_CUSTOM_NUM_{console.port}": True,
        "CONFIG_ESP_CONSOLE_UART_TX_GPIO": console.tx or 0,
        "CONFIG_ESP_CONSOLE_UART_RX_GPIO": console.rx or 0,
        "CONFIG_ESP_CONSOLE_UART_BAUDRATE": console.baud or 0,
    }
