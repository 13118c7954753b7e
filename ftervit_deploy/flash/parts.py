"""What goes into the flash: the files that a build leaves in a project, and the model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ProjectError
from ..files import read_file
from ..project import Manifest
from .descriptor import AppDescriptor
from .espimage import EspImage, is_whole, parse_head
from .fit import Model
from .partitions import model_partition, parse_partitions

BUILD = "build"
SECTOR_BYTES = 0x1000
"""What is erased at once, at least."""
FLASHER_FILE = "flasher_args.json"
_AGAIN = "Run `ftervit build` again."
_NAMES = {"bootloader": "bootloader", "partition-table": "partition table", "app": "app"}
"""Keys of flasher_args.json, and what a person calls them."""


@dataclass(frozen=True)
class Part:
    """Bytes for one place of the flash.

    Attributes:
        name: in words: ``bootloader``, ``partition table``, ``app``, ``model``.
        path: the file.
        offset: in the flash, bytes.
        data: the file's content.
    """

    name: str
    path: Path
    offset: int
    data: bytes

    @property
    def end(self) -> int:
        """Offset of the first byte behind it."""
        return self.offset + len(self.data)


@dataclass(frozen=True)
class Build:
    """A built project, without its model.

    Attributes:
        parts: in the order in which `write_parts` writes them.
        images: heads of bootloader and app, by name.
        descriptor: of the app.
    """

    parts: tuple[Part, ...]
    images: Mapping[str, EspImage]
    descriptor: AppDescriptor


def read_build(project: Path, manifest: Manifest) -> Build:
    """What `idf.py build` left in the project.

    The app comes first and the bootloader last, so that a board whose cable is pulled keeps what it had as
    long as possible.

    Raises:
        ProjectError: the project is not built, its files do not fit each other or the manifest.
        FileError: a file is missing.
    """
    listed = _listed_files(project / BUILD / FLASHER_FILE)
    parts = [
        Part(name, path, offset, read_file(path, name))
        for name, offset, path in listed
        if offset != manifest.model_offset
    ]
    named = {part.name: part for part in parts}
    images = {name: _image(named[name]) for name in ("bootloader", "app")}
    descriptor = images["app"].descriptor
    _check_plan(named, descriptor, manifest)
    assert descriptor is not None
    _check_apart(parts, manifest)
    parts.sort(key=lambda part: part.offset, reverse=True)
    return Build(tuple(parts), images, descriptor)


def _listed_files(path: Path) -> list[tuple[str, int, Path]]:
    """Name, offset and path of each file in flasher_args.json."""
    if not path.is_file():
        raise ProjectError(f"The project {path.parent.parent} is not built.", "Run `ftervit build`.")
    try:
        content: Any = json.loads(read_file(path, "list of files to flash"))
        known = {int(content[key]["offset"], 0): name for key, name in _NAMES.items()}
        files = {int(offset, 0): str(file) for offset, file in content["flash_files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ProjectError(f"{path} is damaged.", _AGAIN) from None
    if not known.keys() <= files.keys() or len(known) != len(_NAMES):
        raise ProjectError(f"{path} lacks a file for bootloader, partition table or app.", _AGAIN)
    return [
        (known.get(offset) or Path(file).stem, offset, path.parent / file) for offset, file in files.items()
    ]


def _image(part: Part) -> EspImage:
    head = parse_head(part.data)
    if head is None or not is_whole(part.data):
        raise ProjectError(f"{part.path} is no whole image of a program.", _AGAIN)
    return head


def _check_plan(parts: Mapping[str, Part], descriptor: AppDescriptor | None, manifest: Manifest) -> None:
    """App and partition table must be of the build that the manifest speaks of."""
    app, table = parts["app"], parts["partition table"]
    if descriptor is None:
        raise ProjectError(f"{app.path} is no application of ftervit's.", _AGAIN)
    places = {(p.offset, p.size) for p in parse_partitions(table.data) if p.is_app}
    model = model_partition(parse_partitions(table.data))
    agreed = (
        descriptor.shape == manifest.shape
        and descriptor.board == manifest.board
        and app.offset == manifest.app_offset
        and (manifest.app_offset, manifest.app_partition_bytes) in places
        and model is not None
        and (model.offset, model.size) == (manifest.model_offset, manifest.model_partition_bytes)
    )
    if not agreed:
        raise ProjectError(f"The build in {app.path.parent} is older than its project.", _AGAIN)


def _check_apart(parts: list[Part], manifest: Manifest) -> None:
    """No part may reach into a sector of the next, nor out of the app's partition, nor of the flash."""
    ordered = sorted(parts, key=lambda part: part.offset)
    limits = [part.offset for part in ordered[1:]] + [manifest.flash_bytes]
    for part, limit in zip(ordered, limits, strict=True):
        if part.name == "app":
            limit = min(limit, manifest.app_offset + manifest.app_partition_bytes)
        if -(-part.end // SECTOR_BYTES) * SECTOR_BYTES > limit:
            raise ProjectError(
                f"{part.path} is too large: {len(part.data)} bytes at {part.offset:#x}, "
                f"where {limit - part.offset} have room.", _AGAIN,
            )  # fmt: skip


def model_part(offset: int, model: Model) -> Part:
    """A model, for the start of its partition."""
    return Part("model", model.path, offset, model.data)
