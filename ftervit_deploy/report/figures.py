"""What the charts are made of: colours, figures, tooltips, rows. Charts are Bokeh's (BSD licence).

Bokeh, because its package on PyPI carries the whole script in one file of 1.3 MB, which leaves room for
photos in a page of 2 MB; it hovers, it draws on a canvas, and it asks the network for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..image.components import (
    ATTENTION,
    BIASES,
    HEAD,
    HEADER,
    LABELS,
    LAYER_NORM,
    MLP,
    PATCH_EMBEDDING,
    POSITION,
)

COLOURS = {
    PATCH_EMBEDDING: "#c2572e",
    ATTENTION: "#3b6ea8",
    MLP: "#7fa8d1",
    HEAD: "#8a5a9e",
    LAYER_NORM: "#2f8f6b",
    BIASES: "#d9a441",
    POSITION: "#b7b03c",
    LABELS: "#9a9a9a",
    HEADER: "#c9c9c9",
    "LayerScale": "#6b6b6b",
}
"""One colour for each part of a model, on every chart."""
_OTHER, TEACHER = "#555555", "#777777"
INK, GRID = "#33383f", "#e3e6ea"
BAR_PX, AXIS_PX = 48, 60


@dataclass(frozen=True)
class Chart:
    """A drawing and its legend; the page writes the legend, so that it wraps on a phone.

    Attributes:
        plot: the Bokeh figure.
        legend: (name, colour, mark) of every entry; mark: ``bar``, ``dot``, ``star`` or ``dashed``.
    """

    plot: Any
    legend: tuple[tuple[str, str, str], ...] = ()


def colour_of(group: str) -> str:
    """The colour of a part of a model."""
    return COLOURS.get(group, _OTHER)


def new_figure(height: int, **options: Any) -> Any:
    """A figure as wide as its place, without toolbar: a finger on it scrolls the page."""
    from bokeh.plotting import figure

    plot = figure(
        height=height, sizing_mode="stretch_width", toolbar_location=None, tools="",
        background_fill_alpha=0, border_fill_alpha=0, outline_line_color=None, min_border_right=12, **options,
    )  # fmt: skip
    plot.grid.grid_line_color = GRID
    for axis in plot.axis:
        axis.axis_line_color, axis.major_tick_line_color, axis.minor_tick_line_color = None, None, None
        axis.major_label_text_color = axis.axis_label_text_color = INK
        axis.axis_label_text_font_style = "normal"
        axis.major_label_text_font_size = axis.axis_label_text_font_size = "12px"
    return plot


def add_hover(plot: Any, renderers: Sequence[Any], tips: Sequence[tuple[str, str]], **options: Any) -> None:
    """Tooltips for a pointer that hovers and for a finger that taps; values are text, never HTML."""
    from bokeh.models import HoverTool

    plot.add_tools(HoverTool(renderers=list(renderers), tooltips=list(tips), **options))


def name_rows(plot: Any, names: Sequence[str]) -> list[float]:
    """Where the bars of a chart of rows stand, first on top; each row's name stands over its bar.

    Names beside the bars would take half of a phone's width.
    """
    count = len(names)
    plot.y_range.start, plot.y_range.end = 0, count
    plot.yaxis.visible, plot.min_border_left = False, 10
    plot.ygrid.grid_line_color = None
    plot.text(
        x=[0] * count, y=[count - index - 0.27 for index in range(count)], text=list(names), text_color=INK,
        text_font_size="13px", text_baseline="middle",
    )  # fmt: skip
    return [count - 0.68 - index for index in range(count)]


def columns(**columns: Iterable[Any]) -> Any:
    """Columns of one length, by name, as Bokeh wants them."""
    from bokeh.models import ColumnDataSource

    return ColumnDataSource({name: list(values) for name, values in columns.items()})


def add_bar(plot: Any, source: Any, colour: str, height: float) -> Any:
    """Horizontal bars from the columns ``left`` to ``right`` at ``y``."""
    return plot.hbar(
        y="y", left="left", right="right", height=height, source=source, fill_color=colour,
        line_color="white", line_width=0.5,
    )  # fmt: skip


def size_text(count: float) -> str:
    """Decimal kilobytes or megabytes."""
    return f"{count / 1e3:.1f} kB" if count < 1e6 else f"{count / 1e6:.2f} MB"
