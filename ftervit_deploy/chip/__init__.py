"""The ESP32-S3's kernels on this computer: their C natively, their assembly in the LX7 model.

Slow, but the chip's own code to the last instruction: what it computes is checked bit for bit, and its
modelled cycles are what `ftervit estimate` and `ftervit bench` report.
"""

from __future__ import annotations

from .cycles import ChipCycles, chip_cycles
from .kernels import ChipKernels, Count
from .operands import MadeUpModel

__all__ = ["ChipCycles", "ChipKernels", "Count", "MadeUpModel", "chip_cycles"]
