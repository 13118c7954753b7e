"""One self-contained page about a model: what it holds, what it reached, why its layers matter.

`gather` reads and computes, without a line of HTML; `render` makes the page of what it found. A part
that cannot be had is a `Missing` that says why.
"""

from __future__ import annotations

from .contents import Missing, Report
from .gather import Request, gather
from .page import page_problem, render
from .subject import Subject, open_subject

__all__ = ["Missing", "Report", "Request", "Subject", "gather", "open_subject", "page_problem", "render"]
