"""Instructions of a transformer block on the emulated Xtensa core: what tests/xtensa/count.c prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from xtensa_board import BOARD, COUNTING, link, run

NAIVE = "naive"
"""In place of a set's name: unpack, multiply, add; the bare product, four weights a byte, row by row."""
LINEAR = ("qkv", "proj", "fc1", "fc2")
TIMEOUT_SECONDS = 600


@dataclass(frozen=True)
class Block:
    """The shapes of a model's block."""

    name: str
    tokens: int
    width: int
    hidden: int
    head_dim: int = 64

    def macs(self) -> dict[str, int]:
        """Multiply-accumulates of each step that is counted; qkv and attention are those of one head."""
        rows = self.tokens * self.width
        return {
            "qkv": 3 * rows * self.head_dim,
            "attention": 2 * self.tokens**2 * self.head_dim,
            "proj": rows * self.width,
            "fc1 without GELU": rows * self.hidden,
            "fc1": rows * self.hidden,
            "fc2": rows * self.hidden,
        }


@dataclass(frozen=True)
class Count:
    """A step's instructions, and a digest of its outputs."""

    macs: int
    instructions: float
    digest: int

    @property
    def macs_per_instruction(self) -> float:
        return self.macs / self.instructions


TINY, SMALL = Block("DeiT-Tiny", 197, 192, 768), Block("DeiT-S", 197, 384, 1536)


def count(
    objects: Sequence[Path], folder: Path, block: Block, encoding: str, kernels: str
) -> dict[str, Count]:
    """Each step's count. kernels: a set's name, or NAIVE, which has the bare products alone."""
    shapes = (f"-DBLOCK_{name.upper()}={value}" for name, value in vars(block).items() if name != "name")
    flags = [*shapes, *(["-DBLOCK_T5"] if encoding == "t5" else [])]
    names = ["proj", "fc1 without GELU", "fc2"] if kernels == NAIVE else list(block.macs())
    if kernels != NAIVE:
        flags.append(f"-DSET=ftv_kernels_{kernels}")
    program = link(folder / "count.elf", *flags, BOARD / "count.c", *objects)
    short, long, *steps = run(program, *COUNTING, timeout_seconds=TIMEOUT_SECONDS)
    unit = instruction_of(short, long)
    macs = block.macs()
    return {
        name: Count(macs[name], advance / unit, digest)
        for name, (advance, digest) in zip(names, steps, strict=True)
    }


def instruction_of(short: list[int], long: list[int]) -> float:
    """By how much an instruction advances CCOUNT, from two loops of two instructions a round."""
    return (long[0] - short[0]) / (2 * (long[1] - short[1]))
