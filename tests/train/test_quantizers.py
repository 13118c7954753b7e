"""The fake quantisers equal their formulas in NumPy, and pass gradients straight through."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason='install PyTorch: pip install "ftervit[train]"')

from ftervit_deploy.schemes import ABSMAX_FLOOR, ABSMEAN_FLOOR  # noqa: E402
from ftervit_deploy.train.quantizers import (  # noqa: E402
    absmean_scale,
    fake_quantise_rows,
    quantised_rows,
    ternary_codes,
    ternary_weight,
)


def _weights(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(0, 0.3, shape).astype(np.float32)


def _scale(weight: np.ndarray, granularity: str) -> np.ndarray:
    axes = tuple(range(weight.ndim)) if granularity == "tensor" else tuple(range(1, weight.ndim))
    return np.maximum(np.abs(weight).mean(axis=axes, keepdims=True), np.float32(ABSMEAN_FLOOR))


@pytest.mark.parametrize("granularity", ["tensor", "channel"])
@pytest.mark.parametrize("shape", [(6, 10), (5, 3, 4, 4)])
def test_a_ternary_weight_is_the_absmean_formula(granularity: str, shape: tuple[int, ...]) -> None:
    weight = _weights(*shape)
    scale = _scale(weight, granularity)
    expected = np.clip(np.round(weight / scale), -1, 1) * scale
    np.testing.assert_allclose(ternary_weight(torch.from_numpy(weight), granularity).numpy(), expected, 1e-6)


def test_codes_are_minus_one_zero_and_one() -> None:
    weight = torch.from_numpy(_weights(40, 30))
    codes = ternary_codes(weight, absmean_scale(weight, "tensor"))
    assert set(codes.unique().tolist()) == {-1.0, 0.0, 1.0}


def test_a_weight_half_way_between_codes_becomes_the_even_one() -> None:
    weight = torch.tensor([[0.5, -0.5, 1.5, -1.5, 1.0, 1.0]])  # mean of magnitudes: 1
    assert ternary_codes(weight, absmean_scale(weight, "tensor")).tolist() == [[0, 0, 1, -1, 1, 1]]


def test_the_scale_of_an_empty_weight_is_the_floor() -> None:
    zeros = torch.zeros(3, 4)
    assert absmean_scale(zeros, "tensor").item() == pytest.approx(ABSMEAN_FLOOR)
    assert ternary_weight(zeros, "channel").abs().sum() == 0


@pytest.mark.parametrize("levels", [63, 127])
def test_activation_rows_are_the_absmax_formula(levels: int) -> None:
    rows = _weights(7, 3, 12)
    absmax = np.maximum(np.abs(rows).max(axis=-1, keepdims=True), np.float32(ABSMAX_FLOOR))
    expected = np.clip(np.round(rows * (levels / absmax)), -levels, levels) * (absmax / levels)
    np.testing.assert_allclose(quantised_rows(torch.from_numpy(rows), levels).numpy(), expected, 1e-6)


def test_a_row_of_zeros_stays_zero() -> None:
    assert quantised_rows(torch.zeros(2, 5), 127).abs().sum() == 0


def test_without_levels_rows_stay_as_they_are() -> None:
    rows = torch.randn(3, 4)
    assert fake_quantise_rows(rows, None) is rows


def test_gradients_pass_straight_through_weights_and_rows() -> None:
    weight = torch.from_numpy(_weights(4, 6)).requires_grad_()
    rows = torch.from_numpy(_weights(5, 6)).requires_grad_()
    weights, activations = ternary_weight(weight, "channel"), fake_quantise_rows(rows, 127)
    upstream = torch.from_numpy(_weights(5, 4))
    (activations @ weights.T * upstream).sum().backward()
    torch.testing.assert_close(weight.grad, upstream.T @ activations.detach())
    torch.testing.assert_close(rows.grad, upstream @ weights.detach())
