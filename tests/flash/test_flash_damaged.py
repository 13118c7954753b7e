"""Projects that `ftervit flash` refuses, and why it says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from esp_files import (
    LAYOUT,
    MODEL_OFFSET,
    app_image,
    descriptor_bytes,
    shape_of,
    table_bytes,
    write_build,
    write_project,
)
from flash_project import BOARD, PARTS, TINY, Refused, large_model, touched
from rom_standin import Chip


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
    assert not touched(chip)


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
    (tmp_path / "other.ftv").write_bytes(large_model())
    sentence = refused("--model", "other.ftv")
    assert "width 128, not 14" in sentence
    assert "Run `ftervit build` with this model" in sentence
    assert not touched(chip)


def test_a_model_larger_than_its_partition_is_refused_with_the_sum(
    tmp_path: Path, project: Path, refused: Refused
) -> None:
    model = large_model()
    write_project(project, model, model_partition_bytes=0x10000)
    layout = (*LAYOUT[:2], replace(LAYOUT[2], size=0x10000))
    write_build(project, app_image(descriptor_bytes(shape_of(model), BOARD)), table=table_bytes(layout))
    assert f"{len(model)} bytes, {len(model) - 0x10000} more than its 65536" in refused()
