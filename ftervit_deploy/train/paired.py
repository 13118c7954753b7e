"""Two models judged by the same photos: how sure the difference of their top-1 is.

Its variance comes from the photos on which they disagree alone (McNemar, Psychometrika 12, 1947; Agresti,
Categorical Data Analysis, 3rd edition, section 11.1.1): less than that of two samples of photos, as far
as the models agree.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np


@dataclass(frozen=True)
class Recognised:
    """Which photos a model recognises, in the order of all models that were judged by them.

    Attributes:
        photos: how many judged.
        digits: a bit for each, the first one's the highest of the first digit: hexadecimal, whole bytes.

    Raises:
        ValueError: the digits are not those of so many photos, or there are none.
    """

    photos: int
    digits: str

    def __post_init__(self) -> None:
        held = len(bytes.fromhex(self.digits)) * 8
        if self.photos < 1 or not 0 <= held - self.photos < 8:
            raise ValueError(f"{held} bits are not those of {self.photos} photos")

    @staticmethod
    def of(right: Sequence[bool] | np.ndarray) -> Recognised:
        """From a truth value for each photo."""
        values = np.asarray(right, bool)
        return Recognised(len(values), np.packbits(values).tobytes().hex())

    def right(self) -> np.ndarray:
        """Truth values, bool [photos]."""
        bits = np.unpackbits(np.frombuffer(bytes.fromhex(self.digits), np.uint8))
        return bits[: self.photos].astype(bool)

    @property
    def top1(self) -> float:
        """Their share, 0 to 1."""
        return float(self.right().mean())

    def error_beside(self, other: Recognised) -> float:
        """The standard error of the difference to `other`'s top-1 on the same photos, 0 to 1."""
        differences = self.right().astype(np.int8) - other.right().astype(np.int8)
        return float(differences.std()) / math.sqrt(self.photos)

    def chance_beside(self, other: Recognised) -> float:
        """How often chance alone would give a difference to `other`'s top-1 at least as large, 0 to 1.

        The exact two-sided test of McNemar: either is right on each photo that only one recognises with
        probability one half.
        """
        ours, theirs = self.right(), other.right()
        counts = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
        photos, ways, tail = sum(counts), 1, 0
        for right in range(min(counts) + 1):
            tail += ways
            ways = ways * (photos - right) // (right + 1)
        return min(1.0, float(Fraction(2 * tail, 2**photos)))
