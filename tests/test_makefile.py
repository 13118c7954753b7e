"""make on a machine that is not ready: what failed is not taken for done."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FAILING_PYTHON = """#!/bin/sh
[ "$1" != -m ] || { mkdir -p .venv/bin; touch .venv/bin/python; exit 1; }
"""

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="hardware: a POSIX shell"),
    pytest.mark.skipif(shutil.which("make") is None, reason="install make"),
]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with a space in its name, the Makefile, and a Python that cannot make environments."""
    folder = tmp_path / "a checkout"
    (folder / "c_runtime").mkdir(parents=True)
    (folder / "tests").mkdir()
    shutil.copy(ROOT / "Makefile", folder)
    python = folder / "python"
    python.write_text(
        '#!/bin/sh\n[ "$1" != -m ] || { mkdir -p .venv/bin; touch .venv/bin/python; exit 1; }\n'
    )
    python.chmod(0o755)
    return folder


def _make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", *arguments], cwd=folder, capture_output=True, text=True, check=False)


def test_a_virtual_environment_that_failed_is_made_again(checkout: Path) -> None:
    for _ in range(2):
        assert _make(checkout, "PYTHON=./python", ".venv/bin/python").returncode != 0
        assert not (checkout / ".venv").exists()
