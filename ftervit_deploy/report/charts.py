"""The page's charts, one function each."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from ..image.components import PATCH_EMBEDDING
from .contents import (
    Accuracy,
    BoardFit,
    Filters,
    Importance,
    LayerShare,
    LayerZeros,
    Method,
    Phase,
    Sizes,
)
from .figures import (
    AXIS_PX,
    BAR_PX,
    COLOURS,
    GRID,
    INK,
    TEACHER,
    Chart,
    add_bar,
    add_hover,
    colour_of,
    columns,
    name_rows,
    new_figure,
    size_text,
)

_NUMBERED = 16
"""Classes up to which each cell of the confusion matrix has its number, and empty cells are drawn."""
_BESIDE_CHARACTERS = 30
"""Of class names that stand side by side on a phone; longer ones stand upright."""
_POINTS = 400
"""Epochs of a curve that are drawn, about; long phases are thinned."""
_LINES = ("#3b6ea8", "#c2572e", "#2f8f6b", "#8a5a9e")


def bytes_chart(sizes: Sizes) -> Chart:
    """Each format as one bar of 100 %, part after part, so that what is left over can be seen."""
    formats = sizes.formats
    plot = new_figure(AXIS_PX + BAR_PX * len(formats), x_range=(0, 100), y_range=(0, 1))
    rows = name_rows(plot, [f"{fmt.name}, {size_text(fmt.bytes)}" for fmt in formats])
    left, bars, legend = [0.0] * len(rows), [], []
    for index, part in enumerate(formats[0].components):
        held = [fmt.components[index].bytes for fmt in formats]
        shares = [100 * part_bytes / fmt.bytes for part_bytes, fmt in zip(held, formats, strict=True)]
        right = [start + share for start, share in zip(left, shares, strict=True)]
        source = columns(
            y=rows, format=[fmt.name for fmt in formats], left=left, right=right, share=shares, bytes=held,
            part=[part.name] * len(rows),
        )  # fmt: skip
        bars.append(add_bar(plot, source, colour_of(part.name), 0.46))
        left = right
        if any(held):
            legend.append((part.name, colour_of(part.name), "bar"))
    add_hover(plot, bars, [("", "@part, @format"), ("bytes", "@bytes{0,0}"), ("share", "@share{0.0} %")])
    plot.xaxis.axis_label = "% of the bytes"
    return Chart(plot, tuple(legend))


def importance_groups_chart(found: Importance) -> Chart:
    """Share of parameters, Taylor importance and Hessian trace of every group, in per cent."""
    present = {layer.group for layer in found.layers}
    groups = [group for group in COLOURS if group in present]
    kinds: tuple[tuple[str, str, Callable[[LayerShare], float]], ...] = (
        ("parameters", "#b9c0c8", lambda layer: layer.parameter_share),
        ("Taylor, |g w|", "#3b6ea8", lambda layer: layer.taylor_share),
        ("Taylor, (g w)²", "#86b0dc", lambda layer: layer.taylor_squared_share),
        ("Hessian trace", "#c2572e", lambda layer: layer.trace_share),
    )
    plot = new_figure(AXIS_PX + (BAR_PX + 20) * len(groups), y_range=(0, 1))
    rows, bars = name_rows(plot, groups), []
    for number, (name, colour, value) in enumerate(kinds):
        shares = [100 * sum(value(e) for e in found.layers if e.group == group) for group in groups]
        source = columns(
            y=[row + 0.15 * (1.5 - number) - 0.06 for row in rows], left=[0.0] * len(rows), right=shares,
            group=groups, kind=[name] * len(rows),
        )  # fmt: skip
        bars.append(add_bar(plot, source, colour, 0.14))
    add_hover(plot, bars, [("", "@group"), ("share of @kind", "@right{0.00} %")])
    if all(layer.trace >= 0 for layer in found.layers):
        plot.x_range.start = 0
    plot.xaxis.axis_label = "% of the whole model"
    return Chart(plot, tuple((name, colour, "bar") for name, colour, _ in kinds))


def layers_chart(
    layers: Sequence[str],
    groups: Sequence[str],
    values: Sequence[float],
    label: str,
    tips: Sequence[tuple[str, str, Sequence[str]]],
) -> Chart:
    """A bar for every layer, from input to output, coloured by its group.

    Args:
        layers, groups: a name and a group for each.
        values: heights.
        label: of the axis.
        tips: (caption, column name, texts) that hovering shows besides the layer's name.
    """  # fmt: skip
    plot = new_figure(260)
    bars, legend = [], []
    for group in dict.fromkeys(groups):
        chosen = [index for index, own in enumerate(groups) if own == group]
        texts = {column: [own[i] for i in chosen] for _, column, own in tips}
        source = columns(
            x=chosen, layer=[layers[i] for i in chosen], top=[values[i] for i in chosen], **texts
        )
        bar = plot.vbar(
            x="x", top="top", width=0.86, source=source, fill_color=colour_of(group), line_color=None
        )
        bars.append(bar)
        legend.append((group, colour_of(group), "bar"))
    add_hover(plot, bars, [("", "@layer"), *((caption, f"@{column}") for caption, column, _ in tips)])
    _block_ticks(plot, layers)
    plot.yaxis.axis_label = label
    if min(values, default=0) >= 0:
        plot.y_range.start = 0
    return Chart(plot, tuple(legend))


def _block_ticks(plot: Any, layers: Sequence[str]) -> None:
    """A tick where a block begins; every second or third where there are many."""
    first: dict[str, int] = {}
    for index, layer in enumerate(layers):
        parts = layer.split(".")
        if parts[0] == "blocks" and len(parts) > 1:
            first.setdefault(parts[1], index)
    every = max(1, math.ceil(len(first) / 4))
    shown = {index: f"block {name}" for name, index in first.items() if int(name) % every == 0}
    plot.xaxis.ticker = list(shown)
    plot.xaxis.major_label_overrides = shown
    plot.xgrid.grid_line_color = None


def zeros_chart(zeros: Sequence[LayerZeros]) -> Chart:
    """Share of zeros among each layer's ternary weights, in per cent."""
    shares = [100 * layer.zeros / layer.weights for layer in zeros]
    return layers_chart(
        [z.layer for z in zeros], [z.group for z in zeros], shares, "% zeros",
        [
            ("zeros", "zeros", [f"{z.zeros:,} of {z.weights:,}" for z in zeros]),
            ("share", "share", [f"{share:.1f} %" for share in shares]),
        ],
    )  # fmt: skip


def importance_layers_chart(found: Importance, kind: str) -> Chart:
    """`kind`: ``taylor`` or ``trace``; every layer's share in per cent."""
    layers = found.layers
    taylor = kind == "taylor"
    shares = [100 * (layer.taylor_share if taylor else layer.trace_share) for layer in layers]
    value = [f"{e.taylor:.3g}" if taylor else f"{e.trace:.3g} ± {e.trace_error:.2g}" for e in layers]
    errors = ["" if taylor else f" ± {100 * e.trace_share_error:.2g}" for e in layers]
    return layers_chart(
        [e.layer for e in layers], [e.group for e in layers], shares, "% of the whole model",
        [
            ("share", "share", [f"{own:.2f}{error} %" for own, error in zip(shares, errors, strict=True)]),
            ("sum |g w|" if taylor else "trace", "value", value),
            ("parameters", "parameters", [f"{100 * e.parameter_share:.2f} %" for e in layers]),
        ],
    )  # fmt: skip


def cosines_chart(found: Filters) -> Chart:
    """How many patch filters have which cosine to FP32."""
    import numpy as np

    low = max(-1.0, math.floor(10 * min(found.cosines)) / 10 - 0.1)
    counts, edges = np.histogram(found.cosines, bins=20, range=(low, 1.0))
    plot = new_figure(220, x_range=(low, 1.0))
    source = columns(
        left=edges[:-1], right=edges[1:], top=counts,
        range=[f"{a:.2f} to {b:.2f}" for a, b in itertools.pairwise(edges)],
    )  # fmt: skip
    bar = plot.quad(
        left="left", right="right", top="top", bottom=0, source=source, line_color="white",
        fill_color=colour_of(PATCH_EMBEDDING),
    )  # fmt: skip
    add_hover(plot, [bar], [("cosine", "@range"), ("filters", "@top")])
    plot.xaxis.axis_label, plot.yaxis.axis_label = "cosine to FP32", "filters"
    plot.y_range.start = 0
    return Chart(plot)


def curves_chart(phases: Sequence[Phase], what: str) -> Chart:
    """`what`: ``top1`` or ``loss``, epoch after epoch, phase after phase; the teacher's as a dashed line."""
    logarithmic = what == "loss"
    plot = new_figure(300, y_axis_type="log" if logarithmic else "linear")
    offset, legend = 0, []
    for number, phase in enumerate(map(_thinned, phases)):
        x = [offset + epoch.epoch for epoch in phase.epochs]
        values = [epoch.loss if logarithmic else _percent(epoch.judged) for epoch in phase.epochs]
        colour = _LINES[number % len(_LINES)]
        _curve(plot, phase, x, values, colour)
        legend.append((phase.name, colour, "dot"))
        taught = [_percent(epoch.teacher_top1) for epoch in phase.epochs]
        if not logarithmic and any(value is not None for value in taught):
            plot.line(x, _gaps(taught), line_color=TEACHER, line_dash="dashed", line_width=1.5)
            legend.append(("its teacher", TEACHER, "dashed"))
        offset = max([offset, *x])
    plot.xaxis.axis_label = "epoch"
    judged = "top-1" if any(phase.labelled for phase in phases) else "answers as the teacher's"
    plot.yaxis.axis_label = "loss" if logarithmic else f"{judged} on validation photos, %"
    if logarithmic:
        plot.yaxis.ticker = _decades([epoch.loss for phase in phases for epoch in phase.epochs])
    return Chart(plot, tuple(dict.fromkeys(legend)))


def _thinned(phase: Phase) -> Phase:
    """Every so many epochs, the best and the last."""
    every = max(1, len(phase.epochs) // _POINTS)
    last = len(phase.epochs) - 1
    kept = [
        epoch
        for index, epoch in enumerate(phase.epochs)
        if index % every == 0 or index == last or epoch is phase.best
    ]
    return replace(phase, epochs=tuple(kept))


def _curve(plot: Any, phase: Phase, x: Sequence[int], values: Sequence[float | None], colour: str) -> None:
    """The phase's line, and dots that a pointer finds."""
    epochs = phase.epochs
    source = columns(
        x=x, y=_gaps(values), phase=[phase.name] * len(x), epoch=[e.epoch for e in epochs],
        loss=[_text(e.loss, "{:.4g}") for e in epochs],
        judged=[_text(_percent(e.judged), "{:.2f} %") for e in epochs],
        lr=[_text(e.lr, "{:.3g}") for e in epochs],
        zeros=[_text(_percent(e.zeros), "{:.1f} %") for e in epochs],
    )  # fmt: skip
    line = plot.line("x", "y", source=source, line_color=colour, line_width=2)
    plot.scatter("x", "y", source=source, size=5, color=colour)
    tips = [
        ("", "@phase, epoch @epoch"),
        ("loss", "@loss"),
        ("top-1" if phase.labelled else "as the teacher", "@judged"),
        ("rate", "@lr"),
    ]
    if any(epoch.zeros for epoch in epochs):
        tips.append(("zeros", "@zeros"))
    add_hover(plot, [line], tips, mode="vline", line_policy="nearest", attachment="horizontal")


def _decades(values: Sequence[float | None]) -> list[float]:
    """Ticks 1, 2, 5, 10 … about `values`; whole decades alone where they span many."""
    positive = [value for value in values if value and value > 0]
    if not positive:
        return [1.0]
    first, last = math.floor(math.log10(min(positive))), math.ceil(math.log10(max(positive)))
    steps = (1, 2, 5) if last - first <= 3 else (1,)
    return [step * 10.0**power for power in range(first, last + 1) for step in steps]


def _gaps(values: Sequence[float | None]) -> list[float]:
    return [math.nan if value is None else value for value in values]


def _percent(value: float | None) -> float | None:
    return None if value is None else 100 * value


def _text(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)


def confusion_chart(found: Accuracy, labels: Sequence[str]) -> Chart:
    """Photos by true (down) and predicted class (across); mistakes in another colour than hits."""
    size = len(labels)
    cells = [
        (row, column, count, count / max(1, sum(counts)))
        for row, counts in enumerate(found.confusion)
        for column, count in enumerate(counts)
        if count or size <= _NUMBERED
    ]
    plot = new_figure(
        min(640, max(330, 34 * size + 70)),
        x_range=(-0.5, size - 0.5),
        y_range=(size - 0.5, -0.5),
        x_axis_location="above",
    )  # fmt: skip
    source = columns(
        row=[row for row, _, _, _ in cells], column=[column for _, column, _, _ in cells],
        true=[labels[row] for row, _, _, _ in cells],
        predicted=[labels[column] for _, column, _, _ in cells],
        count=[count for _, _, count, _ in cells], share=[100 * share for _, _, _, share in cells],
        text=[str(count) if count and size <= _NUMBERED else "" for _, _, count, _ in cells],
        colour=["#3b6ea8" if row == column else "#c2572e" for row, column, _, _ in cells],
        alpha=[0.0 if not count else 0.25 + 0.7 * share for _, _, count, share in cells],
        ink=["white" if share > 0.5 else INK for _, _, _, share in cells],
    )  # fmt: skip
    squares = plot.rect(
        x="column", y="row", width=0.94, height=0.94, source=source, fill_color="colour", fill_alpha="alpha",
        line_color=GRID,
    )  # fmt: skip
    plot.text(
        x="column", y="row", text="text", source=source, text_align="center", text_baseline="middle",
        text_color="ink", text_font_size="12px",
    )  # fmt: skip
    add_hover(plot, [squares], [("true", "@true"), ("predicted", "@predicted"), ("photos", "@count"),
                             ("of this class", "@share{0.0} %")])  # fmt: skip
    _class_ticks(plot, [_short(label) for label in labels])
    plot.xaxis.axis_label, plot.yaxis.axis_label = "predicted", "true"
    plot.grid.grid_line_color = None
    return Chart(plot)


def _class_ticks(plot: Any, names: Sequence[str]) -> None:
    """A name at every row and column, as it is: Bokeh would take one in $$ for a formula."""
    from bokeh.models import NoOverlap, PlainText

    for axis in plot.axis:
        axis.ticker = list(range(len(names)))
        axis.major_label_overrides = {index: PlainText(text=name) for index, name in enumerate(names)}
    plot.xaxis.major_label_policy = NoOverlap(min_distance=0)
    if len(names) * max(map(len, names)) > _BESIDE_CHARACTERS:
        plot.xaxis.major_label_orientation = "vertical"


def _short(label: str, longest: int = 12) -> str:
    return label if len(label) <= longest else f"{label[: longest - 1]}…"


def scatter_chart(methods: Sequence[Method]) -> Chart:
    """Accuracy against size: circles are published, a star is measured."""
    plot = new_figure(360, x_axis_type="log")
    kinds = (("published", "circle", 11, "#3b6ea8"), ("measured", "star", 20, "#c2572e"))
    legend, marks = [], []
    for kind, marker, size, colour in kinds:
        chosen = [method for method in methods if method.kind == kind]
        if not chosen:
            continue
        source = columns(
            x=[m.megabytes for m in chosen], y=[100 * m.top1 for m in chosen], name=[m.name for m in chosen],
            size=[size_text(1e6 * m.megabytes) for m in chosen], data=[m.data for m in chosen],
            kind=[m.kind for m in chosen], source=[m.source for m in chosen],
        )  # fmt: skip
        mark = plot.scatter("x", "y", source=source, marker=marker, size=size, color=colour, fill_alpha=0.75)
        marks.append(mark)
        legend.append((kind, colour, "dot" if marker == "circle" else "star"))
    add_hover(plot, marks, [("", "@name"), ("size", "@size"), ("top-1", "@y{0.00} % on @data"),
                         ("@kind", "@source")])  # fmt: skip
    plot.xaxis.axis_label, plot.yaxis.axis_label = "megabytes, logarithmic", "top-1, %"
    plot.xaxis.ticker = [0.1, 0.3, 1, 3, 10, 30, 100]
    return Chart(plot, tuple(legend))


def boards_chart(boards: Sequence[BoardFit]) -> Chart:
    """Modelled milliseconds of one image on every board that it fits, step after step."""
    from bokeh.palettes import Category20

    fitting = [board for board in boards if board.milliseconds]
    names = list(dict.fromkeys(name for board in fitting for name, _ in board.steps))
    colours = {name: Category20[20][number % 20] for number, name in enumerate(names)}
    plot = new_figure(AXIS_PX + BAR_PX * len(fitting), y_range=(0, 1))
    rows = name_rows(plot, [f"{board.board}, {board.milliseconds:.1f} ms" for board in fitting])
    left, bars = [0.0] * len(rows), []
    for name in names:
        times = [dict(board.steps).get(name, 0.0) for board in fitting]
        right = [start + time for start, time in zip(left, times, strict=True)]
        source = columns(
            y=rows,
            left=left,
            right=right,
            ms=times,
            step=[name] * len(rows),
            board=[b.board for b in fitting],
        )
        bars.append(add_bar(plot, source, colours[name], 0.46))
        left = right
    add_hover(plot, bars, [("", "@step, @board"), ("milliseconds", "@ms{0.00}")])
    plot.x_range.start = 0
    plot.xaxis.axis_label = "milliseconds of one image, modelled"
    return Chart(plot, tuple((name, colours[name], "bar") for name in _biggest(fitting, names)))


def _biggest(boards: Sequence[BoardFit], names: Sequence[str], shown: int = 8) -> list[str]:
    """The steps that the legend names, in order; hovering names all."""
    sums = {name: sum(dict(board.steps).get(name, 0.0) for board in boards) for name in names}
    chosen = set(sorted(names, key=lambda name: -sums[name])[:shown])
    return [name for name in names if name in chosen]


def frequent_confusions(
    found: Accuracy, labels: Sequence[str], shown: int = 12
) -> Iterator[tuple[str, str, int]]:
    """(true, predicted, photos) of the most frequent mistakes."""
    wrong = [
        (count, row, column)
        for row, counts in enumerate(found.confusion)
        for column, count in enumerate(counts)
        if count and row != column
    ]
    for count, row, column in sorted(wrong, key=lambda entry: (-entry[0], entry[1], entry[2]))[:shown]:
        yield labels[row], labels[column], count
