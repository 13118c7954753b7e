"""FP32, INT8 and ternary kernels side by side on one layer: here, in the LX7 model, or on a board."""

from __future__ import annotations

from .board import bench_board
from .cases import DEFAULT_CASE, Case, cases_of, published, published_millijoules
from .energy import EnergyWatch, LayerEnergy, start_watch, trigger_pin
from .host import bench_host
from .model import bench_model
from .rows import Row, ratio_of

__all__ = [
    "DEFAULT_CASE",
    "Case",
    "EnergyWatch",
    "LayerEnergy",
    "Row",
    "bench_board",
    "bench_host",
    "bench_model",
    "cases_of",
    "published",
    "published_millijoules",
    "ratio_of",
    "start_watch",
    "trigger_pin",
]
