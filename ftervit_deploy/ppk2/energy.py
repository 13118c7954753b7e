"""Millijoules of what a trigger marks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import EnergyError
from .samples import SAMPLES_PER_S, Recording

SHORTEST_SAMPLES = 5
"""A shorter pulse, or gap in one, is a disturbance of the line."""
GUARD_SAMPLES = 200
"""Around a pulse, that count as neither idle nor busy: capacitors fill and empty."""
LEAST_IDLE_SAMPLES = 1000


@dataclass(frozen=True)
class Energy:
    """Of `count` pulses.

    Attributes:
        millijoules: mean of a pulse, all of the board's power.
        above_idle_mj: the same less what the board takes anyway.
        deviation_mj: standard deviation of `millijoules`; 0 for a single pulse.
        milliwatts: mean power while the trigger is high.
        idle_milliwatts: mean power while it is low.
        seconds: mean length of a pulse.
        count: pulses.
        samples: that lie in them.
    """

    millijoules: float
    above_idle_mj: float
    deviation_mj: float
    milliwatts: float
    idle_milliwatts: float
    seconds: float
    count: int
    samples: int


def pulses(high: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Whole pulses as (first sample, sample after the last); what the recording cuts off is none.

    Args:
        high: [N].
    """
    padded = np.concatenate([high[:1], high, high[-1:]]).astype(np.int8)
    edges = np.flatnonzero(np.diff(padded)) if len(high) else np.empty(0, np.int64)
    bounds = np.concatenate([[0], edges, [len(high)]])
    runs = [
        [int(start), int(stop), bool(high[start])]
        for start, stop in zip(bounds, bounds[1:], strict=False)
        if stop > start
    ]
    merged = _without_disturbances(runs)
    return [(start, stop) for start, stop, up in merged if up and start > 0 and stop < len(high)]


def _without_disturbances(runs: list[list[int]]) -> list[list[int]]:
    """Runs that are too short belong to the one before."""
    merged: list[list[int]] = []
    for start, stop, up in runs:
        if merged and (stop - start < SHORTEST_SAMPLES or merged[-1][2] == up):
            merged[-1][1] = stop
        else:
            merged.append([start, stop, up])
    return merged


def energy_of(recording: Recording, channel: int, expected: int) -> Energy:
    """Energy of the pulses on input D`channel`.

    Args:
        expected: how many there must be.

    Raises:
        EnergyError: there are others, or the board was never idle.
    """
    found = pulses(recording.is_high(channel))
    if len(found) != expected:
        raise EnergyError(
            f"The trigger on D{channel} went high {len(found)} times instead of {expected}.",
            f"Connect the board's trigger pin to D{channel} of the PPK2, and its logic port's VCC to 3.3 V.",
        )
    power = recording.milliwatts
    idle = float(power[_idle(len(power), found)].mean()) if _is_idle(len(power), found) else None
    if idle is None:
        raise EnergyError("The board was never idle while it was measured.", "Measure again.")
    joules = np.array([power[start:stop].sum() / SAMPLES_PER_S for start, stop in found])
    lengths = np.array([stop - start for start, stop in found])
    return Energy(
        millijoules=float(joules.mean()),
        above_idle_mj=float((joules - idle * lengths / SAMPLES_PER_S).mean()),
        deviation_mj=float(joules.std(ddof=1)) if len(found) > 1 else 0.0,
        milliwatts=float(joules.sum() * SAMPLES_PER_S / lengths.sum()),
        idle_milliwatts=idle,
        seconds=float(lengths.mean() / SAMPLES_PER_S),
        count=len(found),
        samples=int(lengths.sum()),
    )


def _idle(count: int, found: list[tuple[int, int]]) -> npt.NDArray[np.bool_]:
    idle = np.ones(count, bool)
    for start, stop in found:
        idle[max(start - GUARD_SAMPLES, 0) : stop + GUARD_SAMPLES] = False
    return idle


def _is_idle(count: int, found: list[tuple[int, int]]) -> bool:
    return int(_idle(count, found).sum()) >= LEAST_IDLE_SAMPLES
