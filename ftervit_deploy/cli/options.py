"""Options that several commands share, and the model they work on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..config import DEFAULT_IMAGE, Settings, resolve
from ..errors import ImageFormatError
from .numbers import WholeRange
from .output import Output

if TYPE_CHECKING:
    from ..checkpoint import Checkpoint
    from ..engine import Engine

IMAGE_SUFFIX = ".ftv"

model_option = click.option("--model", metavar="FILE", help="The .ftv image to use.")
threads_option = click.option(
    "--threads", type=click.IntRange(0, 64), metavar="N", help="Engine threads; 0 is one per core."
)
kernels_option = click.option(
    "--kernels", metavar="NAME", help="Engine kernels. [default: the fastest that this CPU can run]"
)
labels_option = click.option("--labels", metavar="FILE", help="Class names, one a line.")
revision_option = click.option("--revision", metavar="NAME", help="Hub branch, tag or commit.")
heads_option = click.option(
    "--heads", type=WholeRange(1, 65535), metavar="N", help="Attention heads, if the checkpoint does not say."
)
scheme_option = click.option(
    "--scheme", metavar="NAME", help="Quantisation scheme, if not the one that the checkpoint names."
)

port_option = click.option(
    "-p",
    "--port",
    metavar="URL",
    help="Serial port, socket:// or rfc2217://.",
)
baud_option = click.option(
    "-b", "--baud", type=click.IntRange(300, 20_000_000), metavar="N",
    help="Baud rate of a UART. [default: the board's]",
)  # fmt: skip
project_option = click.option("--project", metavar="FOLDER", help="The ESP-IDF project. [default: firmware]")
board_option = click.option("--board", metavar="NAME", help="Board, or a .toml file of your own.")


def settle(output: Output, **flags: object) -> Settings:
    """Resolve the settings; --verbose tells where each that is not a default came from."""
    settings = resolve(flags)
    for name, origin in settings.origins.items():
        if origin != "default":
            output.detail(f"{name} = {getattr(settings, name)} ({origin})")
    return settings


def load_checkpoint(source: str, settings: Settings, output: Output) -> Checkpoint:
    """Read a checkpoint, from the hub with the hub client's own progress bar.

    Raises:
        FtervitError: whatever is wrong with it.
    """
    if Path(source).is_file():
        with output.step(f"Reading {source}"):
            return _read_checkpoint(source, settings)
    output.detail(f"Looking for {source} on the hub")
    output.hush_the_hub()
    return _read_checkpoint(source, settings)


def _read_checkpoint(source: str, settings: Settings) -> Checkpoint:
    from ..checkpoint import read_checkpoint

    return read_checkpoint(source, revision=settings.revision, heads=settings.heads)


def chosen_image(settings: Settings, output: Output) -> Path:
    """The image to work on: the one named, else ./model.ftv, else the bundled hand signs."""
    if settings.model is not None:
        return Path(settings.model)
    if Path(DEFAULT_IMAGE).is_file():
        output.note(f"Using {DEFAULT_IMAGE} of this folder.")
        return Path(DEFAULT_IMAGE)
    from ..resources import signs_folder

    output.note("Using the bundled model of hand signs. Name another with --model.")
    return signs_folder() / "signs.ftv"


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Put the image's path into what is wrong with it."""
    try:
        yield
    except ImageFormatError as error:
        raise ImageFormatError(error.code, f"{path}: {error.what}", error.hint) from error


def open_engine(settings: Settings, output: Output) -> Engine:
    """The engine for the image that `settings` name.

    Raises:
        FtervitError: the image or the engine cannot serve.
    """
    from ..engine import Engine

    path = chosen_image(settings, output)
    with naming(path):
        return Engine(path, threads=settings.threads, kernels=settings.kernels)


def read_labels(path: Path) -> tuple[str, ...]:
    """Class names from a text file, one a line; blank lines at the end are left out.

    Raises:
        FileError: the file cannot be read.
        DataError: it is no UTF-8 text, or a line is empty.
    """
    from ..errors import DataError
    from ..files import read_file

    try:
        lines = read_file(path, "labels file").decode("utf-8-sig").rstrip().splitlines()
    except UnicodeDecodeError:
        raise DataError(f"{path} is not UTF-8 text.", "Save it as UTF-8, one label a line.") from None
    labels = tuple(line.strip() for line in lines)
    if not labels or not all(labels):
        raise DataError(f"{path} has an empty label.", "Write one label on every line.")
    return labels


@dataclass(frozen=True)
class _Listed:
    """What of a split.json is needed here."""

    validation: tuple[str, ...]


def validation_names(split: Path) -> tuple[str, ...]:
    """Names of the validation photos in the file split.json of a training run, relative to its data.

    Raises:
        FileError: it cannot be read.
        DataError: it is no such file.
    """
    from ..errors import DataError
    from ..files import read_file
    from ..jsonfile import json_object, record_of

    try:
        return record_of(_Listed, json_object(read_file(split, "split"))).validation
    except ValueError as defect:
        raise DataError(
            f"{split} is no split.json of a training run ({defect}).", "Name that of a run folder."
        ) from None
