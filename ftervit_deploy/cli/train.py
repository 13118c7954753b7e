"""`ftervit train`: a teacher, its ternary student, and the student's recovery."""

from __future__ import annotations

import importlib.util
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import ConfigError, FtervitError, TrainError
from ..files import user_path
from ..train.settings import PHASE_NAMES, STUDENT_PHASES
from .numbers import (
    BATCH,
    EPOCHS,
    EPOCHS_LISTED,
    EPOCHS_OR_NONE,
    MEGABYTES,
    PART,
    PHOTOS,
    POSITIVE,
    SEED,
    SHARE,
    THREADS,
    FiniteRange,
)
from .output import Output, megabytes, output_options, percent
from .phase_options import phase_option
from .typed import command_line

if TYPE_CHECKING:
    from ..train.phase import PhaseResult
    from ..train.settings import PhaseSettings, RunMemory
    from ..train.validation import Tested

PRECISIONS = ("auto", "fp32", "bf16")
DATASET = "hub:"
"""What DATA begins with, where it is a dataset rather than a folder."""
REMEMBERED: dict[str, Any] = {
    "preset": "mcu_micro_64",
    "split": "random",
    "val_fraction": 0.15,
    "seed": 0,
    "scheme": "ftervit-s8",
    "flip": True,
    "unlabelled": "",
    "image_column": "",
    "label_column": "",
    "stream": False,
    "epoch_photos": 0,
}
"""Options that the run folder remembers, and their defaults in a new one."""


# fmt: off
@click.command()
@click.argument("data", required=False)
@click.option("--phase", type=click.Choice(PHASE_NAMES), required=True, help="What to train.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs/model"), show_default=True,
              help="Run folder; a phase finds the phase before it there.")
@click.option("--preset", help="Architecture, or timm's name of a DeiT.  [default: mcu_micro_64]")
@click.option("--scheme", help="Quantisation of the student.  [default: ftervit-s8]")
@click.option("--split", help="`random` or `groups:N`, blocks of N consecutive names.  [default: random]")
@click.option("--val-fraction", type=PART, help="Share of the photos to validate with.  [default: 0.15]")
@click.option("--seed", type=SEED, help="Of split, weights and augmentation.  [default: 0]")
@click.option("--flip/--no-flip", default=None, help="Mirror images keep their class.  [default: flip]")
@phase_option("--epochs", EPOCHS, "Passes over the photos, at most.")
@phase_option("--lr", POSITIVE, "Peak learning rate.")
@phase_option("--batch-size", BATCH, "Photos per step.")
@phase_option("--warmup-epochs", EPOCHS_OR_NONE, "Epochs in which the learning rate rises.")
@click.option("--schedule-epochs", type=EPOCHS,
              help="Epochs in which it falls, if the phase ends before.  [default: --epochs]")
@phase_option("--weight-decay", FiniteRange(0), "On matrices only.")
@phase_option("--label-smoothing", SHARE, "For teachers.")
@phase_option("--ema-decay", SHARE, "Of averaged weights; 0: none.")
@phase_option("--patience", EPOCHS_OR_NONE, "Epochs without progress before the end; 0: never.")
@phase_option("--augment", None, "`none`, `light`, `strong`, `three` (DeiT-III's) or `three-crop`.")
@phase_option("--ramp-epochs", EPOCHS_OR_NONE, "Epochs in which augmentation grows to full.")
@phase_option("--patch-drop", SHARE, "Share of patches left out in training: faster.")
@click.option("--loss", type=click.Choice(("kl", "kl+ce")), help="Of the student's phases.  [default: kl]")
@click.option("--keep-epochs", type=EPOCHS_LISTED, metavar="N,N,...",
              help="Keep the weights of these epochs too, as epoch-0040.safetensors.")
@click.option("--precision", type=click.Choice(PRECISIONS), help="Of products.  [default: bf16 on CUDA]")
@click.option("--teacher", "teacher_source", default="", metavar="SOURCE",
              help="Teacher's weights: alias, timm's or hub name, file.  [default: from the run folder]")
@click.option("--init", "init_source", default="", metavar="SOURCE", help="Weights to start from.")
@click.option("--threads", type=THREADS, default=0, help="0: PyTorch's choice.")
@click.option("--memory-mb", type=MEGABYTES, default=4000, show_default=True,
              help="Most memory for decoded photos, in each process; more are decoded for every batch.")
@click.option("--unlabelled", metavar="FOLDER", help="More photos for the student, whatever they show.")
@click.option("--image-column", metavar="NAME", help="Of a dataset.  [default: the only one]")
@click.option("--label-column", metavar="NAME", help="Of a dataset.  [default: the only one]")
@click.option("--stream", is_flag=True, default=None, help="Read a dataset in order; do not download it.")
@click.option("--epoch-photos", type=PHOTOS, help="Photos of an epoch of a stream.")
@click.option("--save-minutes", type=FiniteRange(0), default=10.0, show_default=True,
              help="Within an epoch, between states to resume from; one is kept after every epoch.")
@click.option("--compile", "compiled", is_flag=True, help="Have PyTorch compile the models.")
@click.option("--plot", metavar="FILE", help="Draw the curves: .png, .svg or .pdf.")
@click.option("--tensorboard", is_flag=True, help="Write files for TensorBoard into the phase's folder.")
@click.option("--resume", is_flag=True, help="Continue a run that was stopped.")
@click.option("--overwrite", is_flag=True, help="Replace a run that is there.")
@output_options
@click.pass_context
def train(
    context: click.Context, /, data: str | None, phase: str, out: Path, teacher_source: str, init_source: str,
    threads: int, memory_mb: int, save_minutes: float, compiled: bool, plot: str | None, tensorboard: bool,
    resume: bool, overwrite: bool, **chosen: Any,
) -> None:
    # fmt: on
    """Train on DATA, a folder with one folder of photos per class, or train/ and val/ or test/ with those.

    Photos in test/ choose nothing: the best epoch is tried on them when a phase has ended. DATA may also
    be hub:user/name, a dataset of the hub (or hub:FOLDER, with its Parquet files). Students learn from the
    teacher alone, so theirs may be a folder of photos without classes.

    The phases, in order: `guide` (may be left out: a small convolutional network from which the teacher
    learns, for few photos), `teacher` (floating point), `training` (the ternary student learns from
    the teacher), `recovery` (a short restart at a low rate). Later phases remember DATA and the rest from
    the run folder. Each leaves best.safetensors and log.jsonl in its folder; the last two also leave
    student.safetensors, the packed ternary checkpoint that `ftervit pack` reads.
    """
    require_torch()
    output: Output = context.obj
    output.hush_the_hub()
    from ..train.distill import run_phase
    from ..train.options import RunOptions
    from ..train.starts import Sources

    if resume and overwrite:
        raise TrainError("--resume and --overwrite exclude each other.", "Give one of them.")
    memory = _memory(out, data, chosen)
    result = run_phase(
        out,
        memory,
        _settings(phase, memory, chosen),
        Sources(teacher_source, init_source),
        RunOptions(
            threads, memory_mb * 1_000_000, output.quiet, resume, overwrite, 60 * save_minutes, compiled,
            tensorboard, Path(plot) if plot else None, command_line(context),
        ),
    )  # fmt: skip
    if result.main:
        output.result(_payload(result), lambda: _summary(result))


def require_torch() -> None:
    """Raises FtervitError where PyTorch or Accelerate is not installed."""
    for module, name in (("torch", "PyTorch"), ("accelerate", "Accelerate")):
        if importlib.util.find_spec(module) is None:
            what = f"Training needs {name}, which is not installed."
            raise FtervitError(what, 'pip install "ftervit[train]"')


def _memory(out: Path, data: str | None, chosen: dict[str, Any]) -> RunMemory:
    """What is asked for, else what the run folder remembers, else the defaults."""
    from ..train.settings import RunMemory, recall

    known = recall(out)
    values = {**REMEMBERED, **known}
    values.update({name: chosen[name] for name in REMEMBERED if chosen[name] is not None})
    if data is not None:
        values["data"] = located_data(data)
    if "data" not in values:
        raise TrainError("No folder of photos is named, and the run folder is new.", "Give DATA.")
    if chosen["unlabelled"]:
        values["unlabelled"] = located_folder(chosen["unlabelled"])
    if not values["data"].startswith(DATASET):
        _check_folder(values["data"], "Name a folder of class folders, or hub:user/name.")
    for name, value in known.items():
        if value != values[name] and (value or name != "unlabelled"):  # those may come later
            raise TrainError(
                f"The run in {out} has {name} {value!r}, not {values[name]!r}.", "Choose another --out."
            )
    return RunMemory(**values)


def located_data(data: str) -> str:
    """DATA as a run remembers it: folders by their whole path, datasets of the hub by their name.

    Raises:
        ConfigError: ``hub:`` without a name.
    """
    name = data.removeprefix(DATASET)
    if name == data:
        return str(user_path(data).resolve())
    if not name.strip():
        raise ConfigError(f"{DATASET} alone names no dataset.", f"Write {DATASET}user/name.")
    return f"{DATASET}{user_path(name).resolve()}" if Path(name).is_dir() else data


def located_folder(name: str) -> str:
    """A folder of photos by its whole path.

    Raises:
        TrainError: there is none.
    """
    path = str(user_path(name).resolve())
    _check_folder(path, "Name a folder of photos.")
    return path


def _check_folder(name: str, hint: str) -> None:
    if not Path(name).is_dir():
        raise TrainError(f"There is no folder {name}.", hint)


def _settings(phase: str, memory: RunMemory, chosen: dict[str, Any]) -> PhaseSettings:
    from ..train.settings import PHASES, fitted

    given = {name: value for name, value in chosen.items() if value is not None and name not in REMEMBERED}
    return fitted(replace(PHASES[phase], flip=memory.flip, seed=memory.seed, **given), asked=given)


def _payload(result: PhaseResult) -> dict[str, Any]:
    return {
        "phase": result.phase,
        "checkpoint": str(result.checkpoint),
        "packed": str(result.packed) if result.packed else None,
        "top1": result.top1,
        "agreement": result.agreement,
        "teacher_top1": result.teacher_top1,
        "zero_fraction": result.zero_fraction,
        "epoch": result.epoch,
        "epochs": result.epochs,
        "seconds": result.seconds,
        "tested": asdict(result.tested) if result.tested else None,
    }


def _summary(result: PhaseResult) -> str:
    tested = [_test_line(result.tested)] if result.tested else []
    made = f"(epoch {result.epoch})"
    if result.phase not in STUDENT_PHASES:
        return "\n".join([f"{result.phase.capitalize()}: {percent(result.top1 or 0.0)} top-1 {made}, "
                          f"{result.checkpoint}", *tested])  # fmt: skip
    if result.zero_fraction:
        made += f", {percent(result.zero_fraction)} of the weights are zero"
    if result.top1 is None:
        lines = [f"Student: {percent(result.agreement or 0.0)} as the teacher {made}"]
    else:
        lines = [
            f"Teacher: {percent(result.teacher_top1 or 0.0)} top-1",
            f"Student: {percent(result.top1)} top-1 {made}",
        ]
    if result.packed is None:
        return "\n".join([*lines, *tested, str(result.checkpoint)])
    return "\n".join([*lines, *tested, f"{result.packed}: {megabytes(result.packed.stat().st_size)}"])


def _test_line(tested: Tested) -> str:
    beside = "" if tested.teacher_top1 is None else f", its teacher {percent(tested.teacher_top1)}"
    return f"Test: {percent(tested.top1)} top-1 on {tested.photos} photos that chose nothing{beside}"
