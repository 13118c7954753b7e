"""Energy of kernels and of whole inferences on a board that a PPK2 supplies."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from ..boards import Board, ChipBoard
from ..errors import EnergyError
from ..link import BoardError, Link
from ..ppk2 import Energy, Ppk2, energy_of, idle_milliwatts, joined
from ..verify import random_pixels
from .board import BoardKernel
from .cases import Case

INFERENCES = 5
IDLE_S = 0.5


def trigger_pin(board: Board) -> int:
    """The pin that is high while the board computes.

    Raises:
        EnergyError: it has none.
    """
    if not isinstance(board, ChipBoard) or board.trigger is None:
        raise EnergyError(
            f"The board {board.name} has no trigger pin.",
            "Name the board that the PPK2 supplies with --board; its file needs a [trigger].",
        )
    return board.trigger.pin


@dataclass
class EnergyWatch:
    """Measures what a board does; for `bench_board`.

    Attributes:
        kernels: energies of turns and layers in a turn, by case and kernel.
    """

    link: Link
    meter: Ppk2
    channel: int
    idle: float
    kernels: dict[tuple[str, str], list[tuple[Energy, float]]] = field(default_factory=dict)

    @contextmanager
    def turn(self, case: Case, kernel: BoardKernel) -> Iterator[None]:
        """Measures one BENCH."""
        with self.meter.recording() as found:
            yield
        energy = energy_of(found[0], self.channel, 1, self.idle)
        key = (case.name, kernel.name)
        self.kernels.setdefault(key, []).append((energy, kernel.per_layer(case)))

    def of_layer(self, case: Case, name: str) -> LayerEnergy:
        """Of the layer by the kernel of that name."""
        turns = self.kernels[case.name, name]
        return LayerEnergy(joined(energy for energy, _ in turns), turns[0][1])

    def inferences(self, image_size: int, count: int = INFERENCES) -> Energy:
        """Of whole images of noise."""
        with self.meter.recording() as found:
            for seed in range(count):
                self.link.infer(random_pixels(image_size, seed))
        return energy_of(found[0], self.channel, count, self.idle)


@dataclass(frozen=True)
class LayerEnergy:
    """Energy of turns, each of which computes `layers` layers."""

    turns: Energy
    layers: float

    @property
    def millijoules(self) -> float:
        """Of a layer."""
        return self.turns.millijoules / self.layers

    @property
    def above_idle_mj(self) -> float:
        """Of a layer, less what the board takes anyway."""
        return self.turns.above_idle_mj / self.layers

    @property
    def deviation_mj(self) -> float:
        """Of a layer."""
        return self.turns.deviation_mj / self.layers


def start_watch(link: Link, meter: Ppk2, channel: int) -> EnergyWatch:
    """Measures the idle board, its camera off."""
    link.connect()
    with suppress(BoardError):  # it has no camera
        link.camera(False)
    with meter.recording() as found:
        time.sleep(IDLE_S)
    return EnergyWatch(link, meter, channel, idle_milliwatts(found[0], channel))
