"""What of the flash differs from what it shall hold, and writing that."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .downloader import Downloader
from .logger import Report
from .parts import Part

BLOCK_BYTES = 0x1_0000
"""Stretch that is compared at once, and the flash's erase block."""


@dataclass(frozen=True)
class Planned:
    """A part, and what of it the flash lacks.

    Attributes:
        runs: stretches to write, from and to in bytes from the part's start; none: it is there already.
    """

    part: Part
    runs: tuple[tuple[int, int], ...]

    @property
    def write_bytes(self) -> int:
        """Bytes to write."""
        return sum(end - start for start, end in self.runs)


@dataclass(frozen=True)
class Written:
    """A part after writing; `seconds` from its first byte to its verified last."""

    planned: Planned
    seconds: float


def plan_part(downloader: Downloader, part: Part, report: Report) -> Planned:
    """Compare the flash with a part, by MD5."""
    if downloader.md5(part.offset, len(part.data)) == _md5(part.data):
        return Planned(part, ())
    starts = range(0, len(part.data), BLOCK_BYTES)
    with report.progress(f"Comparing {part.name}", len(part.data)) as done:
        blocks = [_differing(downloader, part, start, done) for start in starts]
    return Planned(part, _joined([block for block in blocks if block is not None]))


def whole(part: Part) -> Planned:
    """A part of which the flash has nothing."""
    return Planned(part, ((0, len(part.data)),))


def _differing(
    downloader: Downloader, part: Part, start: int, done: Callable[[int], None]
) -> tuple[int, int] | None:
    end = min(start + BLOCK_BYTES, len(part.data))
    same = downloader.md5(part.offset + start, end - start) == _md5(part.data[start:end])
    done(end)
    return None if same else (start, end)


def _joined(blocks: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Neighbours made one."""
    runs: list[tuple[int, int]] = []
    for start, end in blocks:
        if runs and runs[-1][1] == start:
            runs[-1] = (runs[-1][0], end)
        else:
            runs.append((start, end))
    return tuple(runs)


def write_parts(downloader: Downloader, planned: Sequence[Planned], report: Report) -> list[Written]:
    """Write parts in the order given, each verified before the next begins.

    Raises:
        FlashError: as `write_part`; the board keeps what was written and stays in download mode.
    """
    written = [write_part(downloader, part, report) for part in planned]
    downloader.half_written = False
    return written


def write_part(downloader: Downloader, planned: Planned, report: Report) -> Written:
    """Write what the flash lacks; esptool compares the MD5 of each stretch afterwards.

    Raises:
        FlashError: the line broke, or the flash does not hold what was written.
    """
    started = time.monotonic()
    if planned.runs:
        _write_runs(downloader, planned, report)
    return Written(planned, time.monotonic() - started)


def _write_runs(downloader: Downloader, planned: Planned, report: Report) -> None:
    part, before = planned.part, 0
    with report.progress(f"Writing {part.name}", planned.write_bytes) as done:
        for start, end in planned.runs:
            progress = _in_bytes(done, before, end - start)
            downloader.write(part.name, part.offset + start, part.data[start:end], progress)
            before += end - start


def _in_bytes(done: Callable[[int], None], before: int, size: int) -> Callable[[int, int], None]:
    """Esptool counts compressed bytes; a person counts those of the file."""
    return lambda current, total: done(before + size * current // max(total, 1))


def _md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()
