"""`ftervit verify`: every logit of a board against the C engine here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .numbers import WholeRange
from .options import (
    IMAGE_SUFFIX,
    baud_option,
    chosen_image,
    kernels_option,
    model_option,
    naming,
    port_option,
    settle,
    threads_option,
)
from .output import Output, output_options, table

if TYPE_CHECKING:
    from ..engine import Engine
    from ..link import BoardInfo
    from ..verify import Pixels, Verdict

RANDOM_IMAGES = 4
MISMATCH = 1
"""Exit status where a logit differs: the promise that all engines agree is broken, a defect of ours."""


@dataclass(frozen=True)
class Checked:
    """An image's name and what came of it."""

    image: str
    verdict: Verdict


@click.command()
@click.argument("arguments", metavar="[MODEL.ftv] [IMAGE...]", nargs=-1)
@port_option
@baud_option
@click.option(
    "--random",
    type=WholeRange(1, 1_000_000),
    metavar="N",
    help="Images of noise, if none is named. [default: 4]",
)
@click.option("--digests", is_flag=True, help="Compare the values at every site of every layer, too.")
@model_option
@threads_option
@kernels_option
@output_options
@click.pass_context
def verify(
    context: click.Context, /, arguments: tuple[str, ...], random: int | None, digests: bool, **flags: Any,
) -> None:  # fmt: skip
    """Prove that a board computes what this computer computes, bit for bit.

    Sends photos, or images of noise, and compares every logit with the C engine. If one differs,
    names the first site of the model where the board went another way, and exits with 1.
    """
    from ..engine import Engine

    output = context.ensure_object(Output)
    model, names = _split(arguments)
    if names and random:
        raise click.UsageError("Name photos, or --random, not both.", context)
    settings = settle(output, **{**flags, "model": model or flags["model"]})
    path = chosen_image(settings, output)
    with naming(path), Engine(path, threads=settings.threads, kernels=settings.kernels) as engine:
        images = list(_images(engine, names, random or RANDOM_IMAGES))
        checked, info = _checked(path, engine, (settings.port, settings.baud), images, digests, output)
    record = as_json(path, info, checked)
    output.result(record, lambda: as_text(path, info, checked))
    context.exit(0 if record["identical"] else MISMATCH)


def _split(arguments: tuple[str, ...]) -> tuple[str | None, tuple[str, ...]]:
    if arguments and arguments[0].endswith(IMAGE_SUFFIX):
        return arguments[0], arguments[1:]
    return None, arguments


def _checked(
    path: Path, engine: Engine, port: tuple[str | None, int], images: list[tuple[str, Pixels]], digests: bool,
    output: Output,
) -> tuple[list[Checked], BoardInfo]:  # fmt: skip
    from ..link import Link, choose_port, open_stream
    from ..verify import check_same_model, verify_image

    name = choose_port(port[0])
    output.detail(f"Opening {name} at {port[1]} baud")
    with Link(open_stream(name, port[1])) as link:
        info = link.info()
        check_same_model(info, _content_sha256(path), str(path))
        tracked = output.track(images, "Verifying")
        return [
            Checked(image, verify_image(link, engine, pixels, digests)) for image, pixels in tracked
        ], info


def _content_sha256(path: Path) -> str:
    import numpy as np

    from ..image import read_info

    return read_info(np.fromfile(path, np.uint8)).header.content_sha256


def _images(engine: Engine, names: tuple[str, ...], random: int) -> Iterator[tuple[str, Pixels]]:
    from ..verify import random_pixels
    from .run import photos_of

    size = engine.architecture.image_size
    if not names:
        yield from ((f"noise {seed}", random_pixels(size, seed)) for seed in range(random))
        return
    from ..photos import load_photo, preprocess

    for path in photos_of(names):
        yield str(path), preprocess(load_photo(path), size, engine.preprocessing)


def as_json(path: Path, info: BoardInfo, checked: list[Checked]) -> dict[str, object]:
    """The record that `verify --json` prints."""
    return {
        "model": str(path),
        "board": {"app": info.app, "version": info.version, "board": info.board},
        "identical": all(c.verdict.identical for c in checked),
        "images": [
            {
                "image": c.image,
                "logits": c.verdict.classes,
                "different": c.verdict.different,
                "first_site": site_name(c.verdict.first_site),
                "repeatable": c.verdict.repeatable,
                "microseconds": c.verdict.board_us,
            }
            for c in checked
        ],
    }


def site_name(site: tuple[str, int] | None) -> str | None:
    """A site for people: ``block 3, fc2_residual``."""
    if site is None:
        return None
    name, block = site
    return name if block < 0 else f"block {block}, {name}"


def as_text(path: Path, info: BoardInfo, checked: list[Checked]) -> str:
    """One line per image and the verdict."""
    rows = [[c.image, _outcome(c.verdict), f"{c.verdict.board_us / 1000:.1f} ms"] for c in checked]
    bad = sum(not c.verdict.identical for c in checked)
    logits = sum(c.verdict.classes for c in checked)
    head = f"{info.board}: {info.app} {info.version} with {path.name}"
    if bad:
        return f"{head}\n{table(rows, left=2)}\n{bad} of {len(checked)} images differ."
    verdict = f"All {logits} logits of {len(checked)} images are identical, bit for bit."
    return f"{head}\n{table(rows, left=2)}\n{verdict}"


def _outcome(verdict: Verdict) -> str:
    if verdict.identical:
        return "identical"
    words = f"{verdict.different} of {verdict.classes} logits differ"
    if not verdict.repeatable:
        return f"{words}; a second run gave others again"
    where = site_name(verdict.first_site)
    return f"{words}; first at {where}" if where else f"{words}; no site differs or the board cannot tell"
