"""Builds C programs for tests, with every warning an error and with sanitizers."""

from __future__ import annotations

import os
import shutil
import subprocess
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


def build(cc: str, output: Path, sources: tuple[Path, ...], *flags: str) -> Path:
    """Compiles and links `sources` into the program `output`."""
    includes = (f"-I{RUNTIME / 'include'}", f"-I{RUNTIME / 'src'}")
    command = (cc, "-std=c11", "-g", "-O1", *WARNINGS, *includes, *flags, "-o", output, *sources)
    subprocess.run(command, check=True)
    return output
