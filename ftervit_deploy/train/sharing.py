"""One batch among several processes: who computes which photos, so that the losses are those of one process.

Hugging Face Accelerate starts the processes (`accelerate launch`), averages their gradients and adds up what
they counted. Every process draws the random numbers of the whole batch and uses those of its own photos.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ..errors import ConfigError

if TYPE_CHECKING:
    from accelerate import Accelerator

_NUMBERS = ("WORLD_SIZE", "RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
"""Variables of a launcher that are numbers."""
_UNSET = "Unset it, or let `accelerate launch` start the training."


def process_count(environment: Mapping[str, str]) -> int:
    """How many processes a launcher started, as its variables in `environment` say; 1 without a launcher.

    Raises:
        ConfigError: they are no numbers.
    """
    numbers = {name: environment[name] for name in _NUMBERS if environment.get(name)}
    for name, text in numbers.items():
        if not re.fullmatch("-1|[0-9]{1,5}", text):
            raise ConfigError(f"{name} in the environment is {text[:40]!r}, which is no number.", _UNSET)
    return max(1, int(numbers.get("WORLD_SIZE", "1")))


def new_accelerator() -> Accelerator:
    """Accelerate's view of this process; without CUDA it computes on the CPU.

    Mixed precision is a setting of the phase, so that of the launcher does not count.

    Raises:
        ConfigError: the variables of a launcher are wrong, or the processes do not find each other.
    """
    from accelerate import Accelerator

    count = process_count(os.environ)
    try:
        return Accelerator(cpu=not torch.cuda.is_available(), mixed_precision="no")
    except (RuntimeError, ValueError) as error:
        if count == 1:
            raise
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        what = f"WORLD_SIZE in the environment is {count}, and the processes cannot find each other"
        raise ConfigError(f"{what} ({reason[:200]}).", _UNSET) from None


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
