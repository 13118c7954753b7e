"""What generated code may call, by the names that the tables of instructions use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import accumulators as acc
from . import lanes
from .faults import KernelError
from .memory import Memory

_MEMORY = "ld8 ld16 ld32 ld64 ld128 st8 st16 st32 st64 st128 broadcast8 broadcast16 broadcast32"
_SIZES = {"ld128": 16, "st128": 16, "ld64": 8, "st64": 8, "broadcast16": 2, "broadcast32": 4}
"""Accesses whose low address bits the chip drops."""


def environment(memory: Memory) -> dict[str, Any]:
    """Global names of the generated code, for one memory."""
    space: dict[str, Any] = {"M": 2**32 - 1, "H": 2**31, "KernelError": KernelError}
    space |= {name: getattr(memory, name) for name in _MEMORY.split()}
    space |= {f"{name}_low": _dropping(space[name], size) for name, size in _SIZES.items()}
    return space | _moves() | _arithmetic() | _accumulators()


def _dropping(access: Callable[..., Any], size: int) -> Callable[..., Any]:
    """The access at the multiple of `size` below, for instructions that are meant so."""
    return lambda address, *value: access(address & -size, *value)


def _moves() -> dict[str, Any]:
    space: dict[str, Any] = {
        "ZERO": lanes.ZERO,
        "put": lanes.put,
        "andq": lanes.both,
        "orq": lanes.either,
        "xorq": lanes.differ,
        "notq": lanes.inverted,
        "shift_left": lanes.shift_left,
        "shift_right": lanes.shift_right,
        "bit_reversed": lanes.bit_reversed,
        "quos": lanes.quos,
        "rems": lanes.rems,
    }
    for width in (8, 16, 32):
        space[f"zip{width}"] = lanes.zip_lanes(width // 8)
        space[f"unzip{width}"] = lanes.unzip_lanes(width // 8)
    return space


def _arithmetic() -> dict[str, Any]:
    makers: dict[str, Callable[[int], Any]] = {
        "vadds": lanes.add,
        "vsubs": lanes.subtract,
        "vmax": lanes.larger,
        "vmin": lanes.smaller,
        "vcmp_eq": lanes.equal,
        "vcmp_lt": lanes.less,
        "vcmp_gt": lanes.greater,
    }
    space: dict[str, Any] = {"cmul": lanes.complex_multiply}
    for width in (8, 16, 32):
        space |= {f"{name}{width}": make(width) for name, make in makers.items()}
    for width in (8, 16):
        space[f"vrelu{width}"] = lanes.rectify(width)
        space[f"vprelu{width}"] = lanes.rectify_each(width)
        for letter in "su":
            space[f"vmul_{letter}{width}"] = lanes.multiply(width, letter == "s")
    return space


def _accumulators() -> dict[str, Any]:
    space: dict[str, Any] = {
        "ZERO8": acc.ZERO8,
        "OVER8": acc.OVER8,
        "OVER16": acc.OVER16,
        "V8": acc.Spread8(),
        "V16": acc.Spread16(),
        "S8": tuple((v ^ 128) - 128 for v in range(256)),
        "lane16": lanes.lane16,
        "put_raw": acc.put_raw,
        "to_8": acc.to_8,
        "to_16": acc.to_16,
        "to_raw": acc.to_raw,
        "saturate8": acc.saturate8,
        "saturate16": acc.saturate16,
        "product8": acc.product8,
        "product16": acc.product16,
        "qacc_u8": acc.unsigned8,
        "qacc_u16": acc.unsigned16,
        "read_out8": acc.read_out8,
        "read_out16": acc.read_out16,
        "read_out_accx": acc.read_out_accx,
    }
    for width in (8, 16):
        for letter in "su":
            space[f"extend_{letter}{width}"] = acc.extend(width, letter == "s")
            space[f"accx_{letter}{width}"] = acc.scalar(width, letter == "s")
    return space
