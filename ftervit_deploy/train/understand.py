"""Importance, roll-out and patch features of a checkpoint on photos: NumPy in, NumPy out, for a report."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..checkpoint.contents import Checkpoint
from .augment import normalise
from .evaluate import student_of
from .importance import LayerImportance, layer_importance
from .model import logits
from .rollout import attention_rollout, patch_features

Photos = npt.NDArray[np.uint8]
"""Preprocessed photos, uint8 [N, H, W, 3], RGB, before mean and standard deviation."""
Floats = npt.NDArray[np.float32]
UNKNOWN = -1
"""Label of a photo whose class nobody says."""
_SMALL = 2_000_000
"""Parameters below which PyTorch's threads cost more than they bring."""


def importance_of(
    checkpoint: Checkpoint,
    photos: Photos,
    labels: npt.NDArray[np.int64],
    probes: int,
    trace_photos: int,
    on_step: Callable[[int, int], None],
) -> tuple[LayerImportance, ...]:
    """Importance of every layer (see `layer_importance`).

    Args:
        checkpoint: a teacher or a student.
        photos: N of them.
        labels: int64 [N]; where one is UNKNOWN, the model's own answer takes its place.
        probes, trace_photos: for the Hessian's trace, random vectors a layer and photos at most.
        on_step: told of steps done and steps in all.
    """
    model, images = student_of(checkpoint), _tensor(checkpoint, photos)
    with _threads(sum(parameter.numel() for parameter in model.parameters())):
        given = torch.from_numpy(labels)
        known = torch.where(given == UNKNOWN, logits(model, images).argmax(dim=1), given)
        return layer_importance(model, images, known, probes, trace_photos, on_step=on_step)


def rollout_of(checkpoint: Checkpoint, photos: Photos) -> Floats:
    """Attention roll-out (see `attention_rollout`): float32 [N, side, side]."""
    return attention_rollout(student_of(checkpoint), _tensor(checkpoint, photos))


def features_of(checkpoint: Checkpoint, photos: Photos) -> Floats:
    """Patch features (see `patch_features`): float32 [N, patches, width]."""
    return patch_features(student_of(checkpoint), _tensor(checkpoint, photos))


def _tensor(checkpoint: Checkpoint, photos: Photos) -> Tensor:
    pixels = np.ascontiguousarray(photos.transpose(0, 3, 1, 2))
    return normalise(torch.from_numpy(pixels), checkpoint.preprocessing)


@contextmanager
def _threads(parameters: int) -> Iterator[None]:
    """One thread for a small model: it would spend its time waiting for the others."""
    before = torch.get_num_threads()
    torch.set_num_threads(1 if parameters < _SMALL else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
