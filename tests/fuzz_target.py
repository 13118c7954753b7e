"""Short runs of the fuzz targets in tests/fuzz/; libFuzzer's own options make longer ones."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from c_compiler import ROOT, build

FUZZ = ROOT / "tests" / "fuzz"
SECONDS = 10
SANITIZERS = ("-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all")


def fuzz(
    folder: Path, name: str, sources: tuple[Path, ...], *flags: str, corpus: Path, longest: int, **files: Path
) -> None:
    """Builds FUZZ/name.c with `sources` and runs it on the corpus for SECONDS.

    Args:
        folder: where the program and what it finds may lie.
        longest: input, bytes.
        files: what the target finds in its environment.
    """
    clang = shutil.which("clang")
    if clang is None:
        pytest.skip("no clang: install clang and libclang-rt-dev")
    try:
        program = build(clang, folder / name, (FUZZ / f"{name}.c", *sources), *flags, *SANITIZERS)
    except subprocess.CalledProcessError:
        pytest.skip("clang has no libFuzzer or does not compile: install libclang-rt-dev")
    options = (f"-max_total_time={SECONDS}", f"-max_len={longest}", "-print_final_stats=1", "-verbosity=0")
    environment = {**os.environ, **{key: str(path) for key, path in files.items()}}
    done = subprocess.run(
        (program, *options, corpus), cwd=folder, capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr[-4000:]
