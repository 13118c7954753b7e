"""Fresh weights for a model that starts from nothing, chosen for small sets of photos.

Position: sines and cosines of row and column (arXiv 2205.01580). Attention: mimetic initialisation
(arXiv 2305.09828), in which a token at first attends to tokens like itself, as trained models do.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..architecture import Architecture
from ..schemes import Scheme
from .model import Attention, DeiT, quantised_layers

CLASS_TOKEN_STD = 0.02
LONGEST_WAVE = 100.0
"""Longest over shortest wave of the position embedding."""
QUERY_KEY = 0.7
"""W_q^T W_k of a head starts as this much noise plus this much identity."""
VALUE_PROJECTION = 0.4
"""W_proj W_v starts as this much noise minus this much identity."""


def build_student(arch: Architecture, scheme: Scheme, seed: int = 0) -> DeiT:
    """A freshly initialised model; with the scheme ``fp32``, a teacher."""
    model = DeiT(arch, scheme)
    initialise(model, torch.Generator().manual_seed(seed))
    return model


@torch.no_grad()
def initialise(model: DeiT, generator: torch.Generator) -> None:
    """Xavier-uniform matrices, zero biases, wave positions, mimetic attention."""
    for name, parameter in model.named_parameters():
        if parameter.dim() >= 2 and name not in ("cls_token", "pos_embed"):
            outputs, inputs = parameter.shape[0], parameter[0].numel()
            bound = (6.0 / (inputs + outputs)) ** 0.5
            parameter.uniform_(-bound, bound, generator=generator)
        elif name.endswith(".bias"):
            parameter.zero_()
    model.cls_token.normal_(0.0, CLASS_TOKEN_STD, generator=generator)
    arch = model.arch
    model.pos_embed[0, arch.position_rows - arch.patches :] = wave_positions(arch)
    for module in model.modules():
        if isinstance(module, Attention):
            _initialise_attention(module, arch, generator)
    for _, layer in quantised_layers(model):
        layer.start_steps()


def wave_positions(arch: Architecture) -> Tensor:
    """Sines and cosines of row and column at width / 4 wavelengths: float [patches, width]."""
    side, quarter = arch.image_size // arch.patch_size, arch.width // 4
    frequencies = LONGEST_WAVE ** -(torch.arange(quarter) / max(1, quarter - 1))
    angles = torch.arange(side).unsqueeze(1) * frequencies
    waves = torch.cat([angles.sin(), angles.cos()], dim=1)
    rows = waves.repeat_interleave(side, dim=0)
    columns = waves.repeat(side, 1)
    positions = torch.zeros(arch.patches, arch.width)
    positions[:, : 4 * quarter] = torch.cat([rows, columns], dim=1)
    return positions


def _initialise_attention(attention: Attention, arch: Architecture, generator: torch.Generator) -> None:
    width, head = arch.width, arch.head_dim
    qkv, proj = _weight(attention.qkv), _weight(attention.proj)
    for first in range(0, width, head):
        query, key = _factors(QUERY_KEY, QUERY_KEY, width, head, generator)
        qkv[first : first + head] = query
        qkv[width + first : width + first + head] = key
    projection, value = _factors(VALUE_PROJECTION, -VALUE_PROJECTION, width, width, generator)
    qkv[2 * width :] = value
    proj.copy_(projection.T)


def _weight(layer: nn.Module) -> Tensor:
    weight = layer.weight
    assert isinstance(weight, Tensor)
    return weight


def _factors(
    noise: float, identity: float, width: int, rank: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Two [rank, width] matrices whose product A^T B is nearest to noise * Z + identity * I."""
    target = torch.randn(width, width, generator=generator) * (noise / width**0.5)
    left, values, right = torch.linalg.svd(target + identity * torch.eye(width))
    root = values[:rank].sqrt().unsqueeze(1)
    return root * left[:, :rank].T, root * right[:rank]
