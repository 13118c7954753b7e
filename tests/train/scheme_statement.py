"""What each method computes, in NumPy and from the papers' words; it reads neither schemes.py nor PyTorch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ftervit_deploy.architecture import Architecture

Array = np.ndarray
Parameters = dict[str, Array]


def absmean(w: Array, axes: tuple[int, ...] | None = None) -> Array:
    """BitNet b1.58, equations 1 to 3."""
    scale = np.maximum(np.abs(w).mean(axis=axes, keepdims=True), 1e-5)
    return np.clip(np.round(w / scale), -1, 1) * scale


def absmean_of_channels(w: Array) -> Array:
    """FTerViT's patch embedding."""
    return absmean(w, tuple(range(1, w.ndim)))


def absmax(w: Array) -> Array:
    """FTerViT's ablation: the largest magnitude divides."""
    return np.round(w / np.abs(w).max()) * np.abs(w).max()


def absmax_of_channels(w: Array) -> Array:
    """The same per output channel."""
    return np.stack([absmax(channel) for channel in w])


def int8(w: Array) -> Array:
    """Symmetric 8 bits per output channel."""
    scale = np.abs(w).max(axis=tuple(range(1, w.ndim)), keepdims=True) / 127
    return np.round(w / scale) * scale


def twn_of_channels(w: Array) -> Array:
    """TerViT: every row of a matrix has its own threshold and its own magnitude."""
    rows = []
    for row in w:
        large = np.abs(row) > 0.7 * np.abs(row).mean()
        rows.append(np.sign(row) * large * np.abs(row)[large].mean())
    return np.array(rows)


def real(w: Array) -> Array:
    """Full precision."""
    return w


def rows(levels: int) -> Callable[[Array, Parameters, str], Array]:
    """Every token by its own largest magnitude."""

    def rounded(x: Array, p: Parameters, name: str) -> Array:
        largest = np.maximum(np.abs(x).max(-1, keepdims=True), 1e-5)
        return np.round(x * (levels / largest)) * (largest / levels)

    return rounded


def learned(low: int, high: int) -> Callable[[Array, Parameters, str], Array]:
    """Step and offset from the checkpoint."""

    def rounded(x: Array, p: Parameters, name: str) -> Array:
        step, offset = p[f"{name}.step"], p[f"{name}.offset"]
        return np.clip(np.round((x - offset) / step), low, high) * step + offset

    return rounded


def untouched(x: Array, p: Parameters, name: str) -> Array:
    """Full precision."""
    return x


ROWS_OF_8_BITS = rows(127)


@dataclass(frozen=True)
class Method:
    """Weights by group, then activations."""

    encoder: Callable[[Array], Array] | tuple[int, int]
    patch: Callable[[Array], Array] | tuple[int, int]
    head: Callable[[Array], Array] | tuple[int, int]
    norm: Callable[[Array], Array] = real
    inputs: Callable[[Array, Parameters, str], Array] = ROWS_OF_8_BITS
    ends: Callable[[Array, Parameters, str], Array] = ROWS_OF_8_BITS
    qkv: tuple[Callable[[Array, Parameters, str], Array], ...] = (untouched, untouched, untouched)
    attention: Callable[[Array, Parameters, str], Array] = untouched
    inner_norm: bool = False


METHODS = {
    "fp32": Method(real, real, real, inputs=untouched, ends=untouched),
    "int8": Method(int8, int8, int8),
    "tervit": Method(twn_of_channels, int8, int8),
    "vit-1.58b": Method(absmean, real, real, ends=untouched, inner_norm=True),
    "q-vit": Method(
        (-2, 1), (-128, 127), (-128, 127), inputs=learned(-2, 1), ends=learned(-128, 127),
        qkv=(learned(-2, 1),) * 3, attention=learned(0, 3),
    ),
    "q-vit-a8": Method(
        (-2, 1), (-128, 127), (-128, 127), inputs=learned(-128, 127), ends=learned(-128, 127),
        qkv=(learned(-128, 127),) * 3, attention=learned(0, 255),
    ),
    "ftervit": Method(absmean, absmean_of_channels, absmean, absmean),
    "ftervit-s8": Method(
        absmean, absmean_of_channels, absmean, absmean, qkv=(rows(63), ROWS_OF_8_BITS, ROWS_OF_8_BITS)
    ),
    "ftervit-patch-tensor": Method(absmean, absmean, absmean, absmean),
    "ftervit-norm-fp32": Method(absmean, absmean_of_channels, absmean),
    "ftervit-absmax": Method(absmax, absmax_of_channels, absmax, absmax),
}  # fmt: skip


def _weight(p: Parameters, layer: str, rule: Callable[[Array], Array] | tuple[int, int]) -> Array:
    w = p[f"{layer}.weight"]
    w = w.reshape(len(w), -1)
    if callable(rule):
        return rule(w)
    step = p[f"{layer}.weight_step"][:, None]
    return np.clip(np.round(w / step), *rule) * step


def _standardised(x: Array, epsilon: float) -> Array:
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon)


class Forward:
    """One image [3, H, W] at a time."""

    def __init__(self, method: Method, p: Parameters, arch: Architecture) -> None:
        self.method, self.p, self.arch = method, p, arch

    def _matrix(self, x: Array, layer: str) -> Array:
        if self.method.inner_norm:
            x = _standardised(x, 1e-5) * self.p[f"{layer}.norm.weight"] + self.p[f"{layer}.norm.bias"]
        x = self.method.inputs(x, self.p, f"{layer}.inputs")
        return x @ _weight(self.p, layer, self.method.encoder).T + self.p[f"{layer}.bias"]

    def _end(self, x: Array, layer: str, rule: Callable[[Array], Array] | tuple[int, int]) -> Array:
        x = self.method.ends(x, self.p, f"{layer}.inputs")
        return x @ _weight(self.p, layer, rule).T + self.p[f"{layer}.bias"]

    def _norm(self, x: Array, layer: str) -> Array:
        gamma, beta = (self.method.norm(self.p[f"{layer}.{part}"]) for part in ("weight", "bias"))
        return _standardised(x, 1e-6) * gamma + beta

    def _attention(self, x: Array, layer: str) -> Array:
        tokens, width = x.shape
        parts = self._matrix(x, f"{layer}.qkv").reshape(tokens, 3, self.arch.heads, -1).transpose(1, 2, 0, 3)
        names = ("query", "key", "value")
        q, k, v = (
            rule(part, self.p, f"{layer}.{name}")
            for rule, part, name in zip(self.method.qkv, parts, names, strict=True)
        )
        scores = np.exp(q @ k.transpose(0, 2, 1) / math.sqrt(width // self.arch.heads))
        weights = self.method.attention(scores / scores.sum(-1, keepdims=True), self.p, f"{layer}.attention")
        return self._matrix((weights @ v).transpose(1, 0, 2).reshape(tokens, width), f"{layer}.proj")

    def logits(self, image: Array) -> Array:
        """Float64 [classes]."""
        p, arch = self.p, self.arch
        side, size = arch.image_size // arch.patch_size, arch.patch_size
        patches = image.reshape(3, side, size, side, size).transpose(1, 3, 0, 2, 4).reshape(side * side, -1)
        x = self._end(patches, "patch_embed.proj", self.method.patch)
        x = np.concatenate([p["cls_token"][0], x]) + p["pos_embed"][0]
        for block in (f"blocks.{n}" for n in range(arch.depth)):
            x = x + self._attention(self._norm(x, f"{block}.norm1"), f"{block}.attn")
            hidden = self._matrix(self._norm(x, f"{block}.norm2"), f"{block}.mlp.fc1")
            hidden = hidden * 0.5 * (1 + np.vectorize(math.erf)(hidden / math.sqrt(2)))
            x = x + self._matrix(hidden, f"{block}.mlp.fc2")
        return self._end(self._norm(x, "norm")[:1], "head", self.method.head)[0]
