"""`ftervit flash` and esptool against a stand-in for the chip, its flash compared bit for bit."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from esp_files import (
    APP_OFFSET,
    LAYOUT,
    MODEL_OFFSET,
    app_image,
    descriptor_bytes,
    esp_image,
    shape_of,
    table_bytes,
    write_build,
    write_project,
)
from rom_standin import Chip, running, running_on_pty

from ftervit_deploy.architecture import Architecture
from ftervit_deploy.cli import main
from ftervit_deploy.image import write_image
from ftervit_deploy.lower import lower
from synthetic import random_graph

GOLDEN = Path(__file__).parent / "golden"
TINY = (GOLDEN / "tiny_t2.ftv").read_bytes()
BOARD = "esp32s3-eye"
PARTS = {
    0x0: "build/bootloader/bootloader.bin",
    0x8000: "build/partition_table/partition-table.bin",
    APP_OFFSET: "build/firmware.bin",
    MODEL_OFFSET: "model.ftv",
}


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("esptool.targets.esp32s3.sleep", lambda seconds: None)  # for a real reset
    for name in ("ESPPORT", "ESPBAUD", "FTERVIT_PORT", "FTERVIT_BAUD"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write_project(tmp_path / "firmware", TINY)
    return tmp_path / "firmware"


@pytest.fixture
def chip() -> Chip:
    """What an ESP32-S3-EYE carries: 8 MB quad flash, 8 MB octal PSRAM in the package."""
    chip = Chip()
    chip.set_psram(1)
    return chip


posix = pytest.mark.skipif(sys.platform == "win32", reason="hardware: a pseudo-terminal needs POSIX")
Flash = Callable[..., dict[str, Any]]
Refused = Callable[..., str]


@pytest.fixture
def flash(chip: Chip, capsys: pytest.CaptureFixture[str]) -> Flash:
    """Runs the command with --json; it must succeed."""

    def run(*arguments: object) -> dict[str, Any]:
        with running(chip) as url:
            status = main(["flash", "--json", "--port", url, *map(str, arguments)])
        out, err = capsys.readouterr()
        assert status == 0, err
        record: dict[str, Any] = json.loads(out)
        return record

    return run


@pytest.fixture
def refused(chip: Chip, capsys: pytest.CaptureFixture[str]) -> Refused:
    """Runs the command; it must fail with one sentence, which comes back, and a hint."""

    def run(*arguments: object) -> str:
        with running(chip) as url:
            status = main(["flash", "--port", url, *map(str, arguments)])
        out, err = capsys.readouterr()
        assert status == 2, err
        assert out == ""
        lines = [line for line in err.splitlines() if not line.startswith(("Using", "A slower way"))]
        assert lines[0].startswith("ftervit: error: ")
        assert len(lines) == 2, err
        return " ".join(lines)

    return run


def _large_model(seed: int = 3) -> bytes:
    """An image of several erase blocks."""
    shape = Architecture(16, 8, 128, 6, 2, 512, 5)
    return write_image(lower(random_graph(shape, seed)), "t2")


def _holds(chip: Chip, project: Path) -> bool:
    contents = {at: (project / name).read_bytes() for at, name in PARTS.items()}
    return all(chip.flash[at : at + len(data)] == data for at, data in contents.items())


def _touched(chip: Chip) -> bool:
    return chip.written_bytes > 0 or any(name.startswith(("FLASH_", "ERASE")) for name in chip.log)


def _did(record: dict[str, Any]) -> dict[str, int]:
    return {part["name"]: part["written_bytes"] for part in record["parts"]}


# ---- a whole project ----


def test_the_flash_holds_every_part_bit_for_bit_and_the_board_restarts(
    chip: Chip, project: Path, flash: Flash
) -> None:
    record = flash()
    assert _holds(chip, project)
    assert chip.resets == 1
    assert (record["chip"], record["board"], record["reset"]) == ("esp32s3", BOARD, "watchdog")
    assert {part["offset"]: part["written_bytes"] for part in record["parts"]} == {
        at: len((project / name).read_bytes()) for at, name in PARTS.items()
    }


def test_nothing_lands_beside_the_parts(chip: Chip, project: Path, flash: Flash) -> None:
    flash()
    covered = np.zeros(len(chip.flash), bool)
    for at, name in PARTS.items():
        covered[at : at + len((project / name).read_bytes())] = True
    assert (np.frombuffer(chip.flash, np.uint8)[~covered] == 0xFF).all()


def test_a_second_flash_writes_nothing(chip: Chip, project: Path, flash: Flash) -> None:
    flash()
    chip.log.clear()
    assert set(_did(flash()).values()) == {0}
    assert not any(name.startswith("FLASH_") for name in chip.log)
    assert chip.resets == 2


def test_only_the_blocks_that_differ_are_written(
    chip: Chip, tmp_path: Path, project: Path, flash: Flash
) -> None:
    model = _large_model()
    write_project(project, model)
    assert len(model) > 4 * 0x10000
    flash()
    chip.flash[MODEL_OFFSET + 0x2_1234] ^= 0x10
    chip.flash[MODEL_OFFSET + len(model) - 1] ^= 0x01
    last_block = len(model) % 0x10000
    assert _did(flash())["model"] == 0x10000 + last_block
    assert _holds(chip, project)


def test_flash_that_was_used_is_erased_where_it_is_written(chip: Chip, project: Path, flash: Flash) -> None:
    chip.flash[:] = bytes(len(chip.flash))
    flash()
    assert _holds(chip, project)
    assert chip.flash[0x9000:0xF000] == bytes(0x6000), "what no part covers stays"


def test_erase_leaves_nothing_of_what_was_there(chip: Chip, project: Path, flash: Flash) -> None:
    chip.flash[:] = bytes(len(chip.flash))
    record = flash("--erase")
    assert record["erased"] is True
    assert _holds(chip, project)
    assert chip.flash[0x9000:0xF000] == b"\xff" * 0x6000


def test_dry_run_writes_nothing_and_says_what_it_would(
    chip: Chip, project: Path, flash: Flash, capsys: pytest.CaptureFixture[str]
) -> None:
    flash()
    chip.flash[MODEL_OFFSET] ^= 1
    before, chip.log[:] = bytes(chip.flash), []
    parts = {part["name"]: part["to_write_bytes"] for part in flash("--dry-run")["parts"]}
    assert parts == {"model": len(TINY), "app": 0, "partition table": 0, "bootloader": 0}
    assert bytes(chip.flash) == before
    assert not any(name.startswith(("FLASH_", "ERASE")) for name in chip.log)
    with running(chip) as url:
        assert main(["flash", "--dry-run", "--erase", "--port", url]) == 0
    out = capsys.readouterr().out
    assert "Nothing was written." in out
    assert "0x110000" in out
    assert bytes(chip.flash) == before


def test_words_of_esptool_appear_with_verbose_alone(
    chip: Chip, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(chip) as url:
        assert main(["flash", "--json", "--port", url]) == 0
        quiet = capsys.readouterr()
        assert main(["flash", "--json", "--verbose", "--port", url]) == 0
        loud = capsys.readouterr()
    assert quiet.err == ""
    assert "esptool: " in loud.err
    assert len(loud.out.splitlines()) == 1


def test_another_model_of_the_same_shape_may_go_along(
    chip: Chip, tmp_path: Path, project: Path, flash: Flash
) -> None:
    write_project(project, _large_model())
    other = _large_model(seed=4)
    (tmp_path / "other.ftv").write_bytes(other)
    flash("--model", tmp_path / "other.ftv")
    assert chip.flash[MODEL_OFFSET : MODEL_OFFSET + len(other)] == other


def test_further_files_of_the_build_are_written_too(chip: Chip, project: Path, flash: Flash) -> None:
    path = project / "build/flasher_args.json"
    content = json.loads(path.read_text())
    content["flash_files"]["0xf000"] = "ota_data_initial.bin"
    path.write_text(json.dumps(content))
    (project / "build/ota_data_initial.bin").write_bytes(b"\x01\x02\x03")
    assert _did(flash())["ota_data_initial"] == 3
    assert chip.flash[0xF000:0xF003] == b"\x01\x02\x03"


def test_a_chip_whose_flasher_does_not_start_is_flashed_by_its_rom(
    chip: Chip, project: Path, flash: Flash
) -> None:
    chip.has_flasher = False
    flash()
    assert _holds(chip, project)


def test_the_rom_alone_cannot_erase_all(chip: Chip, project: Path, refused: Refused) -> None:
    chip.has_flasher = False
    assert "--erase" in refused("--erase")
    assert not _touched(chip)


# ---- what breaks in the middle ----


@pytest.mark.parametrize("after_bytes", [1, 2_000, 60_000, 100_000, 160_000])
def test_after_a_pulled_cable_the_next_flash_mends_the_board(
    after_bytes: int, chip: Chip, project: Path, flash: Flash, refused: Refused
) -> None:
    chip.vanish_after = after_bytes
    sentence = refused()
    assert "was lost while writing" in sentence
    assert "Run `ftervit flash` again" in sentence
    assert chip.resets == 0, "a half-written board stays in download mode"
    flash()
    assert _holds(chip, project)


def test_what_was_written_before_the_cable_was_pulled_is_kept(
    chip: Chip, tmp_path: Path, project: Path, flash: Flash, refused: Refused
) -> None:
    model = _large_model()
    write_project(project, model)
    chip.vanish_after = 3 * 0x10000 + 100
    refused()
    assert _did(flash())["model"] == len(model) - 3 * 0x10000
    assert _holds(chip, project)


def test_the_bootloader_is_written_last(project: Path, flash: Flash) -> None:
    names = [part["name"] for part in flash()["parts"]]
    assert names == ["model", "app", "partition table", "bootloader"]


def test_flash_that_keeps_a_bit_is_found_out(chip: Chip, project: Path, refused: Refused) -> None:
    at = APP_OFFSET + 1_000
    offset = next(
        i for i in range(at, at + 99) if (project / PARTS[APP_OFFSET]).read_bytes()[i - APP_OFFSET] & 1
    )
    chip.stuck_bit = offset
    assert "Writing the app failed" in refused()
    assert chip.resets == 0


def test_ctrl_c_in_the_middle_says_that_a_part_is_written(
    chip: Chip, project: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    import esptool.cmds

    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(esptool.cmds, "write_flash", interrupted)
    assert "Interrupted while writing the model" in refused()


# ---- boards that must not be flashed ----


def _small(chip: Chip) -> None:
    chip.flash_id = 0x1640C8


def _quad_psram(chip: Chip) -> None:
    chip.set_psram(2)


def _octal_flash(chip: Chip) -> None:
    chip.set_octal_flash()


def _esp32c3(chip: Chip) -> None:
    chip.chip_id = 5


def _unheard_of(chip: Chip) -> None:
    chip.chip_id = 4711


def _secure_boot(chip: Chip) -> None:
    chip.security_flags = 1


def _secure_download(chip: Chip) -> None:
    chip.security_flags = 4


def _encrypted(chip: Chip) -> None:
    chip.crypt_count = 7


def _deaf(chip: Chip) -> None:
    chip.deaf = True


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_small, ["flash has 4 MB", "needs the 8 MB of esp32s3-eye"]),
        (_quad_psram, ["PSRAM is quad (2 MB)", "needs octal PSRAM"]),
        (_octal_flash, ["flash is octal", "reads it as quad"]),
        (_esp32c3, ["chip esp32s3", "an esp32c3"]),
        (_unheard_of, ["No chip answers", "4711"]),
        (_secure_boot, ["secure boot is on"]),
        (_secure_download, ["secure download mode is on"]),
        (_encrypted, ["flash encryption is on"]),
        (_deaf, ["No chip answers", "BOOT"]),
    ],
)
def test_a_board_that_does_not_fit_is_refused_before_anything_is_written(
    change: Callable[[Chip], None], words: list[str], chip: Chip, project: Path, refused: Refused
) -> None:
    change(chip)
    sentence = refused()
    assert all(word in sentence for word in words), sentence
    assert not _touched(chip)


def test_an_even_count_means_that_encryption_is_off_again(chip: Chip, project: Path, flash: Flash) -> None:
    chip.crypt_count = 3
    flash()


def test_quad_flash_where_the_project_wants_octal_is_refused(
    chip: Chip, project: Path, refused: Refused
) -> None:
    write_project(project, TINY, flash_mode="opi")
    assert "flash is quad" in refused()


def test_too_little_psram_is_refused(chip: Chip, project: Path, refused: Refused) -> None:
    write_project(project, TINY, psram_bytes=16 << 20)
    assert "PSRAM has 8 MB, and the project needs the 16 MB" in refused()


def test_psram_beside_the_chip_is_taken_on_trust_and_said_with_verbose(
    chip: Chip, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chip.set_psram(0)
    with running(chip) as url:
        assert main(["flash", "-v", "--port", url]) == 0
    assert "No PSRAM is in the chip's package" in capsys.readouterr().err


def test_flash_of_unknown_size_is_taken_on_trust(chip: Chip, project: Path, flash: Flash) -> None:
    chip.flash_id = 0x99_40C8
    flash()
    assert _holds(chip, project)


@pytest.mark.parametrize("part", ["app", "bootloader"])
def test_a_chip_older_than_an_image_wants_is_refused(
    part: str, chip: Chip, project: Path, refused: Refused
) -> None:
    app = descriptor_bytes(shape_of(TINY), BOARD)
    if part == "app":
        write_build(project, app_image(app, revisions=(101, 199)))
    else:
        write_build(project, app_image(app), bootloader=esp_image([bytes(2000)], revisions=(101, 199)))
    sentence = refused()
    assert f"revision v0.0, and the project's {part} needs v1.1 to v1.99" in sentence
    assert not _touched(chip)


def test_an_image_for_another_chip_is_refused(chip: Chip, project: Path, refused: Refused) -> None:
    write_build(project, app_image(descriptor_bytes(shape_of(TINY), BOARD), chip_id=5))
    assert "the project's app is for another chip" in refused().lower()


# ---- projects that cannot be flashed ----


def test_a_project_that_is_not_built_is_told_to(project: Path, refused: Refused) -> None:
    (project / "build/flasher_args.json").unlink()
    assert "Run `ftervit build`" in refused()


def test_a_folder_that_is_no_project_is_named(refused: Refused) -> None:
    assert "elsewhere is no project" in refused("--project", "elsewhere")


@pytest.mark.parametrize("name", PARTS.values())
def test_a_missing_file_is_named(name: str, project: Path, refused: Refused) -> None:
    (project / name).unlink()
    assert Path(name).name in refused()


@pytest.mark.parametrize("name", ["build/bootloader/bootloader.bin", "build/firmware.bin"])
@pytest.mark.parametrize("damage", [lambda d: d[:-7], lambda d: d[:900] + b"!" + d[901:], lambda d: b""])
def test_a_damaged_program_is_named(
    name: str, damage: Callable[[bytes], bytes], chip: Chip, project: Path, refused: Refused
) -> None:
    (project / name).write_bytes(damage((project / name).read_bytes()))
    assert "no whole image" in refused()
    assert not _touched(chip)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"bootloader": 1}', '{"flash_files": {"0x0": "a"}, "bootloader": {"offset": "x"}}'],
)
def test_a_damaged_list_of_files_is_named(text: str, project: Path, refused: Refused) -> None:
    (project / "build/flasher_args.json").write_text(text)
    assert "flasher_args.json is damaged" in refused()


def test_an_application_without_our_descriptor_is_refused(project: Path, refused: Refused) -> None:
    write_build(project, app_image(bytes(96)))
    assert "no application of ftervit's" in refused()


@pytest.mark.parametrize(
    "change",
    [
        {"board": "m5stack-cores3"},
        {"model_offset": MODEL_OFFSET + 0x10000},
        {"model_partition_bytes": 0x10000},
        {"app_partition_bytes": 0x20_0000},
        {"shape": replace(shape_of(TINY), depth=9)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_build_older_than_its_project_is_refused(
    change: dict[str, Any], project: Path, refused: Refused
) -> None:
    app = (project / "build/firmware.bin").read_bytes()
    write_project(project, TINY, **change)
    (project / "build/firmware.bin").write_bytes(app)
    sentence = refused()
    assert "older than its project" in sentence
    assert "Run `ftervit build` again" in sentence


def test_an_app_larger_than_its_partition_is_refused(project: Path, refused: Refused) -> None:
    write_build(project, app_image(descriptor_bytes(shape_of(TINY), BOARD), code_bytes=0x10_0000))
    assert "too large" in refused()


def test_a_damaged_model_is_named(project: Path, refused: Refused) -> None:
    (project / "model.ftv").write_bytes(TINY[:-1] + b"!")
    sentence = refused()
    assert "model.ftv" in sentence
    assert "SHA-256" in sentence


def test_a_model_of_another_shape_is_refused_and_the_difference_named(
    tmp_path: Path, chip: Chip, project: Path, refused: Refused
) -> None:
    (tmp_path / "other.ftv").write_bytes(_large_model())
    sentence = refused("--model", "other.ftv")
    assert "width 128, not 14" in sentence
    assert "Run `ftervit build` with this model" in sentence
    assert not _touched(chip)


def test_a_model_larger_than_its_partition_is_refused_with_the_sum(
    tmp_path: Path, project: Path, refused: Refused
) -> None:
    model = _large_model()
    write_project(project, model, model_partition_bytes=0x10000)
    layout = (*LAYOUT[:2], replace(LAYOUT[2], size=0x10000))
    write_build(project, app_image(descriptor_bytes(shape_of(model), BOARD)), table=table_bytes(layout))
    assert f"{len(model)} bytes, {len(model) - 0x10000} more than its 65536" in refused()


# ---- the model alone ----


def test_model_only_writes_the_model_alone_and_needs_no_project(
    tmp_path: Path, chip: Chip, project: Path, flash: Flash
) -> None:
    write_project(project, _large_model())
    flash()
    new = _large_model(seed=9)
    (tmp_path / "new.ftv").write_bytes(new)
    before = bytes(chip.flash)
    record = flash("--model-only", "--model", "new.ftv", "--project", "none")
    assert [part["name"] for part in record["parts"]] == ["model"]
    assert chip.flash[MODEL_OFFSET : MODEL_OFFSET + len(new)] == new
    assert chip.flash[:MODEL_OFFSET] == before[:MODEL_OFFSET]
    assert record["board"] == BOARD
    assert chip.resets == 2


def test_model_only_takes_model_ftv_of_the_folder_else_the_projects(
    tmp_path: Path, chip: Chip, project: Path, flash: Flash, refused: Refused
) -> None:
    flash()
    assert flash("--model-only")["parts"][0]["file"] == "firmware/model.ftv"
    (tmp_path / "model.ftv").write_bytes(TINY)
    assert flash("--model-only")["parts"][0]["file"] == "model.ftv"
    (tmp_path / "model.ftv").unlink()
    assert "no model to flash" in refused("--model-only", "--project", "none")


def test_model_only_works_through_the_rom_too(chip: Chip, project: Path, flash: Flash) -> None:
    flash()
    chip.has_flasher = False
    chip.flash[MODEL_OFFSET] ^= 1
    flash("--model-only")
    assert _holds(chip, project)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"encoding": "t5"}, "encoding t2, not t5"),
        ({"image_size": 32}, "image size 6, not 32"),
        ({"patch_size": 4}, "patch size 3, not 4"),
        ({"hidden": 64}, "hidden width 21, not 64"),
        ({"heads": 4}, "heads 2, not 4"),
        ({"depth": 4}, "depth 2, not 4"),
        ({"most_classes": 2}, "3 classes, more than 2"),
    ],
)
def test_model_only_refuses_a_model_that_the_app_cannot_run(
    changes: dict[str, Any], words: str, chip: Chip, project: Path, flash: Flash, refused: Refused
) -> None:
    flash()
    shape = replace(shape_of(TINY), **changes)
    app = app_image(descriptor_bytes(shape, "xiao-esp32s3-sense"))
    chip.flash[APP_OFFSET : APP_OFFSET + len(app)] = app
    before = bytes(chip.flash)
    sentence = refused("--model-only")
    assert "the application on the board, built for xiao-esp32s3-sense and" in sentence
    assert words in sentence
    assert bytes(chip.flash) == before


def test_model_only_refuses_an_app_of_other_numerics(
    chip: Chip, project: Path, flash: Flash, refused: Refused
) -> None:
    flash()
    app = app_image(descriptor_bytes(shape_of(TINY), BOARD, numerics=2))
    chip.flash[APP_OFFSET : APP_OFFSET + len(app)] = app
    assert "numerics version 1" in refused("--model-only")


def test_an_app_for_more_classes_runs_a_model_with_fewer(chip: Chip, project: Path, flash: Flash) -> None:
    shape = replace(shape_of(TINY), most_classes=1000)
    write_project(project, TINY, shape=shape)
    flash()
    assert _did(flash("--model-only")) == {"model": 0}


def test_model_only_refuses_a_model_too_large_for_the_boards_partition(
    tmp_path: Path, chip: Chip, project: Path, flash: Flash, refused: Refused
) -> None:
    model = _large_model()
    write_project(project, model)
    flash()
    small = table_bytes((*LAYOUT[:2], replace(LAYOUT[2], size=0x10000)))
    chip.flash[0x8000 : 0x8000 + len(small)] = small
    assert f"{len(model) - 0x10000} more than its 65536" in refused("--model-only")


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (b"\xff" * 0xC00, "no partition table: the board is empty"),
        (b"\x00" * 0xC00, "no partition table where"),
        (table_bytes()[:0x40] + b"\x00" + table_bytes()[0x41:], "no partition table where"),
        (table_bytes()[:0x2C] + b"X" + table_bytes()[0x2D:], "its MD5 does not fit"),
        (table_bytes(LAYOUT[:2]), "no application of ftervit's that a model alone"),
        (table_bytes(LAYOUT[2:]), "no application of ftervit's that a model alone"),
    ],
)
def test_model_only_refuses_a_board_without_place_or_app(
    table: bytes, words: str, chip: Chip, project: Path, flash: Flash, refused: Refused
) -> None:
    flash()
    chip.flash[0x8000 : 0x8000 + len(table)] = table
    before = bytes(chip.flash)
    assert words in refused("--model-only")
    assert bytes(chip.flash) == before


def test_model_only_refuses_a_foreign_application(
    chip: Chip, project: Path, flash: Flash, refused: Refused
) -> None:
    flash()
    chip.flash[APP_OFFSET + 288] ^= 1
    assert "no application of ftervit's" in refused("--model-only")


def test_model_only_refuses_other_chips(chip: Chip, project: Path, refused: Refused) -> None:
    chip.chip_id = 5
    assert "ftervit knows esp32s3" in refused("--model-only")


def test_model_only_and_erase_exclude_each_other(chip: Chip, project: Path, refused: Refused) -> None:
    assert "--erase would erase" in refused("--model-only", "--erase")


# ---- ports ----


def test_a_port_where_nothing_listens_is_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["flash", "--port", "socket://127.0.0.1:1"]) == 2
    assert "socket://127.0.0.1:1 cannot be opened" in capsys.readouterr().err


def test_a_port_that_does_not_exist_is_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["flash", "--port", "/dev/no-such-port"]) == 2
    assert "no port /dev/no-such-port" in capsys.readouterr().err


@posix
def test_a_port_that_another_program_holds_is_said_to_be_in_use(
    chip: Chip, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import serial

    with running_on_pty(chip) as name, serial.Serial(name, exclusive=True):
        assert main(["flash", "--port", name]) == 2
    assert f"{name} is in use" in capsys.readouterr().err


@posix
@pytest.mark.parametrize(("chosen", "baud"), [((), 460_800), (("--baud", "921600"), 921_600)])
def test_a_uart_is_written_at_a_higher_rate(
    chosen: tuple[str, ...], baud: int, chip: Chip, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running_on_pty(chip) as name:
        assert main(["flash", "--json", "--port", name, *chosen]) == 0
    assert json.loads(capsys.readouterr().out)["baud"] == baud == chip.baud
    assert _holds(chip, project)


@posix
def test_a_uart_that_bears_no_higher_rate_is_written_at_the_roms(
    chip: Chip, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chip.most_baud = 115_200
    with running_on_pty(chip) as name:
        assert main(["flash", "--json", "--port", name]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["baud"] == 115_200
    assert "A slower way is tried" in err
    assert _holds(chip, project)


@posix
def test_the_baud_rate_of_esptools_own_variable_counts(
    chip: Chip, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ESPBAUD", "230400")
    with running_on_pty(chip) as name:
        assert main(["flash", "--quiet", "--port", name]) == 0
    assert chip.baud == 230_400
