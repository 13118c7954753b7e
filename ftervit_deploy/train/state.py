"""Files of a run: checkpoints and the state from which a killed run continues. No pickle anywhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from torch import Tensor, nn

from ..architecture import Architecture, Preprocessing
from ..errors import TrainError
from ..files import write_atomic
from .settings import setting_defaults

LATENT_FORMAT = "latent-float-1"


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
            KeyError, ValueError, TypeError: the metadata are not ours.
        """
        preprocessing = json.loads(metadata["ftervit.preprocessing"])
        preprocessing["mean"] = tuple(preprocessing["mean"])
        preprocessing["std"] = tuple(preprocessing["std"])
        return Description(
            Architecture(**json.loads(metadata["ftervit.architecture"])),
            tuple(json.loads(metadata["ftervit.labels"])),
            Preprocessing(**preprocessing),
            metadata["ftervit.scheme"],
            metadata["ftervit.phase"],
            int(metadata["ftervit.epoch"]),
            float(metadata["ftervit.accuracy"]) if "ftervit.accuracy" in metadata else None,
        )


def write_checkpoint(path: Path, arrays: Mapping[str, np.ndarray], description: Description) -> None:
    """Latent float weights and their description as safetensors."""
    write_atomic(path, save(dict(arrays), description.metadata(LATENT_FORMAT)))


def read_run_checkpoint(path: Path) -> tuple[dict[str, np.ndarray], Description]:
    """A checkpoint that `write_checkpoint` wrote.

    Raises:
        TrainError: damaged, or not one of ours.
    """
    arrays, metadata = _read_safetensors(path)
    try:
        return arrays, Description.from_metadata(metadata)
    except (KeyError, ValueError, TypeError) as defect:
        raise TrainError(f"{path} is no checkpoint of `ftervit train` ({defect}).") from None


def _read_safetensors(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    try:
        with safe_open(path, framework="numpy") as file:
            names = list(file.keys())
            return {name: file.get_tensor(name) for name in names}, file.metadata() or {}
    except (OSError, SafetensorError) as defect:
        raise TrainError(f"{path} cannot be read ({defect}).", "Train that phase again.") from None


@dataclass
class Tally:
    """What has been done of an epoch; after a kill the epoch goes on from here.

    Attributes:
        steps: optimiser steps.
        photos: photos of these steps, over all processes.
        loss_sum: their losses.
        seconds: that it took.
    """

    steps: int = 0
    photos: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0

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

    epoch: int = 0
    step: int = 0
    best_epoch: int = 0
    best_top1: float = -1.0
    best_loss: float = float("inf")
    seconds: float = 0.0
    finished: bool = False
    tally: Tally = field(default_factory=Tally)

    @staticmethod
    def from_json(text: str) -> Progress:
        """The inverse of ``json.dumps(asdict(progress))``.

        Raises:
            ValueError, TypeError: it is not.
        """
        values = json.loads(text)
        return Progress(**{**values, "tally": Tally(**values.get("tally", {}))})


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
        arrays, metadata = _read_safetensors(self.path)
        try:
            self._check_configuration(json.loads(metadata["ftervit.configuration"]))
            self._check_weights(json.loads(metadata.get("ftervit.weights", "{}")))
            progress = Progress.from_json(metadata["ftervit.progress"])
            self._restore(arrays)
        except (KeyError, ValueError, TypeError, RuntimeError) as defect:
            raise TrainError(f"{self.path} is damaged ({defect}).", "Start again with --overwrite.") from None
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
