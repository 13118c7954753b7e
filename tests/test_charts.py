"""Pictures of results: what is written in them can be read."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from ftervit_deploy.charts import Curve, Placed, draw_comparison, draw_curves

pytest.importorskip("matplotlib")
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation

CURVE = Curve("ftervit", "methods", ((1, 0.5), (2, 0.75), (3, 0.8)), 1)


def _saved(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """What will be drawn, in place of files."""
    saved: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: saved.append(figure))
    return saved


def _drawn(monkeypatch: pytest.MonkeyPatch, folder: Path, models: list[Placed]) -> Axes:
    """The axes of accuracy against size."""
    saved = _saved(monkeypatch)
    draw_comparison([CURVE], models, folder / "curves.svg")
    figure = saved[0]
    figure.draw_without_rendering()
    return figure.axes[-1]


def test_names_of_points_close_to_each_other_do_not_overlap(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    close = [Placed(f"model-{i}", 600_000 + 9000 * i, 0.85 + 0.0003 * (i % 2)) for i in range(5)]
    axes = _drawn(monkeypatch, tmp_path, [Placed("fp32", 5_000_000, 0.86), *close])
    names = [child for child in axes.get_children() if isinstance(child, Annotation)]
    assert [name.get_text() for name in names] == ["fp32", *(model.name for model in close)]
    for one, other in itertools.combinations(names, 2):
        assert not one.get_window_extent().overlaps(other.get_window_extent())


def test_sizes_are_written_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    axes = _drawn(monkeypatch, tmp_path, [Placed("small", 300_000, 0.8), Placed("large", 5_000_000, 0.9)])
    low, high = axes.get_xlim()
    ticks = zip(axes.get_xticks(), axes.get_xticklabels(), strict=True)
    shown = [label.get_text() for at, label in ticks if low < at < high]
    assert shown == ["200", "500", "1,000", "2,000", "5,000"]


@pytest.mark.parametrize(
    ("phases", "said"),
    [
        (["teacher"], ["validation top-1", "dotted: teacher"]),
        (["student"], ["as the teacher's", "dashed"]),
        (["teacher", "student"], ["validation top-1", "dotted: teacher", "as the teacher's", "dashed"]),
    ],
)
def test_curves_say_what_they_are_judged_by(
    phases: list[str], said: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lines = {"teacher": {"val_top1": 0.75}, "student": {"val_top1": None, "val_agreement": 0.875}}
    saved = _saved(monkeypatch)
    epochs = {name: [{"epoch": 1, "loss": 0.5, **lines[name]}] for name in phases}
    draw_curves(epochs, tmp_path / "curves.svg")
    axes = saved[0].axes[1]
    assert re.findall(r"[^\n(),]+", axes.get_ylabel()) == said
    drawn = [(list(line.get_ydata()), line.get_linestyle()) for line in axes.lines if any(line.get_ydata())]
    assert drawn == [([0.75], "-") if name == "teacher" else ([0.875], "--") for name in phases]


@pytest.mark.parametrize("kind", ["svg", "pdf", "png"])
def test_the_same_drawing_has_the_same_bytes(kind: str, tmp_path: Path) -> None:
    for name in ("one", "two"):
        draw_comparison([CURVE], [Placed("small", 300_000, 0.8)], tmp_path / f"{name}.{kind}")
    assert (tmp_path / f"one.{kind}").read_bytes() == (tmp_path / f"two.{kind}").read_bytes()
