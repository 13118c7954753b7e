"""A small convolutional network that a teacher can learn from when there are few photos.

A Vision Transformer that starts from nothing wants far more photos than people have; a convolutional
network does not. A teacher that imitates one inherits what it knows about images (DeiT,
arXiv 2012.12877, section 4). Only training uses it: it is neither packed nor deployed.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from ..architecture import Architecture

CHANNELS = (24, 48, 96, 160)
GROUP_CHANNELS = 8


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(channels // GROUP_CHANNELS, channels)


class Residual(nn.Module):
    """Two 3x3 convolutions beside a shortcut; halves height and width."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False)
        self.norm1 = _norm(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = _norm(outputs)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Float [B, inputs, H, W] -> float [B, outputs, H / 2, W / 2]."""
        y = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return F.relu(y + self.shortcut(F.avg_pool2d(x, 2, ceil_mode=True)))


class GuideNet(nn.Module):
    """The classifier: normalised pixels [B, 3, H, W] -> logits [B, classes]."""

    def __init__(self, arch: Architecture) -> None:
        super().__init__()
        self.arch = arch
        self.stem = nn.Conv2d(3, CHANNELS[0], 5, 2, 2, bias=False)
        self.stem_norm = _norm(CHANNELS[0])
        pairs = pairwise(CHANNELS)
        self.stages = nn.Sequential(*(Residual(inputs, outputs) for inputs, outputs in pairs))
        self.head = nn.Linear(CHANNELS[-1], arch.classes)

    def forward(self, images: Tensor, kept: Tensor | None = None) -> Tensor:
        """Float [B, 3, H, W] -> float [B, classes]; always looks at the whole image."""
        features = self.stages(F.relu(self.stem_norm(self.stem(images))))
        result: Tensor = self.head(features.mean(dim=(2, 3)))
        return result


def build_guide(arch: Architecture, seed: int = 0) -> GuideNet:
    """A freshly initialised guide: He-normal convolutions (arXiv 1502.01852), zero biases."""
    model = GuideNet(arch)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() >= 2:
                parameter.normal_(0.0, (2.0 / parameter[0].numel()) ** 0.5, generator=generator)
            elif name.endswith("bias"):
                parameter.zero_()
    return model
