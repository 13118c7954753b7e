"""Channels that a matrix need not read: LayerNorm's constants, folded (c_runtime/NUMERICS.md, section 4)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Int8 = npt.NDArray[np.int8]
UInt16 = npt.NDArray[np.uint16]

BLOCK = 16
"""Inputs that kernels take together: fewer of them are no gain."""
OUTPUTS_MIN = 256
"""Outputs of a matrix for which it pays: leaving out a channel takes 17 cycles a row, an output 1/15."""


def folded(codes: Int8, gamma: Int8, beta: Int8) -> Int8:
    """Weights that give the same outputs, with as many columns of zeros as there can be.

    All channels with a gamma of 0 and the same beta have the same code in a row, 0 where beta is 0. So
    only the sum v_n of their weights counts: |v_n| of the first of these columns get its sign, the others 0.

    Args:
        codes: int8 [N, C], the weights of a matrix that reads LayerNorm's rows.
        gamma, beta: int8 [C], LayerNorm's.

    Returns:
        int8 [N, C]; `codes` itself where that leaves out nothing.
    """
    sparse = codes.copy()
    for value in (-1, 0, 1):
        alike = np.flatnonzero((gamma == 0) & (beta == value))
        sums = codes[:, alike].sum(1, np.int32)[:, None] * abs(value)
        sparse[:, alike] = np.sign(sums) * (np.abs(sums) > np.arange(alike.size))
    return sparse if left_out(sparse).size else codes


def left_out(codes: Int8) -> UInt16:
    """Which columns of zeros an image leaves out: the last ones, so that whole blocks remain.

    Args:
        codes: int8 [N, C] of a matrix that reads LayerNorm's rows.

    Returns:
        uint16 [n], ascending; none where that takes longer than it saves.
    """
    outputs, width = codes.shape
    idle = np.flatnonzero(~codes.any(0)).astype(np.uint16)
    kept = max(-(-(width - idle.size) // BLOCK), 1) * BLOCK
    pays = kept < width and outputs >= OUTPUTS_MIN
    return idle[idle.size - (width - kept) :] if pays else idle[:0]


def channels_read(left_out: UInt16, width: int) -> npt.NDArray[np.intp]:
    """The channel of each input: those beyond K that are read, last first, stand where others are left out.

    Returns:
        intp [K], K = width - n.
    """
    inputs = width - left_out.size
    channels = np.arange(inputs)
    beyond = np.setdiff1d(np.arange(inputs, width), left_out)
    channels[left_out[left_out < inputs]] = beyond[::-1]
    return channels
