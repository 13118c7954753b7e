"""How much each layer matters to the loss: by Taylor's first order, and by the trace of its Hessian.

Taylor: sum |g w| over a layer's parameters, the first-order change of the loss when each is set to zero
alone (Molchanov et al., arXiv 1906.10771, equation 8). Hessian: Hutchinson's estimate of the trace of
the layer's diagonal block, E[v^T H v] with v of random signs (HAWQ-V2, arXiv 1911.03852, section 3.2).
FTerViT (arXiv 2605.21171) groups both by kind of layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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
        trace: estimated trace of its block of the Hessian of the mean loss.
        trace_error: standard error of that estimate over the probes; 0 with one probe.
    """

    layer: str
    group: str
    parameters: int
    taylor: float
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
    probes: int = 8,
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
        probes: random vectors of Hutchinson's estimate, at least 1.
        seed: of these vectors.
        on_step: told of steps done and steps in all; a step is one second derivative.
    """
    model.eval()
    parameters = dict(model.named_parameters())
    for parameter in parameters.values():
        parameter.requires_grad_(True)
    gradients = [torch.zeros_like(parameter) for parameter in parameters.values()]
    traces = torch.zeros(probes, len(parameters), dtype=torch.float64)
    a = model.arch
    chunk = max(1, min(_CHUNK, _CHUNK_VALUES // (a.tokens * a.width * a.depth)))
    starts = range(0, len(images), chunk)
    with sdpa_kernel(SDPBackend.MATH):  # the others have no second derivative
        for number, start in enumerate(starts):
            part = slice(start, start + chunk)
            loss = F.cross_entropy(model(images[part]).float(), labels[part], reduction="sum") / len(images)
            for probe in _add(loss, list(parameters.values()), seed, gradients, traces):
                on_step(number * probes + probe + 1, len(starts) * probes)
    taylor = [
        float((g * p.detach()).abs().sum()) for g, p in zip(gradients, parameters.values(), strict=True)
    ]
    return tuple(_by_layer(parameters, taylor, traces))


def _signs(parameters: Sequence[Tensor], seed: int, probe: int) -> list[Tensor]:
    """A vector of random signs, in the shapes of `parameters`; the same for every part of the photos."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + probe)
    return [(torch.randint(0, 2, p.shape, generator=generator) * 2 - 1).to(p.dtype) for p in parameters]


def _add(
    loss: Tensor, parameters: list[Tensor], seed: int, gradients: list[Tensor], traces: Tensor
) -> Iterator[int]:
    """Add this loss's gradient to `gradients` and v^T H v to `traces`, float64 [probes, parameters].

    Yields the number of each probe that is done.
    """
    found = torch.autograd.grad(loss, parameters, create_graph=True)
    for total, gradient in zip(gradients, found, strict=True):
        total += gradient.detach()
    for probe in range(len(traces)):
        vector = _signs(parameters, seed, probe)
        last = probe == len(traces) - 1
        products = torch.autograd.grad(
            found, parameters, grad_outputs=vector, retain_graph=not last, allow_unused=True
        )
        for index, (v, product) in enumerate(zip(vector, products, strict=True)):
            if product is not None:
                traces[probe, index] += (v * product.detach()).sum(dtype=torch.float64).item()
        yield probe


def _by_layer(
    parameters: dict[str, torch.nn.Parameter], taylor: Sequence[float], traces: Tensor
) -> Iterator[LayerImportance]:
    members: dict[str, list[int]] = {}
    for index, name in enumerate(parameters):
        layer = name.rpartition(".")[0] or name
        members.setdefault(layer, []).append(index)
    sizes = [parameter.numel() for parameter in parameters.values()]
    for layer, indices in members.items():
        samples = traces[:, indices].sum(dim=1)
        error = float(samples.std() / len(samples) ** 0.5) if len(samples) > 1 else 0.0
        yield LayerImportance(
            layer, group_of(layer), sum(sizes[i] for i in indices), sum(taylor[i] for i in indices),
            float(samples.mean()), error,
        )  # fmt: skip
