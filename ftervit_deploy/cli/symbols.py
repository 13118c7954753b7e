"""The symbols with which `ftervit monitor` decodes backtraces."""

from __future__ import annotations

from pathlib import Path

from ..backtrace import BacktraceError, Backtraces, Symbols, description
from ..files import user_path
from .output import Output


def backtraces_for(elf: str | None, project: str, output: Output) -> Backtraces | None:
    """What decodes backtraces: with the ELF file that is named, else with that of the project's build.

    None where there is no build; where its symbols cannot serve, a note says why.

    Raises:
        BacktraceError: the file that is named cannot serve.
    """
    if elf is not None:
        return _backtraces(Symbols(user_path(elf)))
    build = Path(project) / "build"
    path = build / description(build).get("app_elf", "")
    if not path.is_file():
        return None
    try:
        return _backtraces(Symbols(path))
    except BacktraceError as error:
        output.note(str(error))
        return None


def _backtraces(symbols: Symbols) -> Backtraces:
    return Backtraces(symbols.places, symbols.sha256, str(symbols.elf))
