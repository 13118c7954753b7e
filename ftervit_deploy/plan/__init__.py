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
from .kernels import KernelSet, RoughCycles, rendered_kernels
from .memory import MemoryPlan, Placed, plan_memory
from .partitions import FlashPlan, Partition, plan_flash
from .prices import Machine, Place, Price, Rate, Rates, machine_of, prices_of, rates_of
from .sets import kernels_of
from .specialised import Chunk, chunks_of, specialised_scratch
from .steps import AFFINES, Matrices, Step, pass_steps
from .vector import vector_kernels

__all__ = [
    "AFFINES",
    "AttendCall",
    "Buffer",
    "Call",
    "Chunk",
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
    "chunks_of",
    "kernels_of",
    "machine_of",
    "pass_steps",
    "plan_flash",
    "plan_memory",
    "prices_of",
    "rates_of",
    "rendered_kernels",
    "specialised_scratch",
    "vector_kernels",
]  # fmt: skip
