"""What a report holds: plain records between gathering and rendering."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..image import Component

Picture = npt.NDArray[np.uint8]
"""A photo or a map to show: uint8 [H, W, 3], RGB."""


@dataclass(frozen=True)
class Missing:
    """A part that is not there, and why, in a sentence."""

    why: str


@dataclass(frozen=True)
class Format:
    """One way to store a model.

    Attributes:
        name: ``FP32``, ``partially ternary`` with the rest in FP32 or FP16, or ``fully ternary``.
        note: what exactly that means here.
        components: bytes of each part; the same parts in every format.
        leftover: share of the bytes that is not ternary, 0 to 1.
    """

    name: str
    note: str
    components: tuple[Component, ...]
    leftover: float

    @property
    def bytes(self) -> int:
        """Of all parts."""
        return sum(component.bytes for component in self.components)


@dataclass(frozen=True)
class Sizes:
    """A model in several formats; `of` is its name."""

    of: str
    formats: tuple[Format, ...]


@dataclass(frozen=True)
class LayerZeros:
    """Ternary weights of a layer and how many of them are zero."""

    layer: str
    group: str
    weights: int
    zeros: int


@dataclass(frozen=True)
class FilterPair:
    """A patch-embedding filter in FP32 and ternary, as pictures, and the cosine between their weights."""

    channel: int
    full: Picture
    ternary: Picture
    cosine: float


@dataclass(frozen=True)
class Filters:
    """The patch embedding beside that of FP32.

    Attributes:
        cosines: of every filter, -1 to 1; empty without an FP32 model.
        pairs: some of them, from most to least alike.
        alone: ternary filters where there is no FP32 model.
        feature_cosine: mean cosine of the patches' features on the photos; None without photos.
        note: what is missing, or empty.
    """

    cosines: tuple[float, ...]
    pairs: tuple[FilterPair, ...]
    alone: tuple[Picture, ...]
    feature_cosine: float | None
    note: str


@dataclass(frozen=True)
class LayerShare:
    """Importance of a layer as shares of the whole model's, 0 to 1.

    Attributes:
        taylor, taylor_squared: sum of |g w| and of (g w)^2.
        trace, trace_error: estimated trace of its Hessian block, and the standard error of that.
        trace_share, trace_share_error: of the sum of all positive traces; less than 0 where the trace is, as
            it can be where the loss is not at a minimum.
    """

    layer: str
    group: str
    parameters: int
    parameter_share: float
    taylor: float
    taylor_share: float
    taylor_squared: float
    taylor_squared_share: float
    trace: float
    trace_error: float
    trace_share: float
    trace_share_error: float


@dataclass(frozen=True)
class Importance:
    """Importance of every layer.

    Attributes:
        model: whose it is, in words.
        loss: which loss, on what, in words.
        probes: of Hutchinson's estimate, for each layer.
        trace_photos: those of the loss whose Hessian it is.
    """

    model: str
    loss: str
    probes: int
    trace_photos: int
    layers: tuple[LayerShare, ...]


@dataclass(frozen=True)
class Look:
    """A photo and where the models look at it.

    Attributes:
        name: of its file.
        photo: as the model sees it.
        student, teacher: roll-out over the photo; teacher: None where there is none.
        cosine: between the two maps, 0 to 1; None without a teacher.
    """

    name: str
    photo: Picture
    student: Picture
    teacher: Picture | None
    cosine: float | None


@dataclass(frozen=True)
class Rollout:
    """Attention roll-out on some photos.

    Attributes:
        note: what is missing, or empty.
        other_cosine: mean cosine between the student's map and the teacher's of another photo, with which a
            look's own must be compared; None without a teacher, or with one photo.
    """

    looks: tuple[Look, ...]
    note: str
    other_cosine: float | None = None


@dataclass(frozen=True)
class Epoch:
    """One line of a phase's log; None where the log does not say.

    Attributes:
        agreement: share of the validation photos, 0 to 1, that get the teacher's answer; without labels.
    """

    epoch: int
    loss: float | None
    top1: float | None
    teacher_top1: float | None
    lr: float | None
    zeros: float | None
    validation_loss: float | None = None
    agreement: float | None = None

    @property
    def judged(self) -> float | None:
        """Top-1, or the agreement where there are no labels."""
        return self.agreement if self.top1 is None else self.top1


def _score(epoch: Epoch) -> tuple[float, float]:
    """As train/validation.py has it: larger is better."""
    loss = math.inf if epoch.validation_loss is None else epoch.validation_loss
    return epoch.judged or 0.0, -loss


@dataclass(frozen=True)
class Phase:
    """A phase of training and its epochs in order.

    Attributes:
        tested: number of test photos, and top-1 of the kept epoch on them, 0 to 1; None without any.
        whole_from: first epoch in which no patch was left out; 0 where none ever was, or nobody says.
    """

    name: str
    epochs: tuple[Epoch, ...]
    tested: tuple[int, float] | None = None
    whole_from: int = 0

    @property
    def best(self) -> Epoch | None:
        """The epoch that was kept: the best validation accuracy, of equals the least validation loss."""
        rated = [epoch for epoch in self.epochs if epoch.judged is not None]
        return max(rated, key=_score) if rated else None

    @property
    def labelled(self) -> bool:
        """Epochs are judged by labels, not by the teacher's answers."""
        return any(epoch.top1 is not None for epoch in self.epochs)


@dataclass(frozen=True)
class WorstPhoto:
    """A photo that the model got wrong, or found hard; probabilities from 0 to 1."""

    name: str
    picture: Picture
    actual: str
    predicted: str
    probability: float
    actual_probability: float


@dataclass(frozen=True)
class Accuracy:
    """The engine's accuracy on photos.

    Attributes:
        top1, top5: 0 to 1.
        data: name of the folder of photos; empty where only the record of a measurement is there.
        evidence: what was measured on what, in a sentence.
        confusion: photos by true and predicted class; empty where only the record of a measurement is there.
        worst: surest mistakes first, then the hardest of the others.
        note: why confusion or photos are missing, or empty.
    """

    images: int
    top1: float
    top5: float
    data: str
    evidence: str
    confusion: tuple[tuple[int, ...], ...]
    worst: tuple[WorstPhoto, ...]
    note: str


@dataclass(frozen=True)
class Method:
    """A model on the scatter of accuracy against size.

    Attributes:
        kind: ``published`` or ``measured``.
        data: what the accuracy is of.
        source: who says so.
    """

    name: str
    megabytes: float
    top1: float
    data: str
    kind: str
    source: str


@dataclass(frozen=True)
class BoardFit:
    """What the model would take on a board; None where it does not fit.

    Attributes:
        problem: why it does not fit; empty where it does.
        flash_bytes, sram_bytes, psram_bytes: taken, each beside what the board has.
        steps: (kind of step, milliseconds) in order.
    """

    board: str
    problem: str
    flash_bytes: int
    flash_room_bytes: int | None
    sram_bytes: int | None
    sram_room_bytes: int
    psram_bytes: int | None
    psram_room_bytes: int
    milliseconds: float | None
    least_mj: float | None
    most_mj: float | None
    steps: tuple[tuple[str, float], ...]
    kernels: str


@dataclass(frozen=True)
class Report:
    """Everything about a model that a page shows."""

    name: str
    version: str
    facts: tuple[tuple[str, str], ...]
    labels: tuple[str, ...]
    sizes: Sizes
    reference: Sizes
    zeros: tuple[LayerZeros, ...]
    filters: Filters | Missing
    importance: Importance | Missing
    rollout: Rollout | Missing
    student_phases: tuple[Phase, ...] | Missing
    teacher_phases: tuple[Phase, ...]
    accuracy: Accuracy | Missing
    methods: tuple[Method, ...]
    methods_note: str
    boards: tuple[BoardFit, ...]

    @property
    def zero_fraction(self) -> float:
        """Share of zeros among the ternary weights."""
        return sum(layer.zeros for layer in self.zeros) / sum(layer.weights for layer in self.zeros)

    def parts(self) -> tuple[tuple[str, object], ...]:
        """(name, part) of those parts that may be missing."""
        named: Sequence[tuple[str, object]] = (
            ("filters", self.filters),
            ("importance", self.importance),
            ("roll-out", self.rollout),
            ("curves", self.student_phases),
            ("accuracy", self.accuracy),
        )
        return tuple(named)
