"""Importance and roll-out against what can be computed by hand, by differences or in full."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from conftest import TINY
from torch.nn.attention import SDPBackend, sdpa_kernel

from ftervit_deploy.schemes import SCHEMES
from ftervit_deploy.train.importance import GROUPS, group_of, layer_importance
from ftervit_deploy.train.initialise import build_student
from ftervit_deploy.train.model import DeiT
from ftervit_deploy.train.rollout import attention_rollout, patch_features


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads would wait for each other, not compute, on a model as small as this."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _case(scheme: str = "fp32", photos: int = 3) -> tuple[DeiT, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    images = torch.randn(photos, 3, TINY.image_size, TINY.image_size, generator=generator)
    return build_student(TINY, SCHEMES[scheme], 1), images, torch.arange(photos) % TINY.classes


def test_taylor_is_the_first_order_change_of_the_loss() -> None:
    model, images, labels = _case()
    found = {layer.layer: layer for layer in layer_importance(model, images, labels, probes=1)}
    loss = F.cross_entropy(model(images), labels)
    weight, bias = torch.autograd.grad(loss, [model.head.weight, model.head.bias])
    expected = (weight * model.head.weight).abs().sum() + (bias * model.head.bias).abs().sum()
    assert found["head"].taylor == pytest.approx(float(expected.detach()), rel=1e-4)
    squared = (weight * model.head.weight).square().sum() + (bias * model.head.bias).square().sum()
    assert found["head"].taylor_squared == pytest.approx(float(squared.detach()), rel=1e-4)


def _norm_block(model: DeiT, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The whole block of the Hessian that is the last LayerNorm's."""
    norm = model.norm
    width = len(norm.weight)

    def loss_of(both: torch.Tensor) -> torch.Tensor:
        own = {"norm.weight": both[:width], "norm.bias": both[width:]}
        return F.cross_entropy(torch.func.functional_call(model, own, (images,)), labels)

    with sdpa_kernel(SDPBackend.MATH):
        return torch.autograd.functional.hessian(loss_of, torch.cat([norm.weight, norm.bias]).detach())


def test_the_trace_estimate_has_the_mean_and_the_error_of_its_own_block() -> None:
    model, images, labels = _case()
    found = {layer.layer: layer for layer in layer_importance(model, images, labels, probes=60)}
    block = _norm_block(model, images, labels)
    variance = 2 * (block - block.diag().diag()).square().sum()  # of v^T H v with v of random signs
    layer = found["norm"]
    assert layer.trace_error == pytest.approx(float((variance / 60).sqrt()), rel=0.3)
    assert abs(layer.trace - float(block.trace())) < 4 * layer.trace_error


def test_the_trace_may_be_that_of_fewer_photos() -> None:
    model, images, labels = _case(photos=8)
    found = layer_importance(model, images, labels, probes=2, trace_photos=3)
    whole, part = (
        layer_importance(model, images[s], labels[s], probes=2) for s in (list(range(8)), [0, 2, 5])
    )
    assert [layer.taylor for layer in found] == pytest.approx([layer.taylor for layer in whole])
    assert [layer.trace for layer in found] == pytest.approx([layer.trace for layer in part], rel=1e-4)


def test_importance_does_not_depend_on_how_photos_are_cut_up() -> None:
    model, images, labels = _case(photos=11)
    together = layer_importance(model, images, labels, probes=2)
    alone = [layer_importance(model, images[i : i + 1], labels[i : i + 1], probes=2) for i in range(11)]
    for index, layer in enumerate(together):
        mean = np.mean([one[index].trace for one in alone])
        assert layer.trace == pytest.approx(mean, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("scheme", ["ftervit", "ftervit-s8"])
def test_a_ternary_student_has_importance_in_every_layer(scheme: str) -> None:
    model, images, labels = _case(scheme)
    found = layer_importance(model, images, labels, probes=2)
    assert {layer.group for layer in found} <= set(GROUPS)
    assert sum(layer.parameters for layer in found) == sum(p.numel() for p in model.parameters())
    assert all(np.isfinite([layer.taylor, layer.trace]).all() for layer in found)
    assert sum(layer.taylor for layer in found) > 0


def test_whoever_waits_is_told_how_far_it_is() -> None:
    model, images, labels = _case(photos=11)
    told: list[tuple[int, int]] = []
    found = layer_importance(
        model, images, labels, probes=2, on_step=lambda done, total: told.append((done, total))
    )
    steps = 2 * 2 * len(found)  # parts of the photos, probes, layers
    assert told == [(step, steps) for step in range(1, steps + 1)]


def test_layers_are_grouped_as_the_paper_groups_them() -> None:
    names = {
        "blocks.0.norm1": "LayerNorm", "norm": "LayerNorm", "patch_embed.proj": "patch embedding",
        "blocks.11.attn.qkv": "attention", "blocks.2.mlp.fc2": "mlp", "head": "head",
        "blocks.0.ls1": "LayerScale", "cls_token": "position and class token",
        "pos_embed": "position and class token",
    }  # fmt: skip
    assert {name: group_of(name) for name in names} == names


def test_rollout_of_even_attention_is_even() -> None:
    model, images, _ = _case("ftervit-s8")
    with torch.no_grad():
        for block in model.blocks:
            block.attn.qkv.weight.zero_()
            block.attn.qkv.bias.zero_()
    maps = attention_rollout(model, images)
    side = TINY.image_size // TINY.patch_size
    assert maps.shape == (len(images), side, side)
    assert np.allclose(maps, 1 / TINY.patches)


def test_rollout_follows_the_attention_of_the_forward_pass() -> None:
    model, images, _ = _case(photos=1)
    maps = attention_rollout(model, images)
    assert maps.sum() == pytest.approx(1.0)
    tokens, flow = model.embed(images), torch.eye(TINY.tokens)
    heads, size = TINY.heads, TINY.head_dim
    with torch.no_grad():
        for block in model.blocks:
            qkv = block.attn.qkv(block.norm1(tokens))[0].reshape(-1, 3, heads, size)
            mean = torch.stack(
                [torch.softmax(qkv[:, 0, h] @ qkv[:, 1, h].T / size**0.5, dim=1) for h in range(heads)]
            ).mean(0)
            flow = (mean + torch.eye(TINY.tokens)) / 2 @ flow
            tokens = block(tokens, TINY.tokens)
    expected = flow[0, 1:] / flow[0, 1:].sum()
    assert np.allclose(maps.reshape(-1), expected.numpy(), atol=1e-6)


def test_patch_features_are_those_of_the_patch_embedding() -> None:
    model, images, _ = _case()
    assert patch_features(model, images).shape == (len(images), TINY.patches, TINY.width)
