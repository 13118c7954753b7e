"""A wrong board file is named to the key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from board_files import MIB, changed_eye, refusal
from hypothesis import given, settings
from hypothesis import strategies as st

from ftervit_deploy.boards import BoardFile, board_from
from ftervit_deploy.boards.model import FRAME_SIZES
from ftervit_deploy.errors import FtervitError
from ftervit_deploy.resources import boards_folder
from ftervit_deploy.tomlfile import read_toml

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
    said = refusal(changed_eye(path, value))
    assert all(part in said for part in named), said


def test_register_writes_are_checked() -> None:
    write = {"device": "d", "address": 0x34, "register": 1, "value": 2, "purpose": "p"}
    bus = {"sda": 4, "scl": 5, "clock_hz": 400_000, "writes": [write]}
    assert board_from([BoardFile(Path("my.toml"), changed_eye("i2c", bus))])
    for key, value, named in (
        ("mask", 1, "bits outside mask"),
        ("address", 0x80, "address must be a whole number"),
        ("register", 256, "register must be a whole number"),
        ("delay", 1, "no key 'delay'"),
    ):
        said = refusal(changed_eye("i2c", {**bus, "writes": [write, {**write, key: value}]}))
        assert "[[i2c.writes]] number 2" in said
        assert named in said
    assert "both use GPIO5" in refusal(changed_eye("i2c", {**bus, "sda": 5, "scl": 4}))


def test_quad_psram_does_not_go_with_octal_flash() -> None:
    content = changed_eye("flash.mode", "opi")
    content["psram"]["mode"] = "quad"
    assert "octal flash" in refusal(content)


def test_pictures_over_the_line_need_a_console() -> None:
    content = changed_eye("console.kind", "none")
    content["images"] = "line"
    assert "there is no console" in refusal(content)


def test_octal_pins_are_free_where_nothing_is_octal() -> None:
    content = changed_eye("psram.mode", "quad")
    content["camera"]["pclk"] = 35
    assert board_from([BoardFile(Path("my.toml"), content)])


def test_a_computer_has_no_camera() -> None:
    assert "microcontroller" in refusal({"description": "x", "images": "camera"})


def test_frame_sizes_have_a_width_and_a_height() -> None:
    assert FRAME_SIZES["QVGA"] == (320, 240)


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
