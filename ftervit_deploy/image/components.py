"""Where the bytes of an image go, and where they would go in other formats."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from ..architecture import Architecture
from ..lower import IntegerModel
from .layout import FILE_ALIGN, Role, Section, round_up
from .reader import ImageData, as_array, read_info
from .writer import layout_of

PATCH_EMBEDDING = "patch embedding"
ATTENTION = "attention"
MLP = "mlp"
HEAD = "head"
LAYER_NORM = "LayerNorm"
BIASES = "biases and scales"
POSITION = "position and class token"
LABELS = "labels"
HEADER = "header and provenance"

_COMPONENT = {
    Role.PATCH_WEIGHT: PATCH_EMBEDDING,
    Role.QKV_WEIGHT: ATTENTION,
    Role.PROJ_WEIGHT: ATTENTION,
    Role.FC1_WEIGHT: MLP,
    Role.FC2_WEIGHT: MLP,
    Role.HEAD_WEIGHT: HEAD,
    Role.NORM: LAYER_NORM,
    Role.NORM1: LAYER_NORM,
    Role.NORM2: LAYER_NORM,
    Role.PATCH_AFFINE: BIASES,
    Role.QKV_AFFINE: BIASES,
    Role.PROJ_AFFINE: BIASES,
    Role.FC1_AFFINE: BIASES,
    Role.FC2_AFFINE: BIASES,
    Role.HEAD_AFFINE: BIASES,
    Role.EMBEDDING: POSITION,
    Role.LABELS: LABELS,
    Role.META: HEADER,
}
"""Component of each section."""

NAMES = tuple(dict.fromkeys((PATCH_EMBEDDING, *_COMPONENT.values())))
"""Every component's name, in the order in which people read them."""

ENCODER_MATRICES = (ATTENTION, MLP)
TERNARY = (PATCH_EMBEDDING, ATTENTION, MLP, HEAD, LAYER_NORM)
"""What a fully ternary model stores in trits."""


@dataclass(frozen=True)
class Component:
    """A part of a model as people see it.

    Attributes:
        bytes: its length.
        parameters: how many of the checkpoint's numbers it holds; folded LayerScale counts among
            biases and scales.
    """

    name: str
    bytes: int
    parameters: int


def image_components(source: ImageData | IntegerModel, encoding: str = "t2") -> tuple[Component, ...]:
    """The byte breakdown of an image; the bytes add up to the length of the file.

    Args:
        source: an image, or a model that has not been written yet.
        encoding: that the model would be written with; an image knows its own.

    Raises:
        ImageFormatError: as `read_info`.
    """
    if isinstance(source, IntegerModel):
        return section_components(source.architecture, layout_of(source, encoding))
    info = read_info(source)
    return section_components(info.header.architecture, info.sections)


def section_components(architecture: Architecture, sections: tuple[Section, ...]) -> tuple[Component, ...]:
    """The byte breakdown of an image with these sections."""
    lengths = dict.fromkeys(NAMES, 0)
    for section in sections:
        lengths[_COMPONENT[section.place.role]] += section.length
    lengths[HEADER] += round_up(sections[-1].end, FILE_ALIGN) - sum(lengths.values())
    return _components(architecture, lengths)


def fp32_components(architecture: Architecture) -> tuple[Component, ...]:
    """The same parts of the FP32 model: four bytes a parameter, no labels, no header."""
    counts = parameter_counts(architecture)
    return _components(architecture, {name: 4 * count for name, count in counts.items()})


def encoder_only_components(architecture: Architecture, leftover_bits: int = 32) -> tuple[Component, ...]:
    """A partially ternary model: two bits a weight in the blocks' matrices, all else in floats.

    Args:
        architecture: its sizes.
        leftover_bits: of each other parameter. FTerViT reports leftovers of 38-39 %: with 32 bits
            they are 38.1 % for DeiT-S, 38.4 % for DeiT-III-S 224 and 39.6 % for DeiT-Tiny with 10
            classes; with 1000 classes DeiT-Tiny has 55.2 %, and 38.1 % with 16 bits.
    """
    counts = parameter_counts(architecture)
    bits = {name: 2 if name in ENCODER_MATRICES else leftover_bits for name in counts}
    return _components(architecture, {name: -(-counts[name] * bits[name] // 8) for name in counts})


def leftover_fraction(components: tuple[Component, ...], ternary: tuple[str, ...] = TERNARY) -> float:
    """Share of the bytes, 0 to 1, outside the components that are ternary.

    Args:
        components: all parts of a model.
        ternary: names of the parts that are ternary: TERNARY for our images, ENCODER_MATRICES for a
            partially ternary model.
    """
    total = sum(component.bytes for component in components)
    return sum(component.bytes for component in components if component.name not in ternary) / total


def parameter_counts(architecture: Architecture) -> dict[str, int]:
    """Parameters of each component; together those of the checkpoint."""
    a = architecture
    per_block = 3 * a.width + a.width + a.hidden + a.width + (2 * a.width if a.layer_scale else 0)
    counts = dict.fromkeys(NAMES, 0)
    counts[PATCH_EMBEDDING] = a.width * a.patch_values
    counts[ATTENTION] = a.depth * 4 * a.width * a.width
    counts[MLP] = a.depth * 2 * a.width * a.hidden
    counts[HEAD] = a.classes * a.width
    counts[LAYER_NORM] = 2 * a.width * (2 * a.depth + 1)
    counts[BIASES] = a.width + a.depth * per_block + a.classes
    counts[POSITION] = a.width * (1 + a.position_rows)
    return counts


def _components(architecture: Architecture, lengths: Mapping[str, int]) -> tuple[Component, ...]:
    counts = parameter_counts(architecture)
    return tuple(Component(name, lengths[name], counts[name]) for name in NAMES)


def image_sha256(data: ImageData) -> str:
    """SHA-256 of the whole file, hex, as sha256sum prints it."""
    return hashlib.sha256(as_array(data).data).hexdigest()
