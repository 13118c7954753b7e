"""Fake quantisation with straight-through gradients: quantised values forward, the identity backward.

Formulas: BitNet b1.58 (arXiv 2402.17764, section 2) as FTerViT uses them (arXiv 2605.21171, section 3);
the same in NumPy pack the weights. Roundings are to the nearest, halves to even.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..schemes import ABSMAX_FLOOR, ABSMEAN_FLOOR


def absmean_scale(weight: Tensor, granularity: str) -> Tensor:
    """The scale s = mean|W|, at least ABSMEAN_FLOOR; summed in float64, so that threads do not matter.

    Args:
        weight: float, [N, ...]; N is the number of output channels.
        granularity: ``tensor`` (one scale) or ``channel`` (one per output channel).

    Returns:
        float, broadcastable to `weight`: [1, 1, ...] or [N, 1, ...].
    """
    magnitudes = weight.abs()
    if granularity == "tensor":
        mean = magnitudes.mean(dtype=torch.float64).reshape([1] * weight.dim())
    else:
        mean = magnitudes.flatten(1).mean(dim=1, dtype=torch.float64)
        mean = mean.reshape([-1] + [1] * (weight.dim() - 1))
    return mean.to(weight.dtype).clamp(min=ABSMEAN_FLOOR)


def ternary_codes(weight: Tensor, scale: Tensor) -> Tensor:
    """W_t = clip(round(W / s), -1, 1), float values of -1, 0 and 1 in the shape of `weight`."""
    return (weight / scale).round_().clamp_(-1.0, 1.0)


def quantised_rows(rows: Tensor, levels: int) -> Tensor:
    """Each row rounded to `levels` steps of its absmax on either side of zero, without gradient.

    x_q = clip(round(x * (L / absmax)), -L, L), given back as x_q * (absmax / L); absmax is at least
    ABSMAX_FLOOR.

    Args:
        rows: float, [..., K]; a row is the last axis.
        levels: L, the largest code: 127 for 8 bits.
    """
    absmax = rows.abs().amax(dim=-1, keepdim=True).clamp_(min=ABSMAX_FLOOR)
    return (rows * (levels / absmax)).round_().clamp_(-levels, levels).mul_(absmax / levels)


class _TernaryWeight(torch.autograd.Function):
    """absmean ternary forward, identity backward."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, granularity: str) -> Tensor:
        scale = absmean_scale(weight, granularity)
        return ternary_codes(weight, scale).mul_(scale)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


class _AbsmaxRows(torch.autograd.Function):
    """Rows rounded by absmax forward, identity backward."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, levels: int) -> Tensor:
        return quantised_rows(rows.float(), levels).to(rows.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


def ternary_weight(weight: Tensor, granularity: str) -> Tensor:
    """W_t * s in the shape of `weight`; its gradient passes to the latent `weight` unchanged."""
    quantised: Tensor = _TernaryWeight.apply(weight, granularity)  # type: ignore[no-untyped-call]
    return quantised


def fake_quantise_rows(rows: Tensor, levels: int | None) -> Tensor:
    """`rows` after rounding by absmax (see `quantised_rows`); the gradient passes unchanged.

    With ``levels=None`` the rows stay as they are.
    """
    if levels is None:
        return rows
    quantised: Tensor = _AbsmaxRows.apply(rows, levels)  # type: ignore[no-untyped-call]
    return quantised
