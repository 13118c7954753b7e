"""`ftervit compare`: several schemes trained on the same work, in one table."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import ConfigError, TrainError
from .numbers import (
    BATCH,
    EPOCHS,
    EPOCHS_LISTED,
    MEGABYTES,
    PART,
    PHOTOS,
    POSITIVE,
    SEED,
    SEEDS_LISTED,
    SHARE,
    THREADS,
)
from .output import Output, bold, output_options, table
from .phase_options import phase_option
from .train import (
    DATASET,
    PRECISIONS,
    REMEMBERED,
    located_data,
    located_folder,
    require_torch,
)
from .typed import command_line

if TYPE_CHECKING:
    from ..train.results import Results
    from ..train.settings import PhaseSettings
    from ..train.task import Task

BUDGET = {
    "teacher": {"teacher_epochs": "epochs", "teacher_lr": "lr"},
    "guide": {"guide_epochs": "epochs"},
    "training": {"epochs": "epochs", "schedule_epochs": "schedule_epochs", "lr": "lr"},
    "recovery": {"recovery_epochs": "epochs", "recovery_lr": "lr"},
}
"""Options of this command that are settings of a phase."""
COMMON = ("batch_size", "augment", "patch_drop", "precision")
"""Options that are settings of every phase."""


# fmt: off
@click.command()
@click.argument("data")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for all that it makes.")
@click.option("--schemes", metavar="A,B,C", help="What to compare; `ftervit schemes` lists them.")
@click.option("--ablations", is_flag=True, help="Also change one rule of `ftervit` at a time.")
@click.option("--seeds", type=SEEDS_LISTED, metavar="N,N,...",
              help="Also train `ftervit` again, by these seeds of order and augmentation.")
@click.option("--teacher", metavar="RUN|SOURCE", default="",
              help="A run folder, with its split, seed and preset, or weights.  [default: train one]")
@click.option("--preset", help="Architecture.  [default: mcu_micro_64]")
@click.option("--split", help="`random` or `groups:N`, blocks of N consecutive names.  [default: random]")
@click.option("--val-fraction", type=PART, help="Share of the photos to validate with.  [default: 0.15]")
@click.option("--seed", type=SEED, help="Of split, weights and augmentation.  [default: 0]")
@click.option("--flip/--no-flip", default=None, help="Mirror images keep their class.  [default: flip]")
@click.option("--guide-epochs", type=EPOCHS, help="Train a guide for the teacher, so long.")
@phase_option("--teacher-epochs", EPOCHS, "Passes of the teacher.", ("teacher",), "epochs")
@phase_option("--teacher-lr", POSITIVE, "Its peak learning rate.",
              ("teacher",), "lr")
@phase_option("--epochs", EPOCHS, "Passes of phase 1.", ("training",))
@phase_option("--lr", POSITIVE, "Peak learning rate of phase 1.", ("training",))
@click.option("--schedule-epochs", type=EPOCHS,
              help="Passes in which it falls, if phase 1 ends before.  [default: --epochs]")
@phase_option("--recovery-epochs", EPOCHS, "Passes of the recovery.", ("recovery",), "epochs")
@phase_option("--recovery-lr", POSITIVE, "Its peak learning rate.",
              ("recovery",), "lr")
@click.option("--recover-from", type=EPOCHS_LISTED, metavar="N,N,...",
              help="Epochs of phase 1 to recover from, for --ablations.  [default: quarters of it]")
@phase_option("--batch-size", BATCH, "Photos per step, of every phase.")
@phase_option("--augment", None, "What `ftervit train` knows, of every phase.")
@phase_option("--patch-drop", SHARE,
              "Share of patches left out in training, of every phase but the recovery.")
@click.option("--precision", type=click.Choice(PRECISIONS), help="Of products.  [default: bf16 on CUDA]")
@click.option("--threads", type=THREADS, default=0, help="0: PyTorch's choice.")
@click.option("--memory-mb", type=MEGABYTES, default=4000, show_default=True,
              help="Most memory for decoded photos.")
@click.option("--plot", metavar="FILE", help="Draw curves and accuracy against size: .png, .svg or .pdf.")
@click.option("--image-column", metavar="NAME", help="Of a dataset.  [default: the only one]")
@click.option("--label-column", metavar="NAME", help="Of a dataset.  [default: the only one]")
@click.option("--stream", is_flag=True, default=None, help="Read a dataset in order; do not download it.")
@click.option("--epoch-photos", type=PHOTOS, help="Photos of an epoch of a stream.")
@click.option("--unlabelled", metavar="FOLDER", help="More photos for the students, whatever they show.")
@click.option("--overwrite", is_flag=True, help="Start again in a folder that holds another comparison.")
@output_options
@click.pass_context
def compare(
    context: click.Context, /, data: str, out: Path, schemes: str | None, ablations: bool, teacher: str,
    seeds: tuple[int, ...] | None, recover_from: tuple[int, ...] | None, threads: int, memory_mb: int,
    plot: str | None, overwrite: bool, **chosen: Any,
) -> None:
    # fmt: on
    """Train SCHEMES on DATA with the same split, teacher, seed and budget, and compare them.

    DATA is what `ftervit train` takes; where it has test photos, they judge. A teacher is trained once, or
    taken from a run; each scheme then learns from it for as many epochs (phase 1, then recovery), as
    `ftervit train` does it. Called again, it goes on where it was stopped, and adds schemes that are new.
    The folder gets results.json, results.md and, where the engine can run the model, NAME/model.ftv.
    """
    require_torch()
    output: Output = context.obj
    output.hush_the_hub()
    from ..train.sharing import process_count

    if process_count(os.environ) > 1:
        raise TrainError("A comparison runs in one process.", "Start it without `accelerate launch`.")
    from ..charts import check_chart
    from ..train.comparison import Comparison
    from ..train.options import RunOptions
    from ..train.task import METHOD_NAMES, entries_of

    task = _task(data, teacher, recover_from, chosen)
    entries = entries_of(task, schemes.split(",") if schemes else METHOD_NAMES, ablations, seeds or ())
    picture = Path(plot) if plot else None
    if picture is not None:
        check_chart(picture, coming=out)
    options = RunOptions(
        threads, memory_mb * 1_000_000, output.quiet, overwrite=overwrite, plot=picture
    )
    results = Comparison(out, task, command_line(context), options, output.note).run(entries)
    output.result(results.payload(), lambda: comparison_text(results, out))


def _task(data: str, teacher: str, recover_from: tuple[int, ...] | None, chosen: dict[str, Any]) -> Task:
    from ..train.data import more_photos
    from ..train.runfolder import BEST_NAME
    from ..train.settings import RunMemory, recall
    from ..train.task import Task

    source = located_data(data)
    if not data.startswith(DATASET) and not Path(source).is_dir():
        raise TrainError(f"There is no folder {data}.", "Name a folder of class folders, or hub:user/name.")
    known = recall(Path(teacher)) if teacher and Path(teacher).is_dir() else {}
    values = {**REMEMBERED, **known}
    values.update({name: chosen[name] for name in REMEMBERED if chosen.get(name) is not None})
    values.update(data=source, scheme="")
    if values["unlabelled"]:
        values["unlabelled"] = located_folder(values["unlabelled"])
        more_photos(Path(values["unlabelled"]), values["stream"])  # refused before a teacher is trained
    for name, value in known.items():
        if name != "scheme" and value != values[name]:
            raise TrainError(
                f"The run in {teacher} has {name} {value!r}, not {values[name]!r}.",
                "Its teacher has seen other photos: leave the option out, or train a teacher.",
            )
    memory = RunMemory(**values)
    phases = _phases(memory.flip, memory.seed, bool(teacher), chosen)
    weights = str(Path(teacher) / "teacher" / BEST_NAME) if Path(teacher).is_dir() and teacher else teacher
    return Task(memory, phases, weights, _recovery_starts(phases["training"].epochs, recover_from))


def _phases(flip: bool, seed: int, has_teacher: bool, chosen: dict[str, Any]) -> dict[str, PhaseSettings]:
    from ..train.settings import PHASES, fitted

    common = {name: chosen[name] for name in COMMON if chosen[name] is not None}
    phases = {}
    for phase, names in BUDGET.items():
        given = {setting: chosen[name] for name, setting in names.items() if chosen[name] is not None}
        if has_teacher and phase in ("guide", "teacher"):
            if given:
                raise ConfigError("--teacher names a finished teacher; none is trained.", "Leave one out.")
        elif phase != "guide" or given:
            settings = replace(PHASES[phase], patience=0, flip=flip, seed=seed, **common, **given)
            if phase == "recovery":
                settings = replace(settings, patch_drop=0.0)
            phases[phase] = fitted(settings)
    return phases


def _recovery_starts(epochs: int, chosen: tuple[int, ...] | None) -> tuple[int, ...]:
    """Epochs of phase 1 whose weights are kept: a quarter, a half, three quarters, all."""
    quarters = {max(1, epochs * quarter // 4) for quarter in (1, 2, 3, 4)}
    starts = sorted(quarters if chosen is None else set(chosen))
    if starts[-1] > epochs:
        raise ConfigError(f"--recover-from names epoch {starts[-1]}, and phase 1 has {epochs}.")
    return tuple(starts)


def comparison_text(results: Results, out: Path) -> str:
    """What the command prints of results whose results.md lies in `out`."""
    from ..train.results import HEADINGS, TEXT_NAME

    tables = {group.capitalize(): table(results.lines(group), HEADINGS) for group in results.groups}
    parts = [f"{bold(title)}\n{text}" for title, text in tables.items()]
    said = ["\n".join(results.findings())] if results.findings() else []
    return "\n\n".join([*parts, *said, "\n".join([*results.remarks(), f"Every rule: {out / TEXT_NAME}"])])
