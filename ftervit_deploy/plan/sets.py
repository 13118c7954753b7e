"""Which set of kernels a board gets."""

from __future__ import annotations

from ..architecture import Architecture
from ..boards.chips import uses_vector
from ..boards.model import Chip
from .kernels import KernelSet
from .scalar import scalar_kernels
from .vector import vector_kernels


def kernels_of(chip: Chip, a: Architecture, encoding: str) -> KernelSet:
    """The set that firmware for a board with this chip has."""
    return vector_kernels(a) if uses_vector(chip) else scalar_kernels(a, encoding)
