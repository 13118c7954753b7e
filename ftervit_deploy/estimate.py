"""What a model would take on a board, before anything is bought or flashed: bytes, milliseconds, millijoules.

Times are modelled: kernels by the LX7 model (`lx7`), memories by published and assumed rates (`plan.prices`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from .architecture import Architecture
from .boards import ChipBoard
from .errors import ProjectError
from .image import Component, ImageInfo, section_components
from .image.layout import FILE_ALIGN, Section, placed, prescribed, round_up
from .plan import (
    AFFINES,
    FlashPlan,
    KernelCycles,
    Matrices,
    MemoryPlan,
    Price,
    Rates,
    kernels_of,
    machine_of,
    pass_steps,
    plan_flash,
    plan_memory,
    prices_of,
    rates_of,
)  # fmt: skip

_TEXT_BYTES = 512
"""Provenance and preprocessing of a model that does not exist yet; its labels, 16 bytes each."""
_LABEL_BYTES = 16


@dataclass(frozen=True)
class Subject:
    """What is estimated.

    Attributes:
        name: of the image or the preset.
        architecture: its shape.
        matrices: encoding, and which matrices have multipliers per channel.
        image_bytes: length of the image.
        reduced_bytes: the same with five weights a byte; None where it has five already.
    """

    name: str
    architecture: Architecture
    matrices: Matrices
    image_bytes: int
    reduced_bytes: int | None


@dataclass(frozen=True)
class Energy:
    """Millijoules of one image; the board's power while it computes, from the board's file.

    Attributes:
        least_mj, most_mj: at the board's least and most power.
        source: who measured that power.
    """

    least_mj: float
    most_mj: float
    source: str


@dataclass(frozen=True)
class Estimate:
    """A model on a board.

    Attributes:
        subject, board: what and where.
        problem: why it does not fit, in one sentence; empty where it does. Then `flash` or `memory` is None.
        flash: partitions; None where the image does not fit.
        memory: where buffers lie; None where they do not fit.
        kernels: name of the set of kernels that is modelled.
        rates: of the board's memories.
        prices: of every step in order; empty where it does not fit.
        weights_in_psram: True where the firmware copies the image to PSRAM.
        energy: None where the board's file has no power figures.
    """

    subject: Subject
    board: ChipBoard
    problem: str
    flash: FlashPlan | None
    memory: MemoryPlan | None
    kernels: str
    rates: Rates
    prices: tuple[Price, ...]
    weights_in_psram: bool
    energy: Energy | None

    @property
    def fits(self) -> bool:
        """Flash, SRAM and PSRAM suffice."""
        return not self.problem

    @property
    def seconds(self) -> float:
        """Of one image, camera and display not counted."""
        return sum(price.seconds for price in self.prices)

    @property
    def far_bytes(self) -> int:
        """PSRAM taken: buffers, and the image where it is copied there."""
        taken = self.memory.far_bytes if self.memory else 0
        return taken + (self.subject.image_bytes if self.weights_in_psram else 0)


def subject_of_image(name: str, info: ImageInfo) -> Subject:
    """An image that exists."""
    from .project.facts import reduced_bytes

    header = info.header
    end = round_up(info.sections[-1].end, FILE_ALIGN)
    return Subject(name, header.architecture, Matrices.of_image(info), end, reduced_bytes(info))


def subject_of_preset(name: str, a: Architecture, encoding: str) -> Subject:
    """A model that would be trained: multipliers per channel where FTerViT's scheme has them."""
    per_channel = _scaled_channels(a)
    reduced = _preset_bytes(a, "t5", per_channel) if encoding == "t2" else None
    return Subject(name, a, Matrices(encoding, per_channel), _preset_bytes(a, encoding, per_channel), reduced)


def preset_components(a: Architecture, encoding: str) -> tuple[Component, ...]:
    """Where the bytes of a model that would be trained go; labels and provenance are made up."""
    return section_components(a, _preset_sections(a, encoding, _scaled_channels(a)))


def _scaled_channels(a: Architecture) -> frozenset[str]:
    """Matrices with a multiplier per channel in FTerViT's scheme."""
    return frozenset({"patch", *({"proj", "fc2"} if a.layer_scale else set())})


def _preset_bytes(a: Architecture, encoding: str, per_channel: frozenset[str]) -> int:
    return round_up(_preset_sections(a, encoding, per_channel)[-1].end, FILE_ALIGN)


def _preset_sections(a: Architecture, encoding: str, per_channel: frozenset[str]) -> tuple[Section, ...]:
    lengths = [_TEXT_BYTES, _LABEL_BYTES * a.classes]
    for place in list(prescribed(a, encoding))[2:]:
        if place.role in AFFINES and place.matrix is not None:
            lengths.append(place.matrix.affine_bytes(AFFINES[place.role] in per_channel))
        else:
            lengths.append(next(iter(place.lengths)))  # type: ignore[call-overload]
    return placed(a, encoding, lengths)


def estimate(subject: Subject, board: ChipBoard, cycles: KernelCycles) -> Estimate:
    """Bytes, seconds and energy of the subject on the board.

    Args:
        cycles: of the kernels that the firmware would have.
    """
    a = subject.architecture
    flash, memory, problems = None, None, []
    try:
        flash = plan_flash(board, subject.image_bytes, subject.reduced_bytes)
    except ProjectError as error:
        problems.append(f"{error} {error.hint}".strip())
    try:
        kernels = kernels_of(board.chip, a, subject.matrices.encoding)
        memory = plan_memory(a, subject.matrices, kernels, machine_of(board, a), subject.image_bytes)
    except ProjectError as error:
        problems.append(f"{error} {error.hint}".strip())
    prices = () if memory is None else tuple(_prices(subject, board, memory, cycles))
    return Estimate(
        subject, board, " ".join(problems), flash, memory, cycles.name, rates_of(board), prices,
        memory is not None and memory.weights_in_psram, _energy(board, prices),
    )  # fmt: skip


def _prices(subject: Subject, board: ChipBoard, memory: MemoryPlan, cycles: KernelCycles) -> Iterable[Price]:
    steps = pass_steps(subject.architecture, subject.matrices, memory.tiling)
    place = memory.place if board.psram is None else replace(memory.place, far=memory.place.far | {"pixels"})
    return prices_of(steps, cycles, machine_of(board, subject.architecture), place)


def _energy(board: ChipBoard, prices: Iterable[Price]) -> Energy | None:
    seconds = sum(price.seconds for price in prices)
    if board.power is None or not seconds:
        return None
    power = board.power
    return Energy(power.active_min_mw * seconds, power.active_max_mw * seconds, power.source)
