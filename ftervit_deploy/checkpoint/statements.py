"""What a checkpoint states about itself: our own safetensors metadata, or hints beside a .pth's weights."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from ..architecture import MIN_CROP_FRACTION, Architecture, Preprocessing
from ..errors import CheckpointError
from .labels import label_defect

PACKED_FORMAT = "packed-ternary-1"
LATENT_FORMATS = ("latent-1", "latent", "float-1", "")
INTERPOLATIONS = ("bicubic", "bilinear")
MAX_VALUE = 1_000_000_000


@dataclass(frozen=True)
class Statements:
    """What the file says; None where it does not.

    Attributes:
        heads: number of attention heads, where only that is stated.
        packed: True for two bits a weight (``packed-ternary-1``).
    """

    architecture: Architecture | None = None
    preprocessing: Preprocessing | None = None
    labels: tuple[str, ...] | None = None
    scheme: str | None = None
    heads: int | None = None
    packed: bool = False


def from_metadata(metadata: Mapping[str, str]) -> Statements:
    """Reads the ``ftervit.*`` keys of a safetensors file; others are ignored.

    Raises:
        CheckpointError: a key's value is not what it should be.
    """
    values = {
        key: _json(f"ftervit.{key}", metadata.get(f"ftervit.{key}"))
        for key in ("architecture", "preprocessing", "labels")
    }
    packed = _is_packed(metadata.get("ftervit.format", ""))
    architecture = _architecture(values["architecture"])
    if packed and architecture is None:
        raise CheckpointError("The packed checkpoint does not state its architecture.")
    return Statements(
        architecture=architecture,
        preprocessing=_preprocessing(values["preprocessing"]),
        labels=_labels(values["labels"]),
        scheme=metadata.get("ftervit.scheme"),
        packed=packed,
    )


def from_extras(extras: Mapping[str, Any]) -> Statements:
    """Takes hints that training scripts leave beside the weights: head count and class names."""
    hints = dict(extras)
    for key in ("args", "config", "cfg", "hparams"):
        if isinstance(hints.get(key), Mapping):
            hints = {**hints[key], **hints}
    heads = next((hints[key] for key in ("heads", "num_heads") if _is_size(hints.get(key))), None)
    for key in ("labels", "class_names", "classes"):
        names = hints.get(key)
        if isinstance(names, list) and names and all(isinstance(name, str) for name in names):
            return Statements(heads=heads, labels=_labels(names))
    return Statements(heads=heads)


def _is_packed(file_format: str) -> bool:
    if file_format.startswith("packed-") and file_format != PACKED_FORMAT:
        raise CheckpointError(
            f"The checkpoint has the format {file_format[:50]!r}, which this version does not know.",
            "Update ftervit: pip install --upgrade ftervit.",
        )
    return file_format == PACKED_FORMAT


def _json(key: str, text: str | None) -> Any:
    if text is None:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _wrong(key) from error


def _wrong(key: str, hint: str = "") -> CheckpointError:
    return CheckpointError(f"The checkpoint's metadata {key!r} are not what they should be.", hint)


def _is_size(value: object) -> bool:
    return type(value) is int and 0 < value < MAX_VALUE


def _architecture(value: Any) -> Architecture | None:
    if value is None:
        return None
    if not isinstance(value, dict) or not set(value) <= {field.name for field in fields(Architecture)}:
        raise _wrong("ftervit.architecture")
    flags = ("layer_scale", "position_on_class_token")
    if not all(type(v) is bool if key in flags else _is_size(v) for key, v in value.items()):
        raise _wrong("ftervit.architecture")
    try:
        return Architecture(**value)
    except TypeError as error:
        raise _wrong("ftervit.architecture") from error


def _preprocessing(value: Any) -> Preprocessing | None:
    """Finite numbers, a positive deviation, a crop within the image and not too small for it."""
    if value is None:
        return None
    try:
        mean, std = (tuple(float(number) for number in value[key]) for key in ("mean", "std"))
        crop = float(value["crop_fraction"])
        interpolation = value["interpolation"]
    except (TypeError, ValueError, KeyError, OverflowError) as error:
        raise _wrong("ftervit.preprocessing") from error
    sound = len(mean) == len(std) == 3 and all(map(math.isfinite, (*mean, *std))) and min(std) > 0
    if not sound or interpolation not in INTERPOLATIONS:
        raise _wrong("ftervit.preprocessing")
    if not MIN_CROP_FRACTION <= crop <= 1:
        stated = f"Its crop_fraction is {crop:g}, and not {MIN_CROP_FRACTION} to 1."
        raise _wrong("ftervit.preprocessing", stated)
    return Preprocessing((mean[0], mean[1], mean[2]), (std[0], std[1], std[2]), crop, interpolation)


def _labels(value: Any) -> tuple[str, ...] | None:
    """Text on one line each."""
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(label, str) for label in value):
        raise _wrong("ftervit.labels")
    what = label_defect(value)
    if what:
        raise CheckpointError(what, "Rename the class, and train or save the checkpoint again.")
    return tuple(value)
