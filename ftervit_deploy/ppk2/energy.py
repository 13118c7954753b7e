"""Millijoules of what a trigger marks."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import EnergyError
from .samples import SAMPLES_PER_S, Recording

SHORTEST_SAMPLES = 5
"""A shorter pulse, or gap in one, is a disturbance of the line."""
_MOST_BUSY = 0.01
"""Share of an idle recording in which the trigger may be high."""


@dataclass(frozen=True)
class Energy:
    """Of pulses.

    Attributes:
        each_mj: all of the board's energy in a pulse, millijoules.
        each_samples: length of a pulse.
        idle_milliwatts: what the board takes anyway.
    """

    each_mj: tuple[float, ...]
    each_samples: tuple[int, ...]
    idle_milliwatts: float

    @property
    def count(self) -> int:
        """Pulses."""
        return len(self.each_mj)

    @property
    def samples(self) -> int:
        """In all pulses."""
        return sum(self.each_samples)

    @property
    def seconds(self) -> float:
        """Mean length of a pulse."""
        return statistics.fmean(self.each_samples) / SAMPLES_PER_S

    @property
    def millijoules(self) -> float:
        """Mean of a pulse."""
        return statistics.fmean(self.each_mj)

    @property
    def above_idle_mj(self) -> float:
        """The same, less what the board takes anyway."""
        return self.millijoules - self.idle_milliwatts * self.seconds

    @property
    def deviation_mj(self) -> float:
        """Standard deviation of a pulse's energy; 0 for a single one."""
        return statistics.stdev(self.each_mj) if self.count > 1 else 0.0

    @property
    def milliwatts(self) -> float:
        """Mean power in the pulses."""
        return sum(self.each_mj) * SAMPLES_PER_S / self.samples


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
        for start, stop in itertools.pairwise(bounds)
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


def idle_milliwatts(recording: Recording, channel: int) -> float:
    """Mean power of a board that does nothing.

    Raises:
        EnergyError: its trigger is high.
    """
    if recording.is_high(channel).mean() > _MOST_BUSY:
        raise EnergyError(
            f"D{channel} is high although the board is idle.",
            f"Connect the board's trigger pin to D{channel} of the PPK2, and its logic port's VCC to 3.3 V.",
        )
    return float(recording.milliwatts.mean())


def energy_of(recording: Recording, channel: int, expected: int, idle: float) -> Energy:
    """Energy of the pulses on input D`channel`.

    Args:
        expected: how many there must be.
        idle: milliwatts that the board takes anyway.

    Raises:
        EnergyError: there are others.
    """
    found = pulses(recording.is_high(channel))
    if len(found) != expected:
        raise EnergyError(
            f"The trigger on D{channel} went high {len(found)} times instead of {expected}.",
            f"Connect the board's trigger pin to D{channel} of the PPK2, and its logic port's VCC to 3.3 V.",
        )
    power = recording.milliwatts
    millijoules = [float(power[start:stop].sum()) / SAMPLES_PER_S for start, stop in found]
    return Energy(tuple(millijoules), tuple(stop - start for start, stop in found), idle)


def joined(energies: Iterable[Energy]) -> Energy:
    """All of their pulses; idle power is the mean."""
    several = list(energies)
    return Energy(
        tuple(value for energy in several for value in energy.each_mj),
        tuple(value for energy in several for value in energy.each_samples),
        statistics.fmean(energy.idle_milliwatts for energy in several),
    )
