"""`ftervit models`: what can be packed by alias, and the presets to train."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from .output import Output, bold, output_options, table


@click.command()
@output_options
@click.pass_obj
def models(output: Output, /) -> None:
    """List what `ftervit pack` takes by alias, and the presets of `ftervit train`."""
    output.result({"published": _published(), "presets": _presets()}, _text)


def _published() -> list[dict[str, Any]]:
    from ..models import DEFAULT_MODEL, MODELS

    return [{**asdict(model), "default": alias == DEFAULT_MODEL} for alias, model in MODELS.items()]


def _presets() -> list[dict[str, Any]]:
    from math import prod

    from ..architecture import PRESETS
    from ..checkpoint.shapes import parameter_shapes

    return [
        {
            "name": name,
            **asdict(architecture),
            "parameters": sum(prod(shape) for shape in parameter_shapes(architecture).values()),
        }
        for name, architecture in PRESETS.items()
    ]


def _text() -> str:
    published = [
        [
            model["alias"] + (" (default)" if model["default"] else ""),
            _accuracy(model["published_accuracy"]),
            _accuracy(model["teacher_accuracy"]),
            "  " + model["summary"] + (" *" if model["inferred"] else ""),
        ]
        for model in _published()
    ]
    presets = [
        [p["name"], f"{p['image_size']}", f"{p['patch_size']}", f"{p['width']}", f"{p['depth']}",
         f"{p['heads']}", f"{p['parameters']:,}"]
        for p in _presets()
    ]  # fmt: skip
    listed = _flush_left(published, ["alias", "top-1", "teacher", "  what it is"])
    preset_table = table(presets, ["preset", "pixels", "patch", "width", "blocks", "heads", "parameters"])
    return (
        f"{bold('Checkpoints')} (ftervit pack ALIAS; top-1 as published)\n{listed}\n"
        "* the file's name follows its siblings' and was not read from a listing\n\n"
        f"{bold('Presets')} (ftervit train --preset NAME; classes follow the data)\n{preset_table}"
    )


def _accuracy(fraction: float | None) -> str:
    return "" if fraction is None else f"{100 * fraction:.2f} %"


def _flush_left(rows: list[list[str]], headings: list[str]) -> str:
    """A table whose last column is flush left."""
    width = max(len(row[-1]) for row in [*rows, headings])
    return table(
        [[*row[:-1], row[-1].ljust(width)] for row in rows], [*headings[:-1], headings[-1].ljust(width)]
    )
