"""A project on disk: what a person edited is not replaced unasked, what is the same is not touched."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..errors import ProjectError
from ..files import FileError, write_atomic
from .manifest import MANIFEST_FILE
from .render import Project

RECORD_FILE = ".ftervit-files.json"
"""SHA-256 of every file as it was rendered."""


@dataclass(frozen=True)
class Written:
    """What writing a project did, in paths relative to it.

    Attributes:
        changed: new or replaced.
        removed: of an older rendering.
    """

    changed: tuple[str, ...]
    removed: tuple[str, ...]


def write_project(project: Project, folder: Path, replace_edited: bool = False) -> Written:
    """Write a project's files below `folder`; build/ and sdkconfig stay as they are.

    Args:
        replace_edited: files that were edited since they were rendered are replaced, too.

    Raises:
        ProjectError: the folder holds something else, or files that a person edited.
        FileError: it cannot be written.
    """
    _check_ours(folder)
    before = _record(folder)
    now = {name: _digest(content) for name, content in project.files.items()}
    present = {name: _digest_of(folder / name) for name in {*before, *now}}
    if not replace_edited:
        _check_unedited(folder, before, now, present)
    changed = sorted(name for name, digest in now.items() if present[name] != digest)
    removed = sorted(name for name in before if name not in now and present[name] is not None)
    for name in changed:
        _write(folder / name, project.files[name])
    for name in removed:
        (folder / name).unlink()
    write_atomic(folder / RECORD_FILE, (json.dumps(now, indent=0, sort_keys=True) + "\n").encode())
    return Written(tuple(changed), tuple(removed))


def _check_ours(folder: Path) -> None:
    """The folder is new, empty or a project of ours."""
    if folder.exists() and not folder.is_dir():
        raise ProjectError(f"{folder} is a file, not a folder.", "Name another with --project.")
    ours = (folder / MANIFEST_FILE).is_file() or (folder / RECORD_FILE).is_file()
    if folder.is_dir() and not ours and any(folder.iterdir()):
        raise ProjectError(
            f"{folder} holds other files than a project of ftervit's.", "Name another folder with --project."
        )


def _record(folder: Path) -> dict[str, str]:
    """What was rendered last; names that leave the folder are nobody's."""
    try:
        content = json.loads((folder / RECORD_FILE).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {name: str(digest) for name, digest in content.items() if _stays_inside(name)}


def _stays_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and "\\" not in name


def _check_unedited(
    folder: Path, before: Mapping[str, str], now: Mapping[str, str], present: Mapping[str, str | None]
) -> None:
    """No file would be lost that is neither as it was rendered nor as it will be."""
    edited = [
        name
        for name, digest in present.items()
        if digest is not None and digest not in (before.get(name), now.get(name))
    ]
    if edited:
        first, others = min(edited), len(edited) - 1
        more = f" and {others} more" if others else ""
        raise ProjectError(
            f"{folder / first}{more} was edited since it was rendered.",
            "Build it as it is with idf.py, or replace the edits with --force.",
        )


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"{path.parent} cannot be made: {error.strerror}.", "Name another folder.") from error
    write_atomic(path, content)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _digest_of(path: Path) -> str | None:
    """Of a file; None where there is none."""
    try:
        return _digest(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}.", "Mend it or remove it.") from error
