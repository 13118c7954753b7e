"""Ports of `ftervit flash`: absent, in use, and how fast."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from flash_project import holds
from rom_standin import Chip, running_on_pty

from ftervit_deploy.cli import main

posix = pytest.mark.skipif(sys.platform == "win32", reason="hardware: a pseudo-terminal needs POSIX")


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
    assert json.loads(capsys.readouterr().out)["baud"] == baud
    assert chip.bauds == [baud]
    assert holds(chip, project)


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
    assert holds(chip, project)


@posix
def test_the_baud_rate_of_esptools_own_variable_counts(
    chip: Chip, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ESPBAUD", "230400")
    with running_on_pty(chip) as name:
        assert main(["flash", "--quiet", "--port", name]) == 0
    assert chip.bauds == [230_400]
