"""Graphs whose LayerNorms have constant channels, and their models without folding."""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import patch

import numpy as np

from ftervit_deploy.architecture import Architecture
from ftervit_deploy.graph import Graph, LayerNorm
from ftervit_deploy.lower import IntegerModel, lower
from synthetic import random_graph

SMALL = Architecture(8, 4, 90, 2, 3, 260, 300)
"""Small, and every matrix that reads LayerNorm's rows has outputs enough for folding to pay."""

FEW_BYTES = Architecture(6, 3, 20, 1, 2, 256, 3)
"""An image of a few KB, where fc1 alone leaves out channels."""


def constant_graph(architecture: Architecture, share: float, seed: int = 0) -> Graph:
    """Random weights; exactly this share of all gammas is 0, betas have all signs."""
    graph, draw = random_graph(architecture, seed), np.random.default_rng(seed)
    zeros = round(share * architecture.width)

    def norm(old: LayerNorm) -> LayerNorm:
        gamma = np.where(old.gamma == 0, np.int8(1), old.gamma)
        gamma[draw.permutation(gamma.size)[:zeros]] = 0
        return replace(old, gamma=gamma)

    blocks = tuple(replace(b, norm1=norm(b.norm1), norm2=norm(b.norm2)) for b in graph.blocks)
    return replace(graph, blocks=blocks, norm=norm(graph.norm))


def folded_model(architecture: Architecture = SMALL) -> IntegerModel:
    """A model whose image leaves out channels."""
    return lower(constant_graph(architecture, 0.8))


def unfolded(graph: Graph) -> IntegerModel:
    """As `lower`, with the checkpoint's own weights."""
    with patch("ftervit_deploy.lower.folded", lambda codes, gamma, beta: codes):
        return lower(graph)
