"""How much each layer matters to the loss: by Taylor's first order, and by the trace of its Hessian.

Taylor: g w is the first-order change of the loss when a parameter is set to zero alone. A layer's share is
the sum of |g w| (Molchanov et al., arXiv 1611.06440) or of (g w)^2 (Molchanov et al., arXiv 1906.10771,
equation 8); few large changes weigh more in the latter. Hessian: Hutchinson's estimate of the trace of the
layer's diagonal block, E[v^T H v] with v of random signs in that layer and zero elsewhere (HAWQ-V2, arXiv
1911.03852, section 3.2); signs everywhere have the same mean, but all other layers add noise, to a LayerNorm
many times its trace. FTerViT (arXiv 2605.21171) groups both by kind of layer.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from ..image.components import ATTENTION, HEAD, LAYER_NORM, MLP, PATCH_EMBEDDING, POSITION
from .model import DeiT

LAYER_SCALE = "LayerScale"
GROUPS = (LAYER_NORM, PATCH_EMBEDDING, ATTENTION, MLP, HEAD, LAYER_SCALE, POSITION)
"""Every group, in the order in which people read them."""
_CHUNK, _CHUNK_VALUES = 8, 2_000_000
"""Photos in one graph, at most, and values of its tokens; second derivatives hold many times as much."""


@dataclass(frozen=True)
class LayerImportance:
    """A layer's importance.

    Attributes:
        layer: its name in timm's words; weights and bias together.
        group: one of GROUPS.
        parameters: how many numbers it has.
        taylor: sum of |g w|, in nats.
        taylor_squared: sum of (g w)^2.
        trace: estimated trace of its block of the Hessian of the mean loss.
        trace_error: standard error of that estimate over the probes; 0 with one probe.
    """

    layer: str
    group: str
    parameters: int
    taylor: float
    taylor_squared: float
    trace: float
    trace_error: float


def group_of(layer: str) -> str:
    """The group of a layer by its name, e.g. ``blocks.3.attn.qkv``."""
    parts = layer.split(".")
    if any(part.startswith("norm") for part in parts):
        return LAYER_NORM
    kinds = {"patch_embed": PATCH_EMBEDDING, "attn": ATTENTION, "mlp": MLP, "head": HEAD}
    kinds |= {"ls1": LAYER_SCALE, "ls2": LAYER_SCALE}
    return next((kinds[part] for part in parts if part in kinds), POSITION)


def layer_importance(
    model: DeiT,
    images: Tensor,
    labels: Tensor,
    probes: int = 4,
    trace_photos: int | None = None,
    seed: int = 0,
    on_step: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[LayerImportance, ...]:
    """Importance of every layer, in the order of the model's parameters.

    The loss is the mean cross-entropy. Gradients pass a ternary layer straight through, so a student's
    figures are those of its straight-through surrogate.

    Args:
        model: a teacher or a student.
        images: float, normalised, [N, 3, H, W], N at least 1.
        labels: int64 [N], class indices.
        probes: random vectors of Hutchinson's estimate for each layer, at least 1.
        trace_photos: the trace is that of so many of the photos, evenly spread, at most; None for all. Each
            costs `probes` second derivatives a layer.
        seed: of these vectors.
        on_step: told of steps done and steps in all; a step is one second derivative.
    """
    model.eval()
    parameters = dict(model.named_parameters())
    for parameter in parameters.values():
        parameter.requires_grad_(True)
    layers = _layers(list(parameters))
    a = model.arch
    chunk = max(1, min(_CHUNK, _CHUNK_VALUES // (a.tokens * a.width * a.depth)))
    traced = min(trace_photos or len(images), len(images))
    chosen = torch.arange(traced) * len(images) // traced
    parts = torch.split(chosen, chunk)
    steps = itertools.count(1)

    def step() -> None:
        on_step(next(steps), len(parts) * len(layers) * probes)

    gradients = [torch.zeros_like(parameter) for parameter in parameters.values()]
    traces = torch.zeros(probes, len(layers), dtype=torch.float64)
    for part in torch.split(torch.arange(len(images)), chunk):
        loss = F.cross_entropy(model(images[part]).float(), labels[part], reduction="sum") / len(images)
        found = torch.autograd.grad(loss, list(parameters.values()))
        for total, gradient in zip(gradients, found, strict=True):
            total += gradient
    with sdpa_kernel(SDPBackend.MATH):  # the others have no second derivative
        for part in parts:
            loss = F.cross_entropy(model(images[part]).float(), labels[part], reduction="sum") / len(chosen)
            traces += _traces(loss, list(parameters.values()), list(layers.values()), (seed, probes), step)
    changes = [(g * p.detach()).double() for g, p in zip(gradients, parameters.values(), strict=True)]
    return tuple(
        _importance(layer, [changes[index] for index in members], traces[:, number])
        for number, (layer, members) in enumerate(layers.items())
    )


def _layers(names: Sequence[str]) -> dict[str, list[int]]:
    """Indices of the parameters of each layer, by its name."""
    members: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        members.setdefault(name.rpartition(".")[0] or name, []).append(index)
    return members


def _signs(parameters: Sequence[Tensor], seed: int) -> list[Tensor]:
    """A vector of random signs, in the shapes of `parameters`."""
    generator = torch.Generator().manual_seed(seed)
    return [(torch.randint(0, 2, p.shape, generator=generator) * 2 - 1).to(p.dtype) for p in parameters]


def _traces(
    loss: Tensor,
    parameters: Sequence[Tensor],
    layers: Sequence[Sequence[int]],
    draws: tuple[int, int],
    on_step: Callable[[], None],
) -> Tensor:
    """v^T H v of every layer for each of its probes: float64 [probes, layers].

    Args:
        loss: of a part of the photos.
        parameters: of the model.
        layers: indices of each layer's parameters.
        draws: seed and number of the probes, which are the same for every part of the photos.
        on_step: called after each.
    """
    seed, probes = draws
    gradients = torch.autograd.grad(loss, parameters, create_graph=True)
    found = torch.zeros(probes, len(layers), dtype=torch.float64)
    for number, members in enumerate(layers):
        own, slopes = [parameters[i] for i in members], [gradients[i] for i in members]
        for probe in range(probes):
            vector = _signs(own, (seed * 1_000_003 + probe) * 1009 + number)
            products = torch.autograd.grad(
                slopes, own, grad_outputs=vector, retain_graph=True, allow_unused=True
            )
            for v, product in zip(vector, products, strict=True):
                if product is not None:
                    found[probe, number] += (v * product).sum(dtype=torch.float64)
            on_step()
    return found


def _importance(layer: str, changes: Sequence[Tensor], samples: Tensor) -> LayerImportance:
    """Of g w of a layer's parameters, and of its probes' v^T H v, float64 [probes]."""
    error = float(samples.std() / len(samples) ** 0.5) if len(samples) > 1 else 0.0
    return LayerImportance(
        layer, group_of(layer), sum(change.numel() for change in changes),
        sum(float(change.abs().sum()) for change in changes),
        sum(float(change.square().sum()) for change in changes), float(samples.mean()), error,
    )  # fmt: skip
