"""`ftervit doctor`: what is missing on this machine, and the command that mends it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from ..plaintext import printable
from .output import Output, bold, output_options

if TYPE_CHECKING:
    from ..doctor import Check, Target


@click.command()
@click.option("--board", metavar="NAME", help="Board to get ready for, or a .toml file of your own.")
@click.option("--offline", is_flag=True, help="Do not ask the hub.")
@output_options
@click.pass_obj
def doctor(output: Output, /, board: str | None, offline: bool) -> None:
    """Say what is missing on this machine, and the one command that mends each.

    Exit status 2 if something is missing that every use needs; what only some commands need is listed
    apart, with their names. Nothing is changed.
    """
    from ..doctor import examine, nothing_required_is_missing
    from ..doctor.probe import this_machine

    settings, target = _settings_and_target(board)
    output.hush_the_hub()
    with output.step("Looking around"):
        checks = [settings, *examine(this_machine(offline=offline), target)]
    ok = nothing_required_is_missing(checks)
    payload = {"checks": [asdict(check) for check in checks], "ok": ok}
    output.result(payload, lambda: _text(checks))
    if not ok:
        raise click.exceptions.Exit(2)


def _settings_and_target(board: str | None) -> tuple[Check, Target]:
    """Whether ftervit.toml and the environment are valid, and the board that they or --board name.

    Raises:
        ConfigError: --board names none.
    """
    from ..boards import ChipBoard, read_board_files
    from ..config import check_board_files, folders_of_boards, resolve
    from ..doctor import Check, Target
    from ..errors import FtervitError

    try:
        settings = resolve({})
        check = Check("settings", "ok", True, _source_of_settings())
    except FtervitError as error:
        settings = None
        check = Check("settings", "wrong", True, error.what, error.hint or "Correct that line.")
    name = board or (settings.board if settings else None)
    if name is None:
        return check, Target()
    found = check_board_files(read_board_files(name, folders_of_boards()))
    if not isinstance(found, ChipBoard):
        return check, Target()
    return check, Target(found.chip.name, found.console.kind)


def _source_of_settings() -> str:
    from pathlib import Path

    from ..config import PROJECT_FILE, find_project_file

    path = find_project_file(Path.cwd())
    if path is None:
        return f"There is no {PROJECT_FILE} here, so the defaults count; `ftervit init` writes one."
    return f"{path} is valid."


def _text(checks: list[Check]) -> str:
    parts = [
        _section("Needed", [check for check in checks if check.required]),
        _section("Optional", [check for check in checks if not check.required]),
        _verdict(checks),
    ]
    return "\n\n".join(parts)


def _section(title: str, checks: list[Check]) -> str:
    width = max(len(check.name) for check in checks)
    lines = [bold(title)]
    for check in checks:
        lines.append(f"{check.status:<7}  {check.name:<{width}}  {printable(check.what)}")
        if check.fix is not None:
            lines.append(f"{'':<7}  {'':<{width}}  -> {printable(check.fix)}")
    return "\n".join(lines)


def _verdict(checks: list[Check]) -> str:
    unmet = [check.name for check in checks if check.required and check.status != "ok"]
    if unmet:
        return f"Not ready: {', '.join(unmet)}."
    return "Ready: nothing is missing that is needed."
