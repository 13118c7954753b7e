"""Fake quantisation: quantised values forward, a gradient for the latent ones backward.

Scales that follow from the weights pass the gradient straight through (BitNet b1.58, arXiv 2402.17764,
section 2, as FTerViT uses it, arXiv 2605.21171, section 3); learned steps have LSQ's gradients
(arXiv 1902.08153, section 2.1). The rules are those of schemes.py; the ternary ones in NumPy pack the
weights. Roundings are to the nearest, halves to even.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..schemes import ABSMAX_FLOOR, ABSMEAN_FLOOR, TWN_THRESHOLD, Weights


def _per_scale(values: Tensor, granularity: str) -> Tensor:
    """[1, ...] or [N, ...] flattened to [scales, values of one scale]."""
    return values.reshape(1, -1) if granularity == "tensor" else values.flatten(1)


def _like_weight(scales: Tensor, weight: Tensor) -> Tensor:
    """[1] or [N] -> broadcastable to `weight`: [1, 1, ...] or [N, 1, ...]."""
    return scales.reshape([-1] + [1] * (weight.dim() - 1))


def absmean_scale(weight: Tensor, granularity: str) -> Tensor:
    """The scale s = mean|W|, at least ABSMEAN_FLOOR; summed in float64, so that threads do not matter.

    Args:
        weight: float, [N, ...]; N is the number of output channels.
        granularity: ``tensor`` (one scale) or ``channel`` (one per output channel).

    Returns:
        float, broadcastable to `weight`: [1, 1, ...] or [N, 1, ...].
    """
    mean = _per_scale(weight.abs(), granularity).mean(dim=1, dtype=torch.float64)
    return _like_weight(mean.to(weight.dtype), weight).clamp(min=ABSMEAN_FLOOR)


def ternary_codes(weight: Tensor, scale: Tensor) -> Tensor:
    """W_t = clip(round(W / s), -1, 1), float values of -1, 0 and 1 in the shape of `weight`."""
    return (weight / scale).round_().clamp_(-1.0, 1.0)


def codes_and_scale(weight: Tensor, rule: Weights) -> tuple[Tensor, Tensor]:
    """Codes and scale of a weight whose scale follows from its values, without gradient.

    Args:
        weight: float, [N, ...].
        rule: ``absmean``, ``absmax`` or ``twn``.

    Returns:
        Codes in the shape of `weight`, whole numbers from rule.low to rule.high, and the scale,
        [1, 1, ...] or [N, 1, ...].
    """
    if rule.scale == "twn":
        return _twn(weight, rule.granularity)
    if rule.scale == "absmean":
        scale = absmean_scale(weight, rule.granularity)
    else:
        largest = _per_scale(weight.abs(), rule.granularity).amax(dim=1) / rule.high
        scale = _like_weight(largest, weight).clamp(min=ABSMEAN_FLOOR)
    return (weight / scale).round_().clamp_(rule.low, rule.high), scale


def _twn(weight: Tensor, granularity: str) -> tuple[Tensor, Tensor]:
    """Sums in float64, so that threads do not matter."""
    magnitude = _per_scale(weight.abs(), granularity)
    threshold = (TWN_THRESHOLD * magnitude.mean(dim=1, dtype=torch.float64)).to(weight.dtype)
    large = magnitude > threshold.unsqueeze(1)
    total = (magnitude * large).sum(dim=1, dtype=torch.float64)
    mean = (total / large.sum(dim=1).clamp(min=1)).clamp(min=ABSMEAN_FLOOR).to(weight.dtype)
    return weight.sign() * large.reshape(weight.shape), _like_weight(mean, weight)


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


class _StraightThroughWeight(torch.autograd.Function):
    """A weight by its rule forward, identity backward."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, rule: Weights) -> Tensor:
        codes, scale = codes_and_scale(weight, rule)
        return codes.mul_(scale)

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


class _LearnedStep(torch.autograd.Function):
    """s * clip(round(v / s), low, high) forward; backward LSQ's equations 3 and 5."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, step: Tensor, low: int, high: int, gradient_scale: float) -> Tensor:
        floored = step.clamp(min=ABSMEAN_FLOOR)
        quotient = values / floored
        ctx.save_for_backward(quotient)
        ctx.rule = low, high, gradient_scale, step.shape
        return quotient.round().clamp_(low, high).mul_(floored)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        (quotient,) = ctx.saved_tensors
        low, high, gradient_scale, shape = ctx.rule
        inside = (quotient > low) & (quotient < high)
        slope = torch.where(inside, quotient.round() - quotient, quotient.clamp(low, high))
        step_gradient = (gradient * slope).sum_to_size(shape) * gradient_scale
        return gradient * inside, step_gradient, None, None, None


def fake_quantise_weight(weight: Tensor, rule: Weights) -> Tensor:
    """The codes times the scale, in the shape of `weight`; the gradient passes to it unchanged.

    Args:
        weight: float, [N, ...].
        rule: ``absmean``, ``absmax`` or ``twn``.
    """
    quantised: Tensor = _StraightThroughWeight.apply(weight, rule)  # type: ignore[no-untyped-call]
    return quantised


def fake_quantise_rows(rows: Tensor, levels: int | None) -> Tensor:
    """`rows` after rounding by absmax (see `quantised_rows`); the gradient passes unchanged.

    With ``levels=None`` the rows stay as they are.
    """
    if levels is None:
        return rows
    quantised: Tensor = _AbsmaxRows.apply(rows, levels)  # type: ignore[no-untyped-call]
    return quantised


def learned_step(values: Tensor, step: Tensor, low: int, high: int, count: int) -> Tensor:
    """v_q = s * clip(round(v / s), low, high) with LSQ's gradients for v and s.

    The gradient of v passes where low < v / s < high and is 0 elsewhere; that of s is
    round(v / s) - v / s there, low or high elsewhere, summed and times 1 / sqrt(count * high).

    Args:
        values: float, any shape.
        step: s, float, broadcastable to `values`; at least ABSMEAN_FLOOR counts.
        low, high: smallest and largest code.
        count: how many values share a step.
    """
    factor = (count * high) ** -0.5
    quantised: Tensor = _LearnedStep.apply(values, step, low, high, factor)  # type: ignore[no-untyped-call]
    return quantised


def fake_quantise_by_step(weight: Tensor, step: Tensor, rule: Weights) -> Tensor:
    """A weight [N, ...] by its learned steps, [1] or [N] (rule ``lsq``); see `learned_step`."""
    count = weight.numel() // step.numel()
    return learned_step(weight, _like_weight(step, weight), rule.low, rule.high, count)


def first_steps(weight: Tensor, rule: Weights) -> Tensor:
    """Steps with which a weight starts: 2 mean|W| / sqrt(high), float [1] or [N] (LSQ, section 2.1)."""
    mean = _per_scale(weight.detach().abs(), rule.granularity).mean(dim=1)
    steps: Tensor = 2 * mean / rule.high**0.5
    return steps.clamp(min=ABSMEAN_FLOOR)
