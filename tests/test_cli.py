"""What every command promises: exit status, JSON alone on stdout, one sentence for a mistake."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from ftervit_deploy import __version__
from ftervit_deploy.cli import app, main
from ftervit_deploy.cli.output import Output, one_line, table
from ftervit_deploy.errors import DataError


def _mistake(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Runs a command that must fail as a user's mistake; returns what it says on stderr."""
    status = main(arguments)
    out, err = capsys.readouterr()
    assert status == 2
    assert out == ""
    assert err.startswith("ftervit: error: ")
    assert len(err.splitlines()) <= 2
    return err


def test_bare_ftervit_prints_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    out = capsys.readouterr().out
    assert all(command in out for command in app.COMMANDS)


def test_version_comes_from_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"ftervit {__version__}\n"


@pytest.mark.parametrize("command", list(app.COMMANDS))
def test_every_command_has_help_json_quiet_and_verbose(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--help"]) == 0
    out = capsys.readouterr().out
    assert all(option in out for option in ("--json", "--quiet", "--verbose"))


def test_a_misspelt_command_is_named_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert "Did you mean 'pack'?" in _mistake(capsys, "pakc")


@pytest.mark.parametrize(
    "arguments",
    [
        ("pack", "--encoding", "t3"),
        ("pack", "--no-such-flag"),
        ("pack", "a", "b"),
        ("pack", "--heads", "0"),
        ("run",),
        ("run", "model.ftv"),
        ("eval", "m.ftv", "a", "b"),
        ("run", "--top", "many", "cat.jpg"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_one_sentence_and_where_to_read(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"See 'ftervit {arguments[0]} --help'." in _mistake(capsys, *arguments)


def _command_that(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes every command raise `error`."""

    def fail(arguments: list[str], output: Output) -> int:
        output.verbose = "--verbose" in arguments
        raise error

    monkeypatch.setattr(app, "_invoke", fail)


def test_an_error_of_ours_exits_1_and_says_how_to_report(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _command_that(ZeroDivisionError("division by zero"), monkeypatch)
    assert main([]) == 1
    err = capsys.readouterr().err
    assert err.startswith("ftervit: defect: ZeroDivisionError: division by zero\n")
    assert "report" in err
    assert "Traceback" not in err


def test_verbose_adds_the_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _command_that(ZeroDivisionError("division by zero"), monkeypatch)
    assert main(["--verbose"]) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    "error",
    [
        DataError("The photo is no photo.", "Use a JPEG."),
        OSError(5, "Input/output error", "file"),
        MemoryError(),
        DataError("A name with\na line break and \x1b[31mcolour."),
    ],
    ids=repr,
)
def test_a_mistake_is_one_sentence_and_exits_2(
    error: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _command_that(error, monkeypatch)
    assert "\x1b" not in _mistake(capsys)


def test_ctrl_c_exits_2(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    _command_that(KeyboardInterrupt(), monkeypatch)
    assert main([]) == 2
    assert "interrupted" in capsys.readouterr().err


def test_a_wrong_key_in_the_project_file_stops_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ftervit.toml").write_text('sorce = "x"\n')
    monkeypatch.chdir(tmp_path)
    assert "Did you mean 'source'?" in _mistake(capsys, "pack")


def test_shell_completion_offers_the_commands() -> None:
    completion = ShellComplete(app.ftervit, {}, "ftervit", "_FTERVIT_COMPLETE")
    offered = {item.value for item in completion.get_completions([], "")}
    assert set(app.COMMANDS) <= offered


def test_models_lists_aliases_and_presets(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {"published", "presets"} <= set(listed)
    assert "mcu_micro_64" in {preset["name"] for preset in listed["presets"]}


def test_the_default_source_is_a_published_alias(capsys: pytest.CaptureFixture[str]) -> None:
    from ftervit_deploy.models import DEFAULT_MODEL

    main(["models", "--json"])
    listed = json.loads(capsys.readouterr().out)
    assert DEFAULT_MODEL in {model["alias"] for model in listed["published"]}


def test_one_line_keeps_hostile_text_off_the_terminal() -> None:
    assert one_line("a\r\n\x1b]0;b\x07c") == "a ]0;b c"


def test_a_table_aligns_its_columns() -> None:
    assert table([["a", "1"], ["bbb", "22"]]) == "a     1\nbbb  22"


def test_no_escape_codes_where_stdout_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    main(["models"])
    assert "\x1b" not in capsys.readouterr().out
