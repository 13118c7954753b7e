"""One batch among several processes: who computes which photos, so that the losses are those of one process.

Hugging Face Accelerate starts the processes (`accelerate launch`), averages their gradients and adds up what
they counted. Every process draws the random numbers of the whole batch and uses those of its own photos.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from accelerate import Accelerator


def new_accelerator() -> Accelerator:
    """Accelerate's view of this process; without CUDA it computes on the CPU.

    Mixed precision is a setting of the phase, so that of the launcher does not count.
    """
    return Accelerator(cpu=not torch.cuda.is_available(), mixed_precision="no")


@dataclass(frozen=True)
class Share:
    """One process of several.

    Attributes:
        rank: from 0.
        processes: how many there are.
    """

    rank: int = 0
    processes: int = 1

    def rows(self, count: int) -> slice:
        """The part of a batch of `count` photos that this process computes: whole pairs, since pairs mix."""
        pairs = -(-count // 2)
        each = 2 * -(-pairs // self.processes)
        return slice(min(self.rank * each, count), min((self.rank + 1) * each, count))

    def part(self, count: int) -> Part:
        """What this process computes of a batch of `count` photos."""
        rows = self.rows(count)
        own = rows.stop - rows.start
        return Part(count, rows if own else slice(0, 1), self.processes * own / count)


@dataclass(frozen=True)
class Part:
    """What a process computes of one batch.

    Attributes:
        count: photos of the whole batch.
        rows: those of this process; the first one where it has none, for all processes must take the step.
        weight: of its mean loss, so that the mean over the processes is the mean over the batch.
    """

    count: int
    rows: slice
    weight: float = 1.0


def whole(count: int) -> Part:
    """All of a batch."""
    return Part(count, slice(0, count))


def generator_of(*what: object) -> torch.Generator:
    """The generator of everything random about `what`, so that it can be drawn again in any order."""
    digest = hashlib.blake2b("/".join(map(str, what)).encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)
