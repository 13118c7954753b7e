"""One phase of one run: its files, its photos, its trainer, and what is said and written on the way."""

from __future__ import annotations

import platform
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object

from ..architecture import Architecture
from ..errors import DataError, StoppedError, TrainError
from ..machine import describe_machine
from ..schemes import scheme_named
from .data import Split
from .export import export_packed
from .guarding import alone_in, out_of_memory
from .log import JsonLog, Reporter, counted
from .loop import Classifier, Trainer, uses_bfloat16
from .model import DeiT, load_arrays, zero_fraction
from .options import RunOptions
from .photosets import (
    UNLABELLED,
    Decode,
    PhotoSet,
    PhotoSource,
    open_photos,
    source_of,
    training_decoder,
    validation_decoder,
)
from .records import Records
from .runfolder import BEST_NAME, LOG_NAME, PACKED_NAME, STATE_NAME, kept_name, remove_weights
from .settings import STUDENT_PHASES, PhaseSettings, RunMemory
from .starts import Start
from .state import (
    START_AGAIN,
    Description,
    Progress,
    ResumableState,
    Tally,
    arrays_of,
    naming_weights,
    read_run_checkpoint,
    write_checkpoint,
)
from .validation import Examiner, Tested, Validation


@dataclass(frozen=True)
class PhaseResult:
    """What a phase reached.

    Attributes:
        phase: its name.
        checkpoint: the best weights; a student's are latent floats.
        packed: the packed ternary checkpoint of a student that the engine can run.
        top1: on the validation photos, 0 to 1; None without labels.
        teacher_top1: the same of the model it learned from, if any.
        agreement: without labels, share of the validation photos of which the teacher says the same.
        epoch: the epoch that was kept.
        epochs: epochs trained.
        zero_fraction: share of zeros among the quantised weights.
        seconds: time spent in epochs.
        tested: what the best weights get on the test photos; None where the data have none.
        main: this process is the one that speaks.
    """

    phase: str
    checkpoint: Path
    packed: Path | None
    top1: float | None
    teacher_top1: float | None
    agreement: float | None
    epoch: int
    epochs: int
    zero_fraction: float
    seconds: float
    tested: Tested | None = None
    main: bool = True


class Phase:
    """One phase of one run."""

    def __init__(
        self,
        folder: Path,
        memory: RunMemory,
        settings: PhaseSettings,
        start: Start,
        split: Split,
        options: RunOptions,
        accelerator: Accelerator,
    ) -> None:
        self.folder, self.memory, self.settings = folder, memory, settings
        self.split, self.options, self.preprocessing = split, options, start.preprocessing
        self.sources, self.weights, self.accelerator = start.sources, start.weights, accelerator
        self.main = accelerator.is_main_process
        self.records = Records(folder, options.tensorboard and self.main, options.plot if self.main else None)
        self.training, self.validation = self._open_photos(start.model.arch)
        self.trainer = Trainer(
            start.model, start.teacher, self.training, settings, self.preprocessing, accelerator,
            options.compiled,
        )  # fmt: skip
        self.examiner = Examiner(self.validation, self.preprocessing, accelerator)
        self.state = ResumableState(
            folder / STATE_NAME, self.trainer.model, self.trainer.average, self.trainer.optimiser,
            {**asdict(memory), **asdict(settings), "preprocessing": asdict(self.preprocessing)},
            start.weights,
        )  # fmt: skip
        self.progress = Progress()
        self.teacher_top1: float | None = None
        self.saved_at = time.monotonic()
        self.told_skipped: set[str] = set()

    def _open_photos(self, arch: Architecture) -> tuple[PhotoSource, PhotoSet]:
        threads = self.options.threads or torch.get_num_threads()
        decoder = validation_decoder(arch, self.preprocessing)
        validation = open_photos(self.split.validation, decoder, self.options.memory_bytes, threads)
        self._check_test_photos(decoder)
        decoder = training_decoder(arch, self.preprocessing)
        if self.split.stream is not None:
            return self.split.stream.opened(decoder, threads), validation
        left = self.options.memory_bytes - validation.stored_bytes
        training = open_photos(self.split.train, decoder, left, threads, check_all=False)
        self._check_classes(training)
        return training, validation

    def _check_test_photos(self, decoder: Decode) -> None:
        """Some can be read, which must not turn out at the end alone."""
        why = ""
        for photo in self.split.test:
            try:
                decoder(source_of(photo))
            except DataError as defect:
                why = why or defect.what
            else:
                return
        if why:
            raise DataError("None of the test photos can be read.", why)

    def _check_classes(self, training: PhotoSet) -> None:
        """No class has lost all its photos because they cannot be read."""
        labelled = {photo.label for photo in self.split.train if photo.label != UNLABELLED}
        lost = labelled - set(training.labels.tolist())
        if lost:
            raise DataError(
                f"None of the training photos of class {self.split.labels[min(lost)]} can be read.",
                training.skipped[0],
            )

    def run(self, begin: Callable[[], None]) -> PhaseResult:
        """Train until the phase ends; the best weights are on disk at any time after the first epoch.

        Args:
            begin: called by the first process, once no other program can train in the folder.

        Raises:
            TrainError: another program is training in the same folder, or the run cannot go on.
        """
        with alone_in(self.folder) if self.main else nullcontext():
            if self.main:
                begin()
            self.accelerator.wait_for_everyone()
            return self._run()

    def _run(self) -> PhaseResult:
        if self.options.resume:
            self.progress = self.state.load()
            if self.progress.tally.steps > self.trainer.steps:
                raise TrainError(
                    f"{self.state.path} is damaged: an epoch has {self.trainer.steps} steps, not "
                    f"{self.progress.tally.steps}.",
                    START_AGAIN,
                )
            self.trainer.step = self.progress.step
        if self.main:
            self._clear()
        self.accelerator.wait_for_everyone()
        log = self._open_log()
        if self.trainer.teacher is not None:
            self.teacher_top1 = self.examiner.teach(self.trainer.teacher).top1
        settings, steps = self.settings, self.trainer.steps
        quiet = self.options.quiet or not self.main
        with self.records, Reporter(settings.phase, settings.epochs, steps, quiet) as reporter:
            self._introduce(reporter)
            try:
                while not self.progress.finished:
                    self._epoch(log, reporter)
            except KeyboardInterrupt:
                kept = self.state.path.exists()
                raise StoppedError(
                    f"Stopped; {counted(self.progress.epoch, 'complete epoch')} kept in {self.folder}.",
                    "Continue with --resume." if kept else "Start again.",
                ) from None
            except RuntimeError as error:
                raise out_of_memory(error, settings.batch_size) or error from error
            return self._finish(log, reporter)

    def _clear(self) -> None:
        """Remove half-written files of a run that was killed; refuse a full disk; make room for a new run."""
        for path in (*self.folder.glob(".*.tmp"), *self.folder.parent.glob(".*.json.*.tmp")):
            path.unlink(missing_ok=True)
        files = 1 if self.options.resume else 3  # two states while one is written, and the best weights
        needed = files * self.state.size_bytes
        free = shutil.disk_usage(self.folder).free
        if free < needed:
            raise TrainError(
                f"The run needs {needed / 1e6:,.0f} MB in {self.folder}; {free / 1e6:,.0f} MB are free.",
                "Free some space, or choose another --out.",
            )
        if not self.options.resume:  # else a run that is stopped early would go on with what it replaces
            remove_weights(self.folder)

    def _open_log(self) -> JsonLog | None:
        if not self.main:
            return None
        resumed = (self.progress.epoch, self.progress.step) if self.options.resume else None
        log = JsonLog(self.folder / LOG_NAME, resumed)
        if resumed is None:
            log.write("configuration", **self._configuration())
        return log

    def _configuration(self) -> dict[str, Any]:
        return {
            **asdict(self.memory),
            "data": Path(self.memory.data).name,
            "unlabelled": Path(self.memory.unlabelled).name,
            **asdict(self.settings),
            "teacher_source": self.sources.teacher,
            "init_source": self.sources.init,
            "architecture": asdict(self.trainer.model.arch),
            "preprocessing": asdict(self.preprocessing),
            "augmentation": asdict(self.trainer.augmentation),
            "labels": list(self.split.labels),
            "train_photos": len(self.training),
            "unlabelled_photos": sum(photo.label == UNLABELLED for photo in self.split.train),
            "validation_photos": len(self.validation),
            "guarded_photos": len(self.split.guarded),
            "skipped_photos": len(self.training.skipped) + len(self.validation.skipped),
            "device": str(self.accelerator.device),
            "bfloat16": uses_bfloat16(self.settings.precision, self.accelerator.device),
            "compiled": self.options.compiled,
            "processes": self.accelerator.num_processes,
            "threads": torch.get_num_threads(),
            "machine": describe_machine(),
            "command": self.options.command,
            "versions": versions(),
            "weights": dict(self.weights),
        }

    def _introduce(self, reporter: Reporter) -> None:
        for remark in self.split.remarks:
            reporter.say(remark)
        self._tell_skipped(reporter)
        if self.split.guarded:
            are = "is" if len(self.split.guarded) == 1 else "are"
            guarded = counted(len(self.split.guarded), "photo")
            reporter.say(f"{guarded} beside validation groups {are} left out of training.")
        unlabelled = sum(photo.label == UNLABELLED for photo in self.split.train)
        which = f" ({unlabelled} without labels)" if unlabelled else ""
        reporter.say(
            f"{len(self.training)} photos to learn from{which}, "
            f"{len(self.validation)} to validate with, {len(self.split.labels)} classes."
        )

    def _tell_skipped(self, reporter: Reporter) -> int:
        """Name the photos that could not be read since this was last told; how many there were in all."""
        skipped = list(dict.fromkeys(gather_object(self.training.skipped + self.validation.skipped)))
        new = [sentence for sentence in skipped if sentence not in self.told_skipped]
        for sentence in new:
            reporter.say(f"Skipped: {sentence}")
        self.told_skipped.update(new)
        if new:
            were = "was" if len(self.told_skipped) == 1 else "were"
            reporter.say(f"{counted(len(self.told_skipped), 'photo')} could not be read and {were} left out.")
        return len(self.told_skipped)

    def _epoch(self, log: JsonLog | None, reporter: Reporter) -> None:
        progress, tally = self.progress, self.progress.tally
        epoch = progress.epoch + 1
        lr = self.trainer.train_epoch(epoch, tally, lambda: self._after_step(epoch, tally, log, reporter))
        checked = self.examiner.validate(self.trainer.kept)
        zeros = zero_fraction(self.trainer.kept)
        if checked.score > (progress.best_top1, -progress.best_loss):
            progress.best_epoch, progress.best_top1 = epoch, checked.score[0]
            progress.best_loss = -checked.score[1]
            self._keep(BEST_NAME, epoch, checked)
        if epoch in self.settings.keep_epochs:
            self._keep(kept_name(epoch), epoch, checked)
        progress.epoch, progress.step = epoch, self.trainer.step
        progress.seconds += tally.seconds
        saturated = bool(self.settings.patience) and epoch - progress.best_epoch >= self.settings.patience
        progress.finished = epoch >= self.settings.epochs or saturated
        progress.tally = Tally()
        values = {
            "phase": self.settings.phase, "epoch": epoch, "step": self.trainer.step, "loss": tally.loss,
            "lr": lr,
            "images_per_second": tally.images_per_second, "val_top1": checked.top1, "val_loss": checked.loss,
            "val_agreement": checked.agreement, "val_divergence": checked.divergence,
            "teacher_top1": self.teacher_top1, "zero_fraction": zeros, "seconds": tally.seconds,
            "skipped_photos": self._tell_skipped(reporter),
        }  # fmt: skip
        if log is not None:
            log.write("epoch", **values)
            self.state.save(progress)
            self.records.epoch(values, progress.finished)
        self.saved_at = time.monotonic()
        reporter.epoch(values, progress.seconds / epoch * (self.settings.epochs - epoch))

    def _after_step(self, epoch: int, tally: Tally, log: JsonLog | None, reporter: Reporter) -> None:
        """Show where the run stands; keep it, if the last time was long ago."""
        reporter.step(epoch, tally.steps, tally.loss, tally.images_per_second)
        due = time.monotonic() - self.saved_at >= self.options.save_seconds
        if log is None or not due or tally.steps == self.trainer.steps:
            return
        self.progress.step = self.trainer.step
        log.write(
            "progress", phase=self.settings.phase, epoch=epoch, step=self.trainer.step, loss=tally.loss,
            images_per_second=tally.images_per_second, seconds=tally.seconds,
        )  # fmt: skip
        self.state.save(self.progress)
        self.saved_at = time.monotonic()
        reporter.kept(epoch, tally.steps, tally.loss, tally.images_per_second)

    def _keep(self, name: str, epoch: int, checked: Validation) -> None:
        if not self.main:
            return
        description = Description(
            self.trainer.model.arch, self.split.labels, self.preprocessing, self._scheme_name(),
            self.settings.phase, epoch, checked.top1,
        )  # fmt: skip
        write_checkpoint(self.folder / name, arrays_of(self.trainer.kept), description)

    def _scheme_name(self) -> str:
        return self.memory.scheme if self.settings.phase in STUDENT_PHASES else "fp32"

    def _finish(self, log: JsonLog | None, reporter: Reporter) -> PhaseResult:
        """Pack and test the best weights."""
        self.accelerator.wait_for_everyone()
        arrays, description = read_run_checkpoint(self.folder / BEST_NAME)
        best = self.trainer.kept
        with naming_weights(str(self.folder / BEST_NAME)):
            load_arrays(best, arrays, ternary=False)
        packed = None
        if self.settings.phase in STUDENT_PHASES and not scheme_named(self.memory.scheme).obstacle():
            packed = self.folder / PACKED_NAME
            if self.main:
                assert isinstance(best, DeiT)
                export_packed(packed, best, description)
        top1, progress = description.accuracy, self.progress
        agreement = progress.best_top1 if top1 is None else None
        tested = self._tested(best, reporter)
        if log is not None:
            log.write(
                "result", phase=self.settings.phase, epoch=description.epoch, val_top1=top1,
                val_agreement=agreement, tested=asdict(tested) if tested else None, seconds=progress.seconds,
            )  # fmt: skip
        return PhaseResult(
            self.settings.phase, self.folder / BEST_NAME, packed, top1, self.teacher_top1, agreement,
            description.epoch, progress.epoch, zero_fraction(best), progress.seconds, tested, self.main,
        )  # fmt: skip

    def _tested(self, model: Classifier, reporter: Reporter) -> Tested | None:
        """`model` and its teacher on the test photos, which have chosen nothing."""
        if not self.split.test:
            return None
        threads = self.options.threads or torch.get_num_threads()
        decoder = validation_decoder(model.arch, self.preprocessing)
        held = self.validation.stored_bytes + getattr(self.training, "stored_bytes", 0)
        photos = open_photos(self.split.test, decoder, self.options.memory_bytes - held, threads)
        for sentence in photos.skipped:
            reporter.say(f"Skipped: {sentence}")
        examiner = Examiner(photos, self.preprocessing, self.accelerator)
        teacher = self.trainer.teacher
        taught = examiner.validate(teacher).top1 if teacher is not None else None
        top1 = examiner.validate(model).top1
        return None if top1 is None else Tested(len(photos), top1, taught)


def versions() -> Mapping[str, str]:
    """Versions of what decides a run's numbers, by name."""
    import accelerate
    import PIL
    import safetensors

    from .. import __version__

    return {
        "ftervit": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "accelerate": accelerate.__version__,
        "numpy": np.__version__,
        "pillow": PIL.__version__,
        "safetensors": safetensors.__version__,
    }
