"""Where a model's bytes go on a board, and what a pass costs there. Pure arithmetic; touches no disk."""

from __future__ import annotations

from .buffers import Buffer, Tiling, buffers_of
from .calls import (
    AttendCall,
    Call,
    EmbedCall,
    KernelCycles,
    LayerCall,
    NormCall,
    PatchCall,
    QkvCall,
    QuantiseCall,
)  # fmt: skip
from .kernels import KernelSet, RoughCycles
from .memory import MemoryPlan, Placed, plan_memory
from .partitions import FlashPlan, Partition, plan_flash
from .prices import Machine, Place, Price, Rate, Rates, machine_of, prices_of, rates_of
from .scalar import scalar_kernels
from .sets import kernels_of
from .steps import AFFINES, Matrices, Step, pass_steps
from .vector import vector_kernels

__all__ = [
    "AFFINES",
    "AttendCall",
    "Buffer",
    "Call",
    "EmbedCall",
    "FlashPlan",
    "KernelCycles",
    "KernelSet",
    "LayerCall",
    "Machine",
    "Matrices",
    "MemoryPlan",
    "NormCall",
    "Partition",
    "PatchCall",
    "Place",
    "Placed",
    "Price",
    "QkvCall",
    "QuantiseCall",
    "Rate",
    "Rates",
    "RoughCycles",
    "Step",
    "Tiling",
    "buffers_of",
    "kernels_of",
    "machine_of",
    "pass_steps",
    "plan_flash",
    "plan_memory",
    "prices_of",
    "rates_of",
    "scalar_kernels",
    "vector_kernels",
]  # fmt: skip
