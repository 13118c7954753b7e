"""DeiT and DeiT-III in timm's parameter names, in floating point or quantised as a scheme says.

Names, epsilon and order of operations are those of timm's `vision_transformer.py`, so that its
checkpoints load; the quantised layers are in layers.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from ..architecture import Architecture
from ..checkpoint.shapes import scheme_shapes
from ..errors import CheckpointError
from ..schemes import Activations, Scheme, Weights
from .layers import (
    LAYER_NORM_EPSILON,
    PatchConv2d,
    QuantisedConv2d,
    QuantisedLinear,
    QuantisedModule,
    Rounding,
    TernaryLayerNorm,
)

LAYER_SCALE_START = 1e-4


def _linear(inputs: int, outputs: int, scheme: Scheme) -> nn.Module:
    """A matrix of the encoder."""
    return _matrix(inputs, outputs, scheme.linear, scheme.inputs, scheme.inner_norm)


def _matrix(
    inputs: int, outputs: int, rule: Weights | None, activations: Activations | None, inner_norm: bool
) -> nn.Module:
    if rule is None:
        return nn.Linear(inputs, outputs)
    return QuantisedLinear(inputs, outputs, rule, activations, inner_norm)


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
            self.proj = QuantisedConv2d(arch.width, arch.patch_size, scheme.patch, scheme.patch_inputs)

    def forward(self, images: Tensor) -> Tensor:
        """Float [B, 3, H, W] -> float [B, patches, C]."""
        patches: Tensor = self.proj(images)
        return patches


class Attention(nn.Module):
    """Multi-head attention with scale head_dim^-0.5; Q, K, V, weights rounded where the scheme says so."""

    def __init__(self, arch: Architecture, scheme: Scheme) -> None:
        super().__init__()
        self.heads = arch.heads
        self.query, self.key = Rounding(scheme.query), Rounding(scheme.key)
        self.value, self.attention = Rounding(scheme.value), Rounding(scheme.attention)
        self.qkv = _linear(arch.width, 3 * arch.width, scheme)
        self.proj = _linear(arch.width, arch.width, scheme)

    def forward(self, tokens: Tensor, queries: int) -> Tensor:
        """Float [B, T, C] -> float [B, queries, C], the output for the first `queries` tokens."""
        batch, length, width = tokens.shape
        qkv = self.qkv(tokens).reshape(batch, length, 3, self.heads, width // self.heads)
        parts = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        q, k, v = self.query(parts[0]), self.key(parts[1]), self.value(parts[2])
        mixed = self._attend(q[:, :, :queries], k, v)
        projected: Tensor = self.proj(mixed.transpose(1, 2).reshape(batch, queries, width))
        return projected

    def _attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Softmax(q k^T / sqrt(d)) v; on processors in three steps, which PyTorch's one is slower than."""
        if self.attention.rule is None and q.device.type != "cpu":
            return F.scaled_dot_product_attention(q, k, v)
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
        mixed: Tensor = self.attention(scores.softmax(dim=-1)) @ v
        return mixed


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
        self.head = _matrix(arch.width, arch.classes, scheme.head, scheme.head_inputs, inner_norm=False)

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


def quantised_layers(model: nn.Module) -> Iterator[tuple[str, QuantisedModule]]:
    """(name, layer) of every layer with quantised parameters."""
    for name, module in model.named_modules():
        if isinstance(module, QuantisedModule):
            yield name, module


def ternary_layers(model: nn.Module) -> Iterator[tuple[str, QuantisedModule]]:
    """(name, layer) of every layer with ternary parameters."""
    return ((name, layer) for name, layer in quantised_layers(model) if any(layer.ternary_parameters()))


def ternary_parameter_rules(model: nn.Module) -> dict[str, Weights]:
    """The rule of every ternary parameter, by its full name."""
    return {
        f"{layer}.{name}": rule
        for layer, module in ternary_layers(model)
        for name, rule in module.ternary_parameters()
    }


@contextmanager
def quantised_once(model: nn.Module) -> Iterator[None]:
    """While open, each weight is quantised once and kept: for evaluation, where no weight changes."""
    layers = [module for _, module in quantised_layers(model)]
    for layer in layers:
        layer.hold(True)
    try:
        yield
    finally:
        for layer in layers:
            layer.hold(False)


@torch.no_grad()
def zero_fraction(model: nn.Module) -> float:
    """Share of zeros among all quantised parameters, 0 to 1; 0 for a float model."""
    zeros = total = 0
    for _, module in quantised_layers(model):
        for name, rule in module.quantised_parameters():
            values = module.quantised(name, rule)
            zeros += int((values == 0).sum())
            total += values.numel()
    return zeros / total if total else 0.0


def start_student(model: DeiT, arrays: Mapping[str, np.ndarray]) -> None:
    """Fill a student with a teacher's weights, or another student's.

    What the scheme adds to timm's parameters and `arrays` does not have keeps its start: inner
    LayerNorms at 1 and 0, steps where LSQ starts them.

    Raises:
        CheckpointError: as `load_arrays`.
    """
    own = scheme_shapes(model.arch, model.scheme)
    started = {name: p.detach().numpy() for name, p in model.named_parameters() if name in own}
    load_arrays(model, {**started, **arrays}, ternary=False)
    for name, layer in quantised_layers(model):
        if f"{name}.weight_step" in own.keys() - arrays.keys():
            layer.start_steps()


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
