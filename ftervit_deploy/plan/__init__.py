"""Where a model's bytes go on a board: flash partitions, SRAM and PSRAM. Pure arithmetic; touches no disk."""

from __future__ import annotations

from .buffers import Buffer, KernelScratch, buffers_of
from .memory import MemoryPlan, Placed, plan_memory
from .partitions import FlashPlan, Partition, plan_flash
from .specialised import Chunk, chunks_of, specialised_scratch

__all__ = [
    "Buffer",
    "Chunk",
    "FlashPlan",
    "KernelScratch",
    "MemoryPlan",
    "Partition",
    "Placed",
    "buffers_of",
    "chunks_of",
    "plan_flash",
    "plan_memory",
    "specialised_scratch",
]
