"""Pictures of results, drawn by Matplotlib (`pip install ftervit[plot]`)."""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import FtervitError
from .files import write_atomic

if TYPE_CHECKING:
    from .estimate import Estimate
    from .plan import Price

SUFFIXES = (".png", ".svg", ".pdf")
_USED, _FREE, _OVER = "#3b6ea8", "#d9dee5", "#b5403f"


class ChartError(FtervitError):
    """A picture cannot be drawn."""


def check_chart(path: Path, coming: Path | None = None) -> None:
    """Whether a picture can be drawn to `path`, before any work is done for it.

    Args:
        path: the picture.
        coming: a folder that will be made before the picture is drawn.

    Raises:
        ChartError: another kind of file, no such folder, or no Matplotlib.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ChartError(
            f"{path} is none of {', '.join(SUFFIXES)}.", "Name a file with one of these endings."
        )
    if not path.parent.is_dir() and path.parent != coming:
        raise ChartError(f"There is no folder {path.parent}.", "Make it, or name another.")
    if importlib.util.find_spec("matplotlib") is None:
        raise ChartError("--plot needs Matplotlib, which is not installed.", 'pip install "ftervit[plot]"')


def draw_estimate(found: Estimate, path: Path) -> None:
    """Milliseconds of every kind of step, and the memories, as one picture.

    Raises:
        ChartError: see `check_chart`.
        FileError: it cannot be written.
    """
    check_chart(path)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6.5), layout="constrained")
    top, bottom = figure.subplots(2, 1, height_ratios=(4, 1))
    figure.suptitle(_title(found), fontsize=12)
    _draw_steps(top, found.prices)
    _draw_memories(bottom, found)
    _save(figure, path)


def _title(found: Estimate) -> str:
    what = f"{found.subject.name} on {found.board.name}"
    if not found.prices:
        return f"{what}: does not fit"
    verdict = "" if found.fits else ", does not fit"
    return f"{what}: {1000 * found.seconds:,.0f} ms an image (modelled){verdict}"


_PARTS: tuple[tuple[str, str, Callable[[Price], float]], ...] = (
    ("computing", "#3b6ea8", lambda price: price.compute_s),
    ("for weights, copies", "#d98e32", lambda price: price.weights_s + price.copies_s - price.hidden_s),
    ("for memory", "#b5403f", lambda price: price.waits_s),
    ("sharing out work", "#8a8a8a", lambda price: price.dispatch_s),
)


def _draw_steps(axes: Any, prices: Sequence[Price]) -> None:
    kinds = list(dict.fromkeys(price.step.name for price in prices))
    ends = [0.0] * len(kinds)
    for label, colour, part in _PARTS:
        sums = [sum(1000 * part(price) for price in prices if price.step.name == kind) for kind in kinds]
        axes.barh(kinds, sums, left=ends, color=colour, label=label)
        ends = [end + more for end, more in zip(ends, sums, strict=True)]
    for kind, end in zip(kinds, ends, strict=True):
        axes.text(end, kind, f" {end:.1f}", va="center", fontsize=8)
    axes.invert_yaxis()
    axes.margins(x=0.08)
    axes.set_xlabel("milliseconds of one image, all blocks")
    if kinds:
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(_PARTS), frameon=False)
    _plain(axes)


def _draw_memories(axes: Any, found: Estimate) -> None:
    for name, used, size in _memories(found):
        share = min(used / size, 1.0) if size else 1.0
        axes.barh([name], [1.0], color=_FREE)
        axes.barh([name], [share], color=_USED if used <= size else _OVER)
        axes.text(1.0, name, f" {used:,} of {size:,} bytes", va="center", fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.45)
    axes.set_xticks([])
    _plain(axes)


def _memories(found: Estimate) -> list[tuple[str, int, int]]:
    board = found.board
    room = (
        found.flash.model.size
        if found.flash
        else board.partitions.usable_bytes - board.partitions.app_min_bytes
    )
    rows = [("flash, model", found.subject.image_bytes, room)]
    if found.memory is not None:
        rows.append(("SRAM, arena", found.memory.near_bytes, board.memory.arena_bytes))
        if board.memory.heap_bytes:
            rows.append(("SRAM, heap", found.memory.spare_bytes, board.memory.heap_bytes))
        if board.psram is not None:
            rows.append(("PSRAM", found.far_bytes, board.psram.size_bytes))
    return rows


_CURVE_COLOURS = ("#3b6ea8", "#b5403f", "#d98e32", "#8a8a8a")


def draw_curves(phases: Mapping[str, Sequence[Mapping[str, Any]]], path: Path) -> None:
    """Loss, top-1 and zeros of the phases of a training run, one after the other, as one picture.

    Args:
        phases: epoch lines of each phase's ``log.jsonl``, by the phase's name, in order.
        path: the picture.

    Raises:
        ChartError: see `check_chart`.
        FileError: it cannot be written.
    """
    check_chart(path)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 7), layout="constrained")
    losses, right, zeros = figure.subplots(3, 1, height_ratios=(3, 3, 1), sharex=True)
    first, by_labels = 0, set[bool]()
    for (name, epochs), colour in zip(phases.items(), _CURVE_COLOURS, strict=False):
        numbers = [first + int(line["epoch"]) for line in epochs]
        _curve(losses, numbers, epochs, "loss", label=name, color=colour)
        labelled = any(line.get("val_top1") is not None for line in epochs)
        by_labels.add(labelled)
        if labelled:
            _curve(right, numbers, epochs, "val_top1", color=colour)
        else:
            _curve(right, numbers, epochs, "val_agreement", color=colour, linestyle="--")
        _curve(right, numbers, epochs, "teacher_top1", color=colour, linestyle=":")
        _curve(zeros, numbers, epochs, "zero_fraction", color=colour)
        first = numbers[-1] if numbers else first
    losses.set_yscale("log")
    losses.set_ylabel("loss, nats")
    judged = {True: "validation top-1\n(dotted: teacher)", False: "as the teacher's\n(dashed)"}
    right.set_ylabel(",\n".join(judged[labelled] for labelled in sorted(by_labels, reverse=True)))
    zeros.set_ylabel("zeros")
    zeros.set_xlabel("epochs")
    if phases:
        losses.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(phases), frameon=False)
    for axes in (losses, right, zeros):
        _plain(axes)
    _save(figure, path)


def _curve(
    axes: Any, numbers: Sequence[int], epochs: Sequence[Mapping[str, Any]], name: str, **look: Any
) -> None:
    points = [(n, line[name]) for n, line in zip(numbers, epochs, strict=True) if line.get(name) is not None]
    if points:
        axes.plot(*zip(*points, strict=True), **look)


@dataclass(frozen=True)
class Curve:
    """A student of a comparison as it was trained.

    Attributes:
        name: of the student.
        group: of rows, each of which has axes of its own.
        points: (epochs trained, top-1 on the validation photos from 0 to 1), in order.
        recovery_epochs: how many of the last points are of the recovery.
    """

    name: str
    group: str
    points: tuple[tuple[int, float], ...]
    recovery_epochs: int


@dataclass(frozen=True)
class Placed:
    """A model as a point: bytes, and top-1 from 0 to 1."""

    name: str
    bytes: int
    top1: float


def draw_comparison(curves: Sequence[Curve], models: Sequence[Placed], path: Path) -> None:
    """Top-1 of every student after every epoch, group by group, and accuracy against size, as one picture.

    Args:
        curves: of the students.
        models: the points of accuracy against size.
        path: the picture.

    Raises:
        ChartError: see `check_chart`.
        FileError: it cannot be written.
    """
    check_chart(path)
    from matplotlib.figure import Figure

    groups = list(dict.fromkeys(curve.group for curve in curves))
    figure = Figure(figsize=(9, 4 * (len(groups) + 1)), layout="constrained")
    *axes, last = figure.subplots(len(groups) + 1, 1, squeeze=False)[:, 0]
    for own, group in zip(axes, groups, strict=True):
        _draw_group(own, group, [curve for curve in curves if curve.group == group])
    _draw_sizes(last, models)
    _save(figure, path)


def _draw_group(axes: Any, group: str, curves: Sequence[Curve]) -> None:
    from matplotlib import colormaps

    colours = colormaps["tab10"].colors  # type: ignore[attr-defined]
    for curve, colour in zip(curves, itertools.cycle(colours), strict=False):
        first = len(curve.points) - curve.recovery_epochs
        x = [epoch for epoch, _ in curve.points]
        y = [100 * top1 for _, top1 in curve.points]
        axes.plot(x[: first + 1], y[: first + 1], color=colour, label=curve.name, linewidth=1.3)
        axes.plot(x[first:], y[first:], color=colour, marker="o", markersize=3, linewidth=1.3)
    axes.set_title(f"{group}; dots: recovery", fontsize=11)
    axes.set_ylabel("top-1 on validation photos, %")
    axes.set_xlabel("epochs")
    axes.xaxis.get_major_locator().set_params(integer=True)
    tops = sorted(100 * top1 for curve in curves for _, top1 in curve.points)
    if tops:
        axes.set_ylim(bottom=tops[len(tops) // 10] - 2)
    axes.grid(axis="y", color=_FREE, linewidth=0.8)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8)
    _plain(axes)


def _draw_sizes(axes: Any, models: Sequence[Placed]) -> None:
    from matplotlib.ticker import LogLocator, NullLocator

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel("kilobytes, logarithmic")
    axes.set_ylabel("top-1, %")
    axes.margins(x=0.15, y=0.15)
    axes.grid(axis="y", color=_FREE, linewidth=0.8)
    _plain(axes)
    points = [(model.bytes / 1000, 100 * model.top1) for model in models]
    axes.scatter(*zip(*points, strict=True), color=_USED)
    _name_points(axes, points, [model.name for model in models])


_BESIDE = tuple(
    {"xytext": (sign * 6, height), "ha": "left" if sign > 0 else "right", "va": "center"}
    for height in (0, 9, -9, 18, -18)
    for sign in (1, -1)
)
"""Where a point's name may stand, in points from it, the best place first."""


def _name_points(axes: Any, points: Sequence[tuple[float, float]], names: Sequence[str]) -> None:
    """Write every point's name beside it, off the other points and the names that stand already."""
    from matplotlib.transforms import Bbox

    axes.figure.draw_without_rendering()  # so that the axes have their place and limits
    dots = axes.transData.transform(points)
    taken = [Bbox.from_bounds(x - 3, y - 3, 6, 6) for x, y in dots]
    for name, point in zip(names, points, strict=True):
        for place in _BESIDE:
            label = axes.annotate(name, point, fontsize=8, textcoords="offset points", **place)
            extent = label.get_window_extent()
            if not extent.count_overlaps(taken):
                break
            if place is not _BESIDE[-1]:
                label.remove()
        taken.append(extent)


def _plain(axes: Any) -> None:
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_axisbelow(True)


def _save(figure: Any, path: Path) -> None:
    import io

    from matplotlib import rc_context

    content, kind = io.BytesIO(), path.suffix.lower()[1:]
    dateless = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
    with rc_context({"svg.hashsalt": "ftervit"}):  # the same drawing has the same bytes
        figure.savefig(content, format=kind, dpi=150, metadata=dateless)
    write_atomic(path, content.getvalue())
