"""A headless Chromium without a network, for pages that open from disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

_NOTE_PAINTED = """
    window.painted = [];
    const fillText = CanvasRenderingContext2D.prototype.fillText;
    CanvasRenderingContext2D.prototype.fillText = function (text, ...place) {
        window.painted.push(text);
        return fillText.call(this, text, ...place);
    };
"""
NAMES = ("chromium", "chromium-browser", "google-chrome")


@dataclass
class Opened:
    """A page, and what it did that it should not.

    Attributes:
        page: Playwright's.
        troubles: errors of the console, exceptions, and whatever it asked the network for.
    """

    page: Any
    troubles: list[str] = field(default_factory=list)

    def tooltip(self) -> list[str]:
        """Values of the tooltips that are shown."""
        self.page.wait_for_timeout(250)
        texts: list[str] = self.page.locator(".bk-tooltip-row-value").all_inner_texts()
        return texts

    def painted(self) -> set[str]:
        """Texts on the charts, which are no text of the page."""
        return set(self.page.evaluate("window.painted"))

    def spot(self, chart: str, x: float, y: float) -> tuple[float, float]:
        """A place in a chart, scrolled into view, as the mouse counts; x and y from 0 to 1."""
        place = self.page.locator(f"#chart-{chart}")
        place.scroll_into_view_if_needed()
        box = place.bounding_box()
        return box["x"] + x * box["width"], box["y"] + y * box["height"]


@contextmanager
def chromium() -> Iterator[Any]:
    """The browser; skips where there is none."""
    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip("no Chromium: install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="install playwright")
    # As root, as in most containers, Chromium has no sandbox.
    flags = ["--no-sandbox"] if os.name == "posix" and os.geteuid() == 0 else []
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=flags)
        yield browser
        browser.close()


@contextmanager
def opened(browser: Any, path: Path, width: int, touch: bool = False) -> Iterator[Opened]:
    """The page at `path`, all charts drawn, `width` CSS pixels wide, offline."""
    context = browser.new_context(
        viewport={"width": width, "height": 844}, offline=True, has_touch=touch, is_mobile=touch
    )
    context.add_init_script(_NOTE_PAINTED)
    result = Opened(context.new_page())
    page, troubles = result.page, result.troubles
    page.on("console", lambda said: troubles.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("dialog", lambda dialog: (troubles.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda asked: _note(troubles, asked.url, path))
    page.goto(path.as_uri())
    page.wait_for_function(
        "document.querySelectorAll('.chart').length === document.querySelectorAll('.chart > *').length"
    )
    yield result
    context.close()


def _note(troubles: list[str], url: str, path: Path) -> None:
    if not url.startswith(("data:", "blob:")) and url.partition("#")[0] != path.as_uri():
        troubles.append(f"asked for {url}")
