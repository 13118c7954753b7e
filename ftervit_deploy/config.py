"""Settings, resolved once: flag, FTERVIT_<NAME>, ftervit.toml, the board's file, the default."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from .boards import Board, BoardFile, ChipBoard, board_folders, board_from, read_board_files
from .errors import ConfigError
from .files import user_path
from .models import DEFAULT_MODEL
from .tomlfile import read_toml, suggestion

PROJECT_FILE = "ftervit.toml"
ENVIRONMENT_PREFIX = "FTERVIT_"
DEFAULT_IMAGE = "model.ftv"
ENCODINGS = ("t2", "t5")
_DEFAULT, _CONSOLE = "default", "the console of "
"""Origins of settings that nobody chose."""


@dataclass(frozen=True)
class Settings:
    """Every setting, and where each value came from.

    Attributes:
        source: the checkpoint to pack: alias, hub id or path.
        revision: hub revision, where `source` names none.
        heads: attention heads, where the checkpoint does not say.
        scheme: name of the quantisation scheme.
        encoding: ``t2`` (four weights a byte) or ``t5`` (five).
        labels: file with one class name a line.
        model: the `.ftv` image that `pack` writes and the other commands read.
        board: name of a board, or path of a board file.
        data: folder of class folders.
        threads: worker threads of the C engine; 0 is one per core.
        kernels: set of kernels of the C engine; None: the fastest that this CPU can run.
        top: how many classes `run` prints per photo.
        project: folder of the ESP-IDF project that `build` renders.
        port: serial port or URL of the board; None: the one that is found.
        baud: rate of a UART on that port; by default that of the board's console.
        origins: setting name to where its value came from, in words.
    """

    source: str = DEFAULT_MODEL
    revision: str | None = None
    heads: int | None = None
    scheme: str | None = None
    encoding: str = "t2"
    labels: str | None = None
    model: str | None = None
    board: str = "host"
    data: str | None = None
    threads: int = 0
    kernels: str | None = None
    top: int = 5
    project: str = "firmware"
    port: str | None = None
    baud: int = 115_200
    origins: Mapping[str, str] = field(default_factory=dict)

    def chosen(self, key: str) -> bool:
        """Whether somebody said so: it is neither the default nor what follows from the board's console."""
        origin = self.origins.get(key, _DEFAULT)
        return origin != _DEFAULT and not origin.startswith(_CONSOLE)


KEYS = tuple(f.name for f in fields(Settings) if f.name != "origins")
_NUMBERS = {"heads": (1, 1 << 20), "threads": (0, 1 << 20), "top": (1, 1 << 20), "baud": (300, 20_000_000)}
"""Numeric settings, their smallest and their largest value."""
_OTHER_NAMES = {"port": "ESPPORT", "baud": "ESPBAUD"}
"""Variables of ESP-IDF and esptool that count after ours."""
_PATHS = frozenset({"labels", "model", "data", "project"})
"""Settings that are paths; in a project file, relative to it."""
_LONGEST_NUMBER = 20
"""Characters; Python refuses to convert thousands of digits."""


def resolve(
    flags: Mapping[str, object],
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Settings:
    """Settle every setting.

    Args:
        flags: settings given on the command line; None means not given.
        environment: variables, by default this process's.
        folder: where the search for ftervit.toml starts, by default the current folder.

    Raises:
        ConfigError: an unknown key (the nearest known one is named) or an impossible value.
    """
    environment = os.environ if environment is None else environment
    project = find_project_file(folder or _current_folder())
    folders = board_folders(environment, project)
    layers = [_flag_layer(flags), _environment_layer(environment), _project_layer(project)]
    board = next((layer["board"] for layer in layers if "board" in layer), (Settings.board, ""))
    layers.append(_board_layer(read_board_files(_board_name(*board), folders)))
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for key in KEYS:
        value, origin = next((layer[key] for layer in layers if key in layer), (None, _DEFAULT))
        origins[key] = origin
        if origin != _DEFAULT:
            values[key] = _checked(key, value, origin)
    return Settings(**values, origins=origins)


def _current_folder() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise ConfigError("The current folder does not exist any more.", "Change to another.") from None


_Layer = dict[str, tuple[object, str]]


def _flag_layer(flags: Mapping[str, object]) -> _Layer:
    unknown = set(flags) - set(KEYS)
    if unknown:
        raise KeyError(f"no such settings: {unknown}")
    return {key: (value, f"--{key}") for key, value in flags.items() if value is not None}


def _environment_layer(environment: Mapping[str, str]) -> _Layer:
    ours = {key: f"{ENVIRONMENT_PREFIX}{key.upper()}" for key in KEYS}
    layer: _Layer = {}
    for names in (_OTHER_NAMES, ours):
        layer |= {key: (environment[name], name) for key, name in names.items() if environment.get(name)}
    return layer


def _project_layer(path: Path | None) -> _Layer:
    if path is None:
        return {}
    content = read_toml(path)
    _check_keys(content, path, "")
    return {key: (_from_project(key, value, path.parent), str(path)) for key, value in content.items()}


def _from_project(key: str, value: object, folder: Path) -> object:
    """Paths in a project file are relative to it; so is a source that exists there."""
    if not isinstance(value, str) or not value:
        return value
    beside = folder / user_path(value)
    is_path = key in _PATHS or (key == "source" and beside.exists())
    is_board_file = key == "board" and value.endswith(".toml")
    return str(beside) if is_path or is_board_file else value


def _board_name(board: object, origin: str) -> str:
    return str(_checked("board", board, origin))


def _board_layer(files: Sequence[BoardFile]) -> _Layer:
    """The [defaults] of a board and of those that it extends, nearest first, and its console's rate."""
    board = check_board_files(files)
    layer: _Layer = {}
    if isinstance(board, ChipBoard) and board.console.baud:
        layer["baud"] = (board.console.baud, f"{_CONSOLE}{board.name}")
    for key, value in board.defaults.items():
        layer[key] = (value, _origin(key, files))
    return layer


def _origin(key: str, files: Sequence[BoardFile]) -> str:
    """The nearest of a board's files that has the default `key`."""
    return str(next(file.path for file in files if key in file.defaults))


def check_board_files(files: Sequence[BoardFile]) -> Board:
    """The board that the files describe, its [defaults] checked as settings.

    Raises:
        ConfigError: anything in them is wrong.
    """
    board = board_from(files)
    for file in files:
        _check_keys(file.defaults, file.path, " in [defaults]")
    for key, value in board.defaults.items():
        _checked(key, value, _origin(key, files))
    return board


def folders_of_boards() -> tuple[Path, ...]:
    """Where this process looks for boards by name: FTERVIT_BOARDS, the project, the package.

    Raises:
        ConfigError: FTERVIT_BOARDS names no folder.
    """
    return board_folders(os.environ, find_project_file(_current_folder()))


def find_project_file(folder: Path) -> Path | None:
    """The nearest ftervit.toml in `folder` or above it; None where there is none."""
    for candidate in (folder, *folder.parents):
        if (candidate / PROJECT_FILE).is_file():
            return candidate / PROJECT_FILE
    return None


def _check_keys(content: Mapping[str, object], path: Path, where: str) -> None:
    for key in content:
        if key not in KEYS:
            raise ConfigError(
                f"There is no setting {key!r}{where} ({path}).{suggestion(key, KEYS)}",
                f"Known: {', '.join(KEYS)}.",
            )


def _checked(key: str, value: object, origin: str) -> object:
    if key in _NUMBERS:
        return _whole_number(key, value, origin)
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{key} must be text, not {value!r} ({origin}).")
    if key == "encoding" and value not in ENCODINGS:
        known = ", ".join(ENCODINGS)
        raise ConfigError(f"There is no encoding {value!r} ({origin}).", f"Known: {known}.")
    return str(user_path(value)) if key in _PATHS else value


def _whole_number(key: str, value: object, origin: str) -> int:
    least, most = _NUMBERS[key]
    if isinstance(value, str) and value.strip().isdecimal() and len(value) <= _LONGEST_NUMBER:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        limit = f" to {most}" if most != 1 << 20 else ""
        raise ConfigError(f"{key} must be a whole number from {least}{limit}, not {value!r} ({origin}).")
    return value
