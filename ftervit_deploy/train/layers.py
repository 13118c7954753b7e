"""Layers whose weights and inputs are quantised as a scheme says, in timm's parameter names.

The ternary ones are FTerViT's TernaryBitLinear, TernaryBitConv2d and TernaryLayerNorm
(arXiv 2605.21171, section 3). What a method adds to timm's parameters is named in
checkpoint/shapes.py, `scheme_shapes`.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.distributed
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from ..schemes import Activations, Weights
from .quantizers import (
    fake_quantise_by_step,
    fake_quantise_rows,
    fake_quantise_weight,
    first_steps,
    learned_step,
)

LAYER_NORM_EPSILON = 1e-6
INNER_NORM_EPSILON = 1e-5
"""Of the LayerNorm inside BitLinear, PyTorch's default as ViT-1.58b uses it."""


class Rounding(nn.Module):
    """Activations on their way into a product, rounded by a rule; None leaves them alone.

    A learned step starts at 2 mean|x| / sqrt(high) of the first batch that is trained on (LSQ, section
    2.1), over all processes where there are several; until then it is 0 and nothing is rounded.
    """

    def __init__(self, rule: Activations | None) -> None:
        super().__init__()
        self.rule = rule
        self.learned = rule is not None and rule.scale == "lsq"
        self._started = False
        if self.learned:
            self.step = nn.Parameter(torch.zeros(1))
            self.offset = nn.Parameter(torch.zeros(1))

    def forward(self, values: Tensor) -> Tensor:
        """Float [B, ..., K] -> the same shape and type; a row is the last axis."""
        rule = self.rule
        if rule is None:
            return values
        if not self.learned:
            return fake_quantise_rows(values, rule.high)
        if not self._is_started(values):
            return values
        shifted = values.float() - self.offset
        rounded = learned_step(shifted, self.step, rule.low, rule.high, values[0].numel())
        return (rounded + self.offset).to(values.dtype)

    @torch.no_grad()
    def _is_started(self, values: Tensor) -> bool:
        if not self._started:
            if self.training and not bool(self.step):
                self._start(values)
            self._started = bool(self.step)
        return self._started

    def _start(self, values: Tensor) -> None:
        assert self.rule is not None
        totals = torch.stack(
            [values.float().abs().sum(), values.new_tensor(values.numel(), dtype=torch.float)]
        )
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(totals)
        mean = totals[0] / totals[1]
        self.step.fill_(2 * mean / self.rule.high**0.5)


class QuantisedModule(nn.Module):
    """A layer whose parameters are quantised on the way into every forward pass.

    Attributes:
        fixed: the parameters are quantised already and are used as they are.
    """

    weight_step: nn.Parameter

    def __init__(self) -> None:
        super().__init__()
        self.fixed = False
        self._held: dict[str, Tensor] | None = None

    def quantised(self, name: str, rule: Weights) -> Tensor:
        """Parameter `name` as codes times scale, in its own shape; gradients as in quantizers.py."""
        if self._held is not None and name in self._held:
            return self._held[name]
        latent: Tensor = getattr(self, name)
        values = latent if self.fixed else self._quantise(latent, rule)
        if self._held is not None:
            self._held[name] = values
        return values

    def _quantise(self, latent: Tensor, rule: Weights) -> Tensor:
        if rule.scale == "lsq":
            return fake_quantise_by_step(latent, self.weight_step, rule)
        return fake_quantise_weight(latent, rule)

    def start_steps(self) -> None:
        """Set learned steps of the weight to where LSQ starts them; nothing where none is learned."""

    def hold(self, held: bool) -> None:
        """Keep what the next forward pass quantises (True), or quantise every time (False)."""
        self._held = {} if held else None

    def quantised_parameters(self) -> Iterator[tuple[str, Weights]]:
        """(parameter name, rule) of every quantised parameter of this layer."""
        raise NotImplementedError

    def ternary_parameters(self) -> Iterator[tuple[str, Weights]]:
        """(parameter name, rule) of every ternary parameter of this layer."""
        return ((name, rule) for name, rule in self.quantised_parameters() if rule.ternary)


class _QuantisedProduct(QuantisedModule):
    """A weight, a bias, a rule for the weight and one for the inputs."""

    def __init__(self, weight: Tensor, rule: Weights, inputs: Activations | None) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(torch.zeros(len(weight)))
        self.rule = rule
        self.inputs = Rounding(inputs)
        if rule.scale == "lsq":
            self.weight_step = nn.Parameter(torch.ones(len(weight) if rule.granularity == "channel" else 1))

    @torch.no_grad()
    def start_steps(self) -> None:
        """See the base class."""
        if self.rule.scale == "lsq":
            self.weight_step.copy_(first_steps(self.weight, self.rule))

    def quantised_parameters(self) -> Iterator[tuple[str, Weights]]:
        """See the base class."""
        yield "weight", self.rule


class QuantisedLinear(_QuantisedProduct):
    """y = A_q(x) W_q^T + b: quantised weight [N, K], activations rounded.

    Args:
        inputs, outputs: K and N.
        rule: of the weight.
        activations: rule of the input; None leaves it alone.
        inner_norm: a LayerNorm of the layer's own before the input is rounded (ViT-1.58b).
    """

    def __init__(
        self, inputs: int, outputs: int, rule: Weights, activations: Activations | None, inner_norm: bool
    ) -> None:
        super().__init__(torch.empty(outputs, inputs), rule, activations)
        self.norm = nn.LayerNorm(inputs, eps=INNER_NORM_EPSILON) if inner_norm else nn.Identity()

    def forward(self, rows: Tensor) -> Tensor:
        """Float [..., K] -> float [..., N]."""
        weight = self.quantised("weight", self.rule)
        return F.linear(self.inputs(self.norm(rows)), weight, self.bias)


def patch_rows(images: Tensor, patch_size: int) -> Tensor:
    """Cut [B, 3, H, W] into patches: [B, patches, 3 * p * p], values in the order channel, y, x."""
    batch, channels, height, width = images.shape
    p = patch_size
    tiles = images.reshape(batch, channels, height // p, p, width // p, p).permute(0, 2, 4, 1, 3, 5)
    return tiles.reshape(batch, -1, channels * p * p)


class PatchConv2d(nn.Module):
    """A convolution whose stride is its kernel: weight [C, 3, p, p], computed as a matrix product."""

    def __init__(self, width: int, patch_size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width, 3, patch_size, patch_size))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, images: Tensor) -> Tensor:
        """Float [B, 3, H, W] -> float [B, patches, C]."""
        return F.linear(patch_rows(images, self.weight.shape[-1]), self.weight.flatten(1), self.bias)


class QuantisedConv2d(_QuantisedProduct):
    """The patch embedding with a quantised weight [C, 3, p, p]; a patch is one row of activations."""

    def __init__(self, width: int, patch_size: int, rule: Weights, activations: Activations | None) -> None:
        super().__init__(torch.empty(width, 3, patch_size, patch_size), rule, activations)

    def forward(self, images: Tensor) -> Tensor:
        """Float [B, 3, H, W] -> float [B, patches, C]."""
        weight = self.quantised("weight", self.rule)
        return F.linear(self.inputs(patch_rows(images, weight.shape[-1])), weight.flatten(1), self.bias)


class TernaryLayerNorm(QuantisedModule):
    """LayerNorm with ternary gamma and beta, a scale each; mean and variance in full precision."""

    def __init__(self, width: int, rule: Weights) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.rule = rule

    def quantised_parameters(self) -> Iterator[tuple[str, Weights]]:
        """See the base class."""
        yield "weight", self.rule
        yield "bias", self.rule

    def forward(self, tokens: Tensor) -> Tensor:
        """Float [..., C] -> float [..., C]."""
        gamma = self.quantised("weight", self.rule)
        beta = self.quantised("bias", self.rule)
        return F.layer_norm(tokens, gamma.shape, gamma, beta, LAYER_NORM_EPSILON)
