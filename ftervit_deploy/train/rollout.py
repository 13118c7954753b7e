"""Where a model looks: attention roll-out, and the features of its patches.

Roll-out (Abnar and Zuidema, arXiv 2005.00928): the mean over heads of each block's attention, half of it
replaced by the identity for the residual branch, multiplied through all blocks.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from .model import DeiT, quantised_once

Floats = npt.NDArray[np.float32]


def attention_rollout(model: DeiT, images: Tensor) -> Floats:
    """How much each patch flows into the class token.

    Args:
        model: a teacher or a student.
        images: float, normalised, [N, 3, H, W].

    Returns:
        float32 [N, side, side], side = image size / patch size; the values of a map add up to 1.
    """
    found: list[Tensor] = []
    hooks = [block.attn.qkv.register_forward_hook(_keeper(block.attn, found)) for block in _blocks(model)]
    try:
        _run(model, images)
    finally:
        for hook in hooks:
            hook.remove()
    identity = torch.eye(model.arch.tokens)
    flow = identity.expand(len(images), -1, -1)
    for attention in found:
        flow = (0.5 * attention + 0.5 * identity) @ flow
    patches = flow[:, 0, 1:]
    side = model.arch.image_size // model.arch.patch_size
    shares = patches / patches.sum(dim=1, keepdim=True)
    return np.asarray(shares.reshape(-1, side, side).numpy(), np.float32)


def patch_features(model: DeiT, images: Tensor) -> Floats:
    """What the patch embedding makes of each patch, without position: float32 [N, patches, width]."""
    model.eval()
    with torch.inference_mode():
        return np.asarray(model.patch_embed(images).float().numpy(), np.float32)


def _blocks(model: DeiT) -> list[Any]:
    return list(model.blocks)


def _run(model: DeiT, images: Tensor) -> None:
    model.eval()
    with torch.inference_mode(), quantised_once(model):
        model(images)


def _keeper(attention: Any, found: list[Tensor]) -> Any:
    """A hook on qkv that adds the block's attention, mean over heads, float32 [N, T, T], to `found`."""

    def keep(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        batch, length, width = output.shape
        heads, size = attention.heads, width // 3 // attention.heads
        q, k, _ = output.float().reshape(batch, length, 3, heads, size).permute(2, 0, 3, 1, 4).unbind(0)
        q, k = attention.query(q), attention.key(k)
        weights = torch.softmax(q @ k.transpose(2, 3) * size**-0.5, dim=3)
        found.append(weights.mean(dim=1))

    return keep
