"""`ftervit flash --model-only`: a model for the application that a board has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from esp_files import (
    APP_OFFSET,
    LAYOUT,
    MODEL_OFFSET,
    app_image,
    descriptor_bytes,
    shape_of,
    table_bytes,
    write_project,
)
from flash_project import BOARD, TINY, Flash, Refused, did, holds, large_model
from folding_models import FEW_BYTES, constant_graph, folded_model, unfolded
from rom_standin import Chip

from ftervit_deploy.image import write_image


def test_model_only_writes_the_model_alone_and_needs_no_project(
    tmp_path: Path, chip: Chip, project: Path, flash: Flash
) -> None:
    write_project(project, large_model())
    flash()
    new = large_model(seed=9)
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
    assert holds(chip, project)


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


def test_model_only_refuses_a_model_of_a_later_format_than_the_app_reads(
    chip: Chip, project: Path, flash: Flash, refused: Refused
) -> None:
    folded = write_image(folded_model(FEW_BYTES))
    plain = write_image(unfolded(constant_graph(FEW_BYTES, 0.8)))
    write_project(project, plain)
    flash()
    old = app_image(descriptor_bytes(shape_of(folded), BOARD, image_version=1))
    chip.flash[APP_OFFSET : APP_OFFSET + len(old)] = old
    assert did(flash("--model-only")) == {"model": 0}
    (project / "model.ftv").write_bytes(folded)
    assert "format version 2" in refused("--model-only")
    new = app_image(descriptor_bytes(shape_of(plain), BOARD))
    chip.flash[APP_OFFSET : APP_OFFSET + len(new)] = new
    assert did(flash("--model-only")) != {"model": 0}


def test_an_app_for_more_classes_runs_a_model_with_fewer(chip: Chip, project: Path, flash: Flash) -> None:
    shape = replace(shape_of(TINY), most_classes=1000)
    write_project(project, TINY, shape=shape)
    flash()
    assert did(flash("--model-only")) == {"model": 0}


def test_model_only_refuses_a_model_too_large_for_the_boards_partition(
    tmp_path: Path, chip: Chip, project: Path, flash: Flash, refused: Refused
) -> None:
    model = large_model()
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
