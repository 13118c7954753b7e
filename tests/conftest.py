"""What all tests share: skips that count as failures in CI, made-up photos."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from photo_files import save_photo

NO_SKIPS = os.environ.get("FTERVIT_NO_SKIPS") == "1"
"""Set in CI: a skipped test fails, unless its reason starts with ``hardware:``."""

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in the background of a script; tests send it
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--regenerate-golden", action="store_true", help="write the files of tests/golden/ again"
    )


def _forbid_skip(report: Any) -> None:
    if not (NO_SKIPS and report.skipped) or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if not reason.removeprefix("Skipped: ").startswith("hardware:"):
        report.outcome = "failed"
        report.longrepr = f"Skipped, which FTERVIT_NO_SKIPS=1 forbids: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    report = yield
    _forbid_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, Any, Any]:
    report = yield
    _forbid_skip(report)
    return report


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A small photo that shows nothing."""
    return save_photo(tmp_path / "photo.jpg", seed=0)


@pytest.fixture
def class_folders(tmp_path: Path) -> Callable[..., Path]:
    """Makes a folder of class folders with a few photos in each."""

    def make(names: list[str], photos: int = 2) -> Path:
        root = tmp_path / "classes"
        for label, name in enumerate(names):
            for index in range(photos):
                save_photo(root / name / f"{index}.png", seed=100 * label + index)
        return root

    return make
