"""The integer definition computes what the ternary method means, in every section of NUMERICS.md."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import real_model

from ftervit_deploy import reference
from ftervit_deploy.architecture import PRESETS
from ftervit_deploy.lower import CODE_MAX, IntegerNorm, Multiplier, lower
from synthetic import random_graph

RNG = np.random.default_rng(7)


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))


@pytest.mark.parametrize(
    ("preset", "depth"),
    [
        ("mcu_nano_64", 4),
        ("mcu_micro_64", 6),
        ("mcu_small_96", 6),
        ("deit_tiny_224", 2),
        ("deit3_small_224", 1),
    ],
)
def test_logits_agree_with_the_method_in_real_numbers(preset: str, depth: int) -> None:
    architecture = replace(PRESETS[preset], depth=depth)
    graph = random_graph(architecture, seed=3)
    side = architecture.image_size
    pixels = RNG.integers(0, 256, (2, side, side, 3), dtype=np.uint8)
    integer = reference.forward(lower(graph), pixels) / 65536
    assert _cosine(integer, real_model.forward(graph, pixels)) > 0.9995


@pytest.mark.parametrize("magnitude", [1, 50, 3000, 10**6, 2**30 - 1])
def test_quantised_rows_are_the_trained_rounding(magnitude: int) -> None:
    x = RNG.integers(-magnitude, magnitude + 1, (64, 96))
    codes, a, a15, k = reference.quantise_rows(x, CODE_MAX)
    exact = np.rint(x * CODE_MAX / np.maximum(1, np.abs(x).max(1, keepdims=True)))
    assert np.abs(codes).max() <= CODE_MAX
    assert np.abs(codes - exact).max() <= 1
    assert np.mean(codes != exact) < 0.02
    np.testing.assert_allclose(a15 / 2.0**k, a, rtol=2**-14)


def test_layer_norm_statistics_are_at_least_as_good_as_float32() -> None:
    width = 384
    gamma = np.ones(width, np.int8)
    norm = IntegerNorm(gamma, np.zeros(width, np.int8), 1.0, 1e-5, Multiplier(2**14, 14))
    for offset, spread in ((0, 1e5), (5 * 65536, 3e4), (-(2**24), 900.0), (100 * 65536, 2e6)):
        x = np.rint(RNG.normal(offset, spread, (16, width))).astype(np.int64)
        rows = reference.layer_norm(norm, x, 4295)
        got = rows.codes * (rows.mantissa * 2.0**-rows.exponent / CODE_MAX * math.sqrt(width))[:, None]
        exact = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-6 * 2**32)
        step = np.abs(exact).max(1, keepdims=True) / CODE_MAX
        assert np.abs(got - exact).max() <= 0.52 * step.max()


def test_layer_norm_of_a_constant_row_gives_beta() -> None:
    width = 16
    beta = np.resize(np.array([1, 0, -1], np.int8), width)
    norm = IntegerNorm(np.ones(width, np.int8), beta, 1.0, 0.5, Multiplier(2**14, 17))
    rows = reference.layer_norm(norm, np.full((1, width), 12345, np.int64), 4295)
    np.testing.assert_array_equal(rows.codes[0], 127 * beta.astype(np.int64))


def test_gelu_is_the_exact_erf_form_within_its_bound() -> None:
    y = np.concatenate([np.arange(-(6 << 16), 6 << 16, 7), np.array([-(2**30), 2**30 - 1])])
    exact = y / 65536 * 0.5 * (1 + np.vectorize(math.erf)(y / 65536 / math.sqrt(2)))
    assert np.abs(reference.gelu(y) / 65536 - exact).max() < 1.4e-4


def test_exponential_polynomial_is_within_its_bound_and_its_16_bits() -> None:
    f = np.arange(32768)
    e = reference.horner(f, reference.EXP2_POLY)
    assert np.abs(e / 32768 - 2.0 ** (-f / 32768)).max() < 1.1e-4
    assert e.max() <= 32767
    assert e.min() >= 16382


def test_polynomials_stay_within_int16() -> None:
    x = np.arange(-32768, 32768)
    r = np.full_like(x, reference.GELU_POLY[-1])
    for c in reference.GELU_POLY[-2::-1]:
        r = (r * x >> 15) + c
        assert np.abs(r).max() <= 32767


def test_products_are_exact_at_the_largest_k() -> None:
    codes = np.full((2, 4128), 127, np.int64)
    codes[1] *= -1
    weights = np.ones((3, 4128), np.int8)
    assert (reference.accumulate(codes, weights) == np.array([[524256], [-524256]])).all()


def test_only_the_class_token_is_computed_in_the_last_block() -> None:
    architecture = replace(PRESETS["mcu_nano_64"], depth=2)
    shapes: dict[tuple[str, int], tuple[int, ...]] = {}
    pixels = np.zeros((1, 64, 64, 3), np.uint8)

    def note(site: str, block: int, values: np.ndarray) -> None:
        shapes[site, block] = values.shape

    reference.forward(lower(random_graph(architecture)), pixels, note)
    assert shapes["fc2_residual", 0] == (65, 64)
    assert shapes["norm1_codes", 1] == (65, 64)
    assert shapes["attention_codes", 1] == shapes["fc2_residual", 1] == (1, 64)
