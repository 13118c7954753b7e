"""Templates, numbers and the runtime's sources become the files of a project, the same ones every time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..boards import ChipBoard
from ..boards.chips import uses_vector
from ..boards.sdkconfig import sdkconfig_options
from ..image import ImageInfo
from ..image.header import NUMERICS, VERSION
from ..plan import (
    FlashPlan,
    KernelSet,
    Matrices,
    MemoryPlan,
    kernels_of,
    machine_of,
    plan_flash,
    plan_memory,
)  # fmt: skip
from ..resources import c_runtime_folder, templates_folder
from .facts import most_classes, reduced_bytes
from .manifest import MANIFEST_FILE, Manifest, Shape, manifest_text

if TYPE_CHECKING:
    from jinja2 import Environment

PROJECT_TEMPLATES = "project"
SUFFIX = ".j2"
MODEL_FILE = "model.ftv"
RUNTIME = PurePosixPath("components/ftv")
"""Where c_runtime/ goes in a project."""
_NOT_FOR_CHIPS = ("host/", "ports/posix/", "examples/")
_STRIP_ROWS = 8


@dataclass(frozen=True)
class Project:
    """A rendered project.

    Attributes:
        files: path relative to the project, with slashes, to content.
        manifest: of ftervit.json.
        memory, flash: the plans behind it.
    """

    files: Mapping[str, bytes]
    manifest: Manifest
    memory: MemoryPlan
    flash: FlashPlan


def render_project(board: ChipBoard, image: bytes, info: ImageInfo) -> Project:
    """All files of the ESP-IDF project that runs the image on the board.

    Args:
        image: the bytes of a valid `.ftv` file.
        info: what `read_info` says of it.

    Raises:
        ProjectError: flash or memory do not suffice; the sentence has the arithmetic.
    """
    header = info.header
    flash = plan_flash(board, len(image), reduced_bytes(info))
    a = header.architecture
    kernels = kernels_of(board.chip, a, header.encoding)
    memory = plan_memory(a, Matrices.of_image(info), kernels, machine_of(board, a), len(image))
    manifest = _manifest(board, len(image), info, flash, memory)
    context = _context(board, info, kernels, memory, flash, manifest)
    files = {path: text.encode() for path, text in _rendered(context)}
    files |= dict(_runtime_files())
    files[MANIFEST_FILE] = manifest_text(manifest).encode()
    files[MODEL_FILE] = image
    return Project(dict(sorted(files.items())), manifest, memory, flash)


def _manifest(
    board: ChipBoard, image_bytes: int, info: ImageInfo, flash: FlashPlan, memory: MemoryPlan
) -> Manifest:
    a = info.header.architecture
    shape = Shape(
        encoding=info.header.encoding, image_size=a.image_size, patch_size=a.patch_size, width=a.width,
        depth=a.depth, heads=a.heads, hidden=a.hidden, most_classes=most_classes(a.classes),
    )  # fmt: skip
    return Manifest(
        ftervit=__version__, board=board.name, chip=board.chip.name, cores=board.chip.cores,
        flash_bytes=board.flash.size_bytes, flash_mode=board.flash.mode,
        psram_bytes=board.psram.size_bytes if board.psram else 0,
        psram_mode=board.psram.mode if board.psram else "",
        model_file=MODEL_FILE, model_sha256=info.header.content_sha256, model_bytes=image_bytes,
        model_offset=flash.model.offset, model_partition_bytes=flash.model.size,
        app_offset=flash.app.offset, app_partition_bytes=flash.app.size,
        arena_bytes=memory.near_bytes, shape=shape,
    )  # fmt: skip


def _context(
    board: ChipBoard, info: ImageInfo, kernels: KernelSet, memory: MemoryPlan, flash: FlashPlan,
    manifest: Manifest,
) -> dict[str, Any]:  # fmt: skip
    """Every name that a template may use."""
    a, encoding = info.header.architecture, info.header.encoding
    return {
        "version": __version__,
        "board": board,
        "a": a,
        "encoding": encoding,
        "header": info.header,
        "labels": info.labels,
        "vector": uses_vector(board.chip),
        "kernels": kernels,
        "plan": memory,
        "flash": flash,
        "manifest": manifest,
        "shape": manifest.shape,
        "most_classes": manifest.shape.most_classes,
        "pixels_bytes": 3 * a.image_size**2,
        "most_inputs": max(a.patch_values, a.width, a.hidden),
        "camera_side": min(board.camera.width, board.camera.height) if board.camera else 0,
        "strip_pixels": _strip_pixels(board),
        "numerics": NUMERICS,
        "image_version": VERSION,
        "sdkconfig": sdkconfig_options(board),
    }


def _strip_pixels(board: ChipBoard) -> int:
    """Whole rows of the display, whichever way it is turned."""
    display = board.display
    return _STRIP_ROWS * max(display.width_px, display.height_px) if display else 0


def _rendered(context: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Path and text of every template; one that renders to nothing but space is left out."""
    root = templates_folder() / PROJECT_TEMPLATES
    environment = _environment(root)
    for path in sorted(root.rglob(f"*{SUFFIX}")):
        name = path.relative_to(root).as_posix()
        text = environment.get_template(name).render(context)
        if text.strip():
            yield name.removesuffix(SUFFIX), text


def _environment(root: Path) -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader((root, templates_folder())), undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True, autoescape=False,
    )  # fmt: skip


def _runtime_files() -> Iterator[tuple[str, bytes]]:
    """c_runtime/ without what only computers need."""
    root = c_runtime_folder()
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_file() and not name.startswith(_NOT_FOR_CHIPS):
            yield str(RUNTIME / name), path.read_bytes()
