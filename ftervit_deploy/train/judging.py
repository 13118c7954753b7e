"""The photos that models are judged by, once they are trained: in PyTorch, and in the C engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..architecture import Architecture, Preprocessing
from ..checkpoint import read_checkpoint
from ..engine import Engine
from .augment import normalise
from .data import Split
from .evaluate import student_of
from .findings import TEACHER_NAME
from .model import DeiT, logits
from .paired import Recognised
from .photosets import open_photos, validation_decoder
from .validation import EVALUATION_BATCH


class Judge:
    """Photos with labels, decoded once, exactly as the deployed preprocessing makes them.

    Args:
        split: its test photos judge; where it has none, its validation photos.
        arch, preprocessing: of the models.
        memory_bytes: above this the decoded photos are not kept.
    """

    def __init__(
        self, split: Split, arch: Architecture, preprocessing: Preprocessing, memory_bytes: int
    ) -> None:
        decoder = validation_decoder(arch, preprocessing)
        self.preprocessing = preprocessing
        self.photos = open_photos(
            split.test or split.validation, decoder, memory_bytes, torch.get_num_threads()
        )

    def student(self, path: Path) -> Recognised:
        """What a checkpoint recognises as the PyTorch model it was trained as."""
        return self._recognised(self._inference(student_of(read_checkpoint(str(path)))))

    def teacher(self, source: str) -> Recognised:
        """What FP32 weights recognise; `source` as in `Sources`."""
        weights = replace(read_checkpoint(source), scheme=TEACHER_NAME)
        return self._recognised(self._inference(student_of(weights)))

    def engine(self, image: bytes) -> Recognised:
        """What an image recognises in the C engine, whose integers are those of the board."""
        with Engine(image) as engine:
            return self._recognised(
                lambda images: engine.logits(np.ascontiguousarray(images.numpy().transpose(0, 2, 3, 1)))
            )

    def _inference(self, model: DeiT) -> Callable[[Tensor], np.ndarray]:
        return lambda images: logits(model, normalise(images, self.preprocessing)).numpy()

    def _recognised(self, logits_of: Callable[[Tensor], np.ndarray]) -> Recognised:
        """By `logits_of`: uint8 [B, 3, S, S] -> [B, classes]; in batches as validation has them."""
        parts = []
        for indices in torch.split(torch.arange(len(self.photos)), EVALUATION_BATCH):
            images, labels = self.photos.batch(indices)
            parts.append(logits_of(images).argmax(axis=1) == labels.numpy())
        return Recognised.of(np.concatenate(parts))
