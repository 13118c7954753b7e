"""From named arrays to ternary layers: codes, scales, counts, and the way back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ftervit_deploy.architecture import PRESETS, Architecture, Preprocessing
from ftervit_deploy.checkpoint import Checkpoint
from ftervit_deploy.checkpoint.shapes import parameter_shapes
from ftervit_deploy.errors import CheckpointError, ConfigError
from ftervit_deploy.graph import Graph, build_graph, dequantised
from ftervit_deploy.schemes import SCHEMES
from ftervit_deploy.ternary import absmean_ternary
from synthetic import random_checkpoint_arrays, random_graph

TINY = Architecture(16, 8, 8, 2, 2, 16, 3)
TINY3 = replace(TINY, layer_scale=True, position_on_class_token=False)


def _latent(architecture: Architecture, **changes: object) -> Checkpoint:
    arrays = random_checkpoint_arrays(architecture, 5)
    labels = tuple(str(i) for i in range(architecture.classes))
    return replace(Checkpoint(arrays, architecture, Preprocessing(), labels), **changes)  # type: ignore[arg-type]


def _assert_same(one: Graph, other: Graph) -> None:
    for (name, a), (_, b) in zip(one.ternary_tensors(), other.ternary_tensors(), strict=True):
        np.testing.assert_array_equal(a, b, err_msg=name)
    ours, theirs = dequantised(one), dequantised(other)
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)


@pytest.mark.parametrize("architecture", [TINY, TINY3], ids=["deit", "deit3"])
def test_latent_weights_are_ternarised_by_the_scheme(architecture: Architecture) -> None:
    checkpoint = _latent(architecture)
    graph = build_graph(checkpoint)
    arrays = checkpoint.arrays
    assert graph.patch.weight.scale.shape == (8,)
    assert graph.blocks[1].fc1.weight.scale.shape == (1,)
    expected = absmean_ternary(arrays["blocks.1.mlp.fc1.weight"])
    np.testing.assert_array_equal(graph.blocks[1].fc1.weight.codes, expected.codes)
    beta = absmean_ternary(arrays["norm.bias"].reshape(1, -1))
    assert graph.norm.beta_scale == float(beta.scale[0])
    np.testing.assert_array_equal(graph.norm.beta, beta.codes[0])
    assert graph.position.shape == (architecture.position_rows, 8)
    assert (graph.blocks[0].ls1 is not None) == architecture.layer_scale
    assert graph.norm.eps == 1e-6


def test_the_patch_embedding_runs_channel_row_column() -> None:
    checkpoint = _latent(TINY)
    flat = build_graph(checkpoint).patch.weight.codes.reshape(8, 3, 8, 8)
    weight = checkpoint.arrays["patch_embed.proj.weight"]
    bold = np.abs(weight) > 3 * np.abs(weight).mean()
    np.testing.assert_array_equal(flat[bold], np.sign(weight[bold]))


@pytest.mark.parametrize("architecture", [TINY, TINY3], ids=["deit", "deit3"])
def test_ternary_weights_keep_their_codes_and_scales(architecture: Architecture) -> None:
    graph = random_graph(architecture, 7)
    again = build_graph(_latent(architecture, arrays=dequantised(graph), ternary=True))
    _assert_same(graph, again)


def test_a_latent_norm_that_looks_ternary_is_quantised_as_in_training() -> None:
    arrays = random_checkpoint_arrays(TINY)
    arrays["norm.bias"] = np.array([0, 0, 0, 0, 0, 0, 0, 0.8], np.float32)
    graph = build_graph(_latent(TINY, arrays=arrays))
    assert graph.norm.beta_scale == pytest.approx(0.1)


def test_a_missing_qkv_bias_is_zero() -> None:
    arrays = random_checkpoint_arrays(TINY)
    del arrays["blocks.0.attn.qkv.bias"]
    assert build_graph(_latent(TINY, arrays=arrays)).blocks[0].qkv.bias.tolist() == [0.0] * 24


def test_dequantised_has_every_parameter_in_timm_s_shape() -> None:
    arrays = dequantised(random_graph(TINY3))
    assert {name: array.shape for name, array in arrays.items()} == parameter_shapes(TINY3)
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize(
    ("preset", "matrices", "norms"),
    [
        ("deit_tiny_224", 5_647_872, 9_600),
        ("deit_small_224", 21_912_576, 19_200),
        ("deit3_small_224", 21_912_576, 19_200),
    ],
)
def test_ternary_parameters_are_counted(preset: str, matrices: int, norms: int) -> None:
    graph = random_graph(PRESETS[preset])
    assert graph.ternary_weights == matrices + norms
    assert graph.zero_fraction == pytest.approx(0.37, abs=0.005)
    assert sum(zeros for _, _, zeros in graph.zeros_per_layer()) == round(
        graph.zero_fraction * graph.ternary_weights
    )


@pytest.mark.parametrize(
    ("preset", "total"),
    [
        ("deit_tiny_224", 5_717_416),
        ("deit_small_224", 22_050_664),
        ("deit3_small_224", 22_059_496),
        ("deit3_small_384", 22_205_416),
    ],
)
def test_presets_have_timm_s_parameter_counts(preset: str, total: int) -> None:
    shapes = parameter_shapes(PRESETS[preset])
    assert sum(int(np.prod(shape)) for shape in shapes.values()) == total


def test_a_full_precision_scheme_makes_no_graph() -> None:
    with pytest.raises(
        CheckpointError, match=r"'fp32' cannot be packed: it leaves the encoder weights in full"
    ):
        build_graph(_latent(TINY), SCHEMES["fp32"])
    with pytest.raises(ConfigError, match="no scheme 'mine'"):
        build_graph(_latent(TINY, scheme="mine"))
