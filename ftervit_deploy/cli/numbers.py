"""Numbers that users type: finite, and no larger than what they are for."""

from __future__ import annotations

import math
from typing import Any

import click

from ..train.settings import MOST_BATCH, MOST_EPOCHS, MOST_SEED

MOST_DIGITS = 20
"""Of a whole number; no bound of ours has more."""


class FiniteRange(click.FloatRange):
    """A real number within bounds; unlike click's, NaN is none, nor is infinity."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See `click.ParamType`."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


class WholeRange(click.IntRange):
    """A whole number within two bounds; one of thousands of digits is not repeated."""

    def __init__(self, least: int, most: int) -> None:
        super().__init__(least, most)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See `click.ParamType`."""
        if isinstance(value, str) and len(value) > MOST_DIGITS:
            self.fail(f"{value[:MOST_DIGITS]!r}… has too many digits: at most {self.max} serves.", param, ctx)
        return super().convert(value, param, ctx)


class Listed(click.ParamType):  # type: ignore[type-arg]  # generic in new versions of click alone
    """Whole numbers with commas between them, as a tuple.

    Args:
        kind: of each.
        example: what they are, and two of them, for errors.
    """

    name = "list"

    def __init__(self, kind: WholeRange, example: str) -> None:
        self.kind, self.example = kind, example

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See `click.ParamType`."""
        parts = value.split(",")
        if not all(part.isascii() and part.isdigit() for part in parts):
            self.fail(f"{value!r} is no list of {self.example}.", param, ctx)
        return tuple(self.kind.convert(part, param, ctx) for part in parts)


POSITIVE = FiniteRange(0, min_open=True)
SHARE = FiniteRange(0, 1, max_open=True)
"""0 is allowed, 1 is not."""
PART = FiniteRange(0, 1, min_open=True, max_open=True)
"""Neither is."""
SEED = WholeRange(0, MOST_SEED)
EPOCHS = WholeRange(1, MOST_EPOCHS)
EPOCHS_OR_NONE = WholeRange(0, MOST_EPOCHS)
EPOCHS_LISTED = Listed(EPOCHS, "epochs such as 40,80")
SEEDS_LISTED = Listed(SEED, "seeds such as 1,2")
BATCH = WholeRange(2, MOST_BATCH)
THREADS = WholeRange(0, 1024)
MEGABYTES = WholeRange(1, 1_000_000_000)
PHOTOS = WholeRange(1, 1_000_000_000_000)
