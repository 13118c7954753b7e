"""`ftervit demo`: pack, inspect and run the bundled model of hand signs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import click

from .output import Output, bold, colour_depth, output_options, percent, table
from .run import Prediction, as_json, predict

PICTURE_COLUMNS = 20
SIGNS = "signs"
"""Alias of the bundled model."""


@click.command()
@click.option(
    "-o",
    "--output",
    "path",
    metavar="FILE",
    default="signs.ftv",
    show_default=True,
    help="The image to write.",
)
@output_options
@click.pass_obj
def demo(output: Output, /, path: str) -> None:
    """Pack, inspect and run the bundled model of hand signs.

    The photos are validation photos, which training did not see. Pictures appear where the terminal
    shows colours.
    """
    from ..config import Settings
    from ..files import read_file
    from ..resources import signs_folder
    from .inspect import describe, facts, size_table
    from .pack import pack_image

    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    _heading(output, f"ftervit pack {SIGNS} -o {target}")
    image = pack_image(Settings(source=SIGNS), target, output)
    _say(output, size_table(describe(target, image)))
    _heading(output, f"ftervit inspect {target}")
    _say(output, facts(describe(target, read_file(target, "image"))))
    _heading(output, f"ftervit run {target} {_shown(signs_folder() / 'photos')}")
    predictions = _predictions(target)
    payload = [{**as_json(p), "label": _truth(p)} for p in predictions]
    output.result(payload, lambda: f"{_shown_predictions(predictions)}\n\n{_record(signs_folder() / 'log')}")


def _predictions(image: Path) -> list[Prediction]:
    from ..engine import Engine
    from ..photos import labelled_photos
    from ..resources import signs_folder

    _, photos = labelled_photos(signs_folder() / "photos")
    with Engine(image) as engine:
        return [predict(engine, photo.path, top=3) for photo in photos]


def _record(log: Path) -> str:
    """What the bundled logs say of the model's accuracy; `examples/signs/` made them."""
    engine = json.loads((log / "eval.json").read_text())
    rows = [
        ["teacher, FP32", _logged_top1(log / "teacher.jsonl")],
        ["student after phase 1", _logged_top1(log / "training.jsonl")],
        ["student after recovery", _logged_top1(log / "recovery.jsonl")],
        ["C engine, integers", percent(engine["top1"])],
        ["engine and student agree", percent(engine["agreement"])],
    ]
    title = f"As logged, on {engine['images']} validation photos, blocks that training never saw:"
    return f"{bold(title)}\n{table(rows, left=1)}"


def _logged_top1(path: Path) -> str:
    """Validation accuracy of the epoch that was kept, the best one."""
    epochs = [json.loads(line) for line in path.read_text().splitlines()]
    return percent(max(epoch["val_top1"] for epoch in epochs if epoch["kind"] == "epoch"))


def _heading(output: Output, command: str) -> None:
    _say(output, f"\n{bold('$ ' + command)}")


def _say(output: Output, text: str) -> None:
    if not output.json:
        click.echo(text)


def _shown(path: Path) -> Path:
    """A shorter form of a path below the current folder."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _truth(prediction: Prediction) -> str:
    """Photos stand in folders named after their class."""
    return prediction.image.parent.name


def _shown_predictions(predictions: Sequence[Prediction]) -> str:
    depth = colour_depth()
    shown = _gallery(predictions, depth) if depth else _plain(predictions)
    right = sum(prediction.top[0].label == _truth(prediction) for prediction in predictions)
    return f"{shown}\n\n{right} of {len(predictions)} photos recognised."


def _plain(predictions: Sequence[Prediction]) -> str:
    rows = [
        [
            prediction.image.name, _truth(prediction), prediction.top[0].label,
            percent(prediction.top[0].probability), f"{prediction.milliseconds:.1f} ms",
            "right" if prediction.top[0].label == _truth(prediction) else "wrong",
        ]
        for prediction in predictions
    ]  # fmt: skip
    return table(rows, ["photo", "true", "predicted", "probability", "time", ""])


def _gallery(predictions: Sequence[Prediction], depth: int) -> str:
    from ..photos import load_photo
    from .pictures import half_blocks, side_by_side

    per_row = max(1, (shutil.get_terminal_size().columns + 2) // (PICTURE_COLUMNS + 2))
    rows = [predictions[start : start + per_row] for start in range(0, len(predictions), per_row)]
    return "\n\n".join(
        side_by_side(
            [half_blocks(load_photo(p.image), PICTURE_COLUMNS, depth) for p in row],
            [_caption(p) for p in row],
            PICTURE_COLUMNS,
        )
        for row in rows
    )


def _caption(prediction: Prediction) -> list[str]:
    best = prediction.top[0]
    mark = "✓" if best.label == _truth(prediction) else "✗"
    return [f"{mark} sees {best.label}, {percent(best.probability)}", f"  true {_truth(prediction)}"]
