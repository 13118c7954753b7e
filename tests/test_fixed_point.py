"""The fixed-point helpers of the C engine are exact where estimates break."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from c_compiler import ROOT, SANITIZERS, build, compiler


@pytest.mark.parametrize("flags", [SANITIZERS, ("-O3",)], ids=("sanitized", "optimised"))
def test_roots_and_quotients_are_exact(tmp_path: Path, flags: tuple[str, ...]) -> None:
    program = build(compiler(), tmp_path / "fixed_point", (ROOT / "tests" / "c" / "fixed_point.c",), *flags)
    done = subprocess.run((program,), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
