"""`python -m bench.scalar`: what the scalar kernels cost on an emulated Xtensa core without a vector unit.

Multiply-accumulates per instruction, counted by the emulator, not timed: the same on every machine. Whole
steps of a transformer block, from 8-bit rows to what the step hands on, requantisation and GELU included;
`naive` is the bare product.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from xtensa_board import MISSING, compile_engine, is_there
from xtensa_count import NAIVE, SMALL, TINY, Block, Count, count

TITLE = "scalar kernels on emulated Xtensa: MAC/instruction"
SETS = (("scalar", "t2"), ("scalar", "t5"), ("portable", "t2"), (NAIVE, "t2"))


@dataclass(frozen=True)
class Row:
    """One step of one model; None where a set does not have the step. MAC/instruction."""

    step: str
    shape: str
    scalar_t2: float
    scalar_t5: float
    portable: float
    naive: float | None
    aim: float | None
    """At least this, for the scalar set."""


def rows() -> list[Row]:
    """Every step of DeiT-Tiny and DeiT-S at 224 pixels; empty where there is no emulator."""
    if not is_there():
        return []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        objects = compile_engine(folder)
        return [row for block in (TINY, SMALL) for row in _rows_of(objects, folder, block)]


def _rows_of(objects: list[Path], folder: Path, block: Block) -> list[Row]:
    t2, t5, portable, naive = (count(objects, folder, block, encoding, name) for name, encoding in SETS)
    return [
        Row(
            f"{block.name} {step}",
            _shape(block, step),
            t2[step].macs_per_instruction,
            t5[step].macs_per_instruction,
            portable[step].macs_per_instruction,
            _rate(naive.get(step)),
            None if step == "attention" else 1.0,
        )
        for step in t2
    ]


def _rate(counted: Count | None) -> float | None:
    return counted.macs_per_instruction if counted else None


def _shape(block: Block, step: str) -> str:
    if step == "attention":
        return f"{block.tokens} x {block.tokens} x {block.head_dim}, one head"
    inputs = block.hidden if step == "fc2" else block.width
    channels = {"qkv": 3 * block.head_dim, "fc1": block.hidden, "fc1 without GELU": block.hidden}
    return f"{block.tokens} x {inputs} x {channels.get(step, block.width)}"


def line(row: Row) -> str:
    """The row as text."""
    naive = f"{row.naive:8.3f}" if row.naive is not None else " " * 8
    figures = f"{row.scalar_t2:8.3f} {row.scalar_t5:8.3f} {row.portable:8.3f} {naive}"
    missed = row.aim is not None and min(row.scalar_t2, row.scalar_t5) < row.aim
    return f"{row.step:<28} {row.shape:<26} {figures}{'   MISSED' if missed else ''}"


def main() -> int:
    """Count, print, return 1 if an aim is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.scalar", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    as_json = parser.parse_args().json
    counted = rows()
    if not counted:
        print(MISSING)
        return 0
    if as_json:
        print(json.dumps({"title": TITLE, "rows": [asdict(row) for row in counted]}))
    else:
        print(f"{TITLE}\n{'':<55} scalar t2       t5 portable    naive")
        print("\n".join(map(line, counted)))
    return int(any(row.aim is not None and min(row.scalar_t2, row.scalar_t5) < row.aim for row in counted))


if __name__ == "__main__":
    sys.exit(main())
