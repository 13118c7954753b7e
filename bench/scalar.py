"""`python -m bench.scalar`: what the scalar kernels cost on an emulated Xtensa core without a vector unit.

Multiply-accumulates per instruction, counted by the emulator, not timed: the same on every machine. Whole
steps of a transformer block, from 8-bit rows to what the step hands on, requantisation and GELU included;
`naive` is the bare product.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from .table import Group, Row, Value, report

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from xtensa_board import MISSING, compile_engine, is_there
from xtensa_count import NAIVE, SMALL, TINY, Block, Count, count

TITLE = "Kernels without a vector unit, on emulated Xtensa"
SETS = (("scalar", "t2"), ("scalar", "t5"), ("portable", "t2"), (NAIVE, "t2"))


AIM = 1.0
"""MAC/instruction of every linear step, for the scalar set in both encodings."""


def groups() -> list[Group]:
    """Every step of DeiT-Tiny and DeiT-S at 224 pixels; a note where there is no emulator."""
    if not is_there():
        return [Group(TITLE, [], [f"Not counted: {MISSING}."])]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        objects = compile_engine(folder)
        rows = [row for block in (TINY, SMALL) for row in _rows_of(objects, folder, block)]
    return [Group(TITLE, rows, ["naive: unpack, multiply, add; the bare product."])]


def _rows_of(objects: list[Path], folder: Path, block: Block) -> list[Row]:
    counts = {" ".join(key): count(objects, folder, block, encoding=key[1], kernels=key[0]) for key in SETS}
    return [_row(block, step, counts) for step in next(iter(counts.values()))]


def _row(block: Block, step: str, counts: Mapping[str, Mapping[str, Count]]) -> Row:
    rates = {name: _rate(steps.get(step)) for name, steps in counts.items()}
    linear = step != "attention"
    figures: dict[str, Value] = {
        "shape": _shape(block, step), **rates, "unit": "MAC/instruction",
        "aim": f"at least {AIM:g}" if linear else "", "kind": "emulated", "source": "QEMU",
    }  # fmt: skip
    scalar = [rate for name, rate in rates.items() if name.startswith("scalar") and rate is not None]
    return Row(f"{block.name} {step}", figures, missed=linear and min(scalar) < AIM)


def _rate(counted: Count | None) -> float | None:
    return counted.macs_per_instruction if counted else None


def _shape(block: Block, step: str) -> str:
    if step == "attention":
        return f"{block.tokens} x {block.tokens} x {block.head_dim}, one head"
    inputs = block.hidden if step == "fc2" else block.width
    channels = {"qkv": 3 * block.head_dim, "fc1": block.hidden, "fc1 without GELU": block.hidden}
    return f"{block.tokens} x {inputs} x {channels.get(step, block.width)}"


def main() -> int:
    """Count, print, return 1 if an aim is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.scalar", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    return report(groups(), parser.parse_args().json)


if __name__ == "__main__":
    sys.exit(main())
