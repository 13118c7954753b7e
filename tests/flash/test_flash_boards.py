"""Boards that `ftervit flash` must not touch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from esp_files import app_image, descriptor_bytes, esp_image, shape_of, write_build, write_project
from flash_project import BOARD, TINY, Flash, Refused, holds, touched
from rom_standin import Chip, running

from ftervit_deploy.cli import main


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
    assert not touched(chip)


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
    assert holds(chip, project)


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
    assert not touched(chip)


def test_an_image_for_another_chip_is_refused(chip: Chip, project: Path, refused: Refused) -> None:
    write_build(project, app_image(descriptor_bytes(shape_of(TINY), BOARD), chip_id=5))
    assert "the project's app is for another chip" in refused().lower()
