"""Paths that users type, and writing files so that a half-written one never exists."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import FtervitError


class FileError(FtervitError):
    """A file that cannot be read or written."""


def user_path(text: str) -> Path:
    """The path that a user typed; a leading ``~`` or ``~name`` becomes a home folder.

    Raises:
        FileError: nobody of that name has a home folder, or the text cannot be a path.
    """
    if "\0" in text:
        raise FileError(f"{text!r} cannot be a path: it holds a zero character.")
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise FileError(
            f"There is no home folder for {Path(text).parts[0]}.", "Write the path out, or ./~ for a file."
        ) from None


def check_not_input(target: Path, source: str) -> None:
    """Refuses to replace what a command reads by what it writes.

    Args:
        target: the file to write.
        source: what the user named as input; it need not be a file.

    Raises:
        FileError: both are the same file.
    """
    if _is_file(source) and target.exists() and target.samefile(user_path(source)):
        raise FileError(f"{target} is the file to read.", "Name another file to write with -o.")


def _is_file(name: str) -> bool:
    try:
        return user_path(name).is_file()
    except (FileError, OSError, ValueError):
        return False


def write_atomic(path: Path, content: bytes) -> None:
    """Write `content` to `path`, or leave what was there before.

    Raises:
        FileError: the folder is missing, read-only or full.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(content)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path in the same folder, renamed to `path` if the body succeeds, else removed.

    Raises:
        FileError: the folder is missing, read-only or full, or `path` is a folder or a device.
    """
    try:
        _check_replaceable(path)
        temporary = _temporary_beside(path)
        try:
            yield temporary
            _sync(temporary)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error


def _check_replaceable(path: Path) -> None:
    """A rename would turn a device or a pipe, such as /dev/null, into a file."""
    if path.is_dir():
        raise FileError(f"{path} is a folder.", "Name a file to write.")
    if path.exists() and not path.is_file():
        raise FileError(f"{path} is not a regular file.", "Name a file to write.")


def _temporary_beside(path: Path) -> Path:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    _as_an_ordinary_file(temporary)
    return temporary


def _as_an_ordinary_file(path: Path) -> None:
    """Mkstemp makes files private; a result gets the permissions that the user's umask gives."""
    umask = os.umask(0)
    os.umask(umask)
    path.chmod(0o666 & ~umask)


def _sync(path: Path) -> None:
    """Have a full disk noticed before the rename, not after it."""
    handle = os.open(path, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def cannot_write(path: Path, error: OSError) -> FileError:
    """What to tell about an `error` met while `path` was written."""
    hints = {
        errno.ENOSPC: (
            f"There is no room on the disk for {path}.",
            "Free some space, or use another folder.",
        ),
        errno.EDQUOT: (f"The disk quota leaves no room for {path}.", "Free some space."),
        errno.EFBIG: (f"{path} is larger than a file may be here.", "Raise the file size limit."),
        errno.ENOENT: (f"There is no folder {path.parent} for {path.name}.", "Make it, or name another."),
        errno.ENOTDIR: (f"{path.parent} is not a folder.", "Name another place."),
        errno.EROFS: (f"{path} cannot be written: the file system is read-only.", "Name another folder."),
    }
    denied = (f"{path} may not be written.", "Check the folder's permissions, or name another with -o.")
    if error.errno in (errno.EACCES, errno.EPERM):
        return FileError(*denied)
    reason = error.strerror or str(error)
    return FileError(*hints.get(error.errno or 0, (f"{path} cannot be written: {reason}.", "")))


def read_file(path: Path, kind: str) -> bytes:
    """All bytes of `path`; `kind` says in errors what was expected, e.g. ``image``.

    Raises:
        FileError: there is no such file, or it may not be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise FileError(f"There is no {kind} {path}.", "Check the name.") from None
    except IsADirectoryError:
        raise FileError(f"{path} is a folder, where a file is needed ({kind}).") from None
    except PermissionError:
        raise FileError(f"{path} may not be read.", "Check its permissions.") from None
