"""Boards of one's own that extend another."""

from __future__ import annotations

from pathlib import Path

import pytest
from board_files import SHIPPED, shipped, write

from ftervit_deploy.boards import chip_board, load_board
from ftervit_deploy.errors import ConfigError
from ftervit_deploy.resources import boards_folder


def test_a_board_of_ones_own_extends_a_shipped_one(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.toml", 'extends = "esp32s3-eye"\n[camera]\nhmirror = true\n')
    mine, eye = chip_board(load_board(str(path), SHIPPED)), shipped("esp32s3-eye")
    assert mine.name == "mine"
    assert mine.files == (path, boards_folder() / "esp32s3-eye.toml")
    assert mine.camera is not None
    assert mine.camera.hmirror
    assert mine.display == eye.display


def test_a_part_of_an_extended_board_can_be_left_out(tmp_path: Path) -> None:
    text = 'extends = "esp32s3-eye"\nwithout = ["display", "camera.xclk"]\n'
    board = chip_board(load_board(str(write(tmp_path / "mine.toml", text)), SHIPPED))
    assert board.display is None
    assert board.camera is not None
    assert board.camera.xclk is None


def test_an_error_in_an_extended_file_names_that_file(tmp_path: Path) -> None:
    eye = (boards_folder() / "esp32s3-eye.toml").read_text("utf-8")
    write(tmp_path / "base.toml", eye.replace("vflip = true", "vflip = 1"))
    path = write(tmp_path / "mine.toml", 'extends = "base"\n[camera]\nhmirror = true\n')
    with pytest.raises(ConfigError, match=r"base\.toml in \[camera\]"):
        load_board(str(path), SHIPPED)


def test_a_board_may_extend_the_shipped_one_that_it_hides(tmp_path: Path) -> None:
    write(tmp_path / "esp32s3-eye.toml", 'extends = "esp32s3-eye"\ndescription = "mine"\n')
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
    write(tmp_path / "other.toml", 'extends = "mine"\n')
    path = write(tmp_path / "mine.toml", text + "\n")
    with pytest.raises(ConfigError, match=named) as caught:
        load_board(str(path), SHIPPED)
    assert "mine.toml" in str(caught.value)


def test_a_file_that_is_not_there_and_an_unknown_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no board file"):
        load_board(str(tmp_path / "x.toml"), SHIPPED)
    with pytest.raises(ConfigError, match="Did you mean 'host'"):
        load_board("hots", SHIPPED)
