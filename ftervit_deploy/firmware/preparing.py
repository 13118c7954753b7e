"""What an earlier build left behind, where it would spoil this one."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from ..errors import ProjectError
from ..files import write_atomic
from .toolchain import Toolchain

BUILD_FOLDER = "build"
STAMP_FILE = "ftervit-build.json"
_CONFIG, _CONFIG_OLD = "sdkconfig", "sdkconfig.old"
_DEFAULTS = "sdkconfig.defaults*"
_SETTING = re.compile(r"(?:# )?(CONFIG_\w+)(?:=(.*)| is not set)")


def prepare(project: Path, chip: str, toolchain: Toolchain, tell: Callable[[str], None]) -> None:
    """Remove what was built otherwise, put away an sdkconfig of other defaults, note how it is built now.

    A build folder of another ESP-IDF, Python, chip or place cannot be gone on with. An sdkconfig holds
    against sdkconfig.defaults, so one that was made from other defaults is renamed to sdkconfig.old.

    Args:
        tell: is told what was done, in a sentence.

    Raises:
        ProjectError: the build folder is something else.
    """
    build = project / BUILD_FOLDER
    said, now = _stamp(build), _facts(project, chip, toolchain)
    if said and any(said.get(key) != now[key] for key in now if key != "defaults"):
        _remove(build)
        tell(f"{build} was built with another ESP-IDF, for another chip or elsewhere: built anew.")
    if (project / _CONFIG).exists() and _is_stale(project, said, now):
        os.replace(project / _CONFIG, project / _CONFIG_OLD)
        tell(f"{project / _CONFIG} was made from other defaults: made anew, the old one is {_CONFIG_OLD}.")
    build.mkdir(exist_ok=True)
    write_atomic(build / STAMP_FILE, json.dumps(now, indent=2).encode())


def _facts(project: Path, chip: str, toolchain: Toolchain) -> dict[str, str]:
    return {
        "project": str(project.resolve()),
        "chip": chip,
        "esp_idf": str(toolchain.espidf.path),
        "version": toolchain.version,
        "python": str(toolchain.python),
        "defaults": _digest(project),
    }


def _digest(project: Path) -> str:
    """Of all files from which sdkconfig is made."""
    digest = hashlib.sha256()
    for path in sorted(project.glob(_DEFAULTS)):
        digest.update(f"{path.name}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _stamp(build: Path) -> dict[str, str]:
    """What the last build was; empty where that is not known."""
    try:
        said = json.loads((build / STAMP_FILE).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _is_stale(project: Path, said: dict[str, str], now: dict[str, str]) -> bool:
    """Made from other defaults; where that was not noted down, it says otherwise than they do."""
    if said:
        return said.get("defaults") != now["defaults"]
    wanted = {key: value for path in project.glob(_DEFAULTS) for key, value in _settings(path).items()}
    has = _settings(project / _CONFIG)
    return any(has.get(key, value) != value for key, value in wanted.items())


def _settings(path: Path) -> dict[str, str]:
    """Options by name; ``n`` for one that is not set."""
    found = (_SETTING.fullmatch(line.strip()) for line in path.read_text("utf-8", "replace").splitlines())
    return {match[1]: match[2] or "n" for match in found if match}


def _remove(build: Path) -> None:
    """Only what is known as a build folder, by the note that the last build left in it, comes here."""
    try:
        shutil.rmtree(build)
    except OSError as error:
        raise ProjectError(f"{build} cannot be removed: {error.strerror or error}.", "Remove it.") from error
