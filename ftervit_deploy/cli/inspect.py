"""`ftervit inspect`: what an image holds, byte by byte."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..plaintext import printable
from .options import chosen_image, naming, settle
from .output import Output, bold, dim, megabytes, output_options, percent, table

if TYPE_CHECKING:
    from ..lower import IntegerModel

LABELS_SHOWN = 12
ENCODER_ONLY = (
    "* two bits a weight in the blocks' matrices, 32-bit floats elsewhere (16-bit floats: {} not ternary)"
)
Description = dict[str, Any]


@click.command()
@click.argument("model", metavar="[FILE]", required=False)
@output_options
@click.pass_obj
def inspect(output: Output, /, model: str | None) -> None:
    """Show what an image holds: bytes, zeros, shapes, labels, provenance, hash.

    The bytes stand beside those of the FP32 model and of one whose encoder alone is ternary.
    """
    from ..files import read_file

    path = chosen_image(settle(output, model=model), output)
    with output.step(f"Reading {path}"), naming(path):
        description = describe(path, read_file(path, "image"))
    output.result(description, lambda: "\n\n".join(_pages(description)))


def describe(path: Path, image: bytes) -> Description:
    """Everything that `inspect --json` prints; `path` is where the image lies.

    Raises:
        ImageFormatError: the image violates IMAGE_FORMAT.md.
    """
    from ..image import image_components, image_sha256, read_image, read_info

    info, model = read_info(image), read_image(image)
    layers = list(_layers(model))
    weights = sum(layer["weights"] for layer in layers)
    return {
        "path": str(path),
        "bytes": len(image),
        "encoding": info.header.encoding,
        "sha256": image_sha256(image),
        "content_sha256": info.header.content_sha256,
        "architecture": asdict(model.architecture),
        "ternary_weights": weights,
        "zero_fraction": sum(layer["zeros"] for layer in layers) / weights,
        "channels_left_out": sum(info.left_out.values()),
        "components": [asdict(component) for component in image_components(image)],
        "comparison": _comparison(model, image),
        "layers": layers,
        "labels": list(info.labels),
        "preprocessing": asdict(info.meta.preprocessing),
        "scheme": info.meta.scheme,
        "provenance": asdict(info.meta.provenance),
        "tool": info.meta.tool,
    }


def _layers(model: IntegerModel) -> Iterator[dict[str, Any]]:
    """Ternary weights and zeros of every tensor, in the order of computation."""
    import numpy as np

    yield _layer("patch_embed.proj.weight", model.patch.codes)
    for index, block in enumerate(model.blocks):
        prefix = f"blocks.{index}"
        yield _layer(f"{prefix}.norm1", np.stack([block.norm1.gamma, block.norm1.beta]))
        yield _layer(f"{prefix}.attn.qkv.weight", block.qkv.codes)
        yield _layer(f"{prefix}.attn.proj.weight", block.proj.codes)
        yield _layer(f"{prefix}.norm2", np.stack([block.norm2.gamma, block.norm2.beta]))
        yield _layer(f"{prefix}.mlp.fc1.weight", block.fc1.codes)
        yield _layer(f"{prefix}.mlp.fc2.weight", block.fc2.codes)
    yield _layer("norm", np.stack([model.norm.gamma, model.norm.beta]))
    yield _layer("head.weight", model.head.codes)


def _layer(name: str, codes: Any) -> dict[str, Any]:
    import numpy as np

    zeros = int(codes.size - np.count_nonzero(codes))
    return {"name": name, "shape": list(codes.shape), "weights": int(codes.size), "zeros": zeros}


def _comparison(model: IntegerModel, image: bytes) -> dict[str, Any]:
    """Bytes of the same model in other formats, and the share that is not ternary."""
    from ..image import encoder_only_components, fp32_components, image_components, leftover_fraction
    from ..image.components import ENCODER_MATRICES

    ours, fp32 = image_components(image), fp32_components(model.architecture)
    encoder_only = encoder_only_components(model.architecture)
    with_fp16 = encoder_only_components(model.architecture, leftover_bits=16)
    return {
        "fp32_bytes": sum(c.bytes for c in fp32),
        "encoder_only_bytes": sum(c.bytes for c in encoder_only),
        "encoder_only_components": [asdict(c) for c in encoder_only],
        "leftover_fraction": leftover_fraction(ours),
        "encoder_only_leftover_fraction": leftover_fraction(encoder_only, ENCODER_MATRICES),
        "encoder_only_fp16_leftover_fraction": leftover_fraction(with_fp16, ENCODER_MATRICES),
    }


def _pages(description: Description) -> Iterator[str]:
    yield size_table(description)
    yield facts(description)
    yield f"{bold('Zeros per layer')}\n{_zeros_table(description)}"
    yield f"{bold('Labels')}\n  {_labels(description)}"


def facts(description: Description) -> str:
    """Architecture, labels, zeros, provenance and hash, one a line."""
    return table(list(_facts(description)), left=2)


def size_table(description: Description) -> str:
    """Bytes per component, beside FP32 and beside encoder-only ternarisation."""
    here = f"here ({description['encoding']})"
    headings = ["bytes of", "parameters", here, "share", "encoder only*", "FP32"]
    rows = [*_component_rows(description), _total_row(description), _leftover_row(description)]
    footnote = ENCODER_ONLY.format(percent(description["comparison"]["encoder_only_fp16_leftover_fraction"]))
    return f"{_first_line(description)}\n\n{table(rows, headings)}\n{dim(footnote)}"


def _component_rows(description: Description) -> Iterator[list[str]]:
    beside = description["comparison"]["encoder_only_components"]
    for component, other in zip(description["components"], beside, strict=True):
        parameters, length = component["parameters"], component["bytes"]
        share = percent(length / description["bytes"])
        numbers = [f"{parameters:,}", f"{length:,}", share, f"{other['bytes']:,}", f"{4 * parameters:,}"]
        yield [component["name"], *numbers]


def _total_row(description: Description) -> list[str]:
    comparison = description["comparison"]
    parameters = sum(component["parameters"] for component in description["components"])
    others = [f"{comparison[f'{kind}_bytes']:,}" for kind in ("encoder_only", "fp32")]
    return ["total", f"{parameters:,}", f"{description['bytes']:,}", "", *others]


def _leftover_row(description: Description) -> list[str]:
    comparison = description["comparison"]
    ours, encoder_only = comparison["leftover_fraction"], comparison["encoder_only_leftover_fraction"]
    return ["not ternary", "", percent(ours), "", percent(encoder_only), percent(1.0)]


def _first_line(description: Description) -> str:
    ratio = description["comparison"]["fp32_bytes"] / description["bytes"]
    size = megabytes(description["bytes"])
    return f"{bold(printable(description['path']))}  {size}, {ratio:.1f} times smaller than FP32"


def _facts(description: Description) -> Iterator[tuple[str, str]]:
    a, p = description["architecture"], description["provenance"]
    yield (
        "image",
        f"{a['image_size']}x{a['image_size']} pixels, patches of {a['patch_size']}x{a['patch_size']}",
    )
    yield "blocks", f"{a['depth']} of width {a['width']}, hidden {a['hidden']}{_layer_scale(a)}"
    yield "attention", f"{a['heads']} {'head' if a['heads'] == 1 else 'heads'}"
    yield "classes", f"{a['classes']}: {_labels(description)}"
    zeros = percent(description["zero_fraction"])
    yield "ternary weights", f"{description['ternary_weights']:,}, {zeros} of them zero"
    if description["channels_left_out"]:
        inputs = (2 * a["depth"] + 1) * a["width"]
        yield "constants folded", f"{description['channels_left_out']:,} of {inputs:,} inputs after LayerNorm"
    yield "scheme", description["scheme"]
    yield "from", p["source"] or p["file"]
    if p["repo"]:
        yield "hub", f"{p['repo']}:{p['file']}@{p['revision']}"
    if p["sha256"]:
        yield "checkpoint SHA-256", p["sha256"]
    yield "packed by", description["tool"]
    yield "image SHA-256", description["sha256"]


def _layer_scale(architecture: dict[str, Any]) -> str:
    return ", LayerScale folded" if architecture["layer_scale"] else ""


def _labels(description: Description) -> str:
    labels = description["labels"]
    more = f", … and {len(labels) - LABELS_SHOWN} more" if len(labels) > LABELS_SHOWN else ""
    return printable(", ".join(labels[:LABELS_SHOWN]) + more)


def _zeros_table(description: Description) -> str:
    rows = [
        [
            layer["name"],
            "x".join(map(str, layer["shape"])),
            f"{layer['zeros']:,}",
            percent(layer["zeros"] / layer["weights"]),
        ]
        for layer in description["layers"]
    ]
    return table(rows, ["layer", "shape", "zeros", "share"])
