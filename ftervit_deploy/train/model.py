"""DeiT and DeiT-III in timm's parameter names, in floating point or ternary as a scheme says.

Names, epsilon and order of operations are those of timm's `vision_transformer.py`, so that its
checkpoints load; the ternary layers are those of FTerViT (arXiv 2605.21171, section 3).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from ..architecture import Architecture
from ..errors import CheckpointError
from ..schemes import Scheme
from .quantizers import fake_quantise_rows, ternary_weight

LAYER_NORM_EPSILON = 1e-6
LAYER_SCALE_START = 1e-4


class TernaryModule(nn.Module):
    """A layer whose parameters are quantised on the way into every forward pass.

    Attributes:
        fixed: the parameters are ternary already and are used as they are.
    """

    def __init__(self) -> None:
        super().__init__()
        self.fixed = False
        self._held: dict[str, Tensor] | None = None

    def quantised(self, name: str, granularity: str) -> Tensor:
        """Parameter `name` in {-s, 0, s}, in its own shape; straight-through gradient."""
        if self._held is not None and name in self._held:
            return self._held[name]
        latent: Tensor = getattr(self, name)
        values = latent if self.fixed else ternary_weight(latent, granularity)
        if self._held is not None:
            self._held[name] = values
        return values

    def hold(self, held: bool) -> None:
        """Keep what the next forward pass quantises (True), or quantise every time (False)."""
        self._held = {} if held else None

    def ternary_parameters(self) -> Iterator[tuple[str, str]]:
        """(parameter name, granularity) of every ternary parameter of this layer."""
        raise NotImplementedError


class TernaryBitLinear(TernaryModule):
    """y = A_q(x) W_q^T + b: ternary weight [N, K], activations rounded per row of K values.

    Args:
        inputs, outputs: K and N.
        granularity: ``tensor`` or ``channel``, the extent of a weight scale.
        activation_levels: largest activation code, 127 for 8 bits; None leaves them alone.
    """

    def __init__(self, inputs: int, outputs: int, granularity: str, activation_levels: int | None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.granularity = granularity
        self.activation_levels = activation_levels

    def ternary_parameters(self) -> Iterator[tuple[str, str]]:
        """See the base class."""
        yield "weight", self.granularity

    def forward(self, rows: Tensor) -> Tensor:
        """Float [..., K] -> float [..., N]."""
        weight = self.quantised("weight", self.granularity)
        return F.linear(fake_quantise_rows(rows, self.activation_levels), weight, self.bias)


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


class TernaryBitConv2d(TernaryModule):
    """The patch embedding with a ternary weight [C, 3, p, p]; a patch is one row of activations."""

    def __init__(self, width: int, patch_size: int, granularity: str, activation_levels: int | None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width, 3, patch_size, patch_size))
        self.bias = nn.Parameter(torch.zeros(width))
        self.granularity = granularity
        self.activation_levels = activation_levels

    def ternary_parameters(self) -> Iterator[tuple[str, str]]:
        """See the base class."""
        yield "weight", self.granularity

    def forward(self, images: Tensor) -> Tensor:
        """Float [B, 3, H, W] -> float [B, patches, C]."""
        weight = self.quantised("weight", self.granularity)
        rows = fake_quantise_rows(patch_rows(images, weight.shape[-1]), self.activation_levels)
        return F.linear(rows, weight.flatten(1), self.bias)


class TernaryLayerNorm(TernaryModule):
    """LayerNorm with ternary gamma and beta, a scale each; mean and variance in full precision."""

    def __init__(self, width: int, granularity: str) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.granularity = granularity

    def ternary_parameters(self) -> Iterator[tuple[str, str]]:
        """See the base class."""
        yield "weight", self.granularity
        yield "bias", self.granularity

    def forward(self, tokens: Tensor) -> Tensor:
        """Float [..., C] -> float [..., C]."""
        gamma = self.quantised("weight", self.granularity)
        beta = self.quantised("bias", self.granularity)
        return F.layer_norm(tokens, gamma.shape, gamma, beta, LAYER_NORM_EPSILON)


def _linear(inputs: int, outputs: int, scheme: Scheme) -> nn.Module:
    if scheme.linear is None:
        return nn.Linear(inputs, outputs)
    return TernaryBitLinear(inputs, outputs, scheme.linear, scheme.activation_levels)


def _norm(width: int, scheme: Scheme) -> nn.Module:
    if scheme.norm is None:
        return nn.LayerNorm(width, eps=LAYER_NORM_EPSILON)
    return TernaryLayerNorm(width, scheme.norm)


class LayerScale(nn.Module):
    """A real factor per channel on a residual branch (DeiT-III)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((width,), LAYER_SCALE_START))

    def forward(self, tokens: Tensor) -> Tensor:
        """Float [..., C] -> float [..., C]."""
        return tokens * self.gamma


class PatchEmbed(nn.Module):
    """Holds the convolution under timm's name `proj`."""

    def __init__(self, arch: Architecture, scheme: Scheme) -> None:
        super().__init__()
        self.proj: nn.Module
        if scheme.patch is None:
            self.proj = PatchConv2d(arch.width, arch.patch_size)
        else:
            self.proj = TernaryBitConv2d(arch.width, arch.patch_size, scheme.patch, scheme.activation_levels)

    def forward(self, images: Tensor) -> Tensor:
        """Float [B, 3, H, W] -> float [B, patches, C]."""
        patches: Tensor = self.proj(images)
        return patches


class Attention(nn.Module):
    """Multi-head attention with scale head_dim^-0.5; rows of Q, K, V rounded where the scheme says so."""

    def __init__(self, arch: Architecture, scheme: Scheme) -> None:
        super().__init__()
        self.heads = arch.heads
        self.levels = (scheme.query_levels, scheme.key_levels, scheme.value_levels)
        self.qkv = _linear(arch.width, 3 * arch.width, scheme)
        self.proj = _linear(arch.width, arch.width, scheme)

    def forward(self, tokens: Tensor, queries: int) -> Tensor:
        """Float [B, T, C] -> float [B, queries, C], the output for the first `queries` tokens."""
        batch, length, width = tokens.shape
        qkv = self.qkv(tokens).reshape(batch, length, 3, self.heads, width // self.heads)
        parts = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        q, k, v = (fake_quantise_rows(part, levels) for part, levels in zip(parts, self.levels, strict=True))
        mixed = F.scaled_dot_product_attention(q[:, :, :queries], k, v)
        projected: Tensor = self.proj(mixed.transpose(1, 2).reshape(batch, queries, width))
        return projected


class Mlp(nn.Module):
    """fc2(GELU(fc1 x)), GELU by the exact error function."""

    def __init__(self, arch: Architecture, scheme: Scheme) -> None:
        super().__init__()
        self.fc1 = _linear(arch.width, arch.hidden, scheme)
        self.fc2 = _linear(arch.hidden, arch.width, scheme)

    def forward(self, tokens: Tensor) -> Tensor:
        """Float [..., C] -> float [..., C]."""
        output: Tensor = self.fc2(F.gelu(self.fc1(tokens)))
        return output


class Block(nn.Module):
    """x + ls1(attn(norm1 x)), then x + ls2(mlp(norm2 x))."""

    def __init__(self, arch: Architecture, scheme: Scheme) -> None:
        super().__init__()
        self.norm1 = _norm(arch.width, scheme)
        self.attn = Attention(arch, scheme)
        self.ls1 = LayerScale(arch.width) if arch.layer_scale else nn.Identity()
        self.norm2 = _norm(arch.width, scheme)
        self.mlp = Mlp(arch, scheme)
        self.ls2 = LayerScale(arch.width) if arch.layer_scale else nn.Identity()

    def forward(self, tokens: Tensor, queries: int) -> Tensor:
        """Float [B, T, C] -> float [B, queries, C], the first `queries` tokens of the result."""
        tokens = tokens[:, :queries] + self.ls1(self.attn(self.norm1(tokens), queries))
        result: Tensor = tokens + self.ls2(self.mlp(self.norm2(tokens)))
        return result


class DeiT(nn.Module):
    """The classifier: normalised pixels [B, 3, H, W] -> logits [B, classes]."""

    def __init__(self, arch: Architecture, scheme: Scheme) -> None:
        super().__init__()
        self.arch = arch
        self.scheme = scheme
        self.cls_token = nn.Parameter(torch.zeros(1, 1, arch.width))
        self.pos_embed = nn.Parameter(torch.zeros(1, arch.position_rows, arch.width))
        self.patch_embed = PatchEmbed(arch, scheme)
        self.blocks = nn.ModuleList([Block(arch, scheme) for _ in range(arch.depth)])
        self.norm = _norm(arch.width, scheme)
        self.head = _linear(arch.width, arch.classes, scheme)

    def embed(self, images: Tensor, kept: Tensor | None = None) -> Tensor:
        """Float [B, 3, H, W] -> tokens with position, class token first: float [B, T, C]."""
        first = self.arch.position_rows - self.arch.patches
        patches = self.patch_embed(images) + self.pos_embed[:, first:]
        if kept is not None:
            patches = patches.gather(1, kept.unsqueeze(2).expand(-1, -1, self.arch.width))
        cls_token = self.cls_token + self.pos_embed[:, :1] if first else self.cls_token
        return torch.cat([cls_token.expand(len(images), -1, -1), patches], dim=1)

    def forward(self, images: Tensor, kept: Tensor | None = None) -> Tensor:
        """Float [B, 3, H, W] -> float [B, classes].

        Of the last block only the class token is computed: nothing reads the others.

        Args:
            images: normalised pixels.
            kept: int64 [B, n], the patches that are looked at; None for all (see `loop.Trainer`).
        """
        tokens = self.embed(images, kept)
        last = len(self.blocks) - 1
        for index, block in enumerate(self.blocks):
            tokens = block(tokens, tokens.shape[1] if index < last else 1)
        result: Tensor = self.head(self.norm(tokens[:, 0]))
        return result


def ternary_layers(model: nn.Module) -> Iterator[tuple[str, TernaryModule]]:
    """(name, layer) of every ternary layer."""
    for name, module in model.named_modules():
        if isinstance(module, TernaryModule):
            yield name, module


def ternary_parameter_names(model: nn.Module) -> dict[str, str]:
    """Granularity (``tensor`` or ``channel``) of every ternary parameter, by its full name."""
    return {
        f"{layer}.{name}": granularity
        for layer, module in ternary_layers(model)
        for name, granularity in module.ternary_parameters()
    }


@contextmanager
def quantised_once(model: nn.Module) -> Iterator[None]:
    """While open, each weight is quantised once and kept: for evaluation, where no weight changes."""
    layers = [module for _, module in ternary_layers(model)]
    for layer in layers:
        layer.hold(True)
    try:
        yield
    finally:
        for layer in layers:
            layer.hold(False)


@torch.no_grad()
def zero_fraction(model: nn.Module) -> float:
    """Share of zeros among all ternary parameters, 0 to 1; 0 for a float model."""
    zeros = total = 0
    for _, module in ternary_layers(model):
        for name, granularity in module.ternary_parameters():
            values = module.quantised(name, granularity)
            zeros += int((values == 0).sum())
            total += values.numel()
    return zeros / total if total else 0.0


def load_arrays(model: nn.Module, arrays: Mapping[str, np.ndarray], ternary: bool) -> None:
    """Fill `model` with named arrays.

    Args:
        model: what to fill.
        arrays: one per parameter, in timm's names and shapes.
        ternary: the ternary parameters hold values in {-s, 0, s} already and stay as they are.

    Raises:
        CheckpointError: a tensor is missing, extra, misshapen or not finite.
    """
    parameters = dict(model.named_parameters())
    _check_names(parameters.keys() - arrays.keys(), "lacks")
    _check_names(arrays.keys() - parameters.keys(), "has an unexpected")
    with torch.no_grad():
        for name, parameter in parameters.items():
            array = np.asarray(arrays[name])
            if array.shape != tuple(parameter.shape):
                raise CheckpointError(
                    f"Tensor {name} has shape {list(array.shape)}; "
                    f"the architecture wants {list(parameter.shape)}."
                )
            values = array.astype(np.float32)
            if not np.isfinite(values).all():
                raise CheckpointError(f"Tensor {name} holds values that are not finite.")
            parameter.copy_(torch.from_numpy(values))
    for _, layer in ternary_layers(model):
        layer.fixed = ternary


def _check_names(names: set[str], verb: str) -> None:
    if names:
        first, rest = sorted(names)[0], len(names) - 1
        more = f" and {rest} more" if rest else ""
        raise CheckpointError(f"The checkpoint {verb} tensor {first}{more}.")


def logits(model: nn.Module, images: Tensor, batch_size: int = 128) -> Tensor:
    """Logits without gradient.

    Args:
        model: a teacher or a student.
        images: float, normalised, [N, 3, H, W].
        batch_size: images per forward pass.

    Returns:
        float32 [N, classes].
    """
    model.eval()
    with torch.inference_mode(), quantised_once(model):
        parts = [model(chunk).float() for chunk in torch.split(images, batch_size)]
    return torch.cat(parts)
