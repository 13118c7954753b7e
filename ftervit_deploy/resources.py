"""Where the files beside the code are: in a checkout, an editable install or an installed wheel."""

from __future__ import annotations

import os
from pathlib import Path

from .errors import BoardProgramError, EngineError

_PACKAGE = Path(__file__).resolve().parent
_BOARD_NAME = "ftv-board"
_LIBRARY_NAMES = ("libftv.so", "ftv.dll", "libftv.dylib")


def boards_folder() -> Path:
    """Folder of board files."""
    return _folder("boards")


def templates_folder() -> Path:
    """Folder of Jinja templates."""
    return _folder("templates")


def c_runtime_folder() -> Path:
    """Folder of the C engine's sources and documents."""
    return _folder("c_runtime")


def data_file(name: str) -> Path:
    """A file of `ftervit_deploy/data`, for instance ``imagenet_classes.txt``."""
    return _PACKAGE / "data" / name


def signs_folder() -> Path:
    """The bundled demonstration: student.safetensors, signs.ftv, photos/<class>/, log/."""
    return data_file("signs")


def native_library() -> Path:
    """The C engine as a shared library.

    Looks at the file named by FTERVIT_LIBRARY, then in the installed package, then in a checkout's
    ``build/native`` (made by ``make native``).

    Raises:
        EngineError: it is nowhere.
    """
    named = os.environ.get("FTERVIT_LIBRARY")
    if named:
        return _named_library(Path(named))
    for folder in _library_folders():
        for name in _LIBRARY_NAMES:
            if (folder / name).is_file():
                return folder / name
    raise EngineError("The C engine is not built.", "Install the package with pip, or run `make native`.")


def board_program() -> Path:
    """ftv-board, the application of the boards as a program of this computer.

    Looks at the file named by FTERVIT_BOARD_PROGRAM, then in the installed package, then in a checkout's
    ``build/native`` (made by ``make board``).

    Raises:
        BoardProgramError: it is nowhere, as on Windows.
    """
    named = os.environ.get("FTERVIT_BOARD_PROGRAM")
    if named:
        if not Path(named).is_file():
            raise BoardProgramError(f"There is no program {named}, which FTERVIT_BOARD_PROGRAM names.")
        return Path(named).resolve()
    for folder in _library_folders():
        if (folder / _BOARD_NAME).is_file():
            return folder / _BOARD_NAME
    if not _has_pseudo_terminals():
        raise BoardProgramError(
            "The virtual board needs pseudo-terminals, which this system lacks.",
            "Run it on Linux or macOS, or in WSL.",
        )
    raise BoardProgramError(
        "The virtual board is not built.", "Install the package with pip, or run `make board`."
    )


def _has_pseudo_terminals() -> bool:
    return os.name == "posix"


def _named_library(path: Path) -> Path:
    if not path.is_file():
        raise EngineError(f"There is no library {path}, which FTERVIT_LIBRARY names.")
    return path.resolve()


def _library_folders() -> list[Path]:
    from . import __path__ as package_path

    installed = [Path(entry) / "_native" for entry in package_path]
    return [*installed, _PACKAGE.parent / "build" / "native"]


def _folder(name: str) -> Path:
    beside = _PACKAGE.parent / name
    in_checkout = (_PACKAGE.parent / "CMakeLists.txt").is_file() and beside.is_dir()
    return beside if in_checkout else _PACKAGE / "_resources" / name
