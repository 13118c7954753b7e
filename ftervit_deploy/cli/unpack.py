"""`ftervit unpack`: an image's real weights, as safetensors."""

from __future__ import annotations

from pathlib import Path

import click

from .options import chosen_image, naming, settle
from .output import Output, megabytes, output_options


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
    from ..raising import as_safetensors

    source = chosen_image(settle(output, model=model), output)
    with output.step(f"Unpacking {source}"), naming(source):
        content, tensors = as_safetensors(read_image(read_file(source, "image")))
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
