"""The board's self-test finds wrong kernels on the way from pixels to the residual stream."""

from __future__ import annotations

import subprocess
from pathlib import Path

from c_compiler import ROOT, RUNTIME, SANITIZERS, build, compiler

APP = RUNTIME / "app"


def test_wrong_steps_are_named(tmp_path: Path) -> None:
    engine = [*(RUNTIME / "src").glob("*.c"), *(RUNTIME / "src" / "kernels").glob("*.c")]
    program = ROOT / "tests" / "c" / "selftest_patches.c"
    sources = (program, APP / "ftv_selftest_patches.c", APP / "ftv_tile.c", *engine)
    includes = (f"-I{APP}", f"-I{RUNTIME / 'line'}")
    binary = build(compiler(), tmp_path / "selftest", sources, *includes, *SANITIZERS)
    done = subprocess.run((binary, ROOT / "tests" / "golden" / "tiny_t2.ftv"), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
