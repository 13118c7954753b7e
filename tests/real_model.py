"""The same method in real numbers (float64), to hold the integer definition against."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ftervit_deploy.graph import Block, Graph, LayerNorm, Linear

Reals = npt.NDArray[np.float64]


def forward(graph: Graph, pixels: npt.NDArray[np.uint8], quantise: bool = True) -> Reals:
    """Logits [N, classes] of uint8 pixels [N, S, S, 3]; `quantise` rounds activation rows."""
    return np.stack([_Real(graph, quantise).logits(image) for image in pixels])


class _Real:
    def __init__(self, graph: Graph, quantise: bool) -> None:
        self.graph = graph
        self.quantise = quantise

    def rows(self, x: Reals, levels: int = 127) -> Reals:
        if not self.quantise:
            return x
        step = np.maximum(np.abs(x).max(-1, keepdims=True), 1e-5) / levels
        return np.rint(x / step) * step

    def logits(self, pixels: npt.NDArray[np.uint8]) -> Reals:
        g = self.graph
        x = self.embed(pixels)
        for block in g.blocks:
            x = self.block(block, x)
        return self.linear(g.head, self.norm(g.norm, x[:1]))[0]

    def embed(self, pixels: npt.NDArray[np.uint8]) -> Reals:
        g, a = self.graph, self.graph.architecture
        values = (pixels / 255.0 - np.array(g.preprocessing.mean)) / np.array(g.preprocessing.std)
        p, side = a.patch_size, a.image_size // a.patch_size
        patches = values.reshape(side, p, side, p, 3).transpose(0, 2, 4, 1, 3).reshape(side * side, -1)
        body = self.linear(g.patch, patches)
        cls = g.cls_token.astype(float).reshape(1, -1)
        if a.position_on_class_token:
            return np.concatenate([cls, body]) + g.position
        return np.concatenate([cls, body + g.position])

    def block(self, b: Block, x: Reals) -> Reals:
        x = x + self.scaled(self.linear(b.proj, self.attention(b, self.norm(b.norm1, x))), b.ls1)
        hidden = self.linear(b.fc1, self.norm(b.norm2, x))
        hidden = 0.5 * hidden * (1 + np.vectorize(math.erf)(hidden / math.sqrt(2)))
        return x + self.scaled(self.linear(b.fc2, hidden), b.ls2)

    @staticmethod
    def scaled(y: Reals, gamma: npt.NDArray[np.float32] | None) -> Reals:
        return y if gamma is None else y * gamma

    def linear(self, layer: Linear, x: Reals) -> Reals:
        weight = layer.weight.codes * layer.weight.scale.astype(float)[:, None]
        return self.rows(x) @ weight.T + layer.bias

    @staticmethod
    def norm(norm: LayerNorm, x: Reals) -> Reals:
        z = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + norm.eps)
        return z * (norm.gamma * norm.gamma_scale) + norm.beta * norm.beta_scale

    def attention(self, b: Block, x: Reals) -> Reals:
        a = self.graph.architecture
        q, k, v = self.linear(b.qkv, x).reshape(-1, 3, a.heads, a.head_dim).transpose(1, 2, 0, 3)
        score = self.rows(q, 63) @ self.rows(k).transpose(0, 2, 1) * a.head_dim**-0.5
        p = np.exp(score - score.max(-1, keepdims=True))
        out = (p / p.sum(-1, keepdims=True)) @ self.rows(v)
        return out.transpose(1, 0, 2).reshape(x.shape)
