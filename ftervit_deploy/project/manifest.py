"""ftervit.json of a project: what it was rendered for, so that `ftervit flash` need not guess."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ..errors import ProjectError
from ..files import read_file

MANIFEST_FILE = "ftervit.json"
FORMAT = 1
MODEL_PARTITION = "model"
MODEL_PARTITION_TYPE = 0x40
MODEL_PARTITION_SUBTYPE = 0x00


@dataclass(frozen=True)
class Shape:
    """What the application's memory plan and kernels fit: `ftv_app_shape` of c_runtime/app/ftv_app.h.

    Attributes:
        encoding: ``t2`` or ``t5``.
        most_classes: a model may have fewer.
    """

    encoding: str
    image_size: int
    patch_size: int
    width: int
    depth: int
    heads: int
    hidden: int
    most_classes: int


@dataclass(frozen=True)
class Manifest:
    """One rendered project.

    Attributes:
        ftervit: version that rendered it.
        board: the board's name.
        chip: ESP-IDF's target.
        cores: cores that the engine uses.
        flash_bytes: size of the board's flash.
        flash_mode: how the application reads it: ``qio``, ``opi``, ...
        psram_bytes, psram_mode: 0 and ``""`` where the board has none.
        model_file: the image, relative to the project.
        model_sha256: content hash in the image's header.
        model_bytes: the image's size.
        model_offset, model_partition_bytes: where in the flash it goes.
        app_offset, app_partition_bytes: where the application goes.
        arena_bytes: internal RAM that the engine takes in one piece.
        shape: what the application can run.
    """

    ftervit: str
    board: str
    chip: str
    cores: int
    flash_bytes: int
    flash_mode: str
    psram_bytes: int
    psram_mode: str
    model_file: str
    model_sha256: str
    model_bytes: int
    model_offset: int
    model_partition_bytes: int
    app_offset: int
    app_partition_bytes: int
    arena_bytes: int
    shape: Shape


def manifest_text(manifest: Manifest) -> str:
    """The content of ftervit.json."""
    return json.dumps({"format": FORMAT, **asdict(manifest)}, indent=2) + "\n"


def read_manifest(project: Path) -> Manifest:
    """The manifest of the project in the folder `project`.

    Raises:
        ProjectError: there is none, or it is not one of ours.
    """
    path = project / MANIFEST_FILE
    if not path.is_file():
        raise ProjectError(f"{project} is no project of ftervit's.", "Make one with `ftervit build`.")
    try:
        content = json.loads(read_file(path, "manifest"))
        if content.pop("format") != FORMAT:
            raise ProjectError(f"{path} is of another version of ftervit.", "Run `ftervit build` again.")
        shape = _typed(Shape, content.pop("shape"))
        manifest: Manifest = _typed(Manifest, {**content, "shape": shape})
        return manifest
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ProjectError(f"{path} is damaged.", "Run `ftervit build` again.") from None


def _typed(cls: type[Any], values: dict[str, object]) -> Any:
    """An instance of a dataclass of ints, strings and dataclasses.

    Raises:
        TypeError: another type, a missing or an unknown field.
    """
    for field in fields(cls):
        kind = {"int": int, "str": str, "Shape": Shape}[str(field.type)]
        if type(values[field.name]) is not kind:
            raise TypeError(field.name)
    return cls(**values)
