"""Energy, measured by a Nordic Power Profiler Kit II while the board's trigger pin is high."""

from __future__ import annotations

from .energy import Energy, energy_of, idle_milliwatts, joined, pulses
from .instrument import MILLIVOLTS, Ppk2, check_package
from .samples import SAMPLES_PER_S, Recording

__all__ = [
    "MILLIVOLTS",
    "SAMPLES_PER_S",
    "Energy",
    "Ppk2",
    "Recording",
    "check_package",
    "energy_of",
    "idle_milliwatts",
    "joined",
    "pulses",
]
