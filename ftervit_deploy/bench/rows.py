"""What was found for one kernel."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Arithmetic = Literal["fp32", "int8", "t2", "t5"]
Kind = Literal["measured", "modelled", "published"]
PRODUCT, STEP = "product", "step"


@dataclass(frozen=True)
class Row:
    """One kernel on one layer.

    Attributes:
        kernel: what ran, in words.
        arithmetic: of the weights.
        does: ``product`` alone, or the whole ``step`` with requantisation and what follows it.
        seconds: of the layer.
        kind: where the figure is from.
        cores: that shared the work.
        cycles: of the busier core; None where nobody counted them.
        tokens: that were computed; where a board has no memory for all, `seconds` is scaled up.
        right: False where a board's results are not the host's.
        source: of a published figure.
        name: of a board's kernel, as BENCH takes it.
    """

    kernel: str
    arithmetic: Arithmetic
    does: str
    seconds: float
    kind: Kind
    cores: int
    cycles: float | None
    tokens: int
    right: bool = True
    source: str = ""
    name: str = ""

    def macs_per_cycle(self, macs: int) -> float | None:
        """Of one core."""
        return None if not self.cycles else macs / self.cores / self.cycles


def ratio_of(row: Row, rows: Iterable[Row]) -> float | None:
    """How many times faster than the fastest FP32 of the same place; than published ones if it has none."""
    floats = [other for other in rows if other.arithmetic == "fp32"]
    like = [other for other in floats if (other.kind == "published") == (row.kind == "published")]
    seconds = [other.seconds for other in like or floats]
    return min(seconds) / row.seconds if seconds and row.seconds else None
