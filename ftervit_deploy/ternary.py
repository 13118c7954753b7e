"""Ternary quantisers and trit codes, in NumPy.

A ternary weight is ``code * scale`` with a code in {-1, 0, +1}. Sources: FTerViT, arXiv 2605.21171;
BitNet b1.58, arXiv 2402.17764, equations 1 to 3; Ternary Weight Networks, arXiv 1605.04711.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .errors import CheckpointError
from .schemes import ABSMEAN_FLOOR, TWN_THRESHOLD, Weights

Codes = npt.NDArray[np.int8]
Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

GRANULARITIES = ("tensor", "channel")
ZERO_PAIR = 1
"""Two stored bits of the code 0; stored bits are code + 1."""


@dataclass(frozen=True)
class TernaryMatrix:
    """A ternary matrix: row n of it is ``codes[n] * scale[n]`` (or ``scale[0]``).

    Attributes:
        codes: int8 [N, K] in {-1, 0, 1}; N output channels, K inputs.
        scale: float32 [1] (per tensor) or [N] (per output channel).
    """

    codes: Codes
    scale: Floats

    def dequantised(self) -> Floats:
        """The real weights, float32 [N, K]."""
        return self.codes.astype(np.float32) * self.scale.reshape(-1, 1)


def absmean_ternary(weight: Floats, granularity: str = "tensor") -> TernaryMatrix:
    """Quantises by absmean: s = mean|W|, at least 1e-5; code = clip(round(W / s), -1, 1), halves to even.

    The mean is taken in float64 and rounded once to float32, so that it does not depend on the order
    of summation; the division is in float32, as in training.

    Args:
        weight: float32 [N, ...]; axes after the first are flattened in C order.
        granularity: ``tensor``: one scale; ``channel``: one per row of the first axis.

    Returns:
        codes int8 [N, K] and scale float32 [1] or [N].
    """
    rows = _as_rows(weight)
    mean = np.abs(_groups(rows, granularity)).mean(axis=1, dtype=np.float64)
    return _rounded(rows, mean)


def absmax_ternary(weight: Floats, granularity: str = "tensor") -> TernaryMatrix:
    """Quantises by absmax: s = max|W|, at least 1e-5; code = clip(round(W / s), -1, 1), halves to even.

    Arguments and result are those of `absmean_ternary`.
    """
    rows = _as_rows(weight)
    return _rounded(rows, np.abs(_groups(rows, granularity)).max(axis=1))


def twn_ternary(weight: Floats, granularity: str = "tensor") -> TernaryMatrix:
    """Quantises by a threshold: code = sign(W) where |W| > 0.7 mean|W|, else 0; s = mean of those |W|.

    Means are taken in float64 and rounded once to float32; s is at least 1e-5. Arguments and result are
    those of `absmean_ternary`.
    """
    rows = _as_rows(weight)
    magnitude = np.abs(_groups(rows, granularity))
    threshold = (TWN_THRESHOLD * magnitude.mean(axis=1, dtype=np.float64)).astype(np.float32)
    large = magnitude > threshold[:, None]
    total = np.where(large, magnitude, 0).sum(axis=1, dtype=np.float64)
    scale = np.maximum(total / np.maximum(large.sum(axis=1), 1), ABSMEAN_FLOOR).astype(np.float32)
    codes = np.sign(rows) * large.reshape(rows.shape)
    return TernaryMatrix(codes.astype(np.int8), scale)


_QUANTISERS = {"absmean": absmean_ternary, "absmax": absmax_ternary, "twn": twn_ternary}


def ternarised(weight: Floats, rule: Weights) -> TernaryMatrix:
    """Quantises by a scheme's rule, which must be ternary and have no learned step.

    Args:
        weight: float32 [N, ...].
        rule: of the tensor.
    """
    return _QUANTISERS[rule.scale](weight, rule.granularity)


def _groups(rows: Floats, granularity: str) -> Floats:
    """float32 [1, N * K] or [N, K]: what shares a scale."""
    if granularity not in GRANULARITIES:
        raise ValueError(f"granularity {granularity!r} is none of {GRANULARITIES}")
    return rows if granularity == "channel" else rows.reshape(1, -1)


def _rounded(rows: Floats, scale: npt.NDArray[np.floating]) -> TernaryMatrix:
    floored = np.maximum(scale, ABSMEAN_FLOOR).astype(np.float32)
    quotient = rows / floored.reshape(-1, 1)
    np.rint(quotient, out=quotient)
    np.clip(quotient, -1, 1, out=quotient)
    return TernaryMatrix(quotient.astype(np.int8), floored)


def as_ternary(weight: Floats) -> TernaryMatrix | None:
    """The exact codes of a weight whose values are {-s, 0, s} already, per tensor or per row; else None.

    Values must be exactly equal in magnitude, which rounding to bfloat16 or float16 preserves. An
    all-zero tensor or row gets scale ABSMEAN_FLOOR, as the quantiser would give it.

    Args:
        weight: float32 [N, ...].
    """
    rows = _as_rows(weight)
    if not _row_is_ternary(rows[:1]):
        return None
    magnitude = np.abs(rows)
    largest = magnitude.max(axis=1, initial=0.0)
    if not bool(((magnitude == largest[:, None]) | (magnitude == 0)).all()):
        return None
    used = largest[largest > 0]
    one_scale = used.size == 0 or bool((used == used[0]).all())
    scale = (used[:1] if used.size else np.zeros(1, np.float32)) if one_scale else largest
    scale = np.where(scale > 0, scale, np.float32(ABSMEAN_FLOOR)).astype(np.float32)
    return TernaryMatrix(np.sign(rows).astype(np.int8), scale)


def _as_rows(weight: Floats) -> Floats:
    """float32 [N, K] of a tensor [N, ...]."""
    return np.asarray(weight, np.float32).reshape(weight.shape[0], -1)


def _row_is_ternary(row: Floats) -> bool:
    magnitude = np.abs(row)
    return bool(((magnitude == magnitude.max(initial=0.0)) | (magnitude == 0)).all())


def pack_rows(codes: Codes) -> Bytes:
    """Packs codes as ``packed-ternary-1`` stores them: four rows to a byte.

    Args:
        codes: int8 [N, K] in {-1, 0, 1}.

    Returns:
        uint8 [ceil(N/4), K]; bits 2i..2i+1 of byte [r, k] hold ``codes[4r + i, k] + 1``; rows past N
        hold the code 0.
    """
    channels, inputs = codes.shape
    padded = np.full((-(-channels // 4) * 4, inputs), ZERO_PAIR, np.uint8)
    padded[:channels] = (codes + 1).view(np.uint8)
    quads = padded.reshape(-1, 4, inputs)
    packed = quads[:, 0] | quads[:, 1] << 2 | quads[:, 2] << 4 | quads[:, 3] << 6
    return np.asarray(packed, np.uint8)


def unpack_rows(packed: Bytes, channels: int) -> Codes:
    """The codes int8 [channels, K] of `pack_rows`'s bytes uint8 [ceil(channels/4), K].

    Raises:
        CheckpointError: a pair of bits is 3, a row past `channels` is not zero, or the number of
            rows does not fit.
    """
    groups, inputs = packed.shape
    if groups != -(-channels // 4):
        raise CheckpointError(f"{groups} rows of packed bytes cannot hold {channels} channels.")
    shifts = np.array([0, 2, 4, 6], np.uint8).reshape(1, 4, 1)
    pairs = ((packed[:, None, :] >> shifts) & 3).reshape(groups * 4, inputs)
    if bool((pairs == 3).any()):
        raise CheckpointError("Packed ternary weights hold a code that is none of -1, 0, 1.")
    if bool((pairs[channels:] != ZERO_PAIR).any()):
        raise CheckpointError("Packed ternary weights are not zero in the rows that only pad.")
    return pairs[:channels].astype(np.int8) - np.int8(1)
