"""What a board is. These classes are the schema of a board file: a field is a key, a class a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from .schema import Gpio, Matching, Range

Pin = Annotated[int, Gpio()]
Count = Annotated[int, Range(1)]
FRAME_SIZES = {
    "96X96": (96, 96),
    "QQVGA": (160, 120),
    "128X128": (128, 128),
    "QCIF": (176, 144),
    "HQVGA": (240, 176),
    "240X240": (240, 240),
    "QVGA": (320, 240),
    "320X320": (320, 320),
    "CIF": (400, 296),
    "HVGA": (480, 320),
    "VGA": (640, 480),
}
"""Width and height of the frame sizes of the component esp32-camera, which prefixes them FRAMESIZE_."""


@dataclass(frozen=True)
class Chip:
    """The microcontroller.

    Attributes:
        name: ESP-IDF's target name, e.g. ``esp32s3``.
        cores: that the engine uses.
        clock_hz: of the cores.
        vector: false leaves the chip's vector unit, if it has one, alone.
    """

    name: str
    cores: Count
    clock_hz: Count
    vector: bool = True


@dataclass(frozen=True)
class Flash:
    """The flash memory; `mode` is how the application reads it."""

    size_bytes: Count
    mode: Literal["qio", "qout", "dio", "dout", "opi"]
    clock_hz: Count

    @property
    def header_mode(self) -> Literal["dio", "dout"]:
        """What the image's header says; the bootloader switches to `mode` (esptool_py/Kconfig.projbuild)."""
        return "dout" if self.mode in ("dout", "opi") else "dio"


@dataclass(frozen=True)
class Psram:
    """External RAM."""

    size_bytes: Count
    mode: Literal["quad", "octal"]
    clock_hz: Count


@dataclass(frozen=True)
class Memory:
    """Internal RAM that the engine may take.

    Attributes:
        arena_bytes: in one piece, the largest that ESP-IDF's heap has when the application starts.
        heap_bytes: in another piece, of what is left beside it.
    """

    arena_bytes: Count
    heap_bytes: Annotated[int, Range(0)] = 0


@dataclass(frozen=True)
class Cache:
    """Sizes and line sizes that the firmware sets for the instruction and the data cache."""

    icache_bytes: Count
    icache_line_bytes: Count
    dcache_bytes: Count
    dcache_line_bytes: Count


@dataclass(frozen=True)
class Console:
    """Where log lines and the serial protocol go. `port`, `tx`, `rx` and `baud` belong to ``uart``."""

    kind: Literal["usb-serial-jtag", "uart", "none"]
    port: Annotated[int, Range(0, 1)] | None = None
    tx: Pin | None = None
    rx: Pin | None = None
    baud: Annotated[int, Range(1200, 5_000_000)] | None = None


@dataclass(frozen=True)
class Partitions:
    """What of the flash is free for app and model, and the least that the app needs.

    Attributes:
        first_offset: first byte after bootloader and partition table.
        end_offset: first byte that is no longer free.
        app_min_bytes: smallest app partition to plan with.
    """

    first_offset: Annotated[int, Range(0x10000)]
    end_offset: Count
    app_min_bytes: Count

    @property
    def usable_bytes(self) -> int:
        """Room for app and model together."""
        return self.end_offset - self.first_offset


@dataclass(frozen=True)
class Camera:
    """A parallel camera, in the words of the component esp32-camera.

    Attributes:
        sensor: the sensor that the board is sold with, e.g. ``ov2640``.
        data: GPIOs of D0 to D7.
        xclk: absent where the sensor has an oscillator of its own.
        xclk_hz: the sensor's clock.
        pwdn, reset: absent where they are not connected.
        frame_size: a name of FRAME_SIZES.
        frame_buffers: frames that the driver keeps.
        frame_buffers_in: memory that holds them.
        vflip, hmirror: what turns the picture upright.
    """

    sensor: str
    data: Annotated[tuple[Pin, ...], Range(8, 8)]
    pclk: Pin
    vsync: Pin
    href: Pin
    sda: Pin
    scl: Pin
    xclk_hz: Annotated[int, Range(1_000_000, 40_000_000)]
    pixel_format: Literal["rgb565", "yuv422", "grayscale"]
    frame_size: str
    frame_buffers: Annotated[int, Range(1, 3)]
    frame_buffers_in: Literal["psram", "sram"]
    vflip: bool
    hmirror: bool
    xclk: Pin | None = None
    pwdn: Pin | None = None
    reset: Pin | None = None

    @property
    def width(self) -> int:
        """Pixels in a row of a frame."""
        return FRAME_SIZES[self.frame_size][0]

    @property
    def height(self) -> int:
        """Rows of a frame."""
        return FRAME_SIZES[self.frame_size][1]


@dataclass(frozen=True)
class Backlight:
    """The pin that lights the display; `active_low`: 0 is bright, so the duty is inverted."""

    pin: Pin
    active_low: bool


@dataclass(frozen=True)
class Display:
    """An SPI display of ESP-IDF's esp_lcd.

    Attributes:
        host: ``spi2`` or ``spi3``.
        reset: absent where the panel is reset otherwise or not at all.
        width_px, height_px: before rotation.
        inverted: colours need esp_lcd_panel_invert_color.
        element_order: order of the colours within a pixel.
        byte_order: which byte of an RGB565 pixel goes first on the wire.
        rotation_degrees: clockwise.
        backlight: absent where no pin drives it.
    """

    controller: Literal["st7789", "ili9341"]
    bus: Literal["spi"]
    host: Literal["spi2", "spi3"]
    sclk: Pin
    mosi: Pin
    dc: Pin
    cs: Pin
    clock_hz: Annotated[int, Range(1_000_000, 80_000_000)]
    width_px: Annotated[int, Range(1, 1024)]
    height_px: Annotated[int, Range(1, 1024)]
    inverted: bool
    element_order: Literal["rgb", "bgr"]
    byte_order: Literal["big", "little"]
    rotation_degrees: Literal[0, 90, 180, 270]
    reset: Pin | None = None
    backlight: Backlight | None = None


@dataclass(frozen=True)
class I2cWrite:
    """One register write: bits of `mask` become those of `value`, the others stay.

    `mask` 0xFF needs no read first. `purpose` says why, in words.
    """

    device: str
    address: Annotated[int, Range(0x08, 0x77)]
    register: Annotated[int, Range(0, 0xFF)]
    value: Annotated[int, Range(0, 0xFF)]
    purpose: str
    mask: Annotated[int, Range(1, 0xFF)] = 0xFF
    delay_ms: Annotated[int, Range(0, 10_000)] = 0
    """Pause after the write."""


@dataclass(frozen=True)
class I2c:
    """A bus with chips that power or enable others; `writes` in this order, before camera and display."""

    sda: Pin
    scl: Pin
    clock_hz: Annotated[int, Range(10_000, 1_000_000)]
    writes: tuple[I2cWrite, ...] = ()


@dataclass(frozen=True)
class Trigger:
    """A free pin that is high while the engine runs, for oscilloscopes and power analysers."""

    pin: Pin


@dataclass(frozen=True)
class Led:
    """An LED. `open_drain`: the pin may sink current, never drive high."""

    pin: Pin
    kind: Literal["plain", "ws2812"]
    active_low: bool = False
    open_drain: bool = False


@dataclass(frozen=True)
class Button:
    """A button that pulls its pin low or, on a resistor ladder, to `adc_mv` at ADC1's `adc_channel`."""

    name: str
    pin: Pin
    adc_channel: Annotated[int, Range(0, 9)] | None = None
    adc_mv: Annotated[int, Range(0, 3300)] | None = None


@dataclass(frozen=True)
class Power:
    """Published electrical power of the whole board while the engine runs; `source` says who measured."""

    active_min_mw: Count
    active_max_mw: Count
    supply_mv: Count
    source: str


@dataclass(frozen=True)
class Emulator:
    """How Espressif's QEMU plays the board: machine and further arguments."""

    machine: str
    arguments: tuple[str, ...]


Options = Annotated[Mapping[str, bool | int | str], Matching(r"CONFIG_[A-Z0-9_]+")]


@dataclass(frozen=True, kw_only=True)
class Board:
    """Something that runs the engine; as it stands, this computer.

    Attributes:
        name: the file's name without ``.toml``.
        files: the board's file, and those that it extends, nearest first.
        description: one line for `ftervit boards`.
        images: where pictures come from: the board's camera, the serial line, or files.
        defaults: settings of ftervit.toml that suit the board.
    """

    name: str = field(metadata={"key": False})
    files: tuple[Path, ...] = field(metadata={"key": False})
    description: str
    images: Literal["camera", "line", "file"]
    defaults: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ChipBoard(Board):
    """A board with a microcontroller, for which firmware can be built.

    Attributes:
        verified: what the file was checked against: ``facts`` (documents alone), ``compiled`` (a project
            for it builds), ``emulated``, or ``hardware``.
        sdkconfig: ESP-IDF options beyond those that follow from the other tables (see sdkconfig.py).
    """

    verified: Literal["facts", "compiled", "emulated", "hardware"]
    chip: Chip
    flash: Flash
    memory: Memory
    cache: Cache
    console: Console
    partitions: Partitions
    psram: Psram | None = None
    camera: Camera | None = None
    display: Display | None = None
    i2c: I2c | None = None
    trigger: Trigger | None = None
    led: Led | None = None
    buttons: tuple[Button, ...] = ()
    power: Power | None = None
    emulator: Emulator | None = None
    sdkconfig: Options = field(default_factory=dict)
