"""`ftervit unpack`: an image's real weights, as safetensors."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import chosen_image, naming, settle
from .output import Output, megabytes, output_options

if TYPE_CHECKING:
    from ..lower import IntegerModel


@click.command()
@click.argument("model", metavar="[FILE]", required=False)
@click.option("-o", "--output", "path", metavar="FILE", help="The file to write. [default: FILE.safetensors]")
@output_options
@click.pass_obj
def unpack(output: Output, /, model: str | None, path: str | None) -> None:
    """Write an image's weights as safetensors: float32, timm's names and shapes.

    The result is a checkpoint that `ftervit pack` reads. LayerScale is folded into the weights.
    """
    from ..files import check_not_input, read_file, user_path, write_atomic
    from ..image import read_image

    source = chosen_image(settle(output, model=model), output)
    with output.step(f"Unpacking {source}"), naming(source):
        content, tensors = _as_safetensors(read_image(read_file(source, "image")))
        target = user_path(path) if path else _beside_nothing(Path(source.with_suffix(".safetensors").name))
        check_not_input(target, str(source))
        write_atomic(target, content)
    payload = {"path": str(target), "bytes": len(content), "tensors": tensors}
    output.result(payload, lambda: f"{target}: {tensors} tensors, {megabytes(len(content))}")


def _beside_nothing(target: Path) -> Path:
    """The default name, unless a file has it: that may be the checkpoint that the image was packed from."""
    from ..files import FileError

    if target.exists():
        raise FileError(f"{target} is there already.", "Name the file to write with -o.")
    return target


def _as_safetensors(model: IntegerModel) -> tuple[bytes, int]:
    """The file's content and its number of tensors."""
    from safetensors.numpy import save

    from ..raising import raised

    arrays = raised(model)
    metadata = {
        "ftervit.format": "latent-1",
        "ftervit.architecture": json.dumps(asdict(model.architecture)),
        "ftervit.preprocessing": json.dumps(asdict(model.preprocessing)),
        "ftervit.labels": json.dumps(model.labels, ensure_ascii=False),
        "ftervit.scheme": model.scheme,
    }
    return save(arrays, metadata), len(arrays)
