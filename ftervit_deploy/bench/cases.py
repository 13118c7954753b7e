"""Layers of presets, and what was published about them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from ..architecture import PRESETS, Architecture
from ..errors import ConfigError
from ..plan.calls import Output
from .rows import PRODUCT, Arithmetic, Row

DEFAULT_CASE = "deit_tiny_224:fc1"
LAYERS = ("patch", "qkv", "proj", "fc1", "fc2", "head")
TILE = 16


@dataclass(frozen=True)
class Case:
    """A matrix of a preset: tokens x inputs x channels.

    Attributes:
        output: what happens to its outputs.
        per_channel: True where FTerViT's scheme gives each channel a multiplier.
    """

    preset: str
    layer: str
    tokens: int
    inputs: int
    channels: int
    output: Output
    per_channel: bool

    @property
    def name(self) -> str:
        """As on the command line."""
        return f"{self.preset}:{self.layer}"

    @property
    def architecture(self) -> Architecture:
        """Of the preset."""
        return PRESETS[self.preset]

    @property
    def tiles(self) -> int:
        """Of sixteen channels."""
        return -(-self.channels // TILE)

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""
        return self.tokens * self.inputs * self.channels


def cases_of(names: Iterable[str]) -> list[Case]:
    """Each ``PRESET:LAYER``, or all layers of a ``PRESET``.

    Raises:
        ConfigError: there is no such preset or layer; the nearest is named.
    """
    found: list[Case] = []
    for name in names:
        preset, colon, layer = name.partition(":")
        _check(preset, PRESETS, "preset")
        if colon:
            _check(layer, LAYERS, "layer")
        found += [case_of(preset, each) for each in ([layer] if colon else LAYERS)]
    return found


def _check(name: str, known: Iterable[str], what: str) -> None:
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        raise ConfigError(f"There is no {what} {name!r}.", f"{hint}There are: {', '.join(known)}.")


def case_of(preset: str, layer: str) -> Case:
    """The layer of the preset."""
    a = PRESETS[preset]
    shapes: dict[str, tuple[int, int, int, Output]] = {
        "patch": (a.patches, a.patch_values, a.width, "store"),
        "qkv": (a.tokens, a.width, 3 * a.width, "store"),
        "proj": (a.tokens, a.width, a.width, "add"),
        "fc1": (a.tokens, a.width, a.hidden, "activate"),
        "fc2": (a.tokens, a.hidden, a.width, "add"),
        "head": (1, a.width, a.classes, "store"),
    }
    scaled = layer == "patch" or (a.layer_scale and layer in ("proj", "fc2"))
    return Case(preset, layer, *shapes[layer], per_channel=scaled)


PAPER = "FTerViT (arXiv 2605.21171): plain C on an ESP32-S3 at 240 MHz"
_PUBLISHED: dict[str, tuple[tuple[str, Arithmetic, float, float], ...]] = {
    "deit_tiny_224:fc1": (
        ("FP32, plain C", "fp32", 1.376, 130.0),
        ("packed ternary, plain C", "t2", 0.804, 59.0),
    )
}
_PUBLISHED_CLOCK_HZ = 240e6


def published(case: Case) -> list[Row]:
    """The paper's figures for this layer."""
    return [
        _published_row(case, kernel, arithmetic, seconds)
        for kernel, arithmetic, seconds, _ in _PUBLISHED.get(case.name, ())
    ]


def _published_row(case: Case, kernel: str, arithmetic: Arithmetic, seconds: float) -> Row:
    cycles = seconds * _PUBLISHED_CLOCK_HZ
    return Row(kernel, arithmetic, PRODUCT, seconds, "published", 1, cycles, case.tokens, source=PAPER)


def published_millijoules(case: Case) -> dict[str, float]:
    """Energy above idle by kernel, as the paper has it."""
    return {kernel: millijoules for kernel, _, _, millijoules in _PUBLISHED.get(case.name, ())}
