"""`ftervit flash` where something breaks in the middle."""

from __future__ import annotations

from pathlib import Path

import pytest
from esp_files import APP_OFFSET, write_project
from flash_project import PARTS, Flash, Refused, did, holds, large_model
from rom_standin import Chip


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
    assert holds(chip, project)


def test_what_was_written_before_the_cable_was_pulled_is_kept(
    chip: Chip, tmp_path: Path, project: Path, flash: Flash, refused: Refused
) -> None:
    model = large_model()
    write_project(project, model)
    chip.vanish_after = 3 * 0x10000 + 100
    refused()
    assert did(flash())["model"] == len(model) - 3 * 0x10000
    assert holds(chip, project)


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
