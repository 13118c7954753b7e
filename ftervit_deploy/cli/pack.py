"""`ftervit pack`: a checkpoint becomes one .ftv image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..config import DEFAULT_IMAGE, ENCODINGS, Settings
from .options import (
    heads_option,
    labels_option,
    load_checkpoint,
    read_labels,
    revision_option,
    scheme_option,
    settle,
)
from .output import Output, output_options

if TYPE_CHECKING:
    from ..checkpoint import Checkpoint


@click.command()
@click.argument("source", required=False)
@click.option(
    "-o", "--output", "path", metavar="FILE", help=f"The image to write. [default: {DEFAULT_IMAGE}]"
)
@click.option("--encoding", type=click.Choice(ENCODINGS), help="Four (t2) or five (t5) weights a byte.")
@heads_option
@scheme_option
@labels_option
@revision_option
@output_options
@click.pass_obj
def pack(output: Output, /, source: str | None, path: str | None, **flags: Any) -> None:
    """Pack a checkpoint into one .ftv image.

    SOURCE is an alias from `ftervit models`, a hub id user/repo[:file][@revision], or a local
    .safetensors, .pth or .pt file. Without one: what ftervit.toml names, else the published
    DeiT-III-S 224.
    """
    settings = settle(output, source=source, model=path, **flags)
    target = Path(settings.model or DEFAULT_IMAGE)
    _report(target, pack_image(settings, target, output), output)


def pack_image(settings: Settings, target: Path, output: Output) -> bytes:
    """Read the checkpoint that `settings` name, write its image to `target`, return the image's bytes.

    Raises:
        FtervitError: whatever is wrong with the checkpoint, the labels or the target.
    """
    from ..files import check_not_input, write_atomic

    check_not_input(target, settings.source)
    image = _packed(settings, output)
    write_atomic(target, image)
    return image


def _packed(settings: Settings, output: Output) -> bytes:
    from ..graph import build_graph
    from ..image import write_image
    from ..lower import lower
    from ..schemes import scheme_named

    checkpoint = _checkpoint(settings, output)
    with output.step("Packing"):
        scheme = scheme_named(settings.scheme or checkpoint.scheme)
        return write_image(lower(build_graph(checkpoint, scheme)), settings.encoding)


def _checkpoint(settings: Settings, output: Output) -> Checkpoint:
    checkpoint = load_checkpoint(settings.source, settings, output)
    if settings.labels is None:
        return checkpoint
    return _relabelled(checkpoint, Path(settings.labels))


def _relabelled(checkpoint: Checkpoint, path: Path) -> Checkpoint:
    from ..errors import DataError

    labels, classes = read_labels(path), checkpoint.architecture.classes
    if len(labels) != classes:
        raise DataError(f"{path} has {len(labels)} labels, and the model has {classes} classes.")
    return replace(checkpoint, labels=labels)


def _report(target: Path, image: bytes, output: Output) -> None:
    from .inspect import describe, size_table

    description = describe(target, image)
    keys = ("path", "bytes", "encoding", "sha256", "architecture", "ternary_weights", "zero_fraction")
    output.result({key: description[key] for key in keys}, lambda: size_table(description))
