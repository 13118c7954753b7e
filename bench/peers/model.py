"""DeiT as timm's `vision_transformer.py` computes it, in plain PyTorch, with random weights."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

EPSILON = 1e-6


@dataclass(frozen=True)
class Shape:
    """Sizes of a classifier for photos of `side` pixels."""

    width: int
    heads: int
    depth: int = 12
    side: int = 224
    patch: int = 16
    classes: int = 1000

    @property
    def tokens(self) -> int:
        return (self.side // self.patch) ** 2 + 1


SHAPES = {"deit_small_224": Shape(384, 6), "deit_tiny_224": Shape(192, 3)}


class Attention(nn.Module):
    """Multi-head attention; q, k and v in one product, or in three where a fusion looks for three."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.split = heads, False
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        if self.split:
            weights, biases = self.qkv.weight.chunk(3), self.qkv.bias.chunk(3)
            parts = [F.linear(x, w, b) for w, b in zip(weights, biases, strict=True)]
            q, k, v = (p.reshape(batch, tokens, self.heads, -1).transpose(1, 2) for p in parts)
        else:
            packed = self.qkv(x).reshape(batch, tokens, 3, self.heads, width // self.heads)
            q, k, v = packed.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(q, k, v)
        return self.proj(mixed.transpose(1, 2).reshape(batch, tokens, width))


class Block(nn.Module):
    """x + attn(norm1 x), then x + mlp(norm2 x)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(width, eps=EPSILON) for _ in range(2))
        self.attn = Attention(width, heads)
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


class DeiT(nn.Module):
    """Normalised pixels, float [B, 3, side, side] -> logits [B, classes]."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, shape.width, shape.patch, shape.patch)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, shape.width))
        self.position = nn.Parameter(torch.zeros(1, shape.tokens, shape.width))
        self.blocks = nn.Sequential(*(Block(shape.width, shape.heads) for _ in range(shape.depth)))
        self.norm = nn.LayerNorm(shape.width, eps=EPSILON)
        self.head = nn.Linear(shape.width, shape.classes)

    def forward(self, images: Tensor) -> Tensor:
        patches = self.patch(images).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(images.shape[0], -1, -1), patches], dim=1) + self.position
        return self.head(self.norm(self.blocks(x))[:, 0])


def random_deit(name: str, seed: int = 0) -> DeiT:
    """A classifier in evaluation mode whose weights spread as trained ones do."""
    torch.manual_seed(seed)
    model = DeiT(SHAPES[name])
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.04)
    return model.eval()
