"""What the steps of a pass cost on a board: computing, fetching weights, and traffic with PSRAM.

Modelled. Every rate says where it is from; none was measured by this project.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ..architecture import Architecture
from ..boards import ChipBoard
from .calls import KernelCycles
from .steps import Step


@dataclass(frozen=True)
class Rate:
    """Bytes per second, and the kind of its source: ``published``, ``derived`` or ``assumed``."""

    bytes_per_s: float
    source: str
    kind: str

    def seconds(self, count: float) -> float:
        """Time of `count` bytes."""
        return count / self.bytes_per_s


@dataclass(frozen=True)
class Rates:
    """How fast a board's memories are.

    Attributes:
        far_read, far_write: PSRAM behind the data cache, by the cores.
        copy_read, copy_write: PSRAM by DMA, to and from SRAM.
        flash_read: flash mapped into memory.
        move: within SRAM, by each core.
        dispatch_s: seconds to hand work to the other core and to see it done, or to start a copy.
    """

    far_read: Rate
    far_write: Rate
    copy_read: Rate
    copy_write: Rate
    flash_read: Rate
    move: Rate
    dispatch_s: float

    @property
    def psram_is_faster(self) -> bool:
        """To read weights from, than flash."""
        return self.far_read.bytes_per_s > self.flash_read.bytes_per_s


@dataclass(frozen=True)
class Machine:
    """What of a board decides how long a pass takes.

    Attributes:
        workers: cores that share the work.
        clock_hz: of the cores.
        near_bytes, far_bytes: room in SRAM and PSRAM.
        spare_bytes: room in another piece of SRAM.
        rates: of the memories.
    """

    workers: int
    clock_hz: float
    near_bytes: int
    far_bytes: int
    rates: Rates
    spare_bytes: int = 0


PSRAM_RESERVE_BYTES = 512 << 10
"""Left to ESP-IDF, logits and whatever else the application keeps."""


def machine_of(board: ChipBoard, a: Architecture) -> Machine:
    """The machine that a board's file describes, less what pictures for the model take of its PSRAM."""
    far = max(board.psram.size_bytes - _taken_bytes(board, a), 0) if board.psram else 0
    memory = board.memory
    return Machine(
        board.chip.cores, board.chip.clock_hz, memory.arena_bytes, far, rates_of(board), memory.heap_bytes
    )


def _taken_bytes(board: ChipBoard, a: Architecture) -> int:
    """Pictures that the line and the camera bring, frames of two bytes a pixel, and the reserve."""
    pixels = 3 * a.image_size**2
    if board.camera is None:
        return pixels + PSRAM_RESERVE_BYTES
    frame = 2 * board.camera.width * board.camera.height
    return 2 * pixels + board.camera.frame_buffers * frame + PSRAM_RESERVE_BYTES


_PUBLISHED = "copies on an ESP32-S3, octal PSRAM at 80 MHz, lines of {line} bytes"
_FAR_READ = {16: 37e6, 32: 58e6, 64: 84e6}
_FAR_WRITE = 32.5e6
_COPY_READ = 52.6e6
_COPY_BOTH = 26.4e6
_COPY_WRITE = 1 / (1 / _COPY_BOTH - 1 / _COPY_READ)
_MOVE = 366e6
_COPIES = "copies by DMA on an ESP32-S3 (project-x51/esp32-s3-memorycopy)"
_CLOCK_HZ = 80e6
_FLASH_READ = 27e6
_LINES = {"dio": 0.5, "dout": 0.5, "qio": 1.0, "qout": 1.0, "opi": 2.0}
DISPATCH_S = 5e-6
"""Assumed: a task notification to the other core, and waiting for its end; or a copy's descriptors and
interrupt."""


def rates_of(board: ChipBoard) -> Rates:
    """The rates of a board with an ESP32-S3."""
    line = board.cache.dcache_line_bytes
    read = Rate(_FAR_READ[line], _PUBLISHED.format(line=line), "published")
    write = Rate(_FAR_WRITE, _PUBLISHED.format(line=line), "published")
    copy_read = Rate(_COPY_READ, f"{_COPIES}, PSRAM to SRAM", "published")
    copy_write = Rate(_COPY_WRITE, f"{_COPIES}, PSRAM to PSRAM (26.4), less the reading", "derived")
    factor = 1.0
    if board.psram is not None:
        factor = board.psram.clock_hz / _CLOCK_HZ * (1.0 if board.psram.mode == "octal" else 0.5)
    flash = Rate(_FLASH_READ, "QIO flash at 80 MHz: 40 MB/s at most, 25 to 30 sustained", "assumed")
    return Rates(
        far_read=_scaled(read, factor),
        far_write=_scaled(write, factor),
        copy_read=_scaled(copy_read, factor),
        copy_write=_scaled(copy_write, factor),
        flash_read=_scaled(flash, _LINES[board.flash.mode] * board.flash.clock_hz / _CLOCK_HZ),
        move=Rate(_MOVE, "memcpy within an ESP32-S3's SRAM", "published"),
        dispatch_s=DISPATCH_S,
    )


def _scaled(rate: Rate, factor: float) -> Rate:
    """By data lines and clock."""
    if factor == 1.0:
        return rate
    kind = "derived" if rate.kind == "published" else rate.kind
    return replace(rate, bytes_per_s=rate.bytes_per_s * factor, kind=kind)


@dataclass(frozen=True)
class Price:
    """Seconds of one step.

    Attributes:
        step: the step.
        cycles: of the kernels on the busier core, operands in SRAM.
        compute_s: the same in seconds.
        weights_s: fetching packed weights, all of it.
        copies_s: copying residual rows by DMA, as far as it goes on during this step.
        hidden_s: the part of `weights_s` and `copies_s`, which take turns, during which kernels compute.
        waits_s: reading and writing what lies in PSRAM, and moving rows within SRAM; kernels wait for it.
        far_read_bytes, far_written_bytes: bytes of PSRAM, copies included.
        dispatch_s: sharing out work, and starting copies.
    """

    step: Step
    cycles: float
    compute_s: float
    weights_s: float
    copies_s: float
    hidden_s: float
    waits_s: float
    far_read_bytes: int
    far_written_bytes: int
    dispatch_s: float

    @property
    def seconds(self) -> float:
        """All of the step."""
        return (
            self.compute_s + self.weights_s + self.copies_s - self.hidden_s + self.waits_s + self.dispatch_s
        )


@dataclass(frozen=True)
class Place:
    """Where things lie.

    Attributes:
        far: buffers in PSRAM, by name.
        weights_in_psram: False where they stream from flash.
    """

    far: frozenset[str]
    weights_in_psram: bool


def prices_of(steps: Iterable[Step], cycles: KernelCycles, machine: Machine, place: Place) -> list[Price]:
    """The price of each step."""
    known: dict[object, float] = {}

    def cycles_of(step: Step) -> float:
        total = 0.0
        for count, call in step.calls:
            if call not in known:
                known[call] = cycles.of(call)
            total += count * known[call]
        return total

    prices, on_their_way = [], 0.0
    for step in steps:
        price, on_their_way = _price(step, cycles_of(step), machine, place, on_their_way)
        prices.append(price)
    return prices


def _price(
    step: Step, cycles: float, machine: Machine, place: Place, on_their_way: float
) -> tuple[Price, float]:
    """The step's price, and the seconds of copies that go on after it; copies give way to weights."""
    compute_s = cycles / machine.clock_hz
    rates = machine.rates
    source = rates.far_read if place.weights_in_psram else rates.flash_read
    weights_s = source.seconds(step.weights_bytes)
    on_their_way += rates.copy_read.seconds(step.coming_bytes) + rates.copy_write.seconds(step.going_bytes)
    beside_s = min(on_their_way, max(compute_s - weights_s, 0.0))
    copies_s = on_their_way if step.settles else beside_s
    read, written = _far(step.read_bytes, place), _far(step.written_bytes, place)
    waits_s = rates.far_read.seconds(read) + rates.far_write.seconds(written)
    price = Price(
        step=step,
        cycles=cycles,
        compute_s=compute_s,
        weights_s=weights_s,
        copies_s=copies_s,
        hidden_s=min(weights_s, compute_s) + beside_s,
        waits_s=waits_s + rates.move.seconds(step.moved_bytes / machine.workers),
        far_read_bytes=read + step.coming_bytes,
        far_written_bytes=written + step.going_bytes,
        dispatch_s=step.dispatches * rates.dispatch_s if machine.workers > 1 else 0.0,
    )
    return price, on_their_way - copies_s


def _far(sizes: Mapping[str, int], place: Place) -> int:
    return sum(size for name, size in sizes.items() if name in place.far)
