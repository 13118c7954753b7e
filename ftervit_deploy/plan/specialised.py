"""Shapes and memory of the kernels that templates/project/main/model_kernels.c.j2 renders."""

from __future__ import annotations

from dataclasses import dataclass

from ..architecture import Architecture
from ..image.layout import TILE, round_up

CHUNK = {"t2": 256, "t5": 240}
"""Inputs that are multiplied at a time: two tokens share a word, 16 bits each, and 127 * 256 < 2^15.
Whole blocks of 16 (t2), whole bytes of five (t5)."""
GROUP = 4
"""Tokens that are multiplied together, two in a word."""


ALIGN = 16
"""Bytes; of every piece of scratch (FTV_ALIGN)."""


@dataclass(frozen=True)
class KernelScratch:
    """Scratch of one worker's rendered kernels, bytes.

    Attributes:
        linear: of a linear kernel with the largest K of the model.
        steps: of the fused QKV kernel.
    """

    linear: int
    steps: int


@dataclass(frozen=True)
class Chunk:
    """Inputs `start` .. `start + length - 1` of a matrix."""

    start: int
    length: int


def chunks_of(inputs: int, encoding: str) -> tuple[Chunk, ...]:
    """The pieces in which a kernel of this encoding takes its inputs."""
    step = CHUNK[encoding]
    return tuple(Chunk(start, min(step, inputs - start)) for start in range(0, inputs, step))


def inputs_of(a: Architecture) -> tuple[int, ...]:
    """Every K of the model, ascending."""
    return tuple(sorted({a.patch_values, a.width, a.hidden}))


def decoded_inputs(inputs: int, encoding: str) -> int:
    """Inputs that decoding writes: whole blocks of 16, or whole bytes of five."""
    return round_up(inputs, 16 if encoding == "t2" else 5)


def linear_scratch_bytes(inputs: int, encoding: str) -> int:
    """A decoded chunk of a tile as int16 and two words of tokens for each input."""
    longest = max(chunk.length for chunk in chunks_of(inputs, encoding))
    return _aligned(TILE * decoded_inputs(longest, encoding) * 2) + _aligned(longest * GROUP // 2 * 4)


def qkv_scratch_bytes(a: Architecture, encoding: str) -> int:
    """The part's weights as int8, words of tokens, outputs of a group of tokens, multipliers and biases."""
    rows = round_up(a.head_dim, TILE)
    longest = max(chunk.length for chunk in chunks_of(a.width, encoding))
    weights = _aligned(rows * decoded_inputs(a.width, encoding))
    return weights + _aligned(longest * GROUP // 2 * 4) + GROUP * rows * 4 + 2 * rows * 4


def specialised_scratch(a: Architecture, encoding: str) -> KernelScratch:
    """What one worker needs for the rendered kernels."""
    linear = max(linear_scratch_bytes(inputs, encoding) for inputs in inputs_of(a))
    return KernelScratch(linear=linear, steps=qkv_scratch_bytes(a, encoding))


def _aligned(size: int) -> int:
    return round_up(size, ALIGN)
