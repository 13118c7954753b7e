"""`ftervit deploy`: a checkpoint goes into a board and is watched there, in one go."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from ..config import DEFAULT_IMAGE, ENCODINGS, Settings
from .options import (
    IMAGE_SUFFIX,
    baud_option,
    board_option,
    heads_option,
    labels_option,
    model_option,
    port_option,
    project_option,
    read_labels,
    revision_option,
    scheme_option,
    settle,
)
from .output import Output, megabytes, output_options

if TYPE_CHECKING:
    from ..image import ImageInfo

PORT_PATIENCE_S = 10.0
"""A board's own USB is gone for a moment after flashing."""


class _Record(Protocol):
    def payload(self) -> dict[str, Any]: ...
    def text(self) -> str: ...


@click.command()
@click.argument("source", required=False)
@board_option
@port_option
@baud_option
@project_option
@model_option
@click.option("--encoding", type=click.Choice(ENCODINGS), help="Four (t2) or five (t5) weights a byte.")
@heads_option
@scheme_option
@labels_option
@revision_option
@click.option("--force", is_flag=True, help="Replace files of the project that were edited by hand.")
@click.option("--no-monitor", is_flag=True, help="End after flashing.")
@output_options
@click.pass_context
def deploy(
    context: click.Context, /, source: str | None, force: bool, no_monitor: bool, **flags: Any
) -> None:  # fmt: skip
    """Pack a checkpoint, build its firmware, flash the board and watch it.

    SOURCE is what `ftervit pack` takes, or a packed .ftv image. What is up to date is not made again:
    an image of that checkpoint, the unchanged parts of the firmware, what the flash holds already.
    With --json it ends after flashing, with one object that says what each stage did.
    """
    output = context.ensure_object(Output)
    is_image = source is not None and source.endswith(IMAGE_SUFFIX)
    if is_image and flags["model"] is not None:
        raise click.UsageError(f"{source} and --model both name an image.", context)
    named = {"model": source} if is_image else {"source": source}
    settings = _checked(settle(output, **{**flags, **named}))
    records = _deploy(settings, output, is_image, force)
    if output.json:
        output.result(records, str)
    elif not no_monitor:
        _watch(settings, records["flash"]["port"], output)


def _checked(settings: Settings) -> Settings:
    """The settings with a port, refused now if they cannot lead to a board.

    Raises:
        FtervitError: the board has no microcontroller, or there is no port.
    """
    from ..boards import chip_board, load_board
    from ..config import folders_of_boards
    from ..link import choose_port

    chip_board(load_board(settings.board, folders_of_boards()))
    return replace(settings, port=choose_port(settings.port))


def _deploy(settings: Settings, output: Output, is_image: bool, force: bool) -> dict[str, Any]:
    """Pack, build and flash; each stage says in a line what it does."""
    from .build import build_project
    from .flash import flash_project

    packed, settings = _pack(settings, output, is_image)
    output.note(f"Building {settings.model} for {settings.board} in {settings.project}.")
    built = _shown(build_project(settings, output, force=force), output)
    output.note(f"Flashing {settings.project} through {settings.port}.")
    flashed = _shown(flash_project(output, settings), output)
    return {"pack": packed, "build": built, "flash": flashed}


def _shown(record: _Record, output: Output) -> dict[str, Any]:
    if not output.json:
        print(record.text(), flush=True)
    return record.payload()


def _watch(settings: Settings, port: str, output: Output) -> None:
    from .monitor import Wishes, watch

    output.note(f"Watching {port}; Ctrl-] quits.")
    watch(replace(settings, port=port), output, Wishes(patience_s=PORT_PATIENCE_S))


# ---- packing ----


def _pack(settings: Settings, output: Output, is_image: bool) -> tuple[dict[str, Any], Settings]:
    """Make the image unless it is there; what was done, and the settings with the image.

    Raises:
        FtervitError: the checkpoint, or the image that was named, cannot serve.
    """
    target = Path(settings.model or DEFAULT_IMAGE)
    packs = not is_image and not is_current(target, settings)
    if packs:
        from .pack import pack_image

        output.note(f"Packing {settings.source}.")
        pack_image(settings, target, output)
    size = len(_read(target))
    output.note(f"{target}: {megabytes(size)}{'' if packs else ', there already'}.")
    return {"path": str(target), "bytes": size, "packed": packs}, replace(settings, model=str(target))


def _read(path: Path) -> bytes:
    from ..files import read_file

    return read_file(path, "image")


def is_current(target: Path, settings: Settings) -> bool:
    """Whether `target` is an image of the checkpoint, packed as the settings say; the hub is not asked.

    Where nobody named a checkpoint, any image is.
    """
    from ..errors import FtervitError
    from ..image import read_info

    try:
        info = read_info(_read(target))
    except FtervitError:
        return False
    if not settings.chosen("source"):
        return True
    return _is_of_source(info, settings) and _is_as_wanted(info, settings) and _written_by_us(info)


def _is_of_source(info: ImageInfo, settings: Settings) -> bool:
    provenance, sha256 = info.meta.provenance, _sha256_of_local(settings.source)
    if sha256 is not None:
        return provenance.sha256 == sha256
    return provenance.source == settings.source and settings.revision in (None, provenance.revision)


def _is_as_wanted(info: ImageInfo, settings: Settings) -> bool:
    heads, labels = info.header.architecture.heads, settings.labels
    return (
        info.header.encoding == settings.encoding
        and settings.scheme in (None, info.meta.scheme)
        and settings.heads in (None, heads)
        and (labels is None or read_labels(Path(labels)) == info.labels)
    )


def _written_by_us(info: ImageInfo) -> bool:
    """By this version: an older one may have packed otherwise."""
    from ..image.text import TOOL

    return info.meta.tool == TOOL


def _sha256_of_local(source: str) -> str | None:
    """Of a checkpoint that is on this machine; None of one on the hub."""
    import hashlib

    from ..files import user_path
    from ..models import MODELS
    from ..resources import data_file

    path = user_path(source)
    bundled = MODELS[source].bundled if source in MODELS and not path.is_file() else None
    path = data_file(bundled) if bundled else path
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
