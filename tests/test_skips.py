"""With FTERVIT_NO_SKIPS=1 a skipped test fails, unless it waits for hardware."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import pytest

def test_without_a_tool():
    pytest.skip("no clang: install clang")

def test_without_a_board():
    pytest.skip("hardware: no board")

@pytest.mark.skipif(True, reason="install qemu")
def test_marked():
    pass
"""


def _outcome(folder: Path, no_skips: str) -> str:
    (folder / "conftest.py").write_bytes((Path(__file__).parent / "conftest.py").read_bytes())
    (folder / "test_it.py").write_text(PROGRAM)
    (folder / "test_module.py").write_text("import pytest\npytest.importorskip('no_such_module')\n")
    helpers = {"PYTHONPATH": str(Path(__file__).parent)}  # what conftest.py imports
    variables = {**os.environ, **helpers, "FTERVIT_NO_SKIPS": no_skips, "PYTEST_ADDOPTS": "", "CI": ""}
    options = ["-q", "-p", "no:cacheprovider", "--continue-on-collection-errors"]
    command = [sys.executable, "-m", "pytest", *options, str(folder)]
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)
    return done.stdout


def test_skips_pass_by_default(tmp_path: Path) -> None:
    assert "4 skipped" in _outcome(tmp_path, "")


def test_only_hardware_is_skipped_in_ci(tmp_path: Path) -> None:
    out = _outcome(tmp_path, "1")
    assert "no clang: install clang" in out
    assert "install qemu" in out
    assert "no_such_module" in out
    assert "1 failed, 1 skipped, 2 errors" in out, "a marked test is skipped in its setup: an error"
