"""Where numbers stop being numbers: the layer that is named when a loss or a gradient is not finite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


def unfinite_parameter(model: nn.Module, gradients: bool = False) -> str | None:
    """The first parameter whose values, or gradient, are not all finite; None if there is none."""
    for name, parameter in model.named_parameters():
        values = parameter.grad if gradients else parameter
        if values is not None and not bool(values.isfinite().all()):
            return name
    return None


@torch.no_grad()
def unfinite_layer(model: nn.Module, forward: Callable[[], Any]) -> str | None:
    """The first layer of `model` whose output is not all finite in `forward`; None if there is none.

    Layers are those without layers of their own, in the order in which they compute.
    """
    found: list[str] = []
    with _watched(model, found):
        forward()
    return found[0] if found else None


@contextmanager
def _watched(model: nn.Module, found: list[str]) -> Iterator[None]:
    def watcher(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def watch(layer: nn.Module, inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and not bool(output.isfinite().all()):
                found.append(name)

        return watch

    leaves = [(name, layer) for name, layer in model.named_modules() if not list(layer.children())]
    handles = [layer.register_forward_hook(watcher(name)) for name, layer in leaves]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
