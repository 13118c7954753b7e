"""Quantisers agree with their definition in torch; packed bytes hold exactly what was put in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftervit_deploy.errors import CheckpointError
from ftervit_deploy.schemes import ABSMEAN_FLOOR
from ftervit_deploy.ternary import TernaryMatrix, absmean_ternary, as_ternary, pack_rows, unpack_rows

torch = pytest.importorskip("torch", reason="pip install 'ftervit[train]'")


def _torch_codes(weight: np.ndarray, granularity: str) -> tuple[np.ndarray, np.ndarray]:
    """BitNet b1.58's definition, as training computes it."""
    rows = torch.from_numpy(weight).reshape(weight.shape[0], -1)
    mean = rows.abs().mean(dim=1, keepdim=True) if granularity == "channel" else rows.abs().mean()
    scale = mean.clamp(min=ABSMEAN_FLOOR)
    return (rows / scale).round().clamp(-1, 1).numpy(), scale.reshape(-1).numpy()


@pytest.mark.parametrize("granularity", ["tensor", "channel"])
@pytest.mark.parametrize("shape", [(1152, 384), (384, 3, 16, 16), (1, 192), (7, 5)])
@pytest.mark.parametrize("spread", [3e-2, 1e-7, 50.0])
def test_absmean_agrees_with_torch(shape: tuple[int, ...], granularity: str, spread: float) -> None:
    weight = np.random.default_rng(1).standard_normal(shape).astype(np.float32) * np.float32(spread)
    codes, scale = _torch_codes(weight, granularity)
    ours = absmean_ternary(weight, granularity)
    np.testing.assert_allclose(ours.scale, scale, rtol=3e-7)
    boundary = np.abs(np.abs(weight.reshape(codes.shape) / scale.reshape(-1, 1)) - 0.5) < 1e-6
    np.testing.assert_array_equal(ours.codes[~boundary], codes[~boundary])
    assert ours.codes.dtype == np.int8
    assert ours.scale.dtype == np.float32


def test_a_half_rounds_to_even_and_zero_weights_get_the_floor() -> None:
    weight = np.array([[0.5, 1.5, -0.5, 1.5]], np.float32)  # mean 1
    assert absmean_ternary(weight).codes.tolist() == [[0, 1, 0, 1]]
    zeros = absmean_ternary(np.zeros((2, 3), np.float32))
    assert zeros.codes.tolist() == [[0] * 3] * 2
    assert zeros.scale.tolist() == [np.float32(ABSMEAN_FLOOR)]


def test_an_unknown_granularity_is_a_defect() -> None:
    with pytest.raises(ValueError, match="granularity"):
        absmean_ternary(np.zeros((1, 1), np.float32), "row")


@pytest.mark.parametrize("scales", [1, 9])
@pytest.mark.parametrize("narrow", ["float32", "float16", "bfloat16"])
def test_ternary_weights_are_recognised_exactly(scales: int, narrow: str) -> None:
    draw = np.random.default_rng(2)
    codes = draw.integers(-1, 2, (9, 40)).astype(np.int8)
    scale = draw.uniform(0.01, 0.1, scales).astype(np.float32)
    stored = torch.from_numpy(TernaryMatrix(codes, scale).dequantised()).to(getattr(torch, narrow))
    found = as_ternary(stored.float().numpy())
    assert found is not None
    np.testing.assert_array_equal(found.codes, codes)
    np.testing.assert_array_equal(found.dequantised(), stored.float().numpy())
    assert found.scale.shape == (scales,)


def test_latent_weights_are_not_taken_for_ternary() -> None:
    weight = np.random.default_rng(3).standard_normal((8, 16)).astype(np.float32)
    assert as_ternary(weight) is None
    nearly = np.sign(weight)
    nearly[5, 5] *= 1.0001
    assert as_ternary(nearly) is None


def test_zero_rows_and_zero_tensors_are_ternary() -> None:
    zeros = as_ternary(np.zeros((4, 4), np.float32))
    assert zeros is not None
    assert zeros.scale.tolist() == [np.float32(ABSMEAN_FLOOR)]
    rows = as_ternary(np.array([[0, 0], [2, -2], [3, 0]], np.float32))
    assert rows is not None
    assert rows.scale.tolist() == [np.float32(ABSMEAN_FLOOR), 2, 3]


@given(st.integers(1, 13), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_packed_rows_come_back(channels: int, inputs: int, seed: int) -> None:
    codes = np.random.default_rng(seed).integers(-1, 2, (channels, inputs)).astype(np.int8)
    packed = pack_rows(codes)
    assert packed.shape == (-(-channels // 4), inputs)
    np.testing.assert_array_equal(unpack_rows(packed, channels), codes)


def test_packed_bits_lie_as_documented() -> None:
    codes = np.array([[-1], [0], [1], [-1], [1]], np.int8)
    assert pack_rows(codes).tolist() == [[0b00_10_01_00], [0b01_01_01_10]]


@pytest.mark.parametrize(
    ("packed", "channels", "what"),
    [
        ([[0b11]], 4, "none of -1, 0, 1"),
        ([[0b00_01_01_01]], 3, "only pad"),
        ([[0b01_01_01_01]], 5, "cannot hold"),
    ],
)
def test_impossible_packed_bytes_are_refused(packed: list[list[int]], channels: int, what: str) -> None:
    with pytest.raises(CheckpointError, match=what):
        unpack_rows(np.array(packed, np.uint8), channels)
