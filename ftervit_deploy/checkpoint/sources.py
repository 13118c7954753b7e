"""From what a user types to a file: an alias, ``user/repo[:file][@revision]``, or a path."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path

from ..architecture import timm_repository
from ..errors import CheckpointError
from ..files import user_path
from ..models import MODELS, Model, model_at
from ..resources import data_file
from .contents import Provenance

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")
"""Files that may be checkpoints."""

_HUB_SOURCE = re.compile(
    r"(?P<repo>[A-Za-z0-9][\w.-]*/[A-Za-z0-9_][\w.-]*)(:(?P<file>[^@:]+))?(@(?P<revision>[^@:\s]+))?"
)
_PATH_START = ("/", "./", "../", "~", ".\\", "..\\")


@dataclass(frozen=True)
class Located:
    """A checkpoint file on this machine.

    Attributes:
        path: the file.
        provenance: without the hash.
        model: the published model that it is, if it is one.
    """

    path: Path
    provenance: Provenance
    model: Model | None = None


def locate(source: str, revision: str | None = None, offline: bool = False) -> Located:
    """Finds the file, and downloads it where it is on the hub.

    A local file comes first, then an alias, even where a folder bears its name, then timm's name of a
    DeiT, then the hub.

    Raises:
        CheckpointError: neither a file nor a name that could be on the hub.
        FileError: it starts with ``~`` and a name that nobody has here.
        HubError: the hub does not have it or cannot be reached.
    """
    path = _typed_path(source)
    if source and _exists(path) and not (source in MODELS and path.is_dir()):
        return _local(source, path)
    if source in MODELS:
        return _alias(source, MODELS[source], revision, offline)
    repository = timm_repository(source)
    if repository is not None:
        return _from_hub(source, repository, "model.safetensors", revision, offline)
    parts = _hub_parts(source)
    wanted = parts["revision"] or revision
    return _from_hub(source, parts["repo"], parts["file"], wanted, offline)


def check_form(source: str) -> None:
    """Refuse a source that is no local file, no alias, and does not have the form of a hub id.

    Raises:
        CheckpointError: it is none of these; nothing is downloaded to find out.
    """
    path = _typed_path(source)
    if source in MODELS or timm_repository(source) is not None:
        return
    if source and _exists(path):
        _local(source, path)
    else:
        _hub_parts(source)


def _hub_parts(source: str) -> re.Match[str]:
    parts = _HUB_SOURCE.fullmatch(source)
    if parts is None or _looks_like_path(source):
        raise _not_found(source)
    return parts


def _typed_path(source: str) -> Path:
    return user_path(source) if source.startswith("~") else Path(source)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _local(source: str, path: Path) -> Located:
    if path.is_dir():
        inside = [entry.name for entry in sorted(path.iterdir()) if entry.suffix in SUFFIXES]
        raise CheckpointError(
            f"{source} is a folder.",
            f"Name a file in it: {', '.join(inside[:5])}." if inside else "Name a .safetensors or .pth file.",
        )
    if not path.is_file():
        raise CheckpointError(f"{source} is not a regular file.")
    return Located(path, Provenance(source=path.name, file=path.name))


def _looks_like_path(source: str) -> bool:
    return source.startswith(_PATH_START) or (source.endswith(SUFFIXES) and ":" not in source)


def _not_found(source: str) -> CheckpointError:
    if "/" in source or "\\" in source or source.endswith(SUFFIXES):
        return CheckpointError(
            f"There is no file {source}.",
            "Give a path that exists, an alias, or user/repo[:file][@revision].",
        )
    similar = difflib.get_close_matches(source, MODELS, n=1, cutoff=0.5)
    hint = f"Did you mean {similar[0]!r}? " if similar else ""
    return CheckpointError(
        f"There is no model called {source!r}.", f"{hint}`ftervit models` lists what there is."
    )


def _alias(source: str, model: Model, revision: str | None, offline: bool) -> Located:
    if model.bundled is None:
        return _from_hub(source, model.repo, model.file, revision, offline)
    path = data_file(model.bundled)
    if not path.is_file():
        raise CheckpointError(f"The model {source!r} is not bundled with this installation.")
    return Located(path, Provenance(source=source, file=path.name), model)


def _from_hub(source: str, repo: str, file: str | None, revision: str | None, offline: bool) -> Located:
    from .hub import download

    fetched = download(repo, file, revision, offline=offline)
    provenance = Provenance(source, repo, fetched.file, fetched.revision)
    return Located(fetched.path, provenance, model_at(repo, fetched.file))
