"""`ftervit boards`: all of them, one of them, and what is wrong with a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from board_files import CHIP_BOARDS, MIB, write

from ftervit_deploy.cli import main
from ftervit_deploy.resources import boards_folder


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
    write(tmp_path / "boards" / "mine.toml", 'extends = "esp32s3-eye"\n')
    write(tmp_path / "boards" / "broken.toml", "chip = 1\n")
    write(tmp_path / "ftervit.toml", 'board = "nowhere"\n')
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
    path = write(tmp_path / "mine.toml", 'extends = "host"\n[defaults]\nthread = 1\n')
    assert main(["boards", str(path)]) == 2
    assert "Did you mean 'threads'" in capsys.readouterr().err
