"""`ftervit run`: photos through the C engine."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..plaintext import printable
from .numbers import WholeRange
from .options import IMAGE_SUFFIX, kernels_option, model_option, open_engine, settle, threads_option
from .output import Output, bold, dim, output_options, percent

if TYPE_CHECKING:
    from ..engine import Engine

BAR_CHARACTERS = 20


@dataclass(frozen=True)
class Guess:
    """One class and its probability (0 to 1)."""

    index: int
    label: str
    probability: float


@dataclass(frozen=True)
class Prediction:
    """The most probable classes of a photo, best first; `milliseconds` the engine took."""

    image: Path
    top: tuple[Guess, ...]
    milliseconds: float


@click.command()
@click.argument("arguments", metavar="[MODEL.ftv] IMAGE...", nargs=-1, required=True)
@model_option
@click.option(
    "--top", type=WholeRange(1, 65535), metavar="K", help="Classes to print per photo. [default: 5]"
)
@threads_option
@kernels_option
@output_options
@click.pass_obj
def run(output: Output, /, arguments: tuple[str, ...], **flags: Any) -> None:
    """Classify photos with the C engine, the same that runs on the chip.

    The model is the first argument if it ends in .ftv, else --model, else what ftervit.toml names,
    else ./model.ftv, else the bundled hand signs. A folder stands for all photos in it.
    """
    model, names = _split(arguments)
    settings = settle(output, **{**flags, "model": model or flags["model"]})
    if not names:
        raise click.UsageError("Name at least one photo.", click.get_current_context())
    with open_engine(settings, output) as engine:
        photos = photos_of(names)
        predictions = [predict(engine, path, settings.top) for path in output.track(photos, "Classifying")]
    output.result([as_json(p) for p in predictions], lambda: "\n".join(map(as_text, predictions)))


def _split(arguments: tuple[str, ...]) -> tuple[str | None, tuple[str, ...]]:
    if arguments[0].endswith(IMAGE_SUFFIX):
        return arguments[0], arguments[1:]
    return None, arguments


def photos_of(names: Sequence[str]) -> list[Path]:
    """The photos named; a folder stands for all photos in it.

    Raises:
        DataError: a folder without photos.
    """
    from ..errors import DataError
    from ..photos import find_photos

    photos: list[Path] = []
    for name in names:
        path = Path(name)
        found = find_photos(path) if path.is_dir() else [path]
        if not found:
            raise DataError(f"{path} holds no photos.", "Name photos, or a folder of them.")
        photos += found
    return photos


def predict(engine: Engine, path: Path, top: int) -> Prediction:
    """Classify the photo at `path`; milliseconds count the engine alone, not decoding.

    Raises:
        DataError: the file is no photo.
    """
    from ..evaluate import probabilities, ranked
    from ..photos import load_photo, preprocess

    pixels = preprocess(load_photo(path), engine.architecture.image_size, engine.preprocessing)
    started = time.perf_counter()
    logits = engine.logits(pixels[None])
    milliseconds = 1000 * (time.perf_counter() - started)
    chances = probabilities(logits)[0]
    guesses = (Guess(int(i), engine.labels[i], float(chances[i])) for i in ranked(logits, top)[0])
    return Prediction(path, tuple(guesses), milliseconds)


def as_json(prediction: Prediction) -> dict[str, object]:
    """The record that `run --json` prints."""
    return {
        "image": str(prediction.image),
        "top": [vars(guess) for guess in prediction.top],
        "milliseconds": round(prediction.milliseconds, 3),
    }


def as_text(prediction: Prediction) -> str:
    """A photo's name and one line per class."""
    width = max(len(guess.label) for guess in prediction.top)
    lines = [f"{bold(printable(str(prediction.image)))}  {dim(f'{prediction.milliseconds:.1f} ms')}"]
    for guess in prediction.top:
        bar = "█" * round(BAR_CHARACTERS * guess.probability)
        lines.append(f"  {percent(guess.probability):>7}  {printable(guess.label):<{width}}  {bar}".rstrip())
    return "\n".join(lines)
