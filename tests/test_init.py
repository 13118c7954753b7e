"""`ftervit init` writes a project file that the other commands read, and never replaces one unasked."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
import pytest

from ftervit_deploy.cli import main
from ftervit_deploy.cli.init import project_text
from ftervit_deploy.config import KEYS, resolve
from ftervit_deploy.models import DEFAULT_MODEL
from ftervit_deploy.tomlfile import read_toml

WRITTEN = {"source": DEFAULT_MODEL, "model": "model.ftv", "project": "firmware"}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _mistake(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["init", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("ftervit: error: ")
    return err


def test_without_options_it_writes_the_defaults(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init"]) == 0
    assert "ftervit.toml" in capsys.readouterr().out
    written = read_toml(project / "ftervit.toml")
    assert written == {**WRITTEN, "board": "host"}


def test_what_it_writes_is_what_the_commands_resolve(project: Path) -> None:
    (project / "photos").mkdir()
    assert main(["init", "--board", "esp32s3-eye", "--source", "signs", "--data", "photos"]) == 0
    settings = resolve({}, {}, project)
    assert (settings.board, settings.source) == ("esp32s3-eye", "signs")
    assert settings.model == str(project / "model.ftv")
    assert settings.data == str(project / "photos")
    assert settings.origins["board"] == str(project / "ftervit.toml")


def test_the_file_has_comments_and_only_keys_that_commands_read(project: Path) -> None:
    assert main(["init"]) == 0
    lines = (project / "ftervit.toml").read_text("utf-8").splitlines()
    keys = [line.removeprefix("# ").split(" = ")[0] for line in lines if " = " in line]
    assert set(keys) <= set(KEYS)
    assert sum(line.startswith("#") for line in lines) >= len(keys)
    assert '# data = "photos"' in lines
    assert '# port = "/dev/ttyACM0"' in lines


def test_a_port_and_the_project_are_what_the_commands_resolve_from_deeper_folders(project: Path) -> None:
    assert main(["init", "--board", "esp32s3-eye", "--port", "/dev/ttyUSB7"]) == 0
    (project / "below").mkdir()
    settings = resolve({}, {}, project / "below")
    assert settings.port == "/dev/ttyUSB7"
    assert settings.project == str(project / "firmware")


def test_it_reports_as_json(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "--board", "qemu-esp32s3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "path": "ftervit.toml",
        "settings": {**WRITTEN, "board": "qemu-esp32s3"},
    }


def test_it_replaces_a_file_only_when_told(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "ftervit.toml").write_text("top = 3\n")
    assert "--force" in _mistake(capsys)
    assert (project / "ftervit.toml").read_text() == "top = 3\n"
    assert main(["init", "--force"]) == 0
    assert "top" not in read_toml(project / "ftervit.toml")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--board", "esp32s3-eey"), "Did you mean 'esp32s3-eye'"),
        (("--board", "mine.toml"), "no board file mine.toml"),
        (("--source", "sings"), "Did you mean 'signs'"),
        (("--source", "student.safetensors"), "no file student.safetensors"),
        (("--source", ""), "no model called"),
        (("--data", "nowhere"), "no folder nowhere"),
        (("--data", "~nobody-has-this-name/x"), "no home folder"),
    ],
)
def test_a_value_that_cannot_serve_is_refused_and_nothing_is_written(
    project: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], named: str
) -> None:
    assert named in _mistake(capsys, *arguments)
    assert list(project.iterdir()) == []


def test_a_hub_id_is_taken_without_asking_the_hub(project: Path) -> None:
    assert main(["init", "--source", "user/repo:file.pth@main"]) == 0
    assert resolve({}, {}, project).source == "user/repo:file.pth@main"


def test_a_board_beside_the_new_file_is_found_and_one_of_an_outer_project_is_not(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    inner = project / "inner"
    for folder, name in ((project, "outer"), (inner, "mine")):
        (folder / "boards").mkdir(parents=True)
        (folder / "boards" / f"{name}.toml").write_text('extends = "host"\n')
    (project / "ftervit.toml").touch()
    monkeypatch.chdir(inner)
    assert "no board 'outer'" in _mistake(capsys, "--board", "outer")
    assert main(["init", "--board", "mine"]) == 0
    assert resolve({}, {}, inner).board == "mine"


@pytest.mark.parametrize("text", ['a "b" \\ c', "tab\there", "ünï", "\x7f\x01", "photos #1"])
def test_every_name_survives_the_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "ftervit.toml"
    path.write_bytes(project_text({"data": text}).encode("utf-8"))
    assert read_toml(path) == {"data": text}


def _on_a_terminal(monkeypatch: pytest.MonkeyPatch, answers: list[str]) -> list[str]:
    """Makes click.prompt answer; returns the questions it is asked."""
    questions: list[str] = []

    def prompt(question: str, default: str, **_: object) -> str:
        questions.append(question)
        return answers.pop(0) or default

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(click, "prompt", prompt)
    return questions


def test_on_a_terminal_it_asks_for_what_is_open_and_asks_again_after_a_mistake(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    questions = _on_a_terminal(monkeypatch, ["hots", "esp32s3-eye", ""])
    assert main(["init", "--source", "signs"]) == 0
    assert questions == ["Board", "Board", "Folder of class folders (empty: none)"]
    assert "Did you mean 'host'" in capsys.readouterr().err
    assert read_toml(project / "ftervit.toml")["board"] == "esp32s3-eye"


@pytest.mark.parametrize("flag", ["--non-interactive", "--json"])
def test_it_asks_nothing_when_told_so(project: Path, monkeypatch: pytest.MonkeyPatch, flag: str) -> None:
    assert _on_a_terminal(monkeypatch, []) == []
    assert main(["init", flag]) == 0
    assert (project / "ftervit.toml").is_file()
