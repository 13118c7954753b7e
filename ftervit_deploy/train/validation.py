"""How good a model is on the validation photos: against their labels, and against its teacher."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from accelerate import Accelerator
from torch import Tensor, nn

from ..architecture import Preprocessing
from .augment import normalise
from .model import logits
from .photosets import UNLABELLED, PhotoSet

EVALUATION_BATCH = 128


@dataclass(frozen=True)
class Validation:
    """What was found on the validation photos; None where there are no labels, or no teacher.

    Attributes:
        top1: share of the photos whose label is chosen, 0 to 1.
        loss: mean cross-entropy with the labels, nats.
        agreement: share of the photos for which the teacher chooses the same class, 0 to 1.
        divergence: mean KL(teacher || model), nats.
    """

    top1: float | None
    loss: float | None
    agreement: float | None = None
    divergence: float | None = None

    @property
    def score(self) -> tuple[float, float]:
        """Larger is better: by labels where there are any, else by the teacher."""
        right, wrong = (self.top1, self.loss) if self.top1 is not None else (self.agreement, self.divergence)
        return (-1.0 if right is None else right, -float("inf") if wrong is None else -wrong)


@dataclass(frozen=True)
class Tested:
    """What was found on photos that chose nothing.

    Attributes:
        photos: how many of them have a label.
        top1: share of them whose label is chosen, 0 to 1.
        teacher_top1: the same of the model it learned from; None where there is none.
    """

    photos: int
    top1: float
    teacher_top1: float | None


class Examiner:
    """Validates models on photos that are stored exactly as the deployed preprocessing makes them.

    Each process looks at its part of the photos; all of them get the result.
    """

    def __init__(self, photos: PhotoSet, preprocessing: Preprocessing, accelerator: Accelerator) -> None:
        self.photos, self.preprocessing, self.accelerator = photos, preprocessing, accelerator
        own = torch.arange(accelerator.process_index, len(photos), accelerator.num_processes)
        self.chunks = torch.split(own, EVALUATION_BATCH) if len(own) else ()
        self.taught: list[Tensor] | None = None

    def teach(self, teacher: nn.Module) -> Validation:
        """Validate the teacher, and remember its logits to compare with."""
        self.taught = []
        sums = torch.zeros(_SUMS)
        for indices in self.chunks:
            predicted, labels = self._logits(teacher, indices)
            self.taught.append(predicted)
            sums += _sums(predicted, labels, predicted)
        return self._result(sums)

    def validate(self, model: nn.Module) -> Validation:
        """Validate `model`."""
        sums = torch.zeros(_SUMS)
        for number, indices in enumerate(self.chunks):
            predicted, labels = self._logits(model, indices)
            sums += _sums(predicted, labels, self.taught[number] if self.taught is not None else None)
        return self._result(sums)

    def _logits(self, model: nn.Module, indices: Tensor) -> tuple[Tensor, Tensor]:
        images, labels = self.photos.batch(indices)
        return logits(model, normalise(images.to(self.accelerator.device), self.preprocessing)).cpu(), labels

    def _result(self, sums: Tensor) -> Validation:
        everything = self.accelerator.reduce(sums.to(self.accelerator.device), "sum").tolist()
        labelled, right, loss, compared, agreeing, divergence = everything
        return Validation(
            right / labelled if labelled else None,
            loss / labelled if labelled else None,
            agreeing / compared if compared else None,
            divergence / compared if compared else None,
        )


_SUMS = 6


def _sums(predicted: Tensor, labels: Tensor, taught: Tensor | None) -> Tensor:
    """Labelled photos, right ones, their losses; compared photos, agreeing ones, divergences."""
    known = labels != UNLABELLED
    chosen = predicted.argmax(dim=1)
    found = torch.zeros(_SUMS)
    found[0] = known.sum()
    found[1] = (chosen == labels)[known].sum()
    found[2] = F.cross_entropy(predicted[known], labels[known], reduction="sum") if found[0] else 0.0
    if taught is not None:
        found[3] = len(predicted)
        found[4] = (chosen == taught.argmax(dim=1)).sum()
        found[5] = F.kl_div(
            F.log_softmax(predicted, dim=1), F.log_softmax(taught, dim=1), log_target=True, reduction="sum"
        )
    return found
