"""What a model of any scheme takes, by one way of counting, so that methods can be compared.

Codes take their whole bits (two for ternary), packed without gaps; whatever a scheme leaves in full
precision, biases, scales, steps, positions and inner LayerNorms take `leftover_bits` each. There is no
header. A `.ftv` image of the same model is a little smaller or larger: `components.py` counts its bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from ..architecture import Architecture
from ..checkpoint.shapes import scheme_shapes
from ..schemes import Scheme, Weights
from .components import (
    ATTENTION,
    BIASES,
    HEAD,
    LAYER_NORM,
    MLP,
    PATCH_EMBEDDING,
    POSITION,
    parameter_counts,
)

INNER_NORMS = "inner LayerNorms"
SCALES = "scales and steps"
LEFTOVER_BITS = 32


@dataclass(frozen=True)
class Part:
    """A part of a stored model.

    Attributes:
        name: as people read it.
        numbers: how many it has.
        bits: of each.
        quantised: True for codes, False for what is left over.
    """

    name: str
    numbers: int
    bits: int
    quantised: bool

    @property
    def bytes(self) -> int:
        """Its length."""
        return -(-self.numbers * self.bits // 8)


def scheme_parts(
    architecture: Architecture, scheme: Scheme, leftover_bits: int = LEFTOVER_BITS
) -> tuple[Part, ...]:
    """Every part of a model of `scheme`, those without numbers left out.

    Args:
        architecture: its sizes.
        scheme: its rules.
        leftover_bits: of each number that the scheme leaves in full precision.
    """
    counts = parameter_counts(architecture)
    rules = {
        PATCH_EMBEDDING: scheme.patch, ATTENTION: scheme.linear, MLP: scheme.linear,
        HEAD: scheme.head, LAYER_NORM: scheme.norm,
    }  # fmt: skip
    own = {name: prod(shape) for name, shape in scheme_shapes(architecture, scheme).items()}
    learned = sum(count for name, count in own.items() if ".norm." not in name)
    left_over = {
        "biases": counts[BIASES],
        POSITION: counts[POSITION],
        INNER_NORMS: sum(own.values()) - learned,
        SCALES: learned + sum(_scales(architecture, scheme)),
    }
    parts = [
        Part(name, counts[name], rule.bits if rule else leftover_bits, rule is not None)
        for name, rule in rules.items()
    ]
    parts += [Part(name, count, leftover_bits, False) for name, count in left_over.items()]
    return tuple(part for part in parts if part.numbers)


def scheme_bytes(architecture: Architecture, scheme: Scheme) -> int:
    """Bytes of all parts."""
    return sum(part.bytes for part in scheme_parts(architecture, scheme))


def _scales(architecture: Architecture, scheme: Scheme) -> Iterator[int]:
    """Scales of the weights that are not learned, which are counted with a scheme's own parameters."""
    a = architecture
    yield _scale_count(scheme.patch, a.width)
    for channels in (3 * a.width, a.width, a.hidden, a.width):
        yield a.depth * _scale_count(scheme.linear, channels)
    yield _scale_count(scheme.head, a.classes)
    yield 2 * (2 * a.depth + 1) * _scale_count(scheme.norm, a.width)


def _scale_count(rule: Weights | None, channels: int) -> int:
    if rule is None or rule.scale == "lsq":
        return 0
    return channels if rule.granularity == "channel" else 1
