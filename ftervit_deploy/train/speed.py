"""What a step of distillation costs beside a step of plain FP32 training of the same model.

`python -m ftervit_deploy.train.speed --help`; `python -m bench.training` prints it as a table.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace

import torch

from ..architecture import Architecture, Preprocessing, architecture_named
from ..schemes import SCHEMES, scheme_named
from .initialise import build_student
from .loop import Trainer
from .photosets import STORED_MARGIN, Batch, EpochPlan
from .settings import PHASES
from .sharing import generator_of, new_accelerator, whole
from .state import Tally


@dataclass(frozen=True)
class Cost:
    """Times of interleaved steps, each with augmentation, forward, backward and optimiser.

    Attributes:
        preset: the model.
        batch_size: photos of a step.
        device: where they were computed.
        plain_s: median step of FP32 training by labels, seconds.
        distillation_s: the same of distillation: student and teacher.
        ratio: median of the rounds' distillation over plain.
        quartiles: of these ratios, lower and upper.
        processor_ratio: median ratio of the processor's seconds, which other programs disturb less.
    """

    preset: str
    batch_size: int
    device: str
    plain_s: float
    distillation_s: float
    ratio: float
    quartiles: tuple[float, float]
    processor_ratio: float


def step_cost(
    preset: str, batch_size: int, rounds: int, precision: str = "auto", compiled: bool = False,
    scheme: str = "ftervit-s8",
) -> Cost:  # fmt: skip
    """Measure both steps, turn by turn; the first two rounds do not count.

    Args:
        preset: a name that `architecture_named` knows.
        batch_size: photos of a step.
        rounds: that count, at least 2.
        precision: of distillation, see `PhaseSettings`; plain training has FP32.
        compiled: distillation with both models compiled.
        scheme: of the student.
    """
    arch = architecture_named(preset)
    plain = _trainer(arch, "", batch_size, "fp32", False)
    distilling = _trainer(arch, scheme, batch_size, precision, compiled)
    times = [(_step(plain), _step(distilling)) for _ in range(rounds + 2)][2:]
    first, middle, third = statistics.quantiles((slow[0] / fast[0] for fast, slow in times), n=4)
    plain_s, distillation_s = (statistics.median(turn[which][0] for turn in times) for which in (0, 1))
    processor = statistics.median(slow[1] / fast[1] for fast, slow in times)
    device = str(plain.device)
    return Cost(preset, batch_size, device, plain_s, distillation_s, middle, (first, third), processor)


@dataclass
class _Noise:
    """One batch of noise as an epoch; see `photosets.PhotoSource`."""

    batch: Batch
    skipped: list[str]

    def __len__(self) -> int:
        return self.batch.part.count

    def epoch(self, plan: EpochPlan) -> Iterator[Batch]:
        yield self.batch


def _trainer(arch: Architecture, scheme: str, batch_size: int, precision: str, compiled: bool) -> Trainer:
    """Of a student, or with scheme "" of the floating-point model, on noise."""
    side = round(arch.image_size * STORED_MARGIN)
    noise = torch.randint(0, 256, (batch_size, 3, side, side), generator=generator_of("speed"))
    labels = torch.arange(batch_size) % arch.classes
    photos = _Noise(Batch(noise.to(torch.uint8), labels, whole(batch_size)), [])
    settings = replace(
        PHASES["training"], augment="three", batch_size=batch_size, precision=precision, epochs=10_000
    )
    teacher = build_student(arch, SCHEMES["fp32"], 1) if scheme else None
    model = build_student(arch, scheme_named(scheme or "fp32"), 2)
    return Trainer(model, teacher, photos, settings, Preprocessing(), new_accelerator(), compiled)


def _step(trainer: Trainer) -> tuple[float, float]:
    """Seconds of one step, by the clock and of the processor; reading the loss waits for the device."""
    done, started = Tally(), time.process_time()
    trainer.train_epoch(1, done, lambda: None)
    return done.seconds, time.process_time() - started


def main() -> None:
    """Measure, print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="deit_tiny_224")
    parser.add_argument("--scheme", default="ftervit-s8")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    parser.add_argument("--compile", action="store_true")
    chosen = parser.parse_args()
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    cost = step_cost(
        chosen.preset, chosen.batch_size, chosen.rounds, chosen.precision, chosen.compile, chosen.scheme
    )
    print(json.dumps(asdict(cost)))


if __name__ == "__main__":
    main()
