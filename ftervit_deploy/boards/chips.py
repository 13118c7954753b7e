"""What a chip fixes for every board that carries it."""

from __future__ import annotations

from dataclasses import dataclass

from .model import Chip


@dataclass(frozen=True)
class ChipFacts:
    """Limits of one chip.

    Attributes:
        cores: processor cores.
        vector: whether it has the vector unit of c_runtime/src/kernels/esp32s3/.
        clocks_hz: processor clocks that ESP-IDF offers.
        sram_bytes: internal RAM, caches included.
        heap_end: address at which the largest piece of ESP-IDF's heap ends; it begins where static data ends.
        pins: GPIO numbers that exist.
        flash_pins: GPIOs that flash and PSRAM take in every mode.
        octal_pins: GPIOs that flash or PSRAM take in octal mode as well.
        usb_pins: GPIOs of the chip's own USB port.
        icache_lines: line sizes in bytes for each size in bytes of the instruction cache.
        dcache_lines: the same for the data cache.
        flash_hz: flash clocks that ESP-IDF offers.
        psram_hz: PSRAM clocks that ESP-IDF offers.
        experimental_hz: those of them that ESP-IDF calls experimental.
    """

    cores: int
    vector: bool
    clocks_hz: tuple[int, ...]
    sram_bytes: int
    heap_end: int
    pins: frozenset[int]
    flash_pins: frozenset[int]
    octal_pins: frozenset[int]
    usb_pins: tuple[int, ...]
    icache_lines: dict[int, tuple[int, ...]]
    dcache_lines: dict[int, tuple[int, ...]]
    flash_hz: tuple[int, ...]
    psram_hz: tuple[int, ...]
    experimental_hz: tuple[int, ...]


_KIB = 1024

CHIPS = {
    "esp32s3": ChipFacts(
        cores=2,
        vector=True,
        clocks_hz=(80_000_000, 160_000_000, 240_000_000),
        sram_bytes=512 * _KIB,
        heap_end=0x3FCE_9710,
        pins=frozenset(range(22)) | frozenset(range(26, 49)),
        flash_pins=frozenset(range(26, 33)),
        octal_pins=frozenset(range(33, 38)),
        usb_pins=(19, 20),
        icache_lines={16 * _KIB: (16, 32), 32 * _KIB: (32,)},
        dcache_lines={16 * _KIB: (16, 32), 32 * _KIB: (16, 32, 64), 64 * _KIB: (32, 64)},
        flash_hz=(20_000_000, 40_000_000, 80_000_000, 120_000_000),
        psram_hz=(40_000_000, 80_000_000, 120_000_000),
        experimental_hz=(120_000_000,),
    ),
}
"""By ESP-IDF's target name. ESP32-S3: its datasheet, and Kconfig.cache, Kconfig.spiram and the heap's memory_layout.c of
ESP-IDF."""


def uses_vector(chip: Chip) -> bool:
    """Whether firmware for a board with this chip computes on its vector unit."""
    return chip.vector and CHIPS[chip.name].vector
