"""A checkpoint evaluated as the PyTorch model it was trained as, for `ftervit eval --against`."""

from __future__ import annotations

import numpy as np
import torch

from ..checkpoint.contents import Checkpoint
from ..schemes import scheme_named
from .augment import normalise
from .model import DeiT, load_arrays, logits

BATCH_SIZE = 64


def student_of(checkpoint: Checkpoint) -> DeiT:
    """The floating-point PyTorch model of a checkpoint, quantising as its scheme says.

    Raises:
        CheckpointError: tensors that do not fit its architecture.
        ConfigError: an unknown scheme.
    """
    model = DeiT(checkpoint.architecture, scheme_named(checkpoint.scheme))
    load_arrays(model, checkpoint.dense(), ternary=checkpoint.ternary)
    return model


def student_logits(checkpoint: Checkpoint, images_u8: np.ndarray) -> np.ndarray:
    """Logits of a checkpoint, latent or ternary, on preprocessed images.

    Args:
        checkpoint: any that `read_checkpoint` gives.
        images_u8: uint8 [N, H, W, 3], RGB, before mean and standard deviation.

    Returns:
        float32 [N, classes].
    """
    model = student_of(checkpoint)
    parts = []
    for start in range(0, len(images_u8), BATCH_SIZE):
        chunk = np.ascontiguousarray(images_u8[start : start + BATCH_SIZE].transpose(0, 3, 1, 2))
        parts.append(logits(model, normalise(torch.from_numpy(chunk), checkpoint.preprocessing)).numpy())
    return np.concatenate(parts) if parts else np.zeros((0, checkpoint.architecture.classes), np.float32)
