"""The fake quantisers equal their formulas in NumPy, and pass gradients straight through."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason='install PyTorch: pip install "ftervit[train]"')

from ftervit_deploy.schemes import ABSMAX_FLOOR, ABSMEAN_FLOOR, Weights  # noqa: E402
from ftervit_deploy.ternary import ternarised  # noqa: E402
from ftervit_deploy.train.quantizers import (  # noqa: E402
    absmean_scale,
    fake_quantise_rows,
    fake_quantise_weight,
    first_steps,
    learned_step,
    quantised_rows,
    ternary_codes,
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
    found = fake_quantise_weight(torch.from_numpy(weight), Weights(granularity))
    np.testing.assert_allclose(found.numpy(), expected, 1e-6)


@pytest.mark.parametrize("granularity", ["tensor", "channel"])
@pytest.mark.parametrize("high", [1, 127])
def test_an_absmax_weight_divides_by_its_largest_magnitude(granularity: str, high: int) -> None:
    weight = _weights(6, 10)
    largest = np.abs(weight).max(axis=1, keepdims=True) if granularity == "channel" else np.abs(weight).max()
    expected = np.round(weight / (largest / high)) * (largest / high)
    found = fake_quantise_weight(torch.from_numpy(weight), Weights(granularity, "absmax", -high, high))
    np.testing.assert_allclose(found.numpy(), expected, 1e-5, 1e-7)


@pytest.mark.parametrize("granularity", ["tensor", "channel"])
def test_a_twn_weight_keeps_what_exceeds_its_threshold(granularity: str) -> None:
    weight = _weights(5, 12)
    expected = np.zeros_like(weight)
    for rows in [slice(None)] if granularity == "tensor" else [slice(n, n + 1) for n in range(5)]:
        part = weight[rows]
        kept = np.abs(part) > 0.7 * np.abs(part).mean()
        expected[rows] = np.where(kept, np.sign(part) * np.abs(part)[kept].mean(), 0)
    found = fake_quantise_weight(torch.from_numpy(weight), Weights(granularity, "twn"))
    np.testing.assert_allclose(found.numpy(), expected, 1e-6)


@pytest.mark.parametrize("granularity", ["tensor", "channel"])
@pytest.mark.parametrize("scale", ["absmean", "absmax", "twn"])
@pytest.mark.parametrize("shape", [(33, 64), (9, 3, 8, 8), (1, 96)])
def test_what_is_trained_is_what_is_packed(granularity: str, scale: str, shape: tuple[int, ...]) -> None:
    weight, rule = _weights(*shape), Weights(granularity, scale)
    trained = fake_quantise_weight(torch.from_numpy(weight), rule).numpy().reshape(shape[0], -1)
    np.testing.assert_array_equal(ternarised(weight, rule).dequantised(), trained)
    zeros = ternarised(np.zeros(shape, np.float32), rule)
    assert not zeros.codes.any()
    assert (zeros.scale == np.float32(ABSMEAN_FLOOR)).all()


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
    assert fake_quantise_weight(zeros, Weights("channel")).abs().sum() == 0


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
    weights, activations = fake_quantise_weight(weight, Weights("channel")), fake_quantise_rows(rows, 127)
    upstream = torch.from_numpy(_weights(5, 4))
    (activations @ weights.T * upstream).sum().backward()
    torch.testing.assert_close(weight.grad, upstream.T @ activations.detach())
    torch.testing.assert_close(rows.grad, upstream @ weights.detach())


def _learned(v: float, s: float, low: int, high: int, upstream: float) -> tuple[float, float, float]:
    """Value, gradient of v and gradient of s of one value, as LSQ's equations 1, 3 and 5 state them."""
    ratio = v / s
    if ratio <= low:
        return low * s, 0.0, upstream * low
    if ratio >= high:
        return high * s, 0.0, upstream * high
    return round(ratio) * s, upstream, upstream * (round(ratio) - ratio)


@pytest.mark.parametrize(("low", "high"), [(-2, 1), (-128, 127), (0, 3)])
def test_a_learned_step_has_the_values_and_gradients_of_lsq(low: int, high: int) -> None:
    values = torch.from_numpy(_weights(4, 50)).requires_grad_()
    step = (
        torch.full((4, 1), 0.15 / high**0.5).mul_(torch.tensor([[1.0], [0.5], [2.0], [3.0]])).requires_grad_()
    )
    upstream = torch.from_numpy(np.random.default_rng(2).normal(0, 1, (4, 50)).astype(np.float32))
    found = learned_step(values, step, low, high, count=50)
    (found * upstream).sum().backward()
    assert values.grad is not None
    assert step.grad is not None
    for row in range(4):
        each = [
            _learned(float(v), float(step[row].detach()), low, high, float(u))
            for v, u in zip(values[row].detach(), upstream[row], strict=True)
        ]
        forward, of_values, of_step = np.array(each).T
        np.testing.assert_allclose(found[row].detach().numpy(), forward, 1e-5, 1e-6)
        np.testing.assert_allclose(values.grad[row].numpy(), of_values, 1e-5)
        expected = of_step.sum() / (50 * high) ** 0.5
        np.testing.assert_allclose(step.grad[row].item(), expected, 1e-3, 1e-5)


def test_a_step_follows_its_gradient_to_a_smaller_error() -> None:
    values = torch.from_numpy(_weights(2000))
    step = torch.tensor([0.9]).requires_grad_()
    errors = []
    for _ in range(60):
        error = (learned_step(values, step, -2, 1, 1) - values).square().sum()
        (gradient,) = torch.autograd.grad(error, step)
        errors.append(error.item())
        with torch.no_grad():
            step -= 1e-4 * gradient
    assert errors[-1] < 0.5 * errors[0]


def test_steps_start_where_lsq_starts_them() -> None:
    weight = torch.tensor([[1.0, -3.0], [0.0, 2.0]])
    assert first_steps(weight, Weights("channel", "lsq", -2, 1)).tolist() == [4.0, 2.0]
    assert first_steps(weight, Weights("tensor", "lsq", -8, 4)).tolist() == [1.5]
