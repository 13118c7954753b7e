"""Paths that users type, and what a command refuses to write over."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from ftervit_deploy.cli import main
from ftervit_deploy.files import FileError, check_not_input, user_path, write_atomic

posix = pytest.mark.skipif(sys.platform == "win32", reason="hardware: POSIX special files")


@posix
def test_a_device_or_a_pipe_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    """As root, a rename over /dev/null would take it away from the whole machine."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(FileError, match="not a regular file"):
        write_atomic(pipe, b"image")
    assert pipe.is_fifo()
    assert list(tmp_path.iterdir()) == [pipe]


def test_a_command_does_not_replace_what_it_reads(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.touch()
    with pytest.raises(FileError, match="is the file to read"):
        check_not_input(tmp_path / "." / "a.safetensors", str(path))
    check_not_input(path, "user/repo")
    check_not_input(tmp_path / "b.ftv", str(path))


def test_home_folders_are_understood(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path))
    assert user_path("~/a.ftv") == tmp_path / "a.ftv"
    assert user_path("a~b.ftv") == Path("a~b.ftv")


@posix
@pytest.mark.parametrize("name", ["~nobody-of-that-name/a.ftv", "a\0b.ftv"])
def test_a_path_that_cannot_be_is_one_sentence(name: str) -> None:
    with pytest.raises(FileError):
        user_path(name)


@posix
@pytest.mark.parametrize("setting", ["model", "labels", "data", "source", "board"])
@pytest.mark.parametrize("value", ["~nobody-of-that-name/a.toml", "a\\u0000b.toml"])
def test_impossible_paths_in_the_project_file_exit_2(
    setting: str,
    value: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "ftervit.toml").write_text(f'{setting} = "{value}"\n')
    monkeypatch.chdir(tmp_path)
    assert main(["pack"]) == 2
    assert capsys.readouterr().err.startswith("ftervit: error: ")
