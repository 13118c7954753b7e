"""What a training run is asked to do: settings of a phase, and what a run folder remembers."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import MISSING, asdict, dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any

from ..errors import ConfigError
from ..files import write_atomic
from ..jsonfile import Count, Within, read_record

MEMORY_NAME = "run.json"
MOST_EPOCHS, MOST_BATCH = 1_000_000, 1_000_000
MOST_SEED = 2**63 - 1
"""PyTorch and JSON readers take no larger one."""


@dataclass(frozen=True)
class PhaseSettings:
    """Everything that decides the course of one phase, besides data and model.

    Attributes:
        phase: ``guide``, ``teacher``, ``training`` or ``recovery``.
        epochs: passes over the training photos, at most.
        lr: peak learning rate of AdamW; cosine decay to `LR_FLOOR` of it.
        schedule_epochs: epochs over which it decays, where the phase ends before that; 0: `epochs`. FTerViT's
            phase 1 ends so, once it is saturated.
        batch_size: photos per step.
        warmup_epochs: linear rise of the learning rate.
        weight_decay: decoupled; on matrices only.
        label_smoothing: of the teacher's targets, 0 to 1.
        ema_decay: of the averaged weights that are validated and kept; 0 keeps the weights themselves.
        clip_norm: largest norm of the gradient.
        patience: epochs without a better validation before the phase ends; 0 never ends early.
        augment: a name in STRENGTHS.
        ramp_epochs: augmentation grows from nothing to its full strength in so many epochs.
        patch_drop: share of an image's patches left out in training (PatchDropout, arXiv 2208.07220),
            0 to 1; less to compute, and none is left out in the last fifth of the epochs.
        flip: mirror images keep their class.
        seed: of weights, order and augmentation.
        precision: of matrix products: ``fp32``, ``bf16``, or ``auto`` for bfloat16 on CUDA alone.
        loss: of a model that learns from another one, a name in LOSSES.
        keep_epochs: epochs after which the weights are also kept, as ``epoch-0040.safetensors``.
    """

    phase: str
    epochs: int
    lr: float
    batch_size: int = 64
    warmup_epochs: int = 0
    weight_decay: float = 0.05
    label_smoothing: float = 0.0
    ema_decay: float = 0.0
    clip_norm: float = 1.0
    patience: int = 0
    augment: str = "strong"
    ramp_epochs: int = 0
    patch_drop: float = 0.0
    flip: bool = True
    seed: int = 0
    precision: str = "auto"
    loss: str = "kl"
    keep_epochs: tuple[int, ...] = ()
    schedule_epochs: int = 0


LOSSES = ("kl", "kl+ce")
"""Forward KL divergence from the teacher's probabilities alone, as FTerViT has it, or the sum of it and the
cross-entropy with the labels."""

WHOLE_IMAGES_SHARE = 0.2
"""The last share of the epochs, in which no patch is left out."""
LR_FLOOR = 0.01
"""The last learning rate over the peak."""

PHASES: dict[str, PhaseSettings] = {
    "guide": PhaseSettings(
        "guide",
        epochs=60,
        lr=2e-3,
        batch_size=32,
        warmup_epochs=3,
        label_smoothing=0.1,
        ema_decay=0.995,
        ramp_epochs=20,
    ),
    "teacher": PhaseSettings(
        "teacher",
        epochs=300,
        lr=1e-3,
        batch_size=32,
        warmup_epochs=10,
        label_smoothing=0.1,
        ema_decay=0.998,
        ramp_epochs=100,
    ),
    "training": PhaseSettings(
        "training", epochs=250, lr=1e-4, warmup_epochs=3, weight_decay=0.0, patience=60
    ),
    "recovery": PhaseSettings("recovery", epochs=10, lr=1e-5, weight_decay=0.0),
}
"""Defaults; ``training`` and ``recovery`` are FTerViT's two phases (arXiv 2605.21171)."""
PHASE_NAMES = tuple(PHASES)
"""In the order in which they are run."""
STUDENT_PHASES = ("training", "recovery")
"""Those that make a student; the others make its teacher."""


@dataclass(frozen=True)
class RunMemory:
    """What later phases take over from the first, kept in the run folder.

    Attributes:
        data: absolute path of the folder of photos, or ``hub:`` and a dataset's name.
        preset: a name in PRESETS, or timm's of a DeiT.
        split: ``random`` or ``groups:N``.
        val_fraction: share of the validation photos.
        seed: of split, weights, order and augmentation.
        scheme: of the student.
        flip: mirror images keep their class.
        unlabelled: absolute path of a folder of more photos for the student; "" for none.
        image_column, label_column: of a dataset; "" to find them.
        stream: a dataset is read in order, not downloaded.
        epoch_photos: photos of an epoch of a stream; 0: as many as it says it has.
    """

    data: str
    preset: str
    split: str
    val_fraction: Annotated[float, Within(0, 1)]
    seed: Annotated[int, Within(0, MOST_SEED)]
    scheme: str
    flip: bool
    unlabelled: str = ""
    image_column: str = ""
    label_column: str = ""
    stream: bool = False
    epoch_photos: Count = 0


WARMUP_SHARE, RAMP_SHARE = 10, 3
"""Warm-up takes at most a tenth of a phase, growing augmentation at most a third, unless it is asked for."""


def fitted(settings: PhaseSettings, asked: Collection[str] = ()) -> PhaseSettings:
    """Warm-up and growing augmentation of a short phase are short, too, but for those in `asked`."""
    most = {
        "warmup_epochs": settings.epochs // WARMUP_SHARE,
        "ramp_epochs": settings.epochs // RAMP_SHARE,
    }
    shorter = {name: min(getattr(settings, name), share) for name, share in most.items() if name not in asked}
    return replace(settings, **shorter)


def check_settings(settings: PhaseSettings, taught: bool) -> None:
    """Refuse what contradicts itself.

    Args:
        settings: of a phase.
        taught: it learns from another model.

    Raises:
        ConfigError: see above.
    """
    if settings.loss not in LOSSES:
        raise ConfigError(f"There is no loss {settings.loss!r}.", f"Known losses: {', '.join(LOSSES)}.")
    if settings.loss != "kl" and not taught:
        raise ConfigError(
            f"The phase {settings.phase} learns from labels alone and has no loss {settings.loss}.",
            "Leave --loss out.",
        )
    if 0 < settings.schedule_epochs < settings.epochs:
        raise ConfigError(
            f"The learning rate cannot fall in {settings.schedule_epochs} epochs of a phase that has "
            f"{settings.epochs}.",
            "Make --schedule-epochs longer, or leave it out.",
        )
    late = [epoch for epoch in settings.keep_epochs if epoch > settings.epochs]
    if late:
        raise ConfigError(f"Epoch {late[0]} cannot be kept: the phase has {settings.epochs}.")


def setting_defaults() -> dict[str, Any]:
    """Values of the settings that have one; what a run of an older version does not mention had these."""
    everything = (*fields(PhaseSettings), *fields(RunMemory))
    return {field.name: field.default for field in everything if field.default is not MISSING}


def remember(folder: Path, memory: RunMemory) -> None:
    """Keep `memory` in the run folder."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / MEMORY_NAME, (json.dumps(asdict(memory), indent=2) + "\n").encode())


def recall(folder: Path) -> dict[str, Any]:
    """What the run folder remembers, an attribute of `RunMemory` by each name; empty for a new one.

    Raises:
        RecordError: its memory is damaged.
    """
    path = folder / MEMORY_NAME
    if not path.exists():
        return {}
    return asdict(read_record(path, RunMemory, "Choose another --out, or mend the file."))
