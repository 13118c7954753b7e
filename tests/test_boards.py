"""Boards are data: what ships is what the documents say, and a wrong file is named to the key."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftervit_deploy.boards import (
    Board,
    BoardFile,
    ChipBoard,
    as_json,
    board_from,
    board_paths,
    chip_board,
    load_board,
    sdkconfig_options,
)
from ftervit_deploy.boards.model import FRAME_SIZES
from ftervit_deploy.cli import main
from ftervit_deploy.errors import ConfigError, FtervitError
from ftervit_deploy.resources import boards_folder
from ftervit_deploy.tomlfile import read_toml

SHIPPED = (boards_folder(),)
CHIP_BOARDS = [
    "esp32s3-devkitc-n16r8v",
    "esp32s3-devkitc-n8r8",
    "esp32s3-eye",
    "freenove-esp32s3-cam",
    "m5stack-cores3",
    "qemu-esp32s3",
    "xiao-esp32s3-sense",
]
MIB = 1 << 20


def _shipped(name: str) -> ChipBoard:
    return chip_board(load_board(name, SHIPPED))


def test_these_boards_ship() -> None:
    assert list(board_paths(SHIPPED)) == sorted([*CHIP_BOARDS, "host"])


@pytest.mark.parametrize("name", [*CHIP_BOARDS, "host"])
def test_every_shipped_board_loads_and_is_json(name: str) -> None:
    record = as_json(load_board(name, SHIPPED))
    assert json.loads(json.dumps(record))["name"] == name


@pytest.mark.parametrize("name", CHIP_BOARDS)
def test_nothing_is_called_verified_that_was_only_read(name: str) -> None:
    evidence = (boards_folder() / "EVIDENCE.md").read_text()
    verified = _shipped(name).verified
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
    board = _shipped(name)
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
    camera = _shipped(name).camera
    assert camera is not None
    found = (camera.xclk, camera.pclk, camera.vsync, camera.href, camera.data, camera.sda, camera.scl)
    assert found == pins
    assert (camera.sensor, camera.pwdn, camera.reset) == (sensor, None, None)
    assert (camera.pixel_format, camera.frame_buffers, camera.frame_buffers_in) == ("rgb565", 2, "psram")


def test_the_eye_camera_and_display() -> None:
    board = _shipped("esp32s3-eye")
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
    board = _shipped("esp32s3-eye")
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
    board = _shipped("m5stack-cores3")
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
        led = _shipped(name).led
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
        board = _shipped(name)
        assert (board.images, board.camera, board.display) == ("line", None, None)
        assert (board.console.kind, board.console.tx, board.console.rx) == ("uart", 43, 44)


def test_the_emulator_has_octal_psram() -> None:
    emulator = _shipped("qemu-esp32s3").emulator
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
    options = sdkconfig_options(_shipped("esp32s3-eye"))
    for name in (
        "ESPTOOLPY_FLASHMODE_QIO", "ESPTOOLPY_FLASHSIZE_8MB", "ESPTOOLPY_FLASHFREQ_80M", "SPIRAM",
        "SPIRAM_MODE_OCT", "SPIRAM_SPEED_80M", "ESP_DEFAULT_CPU_FREQ_MHZ_240",
        "ESP32S3_INSTRUCTION_CACHE_32KB", "ESP32S3_DATA_CACHE_64KB", "ESP32S3_DATA_CACHE_LINE_64B",
        "COMPILER_OPTIMIZATION_PERF", "ESP_CONSOLE_USB_SERIAL_JTAG",
    ):  # fmt: skip
        assert options[f"CONFIG_{name}"] is True
    assert options["CONFIG_IDF_TARGET"] == "esp32s3"


def test_options_of_octal_flash_quad_psram_and_a_uart() -> None:
    octal = sdkconfig_options(_shipped("esp32s3-devkitc-n16r8v"))
    assert octal["CONFIG_ESPTOOLPY_OCT_FLASH"] is True
    assert octal["CONFIG_ESPTOOLPY_FLASHMODE_OPI"] is True
    assert octal["CONFIG_ESPTOOLPY_FLASHSIZE_16MB"] is True
    assert octal["CONFIG_ESP_CONSOLE_UART_TX_GPIO"] == 43
    assert octal["CONFIG_ESP_CONSOLE_UART_BAUDRATE"] == 921_600
    assert sdkconfig_options(_shipped("m5stack-cores3"))["CONFIG_SPIRAM_MODE_QUAD"] is True


def test_the_header_of_a_flash_image_says_dio_or_dout() -> None:
    assert _shipped("esp32s3-eye").flash.header_mode == "dio"
    assert _shipped("esp32s3-devkitc-n16r8v").flash.header_mode == "dout"


def _eye() -> dict[str, Any]:
    return read_toml(boards_folder() / "esp32s3-eye.toml")


def _with(path: str, value: object) -> dict[str, Any]:
    """The ESP32-S3-EYE's tables with one key set, or removed where the value is None."""
    content = copy.deepcopy(_eye())
    *outer, last = path.split(".")
    table = content
    for key in outer:
        table = table.setdefault(key, {})
    if value is None:
        del table[last]
    else:
        table[last] = value
    return content


def _refusal(content: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        board_from([BoardFile(Path("my.toml"), content)])
    assert str(caught.value).startswith("my.toml")
    assert caught.value.hint
    return str(caught.value)


UART = {"kind": "uart", "port": 0, "tx": 1, "rx": 2, "baud": 115200}


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("camera.vflp", True, ["[camera]", "'vflp'", "Did you mean 'vflip'"]),
        ("camra", {}, ["'camra'", "Did you mean 'camera'"]),
        ("camera.xclk_hz", None, ["[camera]", "'xclk_hz' is missing", "a whole number from 1000000"]),
        ("camera.data", None, ["[camera]", "'data' is missing"]),
        ("camera.data", [11, 9, 8], ["[camera]", "data must have 8 entries, not 3"]),
        ("camera.data", 11, ["data must be a list"]),
        ("camera.data", ["a"] * 8, ["data must be the number of a GPIO"]),
        ("camera.vflip", 1, ["vflip must be true or false"]),
        ("camera.pclk", True, ["pclk must be the number of a GPIO"]),
        ("camera.pclk", 13.0, ["pclk must be the number of a GPIO"]),
        ("camera.pclk", -1, ["pclk must be the number of a GPIO"]),
        ("camera.pclk", 24, ["camera.pclk is GPIO24", "does not have"]),
        ("camera.pclk", 49, ["camera.pclk is GPIO49", "does not have"]),
        ("camera.pclk", 27, ["camera.pclk is GPIO27", "flash"]),
        ("camera.pclk", 35, ["camera.pclk is GPIO35", "octal"]),
        ("camera.pclk", 47, ["display.mosi", "camera.pclk", "GPIO47"]),
        ("camera.pclk", 19, ["camera.pclk", "console (USB)", "GPIO19"]),
        ("camera.pclk", 6, ["camera.pclk", "camera.vsync", "GPIO6"]),
        ("camera.xclk_hz", 1, ["xclk_hz must be a whole number from 1000000 to 40000000"]),
        ("camera.frame_size", "HUGE", ["frame_size 'HUGE'", "QVGA"]),
        ("camera.sensor", "", ["sensor must be a line of text"]),
        ("camera.pixel_format", "bgr", ["pixel_format must be one of 'rgb565'"]),
        ("camera.frame_buffers", 4, ["frame_buffers"]),
        ("display.controller", "st7735", ["controller must be one of 'st7789'"]),
        ("display.dc", None, ["[display]", "'dc' is missing"]),
        ("display.rotation_degrees", 45, ["rotation_degrees must be one of 0, 90, 180, 270"]),
        ("display.backlight", {"pin": 48}, ["[display.backlight]", "'active_low' is missing"]),
        ("flash.size_bytes", 8_000_000, ["[flash]", "size_bytes = 8000000 is not a power of two"]),
        ("flash.size_bytes", 1 << 29, ["[flash]", "size_bytes"]),
        ("flash.size_bytes", 4 * MIB, ["[partitions]", "end_offset", "behind the end of the flash"]),
        ("flash.mode", "octal", ["[flash]", "mode must be one of 'qio'"]),
        ("flash.clock_hz", 81_000_000, ["[flash]", "clock_hz cannot be 81000000"]),
        ("flash", "8 MB", ["[flash]", "this must be a table"]),
        ("psram.size_bytes", 9 * MIB, ["[psram]", "no size of a PSRAM"]),
        ("psram.clock_hz", 1, ["[psram]", "clock_hz"]),
        ("psram", None, ["[camera]", "there is no [psram]"]),
        ("chip.name", "esp32", ["[chip]", "no chip 'esp32'", "esp32s3"]),
        ("chip.cores", 3, ["[chip]", "2 cores, not 3"]),
        ("chip.clock_hz", 250_000_000, ["[chip]", "clock_hz"]),
        ("chip", None, ["'chip' is missing", "a table with name"]),
        ("memory.arena_bytes", 600_000, ["[memory]", "arena_bytes is 600,000"]),
        ("cache.icache_bytes", 1000, ["[cache]", "icache_bytes"]),
        ("cache.icache_line_bytes", 16, ["[cache]", "icache_line_bytes"]),
        ("cache.dcache_bytes", 0x2_0000, ["[cache]", "dcache_bytes"]),
        ("cache.dcache_line_bytes", 16, ["[cache]", "dcache_line_bytes"]),
        ("console.kind", "telnet", ["[console]", "kind must be one of"]),
        ("console.kind", "uart", ["[console]", "'port' is missing"]),
        ("console.baud", 9600, ["[console]", "'baud' belongs to a console of kind 'uart'"]),
        ("console", {**UART, "tx": 43}, ["console.tx", "display.dc", "GPIO43"]),
        ("partitions.first_offset", 0x1_1000, ["[partitions]", "first_offset", "64 KB"]),
        ("partitions.first_offset", 0x8000, ["[partitions]", "first_offset"]),
        ("partitions.end_offset", 0x7F_FFFF, ["[partitions]", "end_offset", "4 KB"]),
        ("partitions.app_min_bytes", 0x7F_0000, ["[partitions]", "leave no room"]),
        ("images", "radio", ["images must be one of"]),
        ("images", "file", ["reads no files"]),
        ("camera", None, ["images = 'camera'", "no [camera]"]),
        ("verified", "promised", ["verified must be one of"]),
        ("description", None, ["'description' is missing"]),
        ("description", "two\nlines", ["description must be a line of text"]),
        ("name", "x", ["no key 'name'"]),
        ("files", [], ["no key 'files'"]),
        ("trigger.pin", 3, ["trigger.pin", "led.pin", "GPIO3"]),
        ("buttons", [{"name": "a", "pin": 1, "adc_mv": 1}], ["[[buttons]] number 1", "go together"]),
        ("buttons", [{"name": "a", "pin": 1}, {"name": "b", "pin": 1}], ["GPIO1"]),
        ("buttons", [{"name": "a"}], ["[[buttons]] number 1", "'pin' is missing"]),
        ("buttons", {"name": "a"}, ["buttons must be a list"]),
        ("power.active_min_mw", 300, ["[power]", "above"]),
        ("sdkconfig.SPIRAM", True, ["[sdkconfig]", "'SPIRAM' does not have the form CONFIG_"]),
        ("sdkconfig.CONFIG_A", 1.5, ["[sdkconfig]", "CONFIG_A must be"]),
        ("sdkconfig.CONFIG_SPIRAM", False, ["[sdkconfig]", "CONFIG_SPIRAM contradicts"]),
        ("sdkconfig.CONFIG_SPIRAM_MODE_QUAD", True, ["CONFIG_SPIRAM_MODE_QUAD contradicts"]),
        ("sdkconfig.CONFIG_ESPTOOLPY_FLASHSIZE_16MB", True, ["FLASHSIZE_16MB contradicts"]),
        ("defaults.board", "host", ["[defaults]", "'board' cannot be a default"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_file_table_and_key(path: str, value: object, named: list[str]) -> None:
    said = _refusal(_with(path, value))
    assert all(part in said for part in named), said


def test_register_writes_are_checked() -> None:
    write = {"device": "d", "address": 0x34, "register": 1, "value": 2, "purpose": "p"}
    bus = {"sda": 4, "scl": 5, "clock_hz": 400_000, "writes": [write]}
    assert board_from([BoardFile(Path("my.toml"), _with("i2c", bus))])
    for key, value, named in (
        ("mask", 1, "bits outside mask"),
        ("address", 0x80, "address must be a whole number"),
        ("register", 256, "register must be a whole number"),
        ("delay", 1, "no key 'delay'"),
    ):
        said = _refusal(_with("i2c", {**bus, "writes": [write, {**write, key: value}]}))
        assert "[[i2c.writes]] number 2" in said
        assert named in said
    assert "both use GPIO5" in _refusal(_with("i2c", {**bus, "sda": 5, "scl": 4}))


def test_quad_psram_does_not_go_with_octal_flash() -> None:
    content = _with("flash.mode", "opi")
    content["psram"]["mode"] = "quad"
    assert "octal flash" in _refusal(content)


def test_pictures_over_the_line_need_a_console() -> None:
    content = _with("console.kind", "none")
    content["images"] = "line"
    assert "there is no console" in _refusal(content)


def test_octal_pins_are_free_where_nothing_is_octal() -> None:
    content = _with("psram.mode", "quad")
    content["camera"]["pclk"] = 35
    assert board_from([BoardFile(Path("my.toml"), content)])


def test_a_computer_has_no_camera() -> None:
    assert "microcontroller" in _refusal({"description": "x", "images": "camera"})


def test_frame_sizes_have_a_width_and_a_height() -> None:
    assert FRAME_SIZES["QVGA"] == (320, 240)


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_board_of_ones_own_extends_a_shipped_one(tmp_path: Path) -> None:
    path = _write(tmp_path / "mine.toml", 'extends = "esp32s3-eye"\n[camera]\nhmirror = true\n')
    mine, eye = chip_board(load_board(str(path), SHIPPED)), _shipped("esp32s3-eye")
    assert mine.name == "mine"
    assert mine.files == (path, boards_folder() / "esp32s3-eye.toml")
    assert mine.camera is not None
    assert mine.camera.hmirror
    assert mine.display == eye.display


def test_a_part_of_an_extended_board_can_be_left_out(tmp_path: Path) -> None:
    text = 'extends = "esp32s3-eye"\nwithout = ["display", "camera.xclk"]\n'
    board = chip_board(load_board(str(_write(tmp_path / "mine.toml", text)), SHIPPED))
    assert board.display is None
    assert board.camera is not None
    assert board.camera.xclk is None


def test_an_error_in_an_extended_file_names_that_file(tmp_path: Path) -> None:
    eye = (boards_folder() / "esp32s3-eye.toml").read_text("utf-8")
    _write(tmp_path / "base.toml", eye.replace("vflip = true", "vflip = 1"))
    path = _write(tmp_path / "mine.toml", 'extends = "base"\n[camera]\nhmirror = true\n')
    with pytest.raises(ConfigError, match=r"base\.toml in \[camera\]"):
        load_board(str(path), SHIPPED)


def test_a_board_may_extend_the_shipped_one_that_it_hides(tmp_path: Path) -> None:
    _write(tmp_path / "esp32s3-eye.toml", 'extends = "esp32s3-eye"\ndescription = "mine"\n')
    board = load_board("esp32s3-eye", (tmp_path, *SHIPPED))
    assert board.description == "mine"
    assert len(board.files) == 2


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('extends = "mine"', "circle"),
        ('extends = "other"', "circle"),
        ('extends = "esp32s3-eey"', "Did you mean 'esp32s3-eye'"),
        ("extends = 1", "extends must name a board"),
        ('extends = ""', "extends must name a board"),
        ('extends = "nowhere.toml"', "no board 'nowhere.toml'"),
        ('extends = "a\\u0000b.toml"', "to extend"),
        (f'extends = "{"a" * 300}.toml"', "to extend"),
        ('without = ["display"]', "without needs extends"),
        ('extends = "esp32s3-eye"\nwithout = "display"', "without must be a list"),
        ('extends = "esp32s3-eye"\nwithout = ["screen"]', "'screen'"),
        ('extends = "esp32s3-eye"\nwithout = ["camera.data.x"]', "'camera.data.x'"),
        ("a" + ".a" * 2000 + " = 1", "nested too deeply"),
        ("a = " + "[" * 5000, "TOML|deeply"),
    ],
)
def test_what_is_wrong_with_extending_is_named(tmp_path: Path, text: str, named: str) -> None:
    _write(tmp_path / "other.toml", 'extends = "mine"\n')
    path = _write(tmp_path / "mine.toml", text + "\n")
    with pytest.raises(ConfigError, match=named) as caught:
        load_board(str(path), SHIPPED)
    assert "mine.toml" in str(caught.value)


def test_a_file_that_is_not_there_and_an_unknown_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no board file"):
        load_board(str(tmp_path / "x.toml"), SHIPPED)
    with pytest.raises(ConfigError, match="Did you mean 'host'"):
        load_board("hots", SHIPPED)


_VALUES = st.one_of(
    st.integers(-(1 << 40), 1 << 40), st.integers(0, 50), st.booleans(), st.floats(), st.text(max_size=8),
    st.lists(st.integers(0, 50), max_size=9), st.dictionaries(st.text(max_size=4), st.integers(), max_size=2),
    st.none(),
)  # fmt: skip


def _places(content: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = content.items() if isinstance(content, dict) else enumerate(content)
    places = []
    for key, value in inner:
        places.append((*path, key))
        if isinstance(value, (dict, list)):
            places += _places(value, (*path, key))
    return places


def _error_of(content: dict[str, Any]) -> FtervitError | None:
    try:
        board_from([BoardFile(Path("my.toml"), content)])
    except FtervitError as error:
        return error
    return None


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_whatever_is_changed_in_a_file_only_our_error_comes(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["esp32s3-eye", "m5stack-cores3", "qemu-esp32s3", "host"]))
    content = read_toml(boards_folder() / f"{name}.toml")
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.sampled_from(_places(content)))
        table: Any = content
        for key in place[:-1]:
            table = table[key]
        value = data.draw(_VALUES)
        if value is None:
            del table[place[-1]]
        else:
            table[place[-1]] = value
        if data.draw(st.booleans()) and isinstance(table, dict):
            table[data.draw(st.text(max_size=5))] = data.draw(_VALUES.filter(lambda v: v is not None))
        if not content:
            break
    error = _error_of(content)
    assert error is None or error.what.startswith("my.toml")


def _json(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_boards_lists_them_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    listed = _json(capsys, "boards")
    assert listed["broken"] == []
    by_name = {board["name"]: board for board in listed["boards"]}
    assert set(by_name) == {*CHIP_BOARDS, "host"}
    eye = by_name["esp32s3-eye"]
    assert eye == {
        "name": "esp32s3-eye",
        "description": "Espressif ESP32-S3-EYE: camera, 240x240 display",
        "file": str(boards_folder() / "esp32s3-eye.toml"),
        "images": "camera",
        "chip": "esp32s3",
        "flash_bytes": 8 * MIB,
        "psram_bytes": 8 * MIB,
        "psram_mode": "octal",
        "camera": "ov2640",
        "display": "240x240",
        "console": "usb-serial-jtag",
        "verified": "compiled",
    }
    assert by_name["host"]["chip"] is None


def test_boards_lists_them_for_a_person(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["boards"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].split() == ["board", "chip", "flash", "PSRAM", "camera", "display", "console"]
    assert "esp32s3-eye" in out


def test_boards_shows_everything_about_one(capsys: pytest.CaptureFixture[str]) -> None:
    shown = _json(capsys, "boards", "esp32s3-eye")
    assert shown["camera"]["data"] == [11, 9, 8, 10, 12, 18, 17, 16]
    assert shown["sdkconfig"]["CONFIG_SPIRAM_MODE_OCT"] is True
    assert shown["partitions"]["first_offset"] == 0x1_0000
    for name in (*CHIP_BOARDS, "host"):
        assert main(["boards", name]) == 0
        assert name in capsys.readouterr().out


def test_a_board_of_ones_own_is_listed_and_a_broken_one_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _write(tmp_path / "boards" / "mine.toml", 'extends = "esp32s3-eye"\n')
    _write(tmp_path / "boards" / "broken.toml", "chip = 1\n")
    _write(tmp_path / "ftervit.toml", 'board = "nowhere"\n')
    monkeypatch.chdir(tmp_path)
    listed = _json(capsys, "boards")
    assert "mine" in {board["name"] for board in listed["boards"]}
    assert [Path(entry["file"]).name for entry in listed["broken"]] == ["broken.toml"]
    assert main(["boards"]) == 0
    assert "broken.toml" in capsys.readouterr().err
    assert main(["boards", "broken"]) == 2
    assert "broken.toml" in capsys.readouterr().err


def test_a_wrong_default_is_found_by_looking_at_the_board(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = _write(tmp_path / "mine.toml", 'extends = "host"\n[defaults]\nthread = 1\n')
    assert main(["boards", str(path)]) == 2
    assert "Did you mean 'threads'" in capsys.readouterr().err
