"""`ftervit eval`: accuracy on a folder of class folders, and agreement with PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..config import Settings
from ..plaintext import printable
from .options import (
    IMAGE_SUFFIX,
    kernels_option,
    load_checkpoint,
    model_option,
    open_engine,
    settle,
    threads_option,
    validation_names,
)
from .output import Output, output_options, percent, table

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from ..checkpoint import Checkpoint
    from ..engine import Engine
    from ..evaluate import Score
    from ..photos import LabelledPhoto

LARGEST_MATRIX = 20
"""Models with more classes get their most frequent confusions instead of a matrix."""
CONFUSIONS_SHOWN = 10


@dataclass(frozen=True)
class Comparison:
    """The engine beside PyTorch: shares of photos, and the mean cosine of their logits."""

    top1: float
    agreement: float
    logit_cosine: float


@dataclass(frozen=True)
class Result:
    """What `eval` found.

    Attributes:
        skipped: photos that could not be read.
        comparison: None without --against.
    """

    score: Score
    labels: Sequence[str]
    images_per_second: float
    skipped: int
    comparison: Comparison | None = None


@click.command("eval")
@click.argument("arguments", metavar="[MODEL.ftv] [DATA]", nargs=-1)
@model_option
@click.option("--against", metavar="CHECKPOINT", help="Also compare every logit with PyTorch's.")
@click.option(
    "--split", metavar="FILE", help="Only the validation photos that a training run's split.json lists."
)
@threads_option
@kernels_option
@output_options
@click.pass_obj
def eval(  # noqa: A001
    output: Output, /, arguments: tuple[str, ...], against: str | None, split: str | None, **flags: Any
) -> None:
    """Measure accuracy on DATA, a folder of class folders named after the model's labels.

    Speed counts the engine alone, not decoding. --against needs `pip install ftervit[train]`.
    """
    model, data = _split(arguments)
    settings = settle(output, **{**flags, "model": model or flags["model"], "data": data})
    result = _evaluated(settings, against, split, output)
    output.result(as_json(result), lambda: as_text(result))


def _split(arguments: tuple[str, ...]) -> tuple[str | None, str | None]:
    model = [name for name in arguments[:1] if name.endswith(IMAGE_SUFFIX)]
    data = arguments[len(model) :]
    if len(data) > 1:
        raise click.UsageError(f"One folder, not {len(data)}: {' '.join(data)}", click.get_current_context())
    return (model or [None])[0], (data or (None,))[0]  # type: ignore[list-item]


def _evaluated(settings: Settings, against: str | None, split: str | None, output: Output) -> Result:
    from ..errors import DataError
    from ..photos import listed_photos

    if settings.data is None:
        raise DataError("No data is named.", "Name a folder of class folders, or `data` in ftervit.toml.")
    checkpoint = _checkpoint(against, settings, output) if against else None
    with open_engine(settings, output) as engine:
        if split is None:
            photos = _labelled(Path(settings.data), engine.labels, output)
        else:
            listed = listed_photos(Path(settings.data), validation_names(Path(split)), complete=True)
            photos = _with_indices(*listed, engine.labels)
        return _measured(engine, photos, checkpoint, output)


def _checkpoint(source: str, settings: Settings, output: Output) -> Checkpoint:
    import importlib.util

    from ..errors import FtervitError

    if importlib.util.find_spec("torch") is None:
        raise FtervitError("--against needs PyTorch, which is not installed.", 'pip install "ftervit[train]"')
    return load_checkpoint(source, settings, output)


def _labelled(data: Path, labels: Sequence[str], output: Output) -> list[LabelledPhoto]:
    """Photos of a folder with the model's class indices; of train/, val/ and test/ those that judge."""
    from ..photos import labelled_photos, photo_sets

    sets = photo_sets(data)
    if sets is not None:
        data = sets.judging
        output.note(f"The photos of {data}")
    return _with_indices(*labelled_photos(data), labels)


def _with_indices(
    folders: Sequence[str], photos: Sequence[LabelledPhoto], labels: Sequence[str]
) -> list[LabelledPhoto]:
    from ..evaluate import match_classes
    from ..photos import LabelledPhoto

    classes = match_classes(folders, labels, _wordnet_ids(len(labels)))
    return [LabelledPhoto(photo.path, classes[photo.label]) for photo in photos]


def _wordnet_ids(classes: int) -> list[str]:
    from ..resources import data_file

    if classes != 1000:
        return []
    return data_file("imagenet_wordnet_ids.txt").read_text("ascii").split()


def _measured(
    engine: Engine, photos: Sequence[LabelledPhoto], checkpoint: Checkpoint | None, output: Output
) -> Result:
    from ..classify import classify
    from ..evaluate import agreement, logit_cosine, score

    other = None if checkpoint is None else _student(checkpoint)
    done = classify(engine, output.track(photos, "Evaluating"), other)
    for sentence in done.skipped:
        output.note(f"Skipped: {printable(sentence)}")
    found, speed = score(done.logits, done.labels), len(done.photos) / max(done.seconds, 1e-9)
    beside = None
    if done.others is not None:
        beside = Comparison(
            score(done.others, done.labels).top1, agreement(done.logits, done.others),
            logit_cosine(done.logits, done.others),
        )  # fmt: skip
    return Result(found, engine.labels, speed, len(done.skipped), beside)


def _student(checkpoint: Checkpoint) -> Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]:
    from ..train.evaluate import student_logits

    return lambda pixels: student_logits(checkpoint, pixels)


def as_json(result: Result) -> dict[str, object]:
    """The record that `eval --json` prints."""
    record: dict[str, object] = {
        "images": result.score.images,
        "top1": result.score.top1,
        "top5": result.score.top5,
        "images_per_second": result.images_per_second,
        "skipped": result.skipped,
    }
    if result.comparison is not None:
        record |= {
            "agreement": result.comparison.agreement,
            "logit_cosine": result.comparison.logit_cosine,
            "against_top1": result.comparison.top1,
        }
    return record


def as_text(result: Result) -> str:
    """Accuracy, agreement, speed and confusion for a person."""
    left_out = f", {result.skipped} that cannot be read left out" if result.skipped else ""
    rows = [
        ("photos", f"{result.score.images}{left_out}"),
        ("top-1", f"{100 * result.score.top1:.2f} %"),
        ("top-5", f"{100 * result.score.top5:.2f} %"),
        ("engine", f"{result.images_per_second:.1f} photos/s"),
    ]
    if result.comparison is not None:
        rows.append(("top-1 in PyTorch", f"{100 * result.comparison.top1:.2f} %"))
        rows.append(("agreement with PyTorch", f"{100 * result.comparison.agreement:.2f} %"))
        rows.append(("mean logit cosine", f"{result.comparison.logit_cosine:.6f}"))
    return f"{table(rows)}\n\n{_confusion(result)}"


def _confusion(result: Result) -> str:
    if len(result.labels) > LARGEST_MATRIX:
        return _frequent_confusions(result)
    rows = [
        [label, *(str(count) if count else "·" for count in counts), percent(_share(counts, index))]
        for index, (label, counts) in enumerate(zip(result.labels, result.score.confusion, strict=True))
        if counts.any()
    ]
    return table(rows, ["true \\ predicted", *result.labels, "right"])


def _share(counts: npt.NDArray[np.int64], index: int) -> float:
    return float(counts[index] / max(counts.sum(), 1))


def _frequent_confusions(result: Result) -> str:
    import numpy as np

    wrong = result.score.confusion * (1 - np.eye(len(result.labels), dtype=np.int64))
    order = np.argsort(-wrong, axis=None, kind="stable")[:CONFUSIONS_SHOWN]
    pairs = [np.unravel_index(flat, wrong.shape) for flat in order]
    rows = [[result.labels[t], result.labels[p], str(wrong[t, p])] for t, p in pairs if wrong[t, p]]
    return table(rows, ["true", "predicted", "photos"], left=2) if rows else "No photo was confused."
