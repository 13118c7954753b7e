"""The photos that models are judged by, once they are trained: in PyTorch, and in the C engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from ..architecture import Architecture, Preprocessing
from ..checkpoint import read_checkpoint
from ..engine import Engine
from .augment import normalise
from .data import Split
from .evaluate import student_of
from .model import logits
from .photosets import open_photos, validation_decoder

_BATCH = 256


class Judge:
    """Photos with labels, decoded once, exactly as the deployed preprocessing makes them.

    Attributes:
        testing: they are test photos, which have chosen nothing.

    Args:
        split: its test photos judge; where it has none, its validation photos.
        arch, preprocessing: of the models.
        memory_bytes: above this the decoded photos are not kept.
    """

    def __init__(
        self, split: Split, arch: Architecture, preprocessing: Preprocessing, memory_bytes: int
    ) -> None:
        decoder = validation_decoder(arch, preprocessing)
        self.preprocessing, self.testing = preprocessing, bool(split.test)
        self.photos = open_photos(
            split.test or split.validation, decoder, memory_bytes, torch.get_num_threads()
        )

    def checkpoint(self, path: Path) -> float:
        """Top-1 of a checkpoint as the PyTorch model it was trained as, 0 to 1."""
        model = student_of(read_checkpoint(str(path)))
        right = 0
        for indices in torch.split(torch.arange(len(self.photos)), _BATCH):
            images, labels = self.photos.batch(indices)
            predicted = logits(model, normalise(images, self.preprocessing)).argmax(dim=1)
            right += int((predicted == labels).sum())
        return right / len(self.photos)

    def engine(self, image: bytes) -> float:
        """Top-1 of an image in the C engine, whose integers are those of the board, 0 to 1."""
        right = 0
        with Engine(image) as engine:
            for indices in torch.split(torch.arange(len(self.photos)), _BATCH):
                images, labels = self.photos.batch(indices)
                found = engine.logits(np.ascontiguousarray(images.numpy().transpose(0, 2, 3, 1)))
                right += int((found.argmax(axis=1) == labels.numpy()).sum())
        return right / len(self.photos)
