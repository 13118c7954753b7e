"""The port to ESP-IDF against played hardware; tests/c/espidf/ has the few headers of ESP-IDF it uses."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from c_compiler import ROOT, RUNTIME, SANITIZERS, WARNINGS, build, compiler
from projects import board_named, chip_board_names, rendered, scalar, tiny_image

from ftervit_deploy import __version__

PORT = RUNTIME / "ports" / "espidf"
PLAYED = ROOT / "tests" / "c" / "espidf"
INCLUDES = (
    *(f"-I{RUNTIME / folder}" for folder in ("include", "line", "app", "ports/espidf", "src")),
    f"-I{PLAYED}",
)
THREADS = ("-fsanitize=thread", "-pthread")
SECONDS = 60


def played(folder: Path, part: str, *words: str, flags: tuple[str, ...] = SANITIZERS) -> list[str]:
    """Lines that play_<part>.c prints, with the port's ftv_espidf_<part>.c."""
    sources = (PLAYED / f"play_{part}.c", PORT / f"ftv_espidf_{part}.c")
    program = build(compiler(), folder / part, sources, *INCLUDES, *flags)
    done = subprocess.run((program, *words), capture_output=True, text=True, timeout=SECONDS, check=True)
    assert not done.stderr
    return done.stdout.splitlines()


# ---- copies by DMA ----


def test_copies_by_dma_are_tried_and_then_made_in_order(tmp_path: Path) -> None:
    driver, started, result = played(tmp_path, "copies", flags=THREADS)
    assert (driver, started) == ("driver: PSRAM in 64 bytes", "copies: DMA, dropped 1")
    assert result == "the same, enough descriptors, at most 32256 bytes, refused 0, dropped 1"


def test_what_the_dma_refuses_a_core_copies_past_the_cache(tmp_path: Path) -> None:
    result = played(tmp_path, "copies", "refusing", flags=THREADS)[-1]
    refused, dropped = map(int, re.findall(r"refused (\d+), dropped (\d+)", result)[0])
    assert result.startswith("the same, ")
    assert refused > 0
    assert dropped == refused + 1


def test_without_a_free_dma_the_cores_copy(tmp_path: Path) -> None:
    said = "W ftv: copies: no DMA for them, the cores make them"
    assert played(tmp_path, "copies", "none free", flags=THREADS)[1:] == [said, "copies: cores, dropped 1"]


@pytest.mark.parametrize("play", ["wrong", "stopped"])
def test_a_dma_that_fails_its_trial_is_given_back_and_the_cores_copy(tmp_path: Path, play: str) -> None:
    said = "E ftv: copies: the DMA does not bring back what it took, the cores make them"
    lines = played(tmp_path, "copies", play, flags=THREADS)
    assert lines[1:] == ["driver: gone", said, "copies: cores, dropped 1"]


def test_a_dma_that_stops_ends_in_a_restart(tmp_path: Path) -> None:
    result = played(tmp_path, "copies", "stopping", flags=THREADS)[-1]
    assert result == "abort: ftv: the DMA that copies residual rows has stopped"


# ---- I2C ----


@pytest.mark.parametrize("play", ["fresh", "interrupted"])
def test_i2c_writes_change_their_bits_alone_and_name_a_chip_that_is_silent(tmp_path: Path, play: str) -> None:
    silent, result = played(tmp_path, "i2c", play)
    assert silent == "E ftv: other at I2C address 0x34 does not answer; it should do: light"
    assert result.startswith("bad 03=f2 13=a5 ")


def test_the_i2c_bus_is_open_drain_and_released(tmp_path: Path) -> None:
    assert "open_drain=1 released=2" in played(tmp_path, "i2c")[-1]


def test_an_i2c_bus_that_something_holds_costs_milliseconds(tmp_path: Path) -> None:
    result = played(tmp_path, "i2c", "stuck")[-1]
    assert result.startswith("bad 03=f1 13=00 ")
    assert int(re.findall(r"after=(\d+) ms", result)[0]) < 200


# ---- display ----

WINDOWS = {  # orientation, columns 0..239 and rows 16..23, on 240 x 240 of a controller's 240 x 320 pixels
    0: ("36 00", "2a 00 00 00 ef", "2b 00 10 00 17"),
    90: ("36 60", "2a 00 00 00 ef", "2b 00 10 00 17"),
    180: ("36 c0", "2a 00 00 00 ef", "2b 00 60 00 67"),
    270: ("36 a0", "2a 00 50 01 3f", "2b 00 10 00 17"),
}


@pytest.mark.parametrize("degrees", WINDOWS)
def test_a_turned_picture_stays_on_the_glass(tmp_path: Path, degrees: int) -> None:
    lines = played(tmp_path, "display", str(degrees))
    assert set(WINDOWS[degrees]) <= set(lines)
    assert "2c + 3840 bytes" in lines
    assert "shown" in lines


def test_the_light_is_off_until_the_application_turns_it_on(tmp_path: Path) -> None:
    lines = played(tmp_path, "display")
    start = lines.index("-- pixels")
    assert {line for line in lines[:start] if line.startswith("pin")} == {"pin 48 = 1"}, "active low"
    assert "pin 48 = 0" in lines[start:]


def test_a_transfer_that_does_not_end_is_given_up(tmp_path: Path) -> None:
    lines = played(tmp_path, "display", "late")
    assert "nothing after 1000" in lines
    assert "not shown" in lines


def test_a_byte_order_that_the_controller_lacks_is_refused(tmp_path: Path) -> None:
    assert played(tmp_path, "display")[-1] == "refused"


# ---- camera ----


def test_a_camera_is_never_waited_for_and_says_what_is_wrong(tmp_path: Path) -> None:
    lines = played(tmp_path, "camera")
    assert "waits!" not in lines
    wanted = [
        "at once: frame 96 x 96 format 1, out 0", "then: not yet, out 0", "half: overflow, out 0",
        "after two seconds: timeout, out 0", "without a camera: failed, out 0",
    ]  # fmt: skip
    assert [line for line in lines if line in wanted] == wanted


def test_a_frame_wakes_only_who_asked_for_one(tmp_path: Path) -> None:
    lines = played(tmp_path, "camera")
    assert "arrived, unasked: 0" in lines
    assert "arrived: 1" in lines


def test_a_restarted_camera_is_upright_again(tmp_path: Path) -> None:
    lines = played(tmp_path, "camera")
    assert lines[-5:-1] == [
        "init d0 1 d7 8 xclk -1 buffers 2 psram newest 1", "vflip 1", "hmirror 0", "restart 1",
    ]  # fmt: skip


def test_a_frame_size_that_the_driver_lacks_is_named(tmp_path: Path) -> None:
    assert played(tmp_path, "camera")[:2] == [
        "E ftv: camera: esp32-camera has no frame size 97 x 96", "refused",
    ]  # fmt: skip


# ---- the line ----


def test_frames_and_log_are_written_under_one_lock(tmp_path: Path) -> None:
    lines = played(tmp_path, "line")
    assert {"port 1, room for 4 frames", "started 1 longest 256", "I (7) ftv: ready", "cut 0"} <= set(lines)
    assert "1 1|long log: 256 bytes, waited 0 ms" in lines, "cut short, but it ends its line"


def test_a_missing_reader_costs_one_bounded_wait(tmp_path: Path) -> None:
    lines = played(tmp_path, "line")
    assert "0 0|no reader: 0 bytes, waited 200 ms" in lines, "of two frames"
    assert "1|a reader again: 1000 bytes, waited 0 ms" in lines


def test_a_wait_ends_with_a_byte_that_is_not_lost_or_with_a_frame(tmp_path: Path) -> None:
    lines = played(tmp_path, "line")
    assert "nothing comes: 0 bytes, waited 50 ms" in lines
    assert "3 abc|bytes come: 0 bytes, waited 0 ms" in lines
    assert "a frame comes: 0 bytes, waited 8 ms" in lines


# ---- two cores ----


def test_work_is_done_once_whoever_notifies_whom(tmp_path: Path) -> None:
    (line,) = played(tmp_path, "workers", flags=THREADS)
    assert line == "workers 2 wrong 0 helped 1 cores 1 1 again 1"


# ---- the model, and the cache in front of it ----


def test_the_model_is_copied_to_psram_where_that_is_possible(tmp_path: Path) -> None:
    lines = played(tmp_path, "model")
    assert lines == [
        "PSRAM: yes, 1024 bytes at a multiple of 64",
        "cache: left",
        "an image: PSRAM, copied 1, 1008 bytes, the same, freed 0",
        "PSRAM: yes, 1024 bytes at a multiple of 64",
        "W ftv: model: PSRAM has no 1008 bytes for it",
        "no room: flash, copied 0, 131072 bytes, the same, freed 0",
        "PSRAM: yes, 131072 bytes at a multiple of 64",
        "cache: left",
        "E ftv: model: its copy in PSRAM differs, that memory is faulty",
        "faulty PSRAM: flash, copied 0, 131072 bytes, the same, freed 1",
        "a length beyond the partition: flash, copied 0, 131072 bytes, the same, freed 1",
        "a length that is none: flash, copied 0, 131072 bytes, the same, freed 1",
        "an erased partition: flash, copied 0, 131072 bytes, the same, freed 1",
        "no partition: The flash has no partition named model., copied 0, 0 bytes, others, freed 1",
    ]


def test_what_comes_next_is_loaded_in_whole_lines_or_not_at_all(tmp_path: Path) -> None:
    lines = played(tmp_path, "prefetch", flags=THREADS)
    assert lines == [
        "whole lines: load 3c100040 + 600 order 0",
        "parts of lines: load 3c100040 + 80 order 0",
        "a long piece: load 3c100000 + 4000 order 0",
        "nothing wanted: nothing",
        "SRAM: nothing",
        "beyond the end: nothing",
        "while it loads: nothing",
        "two cores: in turn",
    ]


# ---- boards ----


XTENSA = "xtensa-lx106-elf-gcc"


@pytest.mark.parametrize("compiler_name", ["host", XTENSA])
@pytest.mark.parametrize("vector", [True, False])
@pytest.mark.parametrize("board", chip_board_names())
def test_every_boards_rendered_sources_compile_without_a_warning(
    tmp_path: Path, board: str, vector: bool, compiler_name: str
) -> None:
    if compiler_name == XTENSA and shutil.which(XTENSA) is None:
        pytest.skip("no compiler for Xtensa: install gcc-xtensa-lx106")
    chip_board = board_named(board) if vector else scalar(board_named(board))
    files = rendered(tiny_image(), chip_board).files
    for name in files:
        if re.fullmatch(r"main/\w+\.[ch]", name):
            (tmp_path / Path(name).name).write_bytes(files[name])
    program = compiler() if compiler_name == "host" else XTENSA
    sources = sorted(tmp_path.glob("*.c"))
    assert [source.name for source in sources] == ["board.c", "main.c", "model_kernels.c", "model_plan.c"]
    includes = (*INCLUDES, f"-I{tmp_path}")
    command = (program, "-std=gnu11", "-O2", "-ffreestanding", *WARNINGS, *includes, "-c", *sources)
    subprocess.run(command, check=True, cwd=tmp_path)


def test_the_component_has_the_packages_version() -> None:
    assert f'version: "{__version__}"\n' in (RUNTIME / "idf_component.yml").read_text()


def test_the_component_names_every_source_but_the_cameras() -> None:
    listed = set(re.findall(r"ports/espidf/(\w+\.c)", (RUNTIME / "CMakeLists.txt").read_text()))
    assert listed == {path.name for path in PORT.glob("*.c")}
    registered = re.findall(
        r"^ +ports/espidf/(\w+\.c)|APPEND sources .*ports/espidf/(\w+\.c)",
        (RUNTIME / "CMakeLists.txt").read_text(),
        re.MULTILINE,
    )
    assert "ftv_espidf_camera.c" not in {name for pair in registered for name in pair}
