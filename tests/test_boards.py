"""Boards are data: what ships is what the documents say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from board_files import CHIP_BOARDS, MIB, SHIPPED, shipped

from ftervit_deploy.boards import Board, as_json, board_paths, chip_board, load_board, sdkconfig_options
from ftervit_deploy.errors import ConfigError
from ftervit_deploy.resources import boards_folder


def test_these_boards_ship() -> None:
    assert list(board_paths(SHIPPED)) == sorted([*CHIP_BOARDS, "host"])


@pytest.mark.parametrize("name", [*CHIP_BOARDS, "host"])
def test_every_shipped_board_loads_and_is_json(name: str) -> None:
    record = as_json(load_board(name, SHIPPED))
    assert json.loads(json.dumps(record))["name"] == name


@pytest.mark.parametrize("name", CHIP_BOARDS)
def test_nothing_is_called_verified_that_was_only_read(name: str) -> None:
    evidence = (boards_folder() / "EVIDENCE.md").read_text()
    verified = shipped(name).verified
    assert verified == ("emulated" if name == "qemu-esp32s3" else "compiled")
    assert f"| {name} | signs |" in evidence


@pytest.mark.parametrize(
    ("name", "flash", "mode", "psram_mode"),
    [
        ("esp32s3-devkitc-n16r8v", 16, "opi", "octal"),
        ("esp32s3-devkitc-n8r8", 8, "qio", "octal"),
        ("esp32s3-eye", 8, "qio", "octal"),
        ("freenove-esp32s3-cam", 8, "qio", "octal"),
        ("m5stack-cores3", 16, "qio", "quad"),
        ("qemu-esp32s3", 8, "dio", "octal"),
        ("xiao-esp32s3-sense", 8, "qio", "octal"),
    ],
)
def test_memories(name: str, flash: int, mode: str, psram_mode: str) -> None:
    board = shipped(name)
    assert (board.flash.size_bytes, board.flash.mode) == (flash * MIB, mode)
    assert board.psram is not None
    assert (board.psram.size_bytes, board.psram.mode) == (8 * MIB, psram_mode)
    assert board.partitions.end_offset == board.flash.size_bytes
    assert (board.cache.icache_bytes, board.cache.dcache_bytes) == (32 << 10, 64 << 10)
    assert board.cache.dcache_line_bytes == 64


EYE_CAMERA = (15, 13, 6, 7, (11, 9, 8, 10, 12, 18, 17, 16), 4, 5)


@pytest.mark.parametrize(
    ("name", "sensor", "pins"),
    [
        ("esp32s3-eye", "ov2640", EYE_CAMERA),
        ("freenove-esp32s3-cam", "ov2640", EYE_CAMERA),
        ("xiao-esp32s3-sense", "ov2640", (10, 13, 38, 47, (15, 17, 18, 16, 14, 12, 11, 48), 40, 39)),
        ("m5stack-cores3", "gc0308", (None, 45, 46, 38, (39, 40, 41, 42, 15, 16, 48, 47), 12, 11)),
    ],
)
def test_camera_pins(name: str, sensor: str, pins: tuple[Any, ...]) -> None:
    camera = shipped(name).camera
    assert camera is not None
    found = (camera.xclk, camera.pclk, camera.vsync, camera.href, camera.data, camera.sda, camera.scl)
    assert found == pins
    assert (camera.sensor, camera.pwdn, camera.reset) == (sensor, None, None)
    assert (camera.pixel_format, camera.frame_buffers, camera.frame_buffers_in) == ("rgb565", 2, "psram")


def test_the_eye_camera_and_display() -> None:
    board = shipped("esp32s3-eye")
    assert board.camera is not None
    assert board.display is not None
    assert (board.camera.xclk_hz, board.camera.width, board.camera.height) == (16_000_000, 240, 240)
    assert (board.camera.vflip, board.camera.hmirror) == (True, False)
    display = board.display
    assert (display.controller, display.host, display.clock_hz) == ("st7789", "spi3", 80_000_000)
    assert (display.sclk, display.mosi, display.dc, display.cs, display.reset) == (21, 47, 43, 44, None)
    assert (display.width_px, display.height_px) == (240, 240)
    assert (display.inverted, display.byte_order) == (True, "big")
    assert display.backlight is not None
    assert (display.backlight.pin, display.backlight.active_low) == (48, True)


def test_the_eye_console_buttons_led_and_power() -> None:
    board = shipped("esp32s3-eye")
    assert board.console.kind == "usb-serial-jtag"
    assert board.led is not None
    assert (board.led.pin, board.led.open_drain) == (3, True)
    assert [(b.adc_channel, b.adc_mv) for b in board.buttons[1:]] == [
        (0, 380),
        (0, 820),
        (0, 1980),
        (0, 2410),
    ]
    assert (board.buttons[0].name, board.buttons[0].pin) == ("boot", 0)
    assert board.power is not None
    assert (board.power.active_min_mw, board.power.active_max_mw, board.power.supply_mv) == (250, 267, 3300)
    assert "PPK2" in board.power.source
    assert board.partitions.usable_bytes == 8_323_072


def test_the_cores3_display_and_what_powers_it() -> None:
    board = shipped("m5stack-cores3")
    assert board.display is not None
    display = board.display
    assert (display.controller, display.host, display.clock_hz) == ("ili9341", "spi3", 40_000_000)
    assert (display.sclk, display.mosi, display.dc, display.cs) == (36, 37, 35, 3)
    assert board.camera is not None
    assert (board.camera.width, board.camera.height) == (320, 240)
    assert board.i2c is not None
    assert (board.i2c.sda, board.i2c.scl) == (12, 11)
    assert {(w.device, w.address) for w in board.i2c.writes} == {("aw9523", 0x58), ("axp2101", 0x34)}
    assert board.i2c.writes[0].device == "aw9523"
    port1 = [w for w in board.i2c.writes if (w.device, w.register) == ("aw9523", 0x03)]
    assert port1[0].value & 1, "pin 8 turns the camera on"
    voltages = {w.register: w.value * 100 + 500 for w in board.i2c.writes if w.register in (0x94, 0x99)}
    assert voltages == {0x94: 3300, 0x99: 2900}
    switched = [w.value for w in board.i2c.writes if (w.device, w.register) == ("axp2101", 0x90)]
    assert switched == [0b0011_0100, 0b1000_0000]


def test_leds_of_the_others() -> None:
    found = {}
    for name in CHIP_BOARDS:
        led = shipped(name).led
        if led is not None:
            found[name] = (led.pin, led.kind, led.active_low)
    assert found == {
        "esp32s3-eye": (3, "plain", True),
        "xiao-esp32s3-sense": (21, "plain", True),
        "freenove-esp32s3-cam": (48, "ws2812", False),
        "esp32s3-devkitc-n8r8": (38, "ws2812", False),
        "esp32s3-devkitc-n16r8v": (38, "ws2812", False),
    }


def test_boards_without_a_camera_get_pictures_over_a_uart() -> None:
    for name in ("esp32s3-devkitc-n8r8", "esp32s3-devkitc-n16r8v", "qemu-esp32s3"):
        board = shipped(name)
        assert (board.images, board.camera, board.display) == ("line", None, None)
        assert (board.console.kind, board.console.tx, board.console.rx) == ("uart", 43, 44)


def test_the_emulator_has_octal_psram() -> None:
    emulator = shipped("qemu-esp32s3").emulator
    assert emulator is not None
    assert emulator.machine == "esp32s3"
    assert "driver=ssi_psram,property=is_octal,value=true" in emulator.arguments


def test_the_host_needs_no_chip() -> None:
    host = load_board("host", SHIPPED)
    assert type(host) is Board
    assert host.images == "file"
    with pytest.raises(ConfigError, match="no microcontroller"):
        chip_board(host)


def test_options_follow_from_the_tables() -> None:
    options = sdkconfig_options(shipped("esp32s3-eye"))
    for name in (
        "ESPTOOLPY_FLASHMODE_QIO", "ESPTOOLPY_FLASHSIZE_8MB", "ESPTOOLPY_FLASHFREQ_80M", "SPIRAM",
        "SPIRAM_MODE_OCT", "SPIRAM_SPEED_80M", "ESP_DEFAULT_CPU_FREQ_MHZ_240",
        "ESP32S3_INSTRUCTION_CACHE_32KB", "ESP32S3_DATA_CACHE_64KB", "ESP32S3_DATA_CACHE_LINE_64B",
        "COMPILER_OPTIMIZATION_PERF", "ESP_CONSOLE_USB_SERIAL_JTAG",
    ):  # fmt: skip
        assert options[f"CONFIG_{name}"] is True
    assert options["CONFIG_IDF_TARGET"] == "esp32s3"


def test_options_of_octal_flash_quad_psram_and_a_uart() -> None:
    octal = sdkconfig_options(shipped("esp32s3-devkitc-n16r8v"))
    assert octal["CONFIG_ESPTOOLPY_OCT_FLASH"] is True
    assert octal["CONFIG_ESPTOOLPY_FLASHMODE_OPI"] is True
    assert octal["CONFIG_ESPTOOLPY_FLASHSIZE_16MB"] is True
    assert octal["CONFIG_ESP_CONSOLE_UART_TX_GPIO"] == 43
    assert octal["CONFIG_ESP_CONSOLE_UART_BAUDRATE"] == 921_600
    assert sdkconfig_options(shipped("m5stack-cores3"))["CONFIG_SPIRAM_MODE_QUAD"] is True


def test_the_header_of_a_flash_image_says_dio_or_dout() -> None:
    assert shipped("esp32s3-eye").flash.header_mode == "dio"
    assert shipped("esp32s3-devkitc-n16r8v").flash.header_mode == "dout"
