"""`ftervit init`: writes ftervit.toml, after which the other commands work bare."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..config import DEFAULT_IMAGE, PROJECT_FILE, Settings
from ..errors import ConfigError, FtervitError
from .output import Output, output_options

if TYPE_CHECKING:
    from collections.abc import Mapping

_HEADER = """\
# Settings of this project. Every `ftervit` command that runs in this folder or below reads them.
# A flag counts before them, and so does FTERVIT_<NAME> in the environment; paths are relative to this file.
"""
_COMMENTS = {
    "source": "What `ftervit pack` packs: an alias (`ftervit models`), a hub id user/repo[:file], or a file.",
    "model": "The image that `ftervit pack` writes and the other commands read.",
    "board": "Where the model will run: a name (`ftervit boards`), or a .toml file of your own.",
    "data": "Folder with one folder of photos for each class, for `ftervit eval`.",
    "project": "The ESP-IDF project that `ftervit build` writes, and `flash` and `monitor` read.",
    "port": "Port of the board: /dev/ttyACM0, COM3, socket://host:port; unsaid, the only one that there is.",
}
_EXAMPLES = {"data": "photos", "port": "/dev/ttyACM0"}
"""Of settings that may be left out."""


@click.command()
@click.option("--board", metavar="NAME", help="Board, or a .toml file of your own.")
@click.option("--source", metavar="SOURCE", help="Checkpoint to pack: alias, hub id or file.")
@click.option("--data", metavar="FOLDER", help="Folder of class folders to evaluate on.")
@click.option("--port", metavar="URL", help="Serial port of the board, if not the only one that there is.")
@click.option("--force", is_flag=True, help=f"Replace the {PROJECT_FILE} that is here.")
@click.option("--non-interactive", is_flag=True, help="Ask nothing; take the defaults.")
@output_options
@click.pass_obj
def init(
    output: Output, /, board: str | None, source: str | None, data: str | None,
    port: str | None, force: bool, non_interactive: bool,
) -> None:  # fmt: skip
    """Start a project: write ftervit.toml in this folder.

    On a terminal it asks for what the options leave open.
    """
    target = Path(PROJECT_FILE)
    if target.exists() and not force:
        raise ConfigError(f"{PROJECT_FILE} is here already.", "Edit it, or replace it with --force.")
    asks = not non_interactive and not output.json and sys.stdin.isatty() and sys.stderr.isatty()
    settings = {
        "source": _settled(source, Settings.source, check_source, "Checkpoint to pack", asks),
        "model": DEFAULT_IMAGE,
        "board": _settled(board, Settings.board, check_board, "Board", asks),
        "data": _settled(data, "", check_data, "Folder of class folders (empty: none)", asks),
        "project": Settings.project,
        "port": port or "",
    }
    _write(target, settings)
    output.result(
        {"path": str(target), "settings": {key: value for key, value in settings.items() if value}},
        lambda: f"{PROJECT_FILE} is written. Next: `ftervit pack`.",
    )


def _settled(given: str | None, default: str, check: Callable[[str], None], question: str, asks: bool) -> str:
    """What was given, else the answer to the question, else the default; checked.

    Raises:
        FtervitError: what was given cannot serve.
    """
    if given is not None or not asks:
        value = default if given is None else given
        check(value)
        return value
    while True:
        answer = str(click.prompt(question, default=default, show_default=bool(default), err=True)).strip()
        try:
            check(answer)
        except FtervitError as error:
            click.echo(str(error), err=True)
        else:
            return answer


def check_source(source: str) -> None:
    """Refuse what cannot be a checkpoint: neither alias nor file, nor the form of a hub id.

    Raises:
        CheckpointError: it cannot be one.
    """
    from ..checkpoint.sources import check_form

    check_form(source)


def check_board(board: str) -> None:
    """Refuse a board that there is not, or whose file is wrong.

    Raises:
        ConfigError: it cannot serve.
    """
    from ..boards import board_folders, read_board_files
    from ..config import check_board_files

    folders = board_folders(os.environ, Path(PROJECT_FILE).absolute())
    check_board_files(read_board_files(board, folders))


def check_data(data: str) -> None:
    """Refuse what is no folder; empty is none.

    Raises:
        ConfigError: it is no folder.
    """
    from ..files import user_path

    if data and not user_path(data).is_dir():
        raise ConfigError(f"There is no folder {data}.", "Name a folder with one folder for each class.")


def _write(target: Path, settings: Mapping[str, Any]) -> None:
    from ..files import write_atomic

    try:
        content = project_text(settings).encode("utf-8")
    except UnicodeEncodeError:
        raise ConfigError("A name has characters that TOML cannot hold.", "Rename it.") from None
    write_atomic(target, content)


def project_text(settings: Mapping[str, str]) -> str:
    """The ftervit.toml that says `settings`; an empty one is written as a comment."""
    parts = [_HEADER]
    for key, value in settings.items():
        line = f"{key} = {_quoted(value)}" if value else f"# {key} = {_quoted(_EXAMPLES[key])}"
        parts.append(f"# {_COMMENTS[key]}\n{line}\n")
    return "\n".join(parts)


def _quoted(text: str) -> str:
    """A TOML basic string: JSON's escapes are a part of TOML's, and only DEL is not in JSON's."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
