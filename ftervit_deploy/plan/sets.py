"""Which set of kernels a chip gets."""

from __future__ import annotations

from ..architecture import Architecture
from ..boards.chips import CHIPS
from .kernels import KernelSet, rendered_kernels
from .vector import vector_kernels


def kernels_of(chip: str, a: Architecture, encoding: str) -> KernelSet:
    """The set that firmware for a chip (ESP-IDF's target name) has."""
    return vector_kernels(a) if CHIPS[chip].vector else rendered_kernels(a, encoding)
