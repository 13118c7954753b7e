"""Finding board files by name or path, and putting one together with those that it extends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import ConfigError
from ..files import user_path
from ..resources import boards_folder
from ..tomlfile import read_toml, suggestion

FOLDERS_VARIABLE = "FTERVIT_BOARDS"
PROJECT_FOLDER = "boards"
"""Folder of a project's own boards, beside ftervit.toml."""
_SUFFIX = ".toml"
_EXTENDS, _WITHOUT = "extends", "without"


@dataclass(frozen=True)
class BoardFile:
    """A board file as it was read, without `extends` and `without`.

    Attributes:
        path: the file.
        content: its tables.
        without: keys, dotted, of the extended board that this one lacks.
    """

    path: Path
    content: Mapping[str, object]
    without: tuple[str, ...] = ()

    @property
    def defaults(self) -> Mapping[str, object]:
        """Its table [defaults]; empty where it has none."""
        defaults = self.content.get("defaults")
        return defaults if isinstance(defaults, dict) else {}


def board_folders(environment: Mapping[str, str], project: Path | None) -> tuple[Path, ...]:
    """Where boards are looked for, nearest first.

    Args:
        environment: FTERVIT_BOARDS may name a folder.
        project: the ftervit.toml in use, whose neighbour ``boards/`` is looked at.

    Raises:
        ConfigError: FTERVIT_BOARDS names no folder.
    """
    folders = []
    named = environment.get(FOLDERS_VARIABLE)
    if named:
        folders.append(user_path(named))
        if not folders[0].is_dir():
            raise ConfigError(
                f"{FOLDERS_VARIABLE} names {named}, which is no folder.", "Make it, or unset it."
            )
    if project is not None and (project.parent / PROJECT_FOLDER).is_dir():
        folders.append(project.parent / PROJECT_FOLDER)
    return (*folders, boards_folder())


def board_paths(folders: Sequence[Path]) -> dict[str, Path]:
    """The file of every board in `folders` by name; a nearer folder hides a farther one's board."""
    found: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(folder.glob(f"*{_SUFFIX}")):
            found.setdefault(path.stem, path)
    return dict(sorted(found.items()))


def read_board_files(board: str, folders: Sequence[Path]) -> tuple[BoardFile, ...]:
    """The file of a board, then the one that it extends, and so on.

    Args:
        board: name, or path of a `.toml` file.
        folders: where names are looked for, nearest first.

    Raises:
        ConfigError: a file is missing or no TOML, or boards extend each other in a circle.
    """
    files: list[BoardFile] = []
    wanted: str | None = board
    path: Path | None = _named(board, folders)
    while path is not None and wanted is not None:
        content = read_toml(path)
        wanted = _text(content.pop(_EXTENDS, None), path)
        files.append(BoardFile(path, content, _removed(content.pop(_WITHOUT, None), path, wanted)))
        path = None if wanted is None else _extended(wanted, files, folders)
    return tuple(files)


def merged(files: Sequence[BoardFile]) -> dict[str, object]:
    """The tables of a board: what a nearer file says replaces what a farther one says, key by key."""
    result: dict[str, object] = {}
    for file in reversed(files):
        for key in file.without:
            _drop(result, key, file.path)
        result = _over(file.content, result)
    return result


def _named(board: str, folders: Sequence[Path]) -> Path:
    if board.endswith(_SUFFIX):
        path = user_path(board)
        if not _is_file(path):
            raise ConfigError(f"There is no board file {board}.", "`ftervit boards` lists those with a name.")
        return path
    known = board_paths(folders)
    if board not in known:
        raise ConfigError(
            f"There is no board {board!r}.{suggestion(board, known)}", f"Known: {', '.join(known)}."
        )
    return known[board]


def _extended(name: str, files: Sequence[BoardFile], folders: Sequence[Path]) -> Path:
    """The file that `name` means in the last of `files`: nearest first, but none that is read already."""
    user, seen = files[-1].path, {file.path.resolve() for file in files}
    if name.endswith(_SUFFIX):
        candidates = [] if "\0" in name else [user.parent / user_path(name)]
    else:
        candidates = [folder / f"{name}{_SUFFIX}" for folder in (user.parent, *folders)]
    existing = [path for path in candidates if _is_file(path)]
    unread = [path for path in existing if path.resolve() not in seen]
    if unread:
        return unread[0]
    if existing:
        chain = " -> ".join(file.path.name for file in files)
        raise ConfigError(f"{user}: boards extend each other in a circle ({chain} -> {name}).", "Break it.")
    known = board_paths(folders)
    raise ConfigError(
        f"{user}: there is no board {name!r} to extend.{suggestion(name, known)}",
        f"Known: {', '.join(known)}.",
    )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _text(value: object, path: Path) -> str | None:
    if value is not None and not (isinstance(value, str) and value):
        raise ConfigError(f"{path}: {_EXTENDS} must name a board, not {value!r}.", f'{_EXTENDS} = "name"')
    return value


def _removed(value: object, path: Path, extends: str | None) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(key, str) for key in value):
        raise ConfigError(f"{path}: {_WITHOUT} must be a list of keys.", f'{_WITHOUT} = ["display"]')
    if extends is None:
        raise ConfigError(f"{path}: {_WITHOUT} needs {_EXTENDS}.", f"Add {_EXTENDS}, or leave it out.")
    return tuple(value)


def _drop(table: dict[str, object], dotted: str, path: Path) -> None:
    *outer, last = dotted.split(".")
    inner: object = table
    for key in outer:
        inner = inner.get(key) if isinstance(inner, dict) else None
    if not isinstance(inner, dict) or last not in inner:
        raise ConfigError(f"{path}: {_WITHOUT} names {dotted!r}, which the extended board lacks.", "Mend it.")
    del inner[last]


def _over(nearer: Mapping[str, object], farther: Mapping[str, object]) -> dict[str, object]:
    result = dict(farther)
    for key, value in nearer.items():
        below = result.get(key)
        both = isinstance(value, dict) and isinstance(below, dict)
        result[key] = _over(value, below) if both else value  # type: ignore[arg-type]
    return result
