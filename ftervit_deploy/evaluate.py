"""Accuracy, agreement and confusion, from logits. Pure NumPy; touches no disk."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .errors import DataError

Logits = npt.NDArray[np.int32] | npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]

Q16 = 65536
"""The engine's logits are fixed point: this integer is 1.0 (NUMERICS.md)."""


@dataclass(frozen=True)
class Score:
    """How often a model is right.

    Attributes:
        images: number of photos.
        top1, top5: share of photos whose class has the largest logit, or one of the five largest; 0 to 1.
        confusion: int64 [classes, classes]; photos by true class (row) and predicted class (column).
    """

    images: int
    top1: float
    top5: float
    confusion: npt.NDArray[np.int64]


def score(logits: Logits, labels: Labels) -> Score:
    """Compare logits [N, classes] with the true class indices [N]; N is at least 1.

    Of equal logits the lower class index ranks first, as everywhere in ftervit.
    """
    classes = logits.shape[1]
    order = ranked(logits, 5)
    hits = order == labels[:, None]
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (labels, order[:, 0]), 1)
    return Score(len(labels), float(hits[:, 0].mean()), float(hits.any(axis=1).mean()), confusion)


def ranked(logits: Logits, top: int) -> Labels:
    """Indices of the `top` largest logits of each row, best first: int64 [N, min(top, classes)]."""
    return np.argsort(-logits, axis=1, kind="stable")[:, :top].astype(np.int64)


def probabilities(logits: Logits) -> npt.NDArray[np.float64]:
    """Softmax of Q16 logits [N, classes]; rows add up to 1."""
    real = logits.astype(np.float64) / Q16
    powers = np.exp(real - real.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float64)


def agreement(ours: Logits, theirs: Logits) -> float:
    """Share of rows whose largest logit is the same class; 0 to 1."""
    return float((ranked(ours, 1) == ranked(theirs, 1)).mean())


def logit_cosine(ours: Logits, theirs: Logits) -> float:
    """Mean cosine between rows [N, classes] of two models' logits; -1 to 1."""
    a, b = ours.astype(np.float64), theirs.astype(np.float64)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float((np.einsum("nc,nc->n", a, b) / np.maximum(norms, 1e-30)).mean())


def match_classes(
    folders: Sequence[str], labels: Sequence[str], wordnet_ids: Sequence[str] = ()
) -> list[int]:
    """The class index of each folder name.

    A folder matches a label of the same name; else one that differs in case or Unicode form; else, for
    the 1000 ImageNet classes, a WordNet id; else, where no label is a number, a number is a class index.

    Raises:
        DataError: a folder matches no class; the message lists some that exist.
    """
    backwards = list(reversed(list(enumerate(labels))))
    exact = {label: index for index, label in backwards}
    known = {_loose(label): index for index, label in backwards}
    if len(wordnet_ids) == len(labels):
        known.update({name: index for index, name in enumerate(wordnet_ids) if name not in known})
    if not any(label.isdecimal() for label in labels):
        known.update({str(index): index for index in range(len(labels))})
    missing = [name for name in folders if _loose(name) not in known]
    if missing:
        raise DataError(
            f"The model knows no class {missing[0]!r}, the name of a folder.",
            f"Name folders after the model's labels: {_sample(labels)}.",
        )
    return [exact.get(name, known[_loose(name)]) for name in folders]


def _loose(name: str) -> str:
    """Some file systems keep letters and their accents apart."""
    return unicodedata.normalize("NFC", name).casefold()


def _sample(labels: Sequence[str], shown: int = 10) -> str:
    more = ", …" if len(labels) > shown else ""
    return ", ".join(labels[:shown]) + more
