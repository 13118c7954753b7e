"""Files of a run: checkpoints and the state from which a killed run continues. No pickle anywhere."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from torch import Tensor, nn

from ..architecture import Architecture, Preprocessing
from ..checkpoint.statements import from_metadata
from ..errors import CheckpointError, TrainError
from ..files import write_atomic
from ..jsonfile import Count, Seconds, Share, Within, json_object, record_of
from ..schemes import SCHEMES
from .settings import setting_defaults

LATENT_FORMAT = "latent-float-1"
TRAIN_AGAIN = "Train that phase again."
START_AGAIN = "Start again with --overwrite."


def arrays_of(model: nn.Module) -> dict[str, np.ndarray]:
    """Copies of all parameters, float32, by name."""
    return {
        name: parameter.detach().float().cpu().numpy().copy() for name, parameter in model.named_parameters()
    }


@dataclass(frozen=True)
class Description:
    """What a checkpoint says about itself besides its tensors.

    Attributes:
        architecture: sizes of the model.
        labels: class names in the order of the logits.
        preprocessing: from photo to model input.
        scheme: a name in SCHEMES.
        phase: ``teacher``, ``training`` or ``recovery``.
        epoch: epochs trained in this phase.
        accuracy: top-1 on the validation photos, 0 to 1; None where they have no labels.
    """

    architecture: Architecture
    labels: tuple[str, ...]
    preprocessing: Preprocessing
    scheme: str
    phase: str
    epoch: int
    accuracy: float | None

    def metadata(self, file_format: str) -> dict[str, str]:
        """As string pairs for the header of a safetensors file."""
        accuracy = {} if self.accuracy is None else {"ftervit.accuracy": f"{self.accuracy:.6f}"}
        return {
            "ftervit.format": file_format,
            "ftervit.architecture": json.dumps(asdict(self.architecture)),
            "ftervit.labels": json.dumps(list(self.labels), ensure_ascii=False),
            "ftervit.preprocessing": json.dumps(asdict(self.preprocessing)),
            "ftervit.scheme": self.scheme,
            "ftervit.phase": self.phase,
            "ftervit.epoch": str(self.epoch),
            **accuracy,
        }

    @staticmethod
    def from_metadata(metadata: Mapping[str, str]) -> Description:
        """The inverse of `metadata`.

        Raises:
            ValueError, CheckpointError: the metadata are not ours, or contradict each other.
        """
        stated = from_metadata(metadata)
        arch, labels, preprocessing = stated.architecture, stated.labels, stated.preprocessing
        if arch is None or labels is None or preprocessing is None:
            raise ValueError("it does not say its architecture, labels and preprocessing")
        if len(labels) != arch.classes:
            raise ValueError(f"it has {len(labels)} labels for {arch.classes} classes")
        accuracy = metadata.get("ftervit.accuracy")
        known = record_of(
            _Trained,
            {
                **{name: metadata.get(f"ftervit.{name}") for name in ("scheme", "phase")},
                "epoch": int(metadata.get("ftervit.epoch", "")),
                "accuracy": None if accuracy is None else float(accuracy),
            },
        )
        return Description(arch, labels, preprocessing, **vars(known))


@dataclass(frozen=True)
class _Trained:
    """What of a `Description` is text or a number."""

    scheme: str
    phase: str
    epoch: Count
    accuracy: Share | None

    def __post_init__(self) -> None:
        if self.scheme not in SCHEMES:
            raise ValueError(f"scheme: there is no {self.scheme!r}")


def write_checkpoint(path: Path, arrays: Mapping[str, np.ndarray], description: Description) -> None:
    """Latent float weights and their description as safetensors."""
    write_atomic(path, save(dict(arrays), description.metadata(LATENT_FORMAT)))


def read_run_checkpoint(path: Path) -> tuple[dict[str, np.ndarray], Description]:
    """A checkpoint that `write_checkpoint` wrote: float32 arrays by name, all finite, and what they are.

    Raises:
        TrainError: damaged, or not one of ours.
    """
    arrays, metadata = _read_safetensors(path, TRAIN_AGAIN)
    try:
        _check_finite(arrays)
        return arrays, Description.from_metadata(metadata)
    except (ValueError, CheckpointError) as defect:
        raise _damaged(path, defect, TRAIN_AGAIN) from None


@contextmanager
def naming_weights(origin: str) -> Iterator[None]:
    """Put `origin`, where weights are from, into what is wrong with their tensors."""
    try:
        yield
    except CheckpointError as error:
        hint = error.hint or "Name others, or train them again."
        raise CheckpointError(f"{origin}: {error.what}", hint) from None


def _damaged(path: Path, defect: Exception, hint: str) -> TrainError:
    if isinstance(defect, CheckpointError):
        return TrainError(f"{path}: {defect.what}", hint)
    return TrainError(f"{path} is damaged ({defect}).", hint)


def _check_finite(arrays: Mapping[str, np.ndarray]) -> None:
    """Raises ValueError where a number is none."""
    name = next((name for name, array in arrays.items() if not np.isfinite(array).all()), None)
    if name is not None:
        raise ValueError(f"tensor {name} holds values that are not finite")


def _read_safetensors(path: Path, hint: str) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Float32 arrays by name, and the metadata; `hint` is the way out where they cannot be had."""
    try:
        with safe_open(path, framework="numpy") as file:
            names = list(file.keys())
            for name in names:
                dtype = file.get_slice(name).get_dtype()
                if dtype != "F32":
                    raise ValueError(f"tensor {name} is {dtype}, not F32")
            return {name: file.get_tensor(name) for name in names}, file.metadata() or {}
    except (OSError, ValueError, SafetensorError) as defect:
        raise TrainError(f"{path} cannot be read ({defect}).", hint) from None


@dataclass
class Tally:
    """What has been done of an epoch; after a kill the epoch goes on from here.

    Attributes:
        steps: optimiser steps.
        photos: photos of these steps, over all processes.
        loss_sum: their losses.
        seconds: that it took.
    """

    steps: Count = 0
    photos: Count = 0
    loss_sum: float = 0.0
    seconds: Seconds = 0.0

    @property
    def loss(self) -> float:
        """Mean loss per photo."""
        return self.loss_sum / max(1, self.photos)

    @property
    def images_per_second(self) -> float:
        """Photos of all processes per second."""
        return self.photos / self.seconds if self.seconds else 0.0


@dataclass
class Progress:
    """Where a run stands.

    Attributes:
        epoch: complete epochs.
        step: optimiser steps.
        best_epoch: the epoch kept as best; 0 before the first.
        best_top1: its top-1 on the validation photos, 0 to 1; without labels, its agreement with the teacher.
        best_loss: its cross-entropy on the validation photos; without labels, its divergence.
        seconds: time spent in complete epochs.
        finished: the phase has ended.
        tally: what has been done of the epoch after the complete ones.
    """

    epoch: Count = 0
    step: Count = 0
    best_epoch: Count = 0
    best_top1: Annotated[float, Within(-1, 1)] = -1.0
    best_loss: Annotated[float, Within(-math.inf, math.inf)] = math.inf
    seconds: Seconds = 0.0
    finished: bool = False
    tally: Tally = field(default_factory=Tally)


class ResumableState:
    """Everything a step depends on: weights, average, optimiser moments, progress and settings.

    Random numbers need no place here: every step draws from a generator of its own (`sharing.generator_of`).
    """

    def __init__(
        self,
        path: Path,
        model: nn.Module,
        average: nn.Module | None,
        optimiser: torch.optim.Optimizer,
        configuration: Mapping[str, Any],
        weights: Mapping[str, str],
    ) -> None:
        """Of a run.

        Args:
            path: the file.
            model, average, optimiser: what is trained, and how; the average may be None.
            configuration: settings, which a continued run must have as well.
            weights: digests of weights from elsewhere, by what a sentence calls them; likewise.
        """
        self.path = path
        self.model = model
        self.average = average
        self.optimiser = optimiser
        self.configuration = json.loads(json.dumps(configuration))
        self.weights = dict(weights)

    def save(self, progress: Progress) -> None:
        """Write the state atomically."""
        metadata = {
            "ftervit.configuration": json.dumps(self.configuration),
            "ftervit.weights": json.dumps(self.weights),
            "ftervit.progress": json.dumps(asdict(progress)),
        }
        arrays = {name: t.detach().cpu().numpy().copy() for name, t in self._tensors().items()}
        write_atomic(self.path, save(arrays, metadata))

    @property
    def size_bytes(self) -> int:
        """Of the file, about: weights, two moments of each, and the average."""
        copies = 3 if self.average is None else 4
        return 4 * copies * sum(parameter.numel() for parameter in self.model.parameters())

    def load(self) -> Progress:
        """Restore everything.

        Raises:
            TrainError: nothing to resume, a damaged file, or other settings than those of the run.
        """
        if not self.path.exists():
            raise TrainError(f"There is nothing to resume in {self.path.parent}.", "Start without --resume.")
        arrays, metadata = _read_safetensors(self.path, START_AGAIN)
        try:
            lacking = {f"ftervit.{name}" for name in ("configuration", "progress")} - metadata.keys()
            if lacking:
                raise ValueError(f"it lacks {', '.join(sorted(lacking))}")
            self._check_configuration(json_object(metadata["ftervit.configuration"]))
            self._check_weights(json_object(metadata.get("ftervit.weights", "{}")))
            progress = record_of(Progress, json_object(metadata["ftervit.progress"]))
            _check_finite(arrays)
            self._restore(arrays)
        except (ValueError, RuntimeError) as defect:
            raise _damaged(self.path, defect, START_AGAIN) from None
        return progress

    def _check_configuration(self, saved: Mapping[str, Any]) -> None:
        known = {**json.loads(json.dumps(setting_defaults())), **saved}
        for name, value in self.configuration.items():
            if known.get(name) != value:
                raise TrainError(
                    f"The run in {self.path.parent} has {name} {known.get(name)!r}, not {value!r}.",
                    "Resume with the settings it was started with, or start again with --overwrite.",
                )

    def _check_weights(self, saved: Mapping[str, str]) -> None:
        for what, digest in saved.items():
            if self.weights.get(what, digest) != digest:
                raise TrainError(
                    f"The run in {self.path.parent} has {what} that this is not.",
                    "Name the weights that it was started with, or start again with --overwrite.",
                )

    def _restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        self._ensure_moments()
        tensors = self._tensors()
        if tensors.keys() != arrays.keys():
            raise ValueError("other tensors than this model's")
        with torch.no_grad():
            for name, tensor in tensors.items():
                tensor.copy_(torch.from_numpy(arrays[name]).reshape(tensor.shape))

    def _ensure_moments(self) -> None:
        for parameter in self.model.parameters():
            moments = self.optimiser.state[parameter]
            if not moments:
                moments["step"] = torch.zeros((), dtype=torch.float32, device=parameter.device)
                moments["exp_avg"] = torch.zeros_like(parameter)
                moments["exp_avg_sq"] = torch.zeros_like(parameter)

    def _tensors(self) -> dict[str, Tensor]:
        tensors: dict[str, Tensor] = {}
        for name, parameter in self.model.named_parameters():
            tensors[f"model.{name}"] = parameter.data
            for moment, value in self.optimiser.state[parameter].items():
                tensors[f"{moment}.{name}"] = value
        if self.average is not None:
            tensors.update({f"average.{name}": p.data for name, p in self.average.named_parameters()})
        return tensors
