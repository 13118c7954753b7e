"""Builds C programs for tests, with every warning an error and with sanitizers."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import subprocess
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
RUNTIME = ROOT / "c_runtime"
READER_SOURCES = tuple(
    RUNTIME / "src" / name for name in ("ftv_image.c", "ftv_sections.c", "ftv_sha256.c", "ftv_status.c")
)
WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Wsign-conversion", "-Werror")
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer")


def compiler() -> str:
    """The C compiler's path; skips where there is none."""
    candidates = (os.environ.get("CC", ""), "gcc", "clang", "cc")
    found = next((path for name in candidates if name and (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no C compiler: install gcc")
    return found


INCLUDES = tuple(f"-I{RUNTIME / name}" for name in ("include", "src", "host", "line", "app"))
ALWAYS = ("-std=c11", "-g", "-O1", *WARNINGS, *INCLUDES, "-D_POSIX_C_SOURCE=200809L", "-pthread")


def build(cc: str, output: Path, sources: tuple[Path, ...], *flags: str) -> Path:
    """Compiles and links `sources` into the program `output`; each source once for each set of flags."""
    own = tuple(flag for flag in flags if flag not in ALWAYS)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(lambda source: _object(cc, source, own), sources))
    linking = (flag for flag in (*ALWAYS, *own) if not flag.startswith(("-I", "-D", "-W")))
    subprocess.run((cc, *linking, "-o", output, *objects), check=True)
    return output


def _object(cc: str, source: Path, flags: tuple[str, ...]) -> Path:
    """The source compiled, unless it is; kept for the next program where it is the project's own."""
    if source.suffix == ".o":
        return source
    key = (cc, source, flags)
    with _lock:
        known = _objects.get(key)
        path = Path(_folder()) / f"{len(_objects)}-{source.stem}.o" if known is None else known
        _objects[key] = path
    if known is None or not source.is_relative_to(ROOT):
        compiling = (flag for flag in flags if flag not in ("-shared", "-static"))
        subprocess.run((cc, *ALWAYS, *compiling, "-c", "-o", path, source), check=True)
    return path


_objects: dict[tuple[str, Path, tuple[str, ...]], Path] = {}
_lock = threading.Lock()


@functools.cache
def _folder() -> str:
    """Where objects are kept until the tests end."""
    folder = tempfile.mkdtemp(prefix="ftervit-objects-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
