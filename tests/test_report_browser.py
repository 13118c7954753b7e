"""The page of `ftervit report` in a real browser: it draws, hovers, fits a phone, runs nothing foreign."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from browser import chromium, opened
from report_cases import HOSTILE, bundled, hostile

from ftervit_deploy.report import render

PHONE = 390
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_bytes(render(bundled()))
    return path


@pytest.fixture(scope="module")
def hostile_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hostile") / "re'p\"ort #1.html"
    path.write_bytes(render(hostile()))
    return path


def test_every_chart_is_drawn_without_a_word_to_console_or_network(browser: Any, page: Path) -> None:
    with opened(browser, page, 1000) as shown:
        heights = shown.page.eval_on_selector_all(
            ".chart", "all => all.map(e => e.firstElementChild.offsetHeight)"
        )
        assert len(heights) >= 9
        assert min(heights) > 100
        assert shown.troubles == []


@pytest.mark.parametrize("touch", [False, True], ids=["narrow window", "phone"])
def test_a_phone_scrolls_down_only(browser: Any, page: Path, touch: bool) -> None:
    with opened(browser, page, PHONE, touch) as shown:
        assert shown.page.evaluate("document.documentElement.scrollWidth") == PHONE
        assert shown.troubles == []


def test_opened_tables_do_not_widen_a_phones_page(browser: Any, page: Path) -> None:
    with opened(browser, page, PHONE, touch=True) as shown:
        shown.page.eval_on_selector_all("details", "all => all.forEach(e => e.open = true)")
        assert shown.page.evaluate("document.documentElement.scrollWidth") == PHONE


def test_hovering_a_bar_says_what_it_is(browser: Any, page: Path) -> None:
    with opened(browser, page, 1000) as shown:
        shown.page.mouse.move(*shown.spot("bytes", 0.5, 0.13))
        what, count, share = shown.tooltip()
        assert what == "mlp, FP32"
        assert count == f"{4 * 442_368:,}"
        assert share.endswith("%")


def test_hovering_a_curve_says_epoch_and_accuracy(browser: Any, page: Path) -> None:
    with opened(browser, page, 1000) as shown:
        shown.page.mouse.move(*shown.spot("curves-top1", 0.5, 0.5))
        assert shown.tooltip()[0].startswith("training, epoch ")


def test_a_tap_does_what_hovering_does(browser: Any, page: Path) -> None:
    with opened(browser, page, PHONE, touch=True) as shown:
        shown.page.touchscreen.tap(*shown.spot("bytes", 0.5, 0.2))
        assert shown.tooltip()[0] == "mlp, FP32"
        shown.page.touchscreen.tap(*shown.spot("curves-top1", 0.5, 0.5))
        assert shown.tooltip()[0].startswith("training, epoch ")


def test_hostile_names_run_nothing_and_break_nothing(browser: Any, hostile_page: Path) -> None:
    with opened(browser, hostile_page, PHONE) as shown:
        assert shown.page.title().startswith(HOSTILE[0])
        shown.page.mouse.move(*shown.spot("confusion", 0.6, 0.5))
        assert any(name in shown.tooltip() for name in HOSTILE)
        for chart in ("scatter", "importance-taylor", "boards"):
            for step in range(1, 9):
                shown.page.mouse.move(*shown.spot(chart, step / 9, 0.5))
        assert shown.page.evaluate("window.pwned") is None
        assert shown.page.locator("img[src=x]").count() == 0
        assert shown.page.evaluate("document.documentElement.scrollWidth") == PHONE
        assert shown.troubles == []


def test_the_confusion_matrix_names_its_classes_whatever_they_are_called(
    browser: Any, tmp_path: Path
) -> None:
    """Names in $$ would be formulas, for which Bokeh asks the network."""
    names = ("cup", "$$key$$", "a pen with a very long name")
    confusion = ((5, 1, 0), (0, 6, 0), (1, 0, 4))
    report = hostile()
    accuracy = replace(report.accuracy, confusion=confusion)  # type: ignore[type-var]
    page = tmp_path / "report.html"
    page.write_bytes(render(replace(report, labels=names, accuracy=accuracy)))
    with opened(browser, page, 1000) as shown:
        assert {"cup", "$$key$$", "a pen with …"} <= shown.painted()
        assert shown.troubles == []


def test_the_pages_own_policy_stops_a_script_that_got_in(browser: Any, page: Path, tmp_path: Path) -> None:
    smuggled = tmp_path / "smuggled.html"
    smuggled.write_bytes(page.read_bytes().replace(b"</h1>", b"</h1><script>window.pwned=1</script>", 1))
    with opened(browser, smuggled, 1000) as shown:
        assert shown.page.evaluate("window.pwned") is None
        assert any("Content Security Policy" in trouble for trouble in shown.troubles)
