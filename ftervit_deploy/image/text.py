"""Meta data and labels: the two text sections of an image."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields
from typing import Any

from .. import __version__
from ..architecture import MIN_CROP_FRACTION, Preprocessing
from ..checkpoint.contents import Provenance
from ..lower import IntegerModel
from .defects import Defect, defect, require

TOOL = f"ftervit {__version__}"
INTERPOLATIONS = ("bicubic", "bilinear")
REPLACEMENT = "\ufffd"


@dataclass(frozen=True)
class Meta:
    """What the meta section says; `tool` is the program that wrote the image."""

    preprocessing: Preprocessing
    scheme: str
    provenance: Provenance
    tool: str


def meta_of(model: IntegerModel) -> Meta:
    """The meta data to write; a file name's control characters and stray bytes become U+FFFD."""
    provenance = {name: _clean(value) for name, value in asdict(model.provenance).items()}
    return Meta(model.preprocessing, model.scheme, Provenance(**provenance), TOOL)


def pack_meta(meta: Meta) -> bytes:
    """The one way to write this meta data."""
    p = meta.preprocessing
    values = {
        "crop_fraction": float(p.crop_fraction),
        "interpolation": p.interpolation,
        "mean": [float(value) for value in p.mean],
        "provenance": asdict(meta.provenance),
        "scheme": meta.scheme,
        "std": [float(value) for value in p.std],
        "tool": meta.tool,
    }
    return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def unpack_meta(section: bytes) -> Meta:
    """Reads the meta section.

    Raises:
        ImageFormatError: FTV_ERR_TEXT, unless the bytes are what `pack_meta` writes.
    """
    try:
        meta = _meta(json.loads(section.decode("ascii")))
        canonical = pack_meta(meta)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        raise defect(Defect.TEXT, "The image's meta data cannot be read.") from None
    require(canonical == section, Defect.TEXT, "The image's meta data is not written as ftervit writes it.")
    return meta


def _meta(values: dict[str, Any]) -> Meta:
    """Meta data from parsed JSON; ValueError, TypeError or KeyError if it is not such an object."""
    mean, std = (_triple(values[name]) for name in ("mean", "std"))
    crop, interpolation = float(values["crop_fraction"]), values["interpolation"]
    provenance = Provenance(**{f.name: _string(values["provenance"][f.name]) for f in fields(Provenance)})
    if min(std) <= 0 or interpolation not in INTERPOLATIONS:
        raise ValueError("impossible preprocessing")
    cropped = f"The image's crop_fraction is {crop:g}, and not {MIN_CROP_FRACTION} to 1."
    require(MIN_CROP_FRACTION <= crop <= 1, Defect.TEXT, cropped)
    preprocessing = Preprocessing(mean, std, crop, interpolation)
    return Meta(preprocessing, _string(values["scheme"]), provenance, _string(values["tool"]))


def _triple(values: list[Any]) -> tuple[float, float, float]:
    first, second, third = (float(value) for value in values)
    if not math.isfinite(first + second + third):
        raise ValueError("not finite")
    return first, second, third


def _string(value: Any) -> str:
    if not isinstance(value, str) or _clean(value) != value:
        raise ValueError("no printable string")
    return value


def _clean(value: str) -> str:
    """`value` without control characters and lone surrogates, so that it is safe to print."""
    return "".join(REPLACEMENT if _is_unprintable(ord(character)) else character for character in value)


def _is_unprintable(code: int) -> bool:
    return code < 0x20 or 0x7F <= code < 0xA0 or 0xD800 <= code < 0xE000


def pack_labels(labels: tuple[str, ...], classes: int) -> bytes:
    """One label a line, UTF-8.

    Raises:
        ImageFormatError: FTV_ERR_TEXT, for labels that are missing, empty or hold control characters.
    """
    if len(labels) != classes:
        what = f"The model has {classes} classes and {len(labels)} labels."
        raise defect(Defect.TEXT, what, "Give one label a class.")
    for label in labels:
        if not label or any(ord(c) < 0x20 or ord(c) == 0x7F or 0xD800 <= ord(c) < 0xE000 for c in label):
            what = f"The label {label!r} is empty or holds characters that cannot be printed."
            raise defect(Defect.TEXT, what, "Rename the class.")
    return "".join(label + "\n" for label in labels).encode("utf-8")


def unpack_labels(section: bytes, classes: int) -> tuple[str, ...]:
    """The labels of the labels section.

    Raises:
        ImageFormatError: FTV_ERR_TEXT.
    """
    try:
        text = section.decode("utf-8")
    except UnicodeDecodeError:
        raise defect(Defect.TEXT, "The image's labels are not UTF-8.") from None
    lines = text.split("\n")
    labels = tuple(lines[:-1])
    require(lines[-1] == "", Defect.TEXT, "The image's last label has no end.")
    require(len(labels) == classes, Defect.TEXT, f"The image has {classes} classes and {len(labels)} labels.")
    require(all(labels), Defect.TEXT, "One of the image's labels is empty.")
    control = any(byte < 0x20 or byte == 0x7F for byte in section.replace(b"\n", b""))
    require(not control, Defect.TEXT, "One of the image's labels holds a control character.")
    return labels
