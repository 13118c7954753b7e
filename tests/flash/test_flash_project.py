"""`ftervit flash` and esptool against a stand-in for the chip, its flash compared bit for bit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from esp_files import MODEL_OFFSET, write_project
from flash_project import BOARD, PARTS, TINY, Flash, Refused, did, holds, large_model, touched
from rom_standin import Chip, running

from ftervit_deploy.cli import main


def test_the_flash_holds_every_part_bit_for_bit_and_the_board_restarts(
    chip: Chip, project: Path, flash: Flash
) -> None:
    record = flash()
    assert holds(chip, project)
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
    assert set(did(flash()).values()) == {0}
    assert not any(name.startswith("FLASH_") for name in chip.log)
    assert chip.resets == 2


def test_only_the_blocks_that_differ_are_written(
    chip: Chip, tmp_path: Path, project: Path, flash: Flash
) -> None:
    model = large_model()
    write_project(project, model)
    assert len(model) > 4 * 0x10000
    flash()
    chip.flash[MODEL_OFFSET + 0x2_1234] ^= 0x10
    chip.flash[MODEL_OFFSET + len(model) - 1] ^= 0x01
    last_block = len(model) % 0x10000
    assert did(flash())["model"] == 0x10000 + last_block
    assert holds(chip, project)


def test_flash_that_was_used_is_erased_where_it_is_written(chip: Chip, project: Path, flash: Flash) -> None:
    chip.flash[:] = bytes(len(chip.flash))
    flash()
    assert holds(chip, project)
    assert chip.flash[0x9000:0xF000] == bytes(0x6000), "what no part covers stays"


def test_erase_leaves_nothing_of_what_was_there(chip: Chip, project: Path, flash: Flash) -> None:
    chip.flash[:] = bytes(len(chip.flash))
    record = flash("--erase")
    assert record["erased"] is True
    assert holds(chip, project)
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
    write_project(project, large_model())
    other = large_model(seed=4)
    (tmp_path / "other.ftv").write_bytes(other)
    flash("--model", tmp_path / "other.ftv")
    assert chip.flash[MODEL_OFFSET : MODEL_OFFSET + len(other)] == other


def test_further_files_of_the_build_are_written_too(chip: Chip, project: Path, flash: Flash) -> None:
    path = project / "build/flasher_args.json"
    content = json.loads(path.read_text())
    content["flash_files"]["0xf000"] = "ota_data_initial.bin"
    path.write_text(json.dumps(content))
    (project / "build/ota_data_initial.bin").write_bytes(b"\x01\x02\x03")
    assert did(flash())["ota_data_initial"] == 3
    assert chip.flash[0xF000:0xF003] == b"\x01\x02\x03"


def test_a_chip_whose_flasher_does_not_start_is_flashed_by_its_rom(
    chip: Chip, project: Path, flash: Flash
) -> None:
    chip.has_flasher = False
    flash()
    assert holds(chip, project)


def test_the_rom_alone_cannot_erase_all(chip: Chip, project: Path, refused: Refused) -> None:
    chip.has_flasher = False
    assert "--erase" in refused("--erase")
    assert not touched(chip)
