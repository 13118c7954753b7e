"""`ftervit flash` and a stand-in for the chip, for every test in this folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from esp_files import write_project
from flash_project import TINY, Flash, Refused
from rom_standin import Chip, running

from ftervit_deploy.cli import main


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("esptool.targets.esp32s3.sleep", lambda seconds: None)  # for a real reset
    monkeypatch.setattr("ftervit_deploy.flash.downloader.ANSWER_S", 0.5)
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
