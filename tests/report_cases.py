"""Reports to draw: the bundled model with everything that can be had, and one full of hostile names."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from ftervit_deploy.report import Report, Request, gather, open_subject
from ftervit_deploy.report.contents import (
    Accuracy,
    Epoch,
    FilterPair,
    Filters,
    Importance,
    LayerShare,
    Look,
    Phase,
    Rollout,
    WorstPhoto,
)
from ftervit_deploy.report.onboards import named_boards

HOSTILE = (
    "</script><script>window.pwned=1</script>",
    "<img src=x onerror=window.pwned=1>",
    '" onmouseover="window.pwned=1',
    "{{ 7*7 }}<!--<script>",
    "@{predicted}{safe} %F0 &lt;b&gt;",
)


@lru_cache(maxsize=1)
def bundled() -> Report:
    """The hand signs: curves are there, teacher and data are not."""
    request = Request(boards=named_boards(["esp32s3-eye"]), probes=1, importance_photos=2)
    return gather(open_subject("signs"), request)


def hostile() -> Report:
    """A report whose every part is there, and whose every name tries to be more than a name."""
    base = bundled()
    a, b, c, d, e = HOSTILE
    picture = np.zeros((8, 8, 3), np.uint8)
    labels = HOSTILE
    confusion = tuple(tuple(5 if i == j else int(j == (i + 1) % 5) for j in range(5)) for i in range(5))
    layers = tuple(
        LayerShare(name, group, 10, 0.2, 1.0, 0.2, 1.0, 0.2, 2.0, 0.1, 0.2, 0.01)
        for name, group in zip(HOSTILE, ("head", "mlp", b, "attention", "LayerNorm"), strict=True)
    )
    return replace(
        base,
        name=a,
        facts=((b, c), (d, e)),
        labels=labels,
        filters=Filters((0.5, 0.9), (FilterPair(0, picture, picture, 0.5),), (), 0.9, b),
        importance=Importance(a, b, 1, 2, layers),
        rollout=Rollout((Look(a, picture, picture, picture, 0.5),), b),
        student_phases=(Phase(a, (Epoch(1, 0.5, 0.4, 0.9, 1e-3, 0.3), Epoch(2, 0.4, 0.5, 0.9, 1e-3, 0.3))),),
        teacher_phases=(Phase(b, (Epoch(1, 0.5, None, None, None, None),)),),
        accuracy=Accuracy(30, 0.8, 1.0, a, b, confusion, (WorstPhoto(a, picture, b, c, 0.9, 0.1),), d),
        methods=(*base.methods, replace(base.methods[0], name=a, source=b, data=c, kind="measured")),
        methods_note=e,
        boards=(
            replace(base.boards[0], board=b),
            replace(base.boards[0], board=c, problem=a, milliseconds=None),
        ),
    )
