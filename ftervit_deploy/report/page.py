"""A report as one HTML file: template, style, charts and pictures inlined; it asks the network for nothing.

What a hostile label or file name holds stays text: the template escapes, chart data is JSON that cannot
end its element, and the page's own policy runs no script but the two that were put in here.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import io
import json
import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from ..files import FileError
from ..resources import templates_folder
from . import charts
from .accuracy import LARGEST_MATRIX
from .contents import Accuracy, Filters, Importance, LayerShare, Missing, Picture, Report
from .figures import Chart, size_text

MOST_BYTES = 2_000_000
"""The largest page."""
_PHOTOS = ((78, 1.0), (60, 0.75), (45, 0.5))
"""Quality of photos (WebP) and share of their side that is kept; the first to make the page small enough."""


def page_problem() -> str:
    """Why no page can be made here, in a sentence; empty where it can."""
    if importlib.util.find_spec("bokeh") is None:
        return "The charts need Bokeh, which is not installed."
    return ""


def render(report: Report) -> bytes:
    """The page, UTF-8.

    Raises:
        FileError: it would be larger than MOST_BYTES, even with small photos.
    """
    for quality, scale in _PHOTOS:
        page = _rendered(report, partial(picture_uri, quality=quality, scale=scale))
        if len(page) <= MOST_BYTES:
            return page
    raise FileError(
        f"The page would have {len(page):,} bytes, more than {MOST_BYTES:,}.",
        "Give fewer photos, or --no-photos.",
    )


def _rendered(report: Report, picture: Callable[[Picture], str]) -> bytes:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    folder = templates_folder() / "report"
    environment = Environment(
        loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(picture=picture, pixels=pixels_uri, size=size_text, percent=_percent)
    start = (folder / "start.js").read_text("utf-8")
    drawn = dict(_charts(report))
    library, items = _library(), [_item(name, chart.plot) for name, chart in drawn.items()]
    context = {
        "report": report,
        "parts": {name: part for name, part in report.parts() if isinstance(part, Missing)},
        "drawn": drawn,
        "groups": _groups(report.importance),
        "confusions": _confusions(report),
        "style": Markup((folder / "style.css").read_text("utf-8")),
        "library": Markup(library),
        "start": Markup(start),
        "chart_data": Markup(_as_data(items)),
        "policy": _policy(library, start),
        "full": report.sizes.formats[0].bytes / report.sizes.formats[-1].bytes,
    }
    return environment.get_template("page.html.j2").render(context).encode("utf-8", "replace")


def _charts(report: Report) -> Iterator[tuple[str, Chart]]:
    """(element of the page, chart) of everything that can be drawn."""
    yield "bytes", charts.bytes_chart(report.sizes)
    yield "bytes-reference", charts.bytes_chart(report.reference)
    yield "zeros", charts.zeros_chart(report.zeros)
    if isinstance(report.filters, Filters) and report.filters.cosines:
        yield "cosines", charts.cosines_chart(report.filters)
    if isinstance(report.importance, Importance):
        yield "importance-groups", charts.importance_groups_chart(report.importance)
        yield "importance-taylor", charts.importance_layers_chart(report.importance, "taylor")
        yield "importance-trace", charts.importance_layers_chart(report.importance, "trace")
    if not isinstance(report.student_phases, Missing):
        yield "curves-top1", charts.curves_chart(report.student_phases, "top1")
        yield "curves-loss", charts.curves_chart(report.student_phases, "loss")
    if report.teacher_phases:
        yield "curves-teacher", charts.curves_chart(report.teacher_phases, "top1")
    accuracy = report.accuracy
    if isinstance(accuracy, Accuracy) and accuracy.confusion and len(report.labels) <= LARGEST_MATRIX:
        yield "confusion", charts.confusion_chart(accuracy, report.labels)
    yield "scatter", charts.scatter_chart(report.methods)
    if any(board.milliseconds for board in report.boards):
        yield "boards", charts.boards_chart(report.boards)


def _item(name: str, plot: Any) -> Any:
    from bokeh.embed import json_item

    return json_item(plot, f"chart-{name}")


def _groups(found: Importance | Missing) -> list[tuple[str, float, float, float, float, float]]:
    """(group, shares of parameters, of Taylor's two sums and of the trace, the latter's error); 1 is all."""
    if isinstance(found, Missing):
        return []
    groups: dict[str, list[LayerShare]] = {}
    for layer in found.layers:
        groups.setdefault(layer.group, []).append(layer)
    return [
        (
            group, sum(e.parameter_share for e in own), sum(e.taylor_share for e in own),
            sum(e.taylor_squared_share for e in own), sum(e.trace_share for e in own),
            math.hypot(*(e.trace_share_error for e in own)),
        )
        for group, own in groups.items()
    ]  # fmt: skip


def _confusions(report: Report) -> list[tuple[str, str, int]]:
    accuracy = report.accuracy
    if not isinstance(accuracy, Accuracy) or not accuracy.confusion:
        return []
    return list(charts.frequent_confusions(accuracy, report.labels))


def _library() -> str:
    """Bokeh's own script, as its package carries it, fit to stand within a script element."""
    from bokeh.resources import Resources

    parts = Resources(mode="inline", minified=True, components=["bokeh"], log_level="error").js_raw
    return "\n".join(parts).replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _as_data(value: object) -> str:
    """JSON that cannot end the script element it stands in, nor begin a comment."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _policy(*scripts: str) -> str:
    """A Content-Security-Policy under which these scripts run and no other, and nothing is fetched."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def picture_uri(picture: Picture, quality: int = 78, scale: float = 1.0) -> str:
    """A photo as a data URI: WebP of that quality, its sides times `scale`."""
    from PIL import Image

    if scale < 1.0:
        height, width = (max(1, round(side * scale)) for side in picture.shape[:2])
        picture = np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC))
    return _uri(picture, "WEBP", "image/webp", quality=quality, method=5)


def pixels_uri(picture: Picture) -> str:
    """A few pixels as a data URI, exactly: PNG."""
    return _uri(picture, "PNG", "image/png", optimize=True)


def _uri(picture: Picture, kind: str, mime: str, **options: Any) -> str:
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(picture).save(content, kind, **options)
    return f"data:{mime};base64,{base64.b64encode(content.getvalue()).decode()}"


def _percent(fraction: float, digits: int = 1) -> str:
    return f"{100 * fraction:.{digits}f} %"
