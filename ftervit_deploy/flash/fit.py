"""Whether an application can run a model, and whether a partition holds it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import FlashError, ImageFormatError
from ..files import read_file
from ..project import Shape
from .descriptor import AppDescriptor

if TYPE_CHECKING:
    from ..image import Header

_BUILD = "Run `ftervit build` with this model, then `ftervit flash`."
SHAPE_WORDS = ("image size", "patch size", "width", "depth", "heads", "hidden width")


@dataclass(frozen=True)
class Model:
    """A model's file, read and checked.

    Attributes:
        data: the image.
        header: what it says.
    """

    path: Path
    data: bytes
    header: Header


def read_model(path: Path) -> Model:
    """The image at `path`, its header, table and hash checked.

    Raises:
        FileError: it cannot be read.
        ImageFormatError: it is no image, or damaged.
    """
    from ..image import read_info

    data = read_file(path, "image")
    try:
        return Model(path, data, read_info(data).header)
    except ImageFormatError as error:
        raise ImageFormatError(error.code, f"{path}: {error.what}", error.hint) from error


def check_runs(model: Model, app: AppDescriptor, where: str) -> None:
    """The application must be able to run the model.

    Args:
        where: which application, for the sentence, e.g. ``the application on the board``.

    Raises:
        FlashError: it cannot; the sentence says what differs and what the application was built for.
    """
    from ..image.header import NUMERICS

    where, version = f"{where}, built for {app.board}", model.header.version
    if app.image_version < version or app.numerics != NUMERICS:
        raise FlashError(
            f"{model.path} has format version {version} and numerics version {NUMERICS}, and {where}, "
            f"reads up to {app.image_version}, and {app.numerics}.",
            _BUILD,
        )
    check_shape(model, app.shape, where)


def check_shape(model: Model, shape: Shape, where: str) -> None:
    """The model must be of the shape that an application was built for.

    Raises:
        FlashError: as `check_runs`.
    """
    differences = list(_differences(model.header, shape))
    if differences:
        raise FlashError(
            f"{model.path} does not fit {where} and {shape_words(shape)}: "
            f"the model has {', '.join(differences)}.",
            _BUILD,
        )


def _differences(header: Header, shape: Shape) -> Iterator[str]:
    a = header.architecture
    if header.encoding != shape.encoding:
        yield f"encoding {header.encoding}, not {shape.encoding}"
    sizes = (a.image_size, a.patch_size, a.width, a.depth, a.heads, a.hidden)
    for word, has, wanted in zip(SHAPE_WORDS, sizes, _sizes(shape), strict=True):
        if has != wanted:
            yield f"{word} {has}, not {wanted}"
    if a.classes > shape.most_classes:
        yield f"{a.classes} classes, more than {shape.most_classes}"


def _sizes(shape: Shape) -> tuple[int, ...]:
    return (shape.image_size, shape.patch_size, shape.width, shape.depth, shape.heads, shape.hidden)


def shape_words(shape: Shape) -> str:
    """A shape in one line."""
    sizes = ", ".join(f"{word} {size}" for word, size in zip(SHAPE_WORDS, _sizes(shape), strict=True))
    return f"{shape.encoding}, {sizes}, up to {shape.most_classes} classes"


def check_room(model: Model, partition_bytes: int) -> None:
    """The partition must hold the model.

    Raises:
        FlashError: it does not; the sentence has the arithmetic.
    """
    excess = len(model.data) - partition_bytes
    if excess > 0:
        raise FlashError(
            f"{model.path} is too large for the model's partition: {len(model.data)} bytes, "
            f"{excess} more than its {partition_bytes}.",
            _BUILD,
        )
