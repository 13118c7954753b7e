"""The phases of a run: teacher, training (distillation) and recovery (arXiv 2605.21171, section 3)."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..architecture import Architecture, preset_named
from ..errors import StoppedError, TrainError
from ..files import write_atomic
from ..schemes import scheme_named
from .data import PhotoSet, Split, SplitRule, open_photos, split_photos, training_decoder, validation_decoder
from .export import export_packed
from .initialise import build_student
from .log import JsonLog, Reporter, counted
from .loop import Classifier, Trainer, Validation, validate
from .model import load_arrays, zero_fraction
from .settings import PhaseSettings, RunMemory, remember
from .starts import BEST_NAME, STUDENT_PHASES, Sources, Start, start_of
from .state import Description, Progress, ResumableState, arrays_of, read_run_checkpoint, write_checkpoint

STATE_NAME = "state.safetensors"
PACKED_NAME = "student.safetensors"
LOG_NAME = "log.jsonl"
KEPT_NAME = "epoch-{:04}.safetensors"
SPLIT_NAME = "split.json"


@dataclass(frozen=True)
class RunOptions:
    """How a phase is run, without effect on its result.

    Attributes:
        threads: of computation and of decoding; 0 leaves the choice to PyTorch.
        memory_bytes: most memory for decoded training photos.
        quiet: no progress.
        resume: continue a run that was stopped.
        overwrite: replace a run that is there.
    """

    threads: int = 0
    memory_bytes: int = 4_000_000_000
    quiet: bool = False
    resume: bool = False
    overwrite: bool = False


@dataclass(frozen=True)
class PhaseResult:
    """What a phase reached.

    Attributes:
        phase: its name.
        checkpoint: the best weights; a student's are latent floats.
        packed: the packed ternary checkpoint of a student that the engine can run.
        top1: on the validation photos, 0 to 1.
        teacher_top1: the same of the model it learned from, if any.
        epoch: the epoch that was kept.
        epochs: epochs trained.
        zero_fraction: share of zeros among the quantised weights.
        seconds: time spent in epochs.
    """

    phase: str
    checkpoint: Path
    packed: Path | None
    top1: float
    teacher_top1: float | None
    epoch: int
    epochs: int
    zero_fraction: float
    seconds: float


def run_phase(
    out: Path, memory: RunMemory, settings: PhaseSettings, sources: Sources, options: RunOptions
) -> PhaseResult:
    """Run one phase in `out`/<phase> and leave its best checkpoint there.

    Raises:
        ConfigError: an impossible setting.
        DataError: photos that cannot serve.
        CheckpointError: weights that cannot serve.
        TrainError: a run that cannot start or continue.
    """
    if options.threads:
        torch.set_num_threads(options.threads)
    folder = out / settings.phase
    _check_folder(folder, options)
    rule = SplitRule.parse(memory.split, memory.val_fraction, memory.seed)
    split = split_photos(Path(memory.data), rule)
    arch = preset_named(memory.preset).with_classes(len(split.labels))
    start = start_of(out, arch, memory, settings, sources)
    phase = Phase(folder, memory, settings, start, split, options)
    _make_folder(folder)
    remember(out, memory)
    write_atomic(out / SPLIT_NAME, _split_json(split, Path(memory.data)))
    return phase.run()


def _check_folder(folder: Path, options: RunOptions) -> None:
    state = folder / STATE_NAME
    if options.resume and not state.exists():
        raise TrainError(f"There is nothing to resume in {folder}.", "Start without --resume.")
    if state.exists() and not (options.resume or options.overwrite):
        raise TrainError(f"{folder} holds a run already.", "Give --resume or --overwrite.")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as defect:
        raise TrainError(f"{folder} cannot be made ({defect.strerror}).", "Choose another --out.") from None


def _split_json(split: Split, data: Path) -> bytes:
    names = {
        kind: [photo.path.relative_to(data).as_posix() for photo in photos]
        for kind, photos in (("train", split.train), ("validation", split.validation))
    }
    return (json.dumps({"guarded": split.guarded, **names}, indent=1) + "\n").encode()


class Phase:
    """One phase of one run: its files, its photos and its trainer."""

    def __init__(
        self,
        folder: Path,
        memory: RunMemory,
        settings: PhaseSettings,
        start: Start,
        split: Split,
        options: RunOptions,
    ) -> None:
        self.folder, self.memory, self.settings = folder, memory, settings
        self.split, self.options, self.preprocessing = split, options, start.preprocessing
        self.sources = start.sources
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.training, self.validation = self._open_photos(start.model.arch)
        self.trainer = Trainer(
            start.model, start.teacher, self.training, settings, self.preprocessing, self.device
        )
        self.state = ResumableState(
            folder / STATE_NAME, self.trainer.model, self.trainer.average, self.trainer.optimiser,
            {**asdict(memory), **asdict(settings), "preprocessing": asdict(self.preprocessing)},
        )  # fmt: skip
        self.progress = Progress()
        self.teacher_top1: float | None = None

    def _open_photos(self, arch: Architecture) -> tuple[PhotoSet, PhotoSet]:
        threads = self.options.threads or torch.get_num_threads()
        memory = self.options.memory_bytes
        training = open_photos(self.split.train, training_decoder(arch, self.preprocessing), memory, threads)
        decoder = validation_decoder(arch, self.preprocessing)
        checking = open_photos(self.split.validation, decoder, memory, threads)
        return training, checking

    def run(self) -> PhaseResult:
        """Train until the phase ends; the best weights are on disk at any time after the first epoch."""
        if self.options.resume:
            self.progress = self.state.load()
            self.trainer.step = self.progress.step
        log = JsonLog(self.folder / LOG_NAME, self.progress.epoch if self.options.resume else None)
        if not self.options.resume:
            log.write("configuration", **self._configuration())
        if self.trainer.teacher is not None:
            self.teacher_top1 = self._validate(self.trainer.teacher).top1
        settings, steps = self.settings, self.trainer.steps
        with Reporter(settings.phase, settings.epochs, steps, self.options.quiet) as reporter:
            self._introduce(reporter)
            try:
                while not self.progress.finished:
                    self._epoch(log, reporter)
            except KeyboardInterrupt:
                raise StoppedError(
                    f"Stopped; {counted(self.progress.epoch, 'complete epoch')} kept in {self.folder}.",
                    "Continue with --resume.",
                ) from None
        return self._finish()

    def _configuration(self) -> dict[str, Any]:
        return {
            **asdict(self.memory),
            "data": Path(self.memory.data).name,
            **asdict(self.settings),
            "teacher_source": self.sources.teacher,
            "init_source": self.sources.init,
            "architecture": asdict(self.trainer.model.arch),
            "preprocessing": asdict(self.preprocessing),
            "augmentation": asdict(self.trainer.augmentation),
            "labels": list(self.split.labels),
            "train_photos": len(self.training),
            "validation_photos": len(self.validation),
            "guarded_photos": self.split.guarded,
            "skipped_photos": len(self.training.skipped) + len(self.validation.skipped),
            "device": str(self.device),
            "threads": torch.get_num_threads(),
            "versions": versions(),
        }

    def _introduce(self, reporter: Reporter) -> None:
        for sentence in self.training.skipped + self.validation.skipped:
            reporter.say(f"Skipped: {sentence}")
        count = len(self.training.skipped) + len(self.validation.skipped)
        if count:
            reporter.say(f"{counted(count, 'photo')} could not be read and will not be used.")
        if self.split.guarded:
            reporter.say(f"{self.split.guarded} photos beside validation groups are left out of training.")
        reporter.say(
            f"{len(self.training)} photos to learn from, {len(self.validation)} to validate with, "
            f"{len(self.split.labels)} classes."
        )

    def _validate(self, model: Classifier) -> Validation:
        return validate(model, self.validation, self.preprocessing, self.device)

    def _epoch(self, log: JsonLog, reporter: Reporter) -> None:
        progress = self.progress
        epoch = progress.epoch + 1
        result = self.trainer.train_epoch(epoch, lambda step: reporter.step(epoch, step))
        checked = self._validate(self.trainer.kept)
        zeros = zero_fraction(self.trainer.kept)
        if (checked.top1, -checked.loss) > (progress.best_top1, -progress.best_loss):
            progress.best_epoch, progress.best_top1, progress.best_loss = epoch, checked.top1, checked.loss
            self._keep(BEST_NAME, epoch, checked.top1)
        if epoch in self.settings.keep_epochs:
            self._keep(KEPT_NAME.format(epoch), epoch, checked.top1)
        progress.epoch, progress.step = epoch, self.trainer.step
        progress.seconds += result.seconds
        saturated = bool(self.settings.patience) and epoch - progress.best_epoch >= self.settings.patience
        progress.finished = epoch >= self.settings.epochs or saturated
        values = {
            "phase": self.settings.phase, "epoch": epoch, "loss": result.loss, "lr": result.lr,
            "images_per_second": result.images_per_second, "val_top1": checked.top1, "val_loss": checked.loss,
            "teacher_top1": self.teacher_top1, "zero_fraction": zeros, "seconds": result.seconds,
        }  # fmt: skip
        log.write("epoch", **values)
        self.state.save(progress)
        left = progress.seconds / epoch * (self.settings.epochs - epoch)
        reporter.epoch(values, left)

    def _keep(self, name: str, epoch: int, top1: float) -> None:
        description = Description(
            self.trainer.model.arch, self.split.labels, self.preprocessing, self._scheme_name(),
            self.settings.phase, epoch, top1,
        )  # fmt: skip
        write_checkpoint(self.folder / name, arrays_of(self.trainer.kept), description)

    def _scheme_name(self) -> str:
        return self.memory.scheme if self.settings.phase in STUDENT_PHASES else "fp32"

    def _finish(self) -> PhaseResult:
        arrays, description = read_run_checkpoint(self.folder / BEST_NAME)
        packed, zeros = None, 0.0
        if self.settings.phase in STUDENT_PHASES:
            scheme = scheme_named(self.memory.scheme)
            best = build_student(description.architecture, scheme)
            load_arrays(best, arrays, ternary=False)
            zeros = zero_fraction(best)
            if not scheme.obstacle():
                packed = self.folder / PACKED_NAME
                export_packed(packed, best, description)
        return PhaseResult(
            self.settings.phase, self.folder / BEST_NAME, packed, self.progress.best_top1, self.teacher_top1,
            self.progress.best_epoch, self.progress.epoch, zeros, self.progress.seconds,
        )  # fmt: skip


def versions() -> Mapping[str, str]:
    """Versions of what decides a run's numbers, by name."""
    import PIL
    import safetensors

    from .. import __version__

    return {
        "ftervit": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "pillow": PIL.__version__,
        "safetensors": safetensors.__version__,
    }
