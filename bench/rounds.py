"""What rounds say in which every contestant runs once: medians of ratios."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Round:
    """Every contestant's turn, one after the other.

    Attributes:
        seconds: per image, by contestant.
        others: share of the machine that went to other work meanwhile, 0 to 1.
    """

    seconds: Mapping[str, float]
    others: float


@dataclass(frozen=True)
class Standing:
    """One contestant over all rounds that count.

    Attributes:
        seconds: median per image.
        ratio: median over the rounds of its seconds by ours; above 1, ours is faster.
        quartiles: first and third of those ratios.
    """

    seconds: float
    ratio: float
    quartiles: tuple[float, float]


def quietest(rounds: Sequence[Round]) -> list[Round]:
    """The half (rounded up) in which other work took least: chosen by that alone, not by the outcome."""
    return sorted(rounds, key=lambda round_: round_.others)[: (len(rounds) + 1) // 2]


def standings(rounds: Sequence[Round], ours: str) -> dict[str, Standing]:
    """By contestant; each must be in every round, as must `ours`."""
    return {name: _standing(rounds, name, ours) for name in rounds[0].seconds}


def _standing(rounds: Sequence[Round], name: str, ours: str) -> Standing:
    ratios = [round_.seconds[name] / round_.seconds[ours] for round_ in rounds]
    return Standing(
        statistics.median(round_.seconds[name] for round_ in rounds),
        statistics.median(ratios),
        _quartiles(ratios),
    )


def _quartiles(values: Sequence[float]) -> tuple[float, float]:
    if len(values) == 1:
        return values[0], values[0]
    first, _, third = statistics.quantiles(values, n=4, method="inclusive")
    return first, third


def fastest_peer(found: Mapping[str, Standing], ours: str) -> str | None:
    """The contestant other than `ours` with the smallest ratio."""
    peers = [name for name in found if name != ours]
    return min(peers, key=lambda name: found[name].ratio, default=None)
