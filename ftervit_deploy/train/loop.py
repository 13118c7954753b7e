"""One phase of training: epochs of steps, validation, the best weights kept, a state after every epoch."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from ..architecture import Preprocessing
from ..errors import ConfigError, TrainError
from .augment import Augmentation, augment, augmentation_named, mix, normalise, weakened
from .data import PhotoSet
from .guide import GuideNet
from .model import DeiT, logits
from .settings import LOSSES, LR_FLOOR, WHOLE_IMAGES_SHARE, PhaseSettings

EVALUATION_BATCH = 128

Classifier = DeiT | GuideNet
"""Normalised pixels in, logits out."""


def distillation_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Forward Kullback-Leibler divergence KL(teacher || student), mean over the batch, in nats.

    The only loss of the student's phases, unless they ask for ``kl+ce``: no cross-entropy with labels
    (arXiv 2605.21171).

    Args:
        student: logits, float [B, classes].
        teacher: logits of the same shape.
    """
    return F.kl_div(
        F.log_softmax(student.float(), dim=1),
        F.log_softmax(teacher.float(), dim=1),
        log_target=True,
        reduction="batchmean",
    )


def learning_rate(step: int, steps: int, warmup_steps: int, peak: float) -> float:
    """Linear warm-up, then half a cosine from `peak` to LR_FLOOR of it; `step` counts from 0."""
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    done = (step - warmup_steps) / max(1, steps - warmup_steps)
    return peak * (LR_FLOOR + (1 - LR_FLOOR) * 0.5 * (1 + math.cos(math.pi * done)))


def optimiser_for(model: Classifier, settings: PhaseSettings) -> torch.optim.AdamW:
    """AdamW; weight decay on matrices only, not on biases, norms, class token or position embedding."""
    decayed: list[nn.Parameter] = []
    plain: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        matrix = parameter.dim() >= 2 and name not in ("cls_token", "pos_embed")
        (decayed if matrix else plain).append(parameter)
    groups = [
        {"params": decayed, "weight_decay": settings.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.lr, fused=True)


def epoch_generator(seed: int, epoch: int) -> torch.Generator:
    """The generator of everything random in an epoch, so that a resumed run repeats it exactly."""
    return torch.Generator().manual_seed(seed * 1_000_003 + epoch)


@dataclass(frozen=True)
class Validation:
    """Top-1 (0 to 1) and mean cross-entropy (nats) on the validation photos."""

    top1: float
    loss: float


@dataclass(frozen=True)
class EpochResult:
    """Mean loss and the last learning rate of an epoch; photos per second and seconds of its steps."""

    loss: float
    lr: float
    images_per_second: float
    seconds: float


def validate(
    model: Classifier, photos: PhotoSet, preprocessing: Preprocessing, device: torch.device
) -> Validation:
    """Evaluate on photos that are stored exactly as the deployed preprocessing makes them."""
    correct, loss = 0, 0.0
    for indices in torch.split(torch.arange(len(photos)), EVALUATION_BATCH):
        images, labels = photos.batch(indices)
        predicted = logits(model, normalise(images.to(device), preprocessing)).cpu()
        correct += int((predicted.argmax(dim=1) == labels).sum())
        loss += float(F.cross_entropy(predicted, labels, reduction="sum"))
    return Validation(correct / len(photos), loss / len(photos))


def _check_settings(settings: PhaseSettings, taught: bool) -> None:
    if settings.loss not in LOSSES:
        raise ConfigError(f"There is no loss {settings.loss!r}.", f"Known losses: {', '.join(LOSSES)}.")
    if settings.loss != "kl" and not taught:
        raise ConfigError(
            f"The phase {settings.phase} learns from labels alone and has no loss {settings.loss}.",
            "Leave --loss out.",
        )
    late = [epoch for epoch in settings.keep_epochs if epoch > settings.epochs]
    if late:
        raise ConfigError(f"Epoch {late[0]} cannot be kept: the phase has {settings.epochs}.")


class Trainer:
    """A model, its average, its optimiser, and how they take a step.

    Args:
        model: what is trained.
        teacher: frozen, the model it learns from; None to learn from labels.
        photos: training photos.
        classes: number of logits.
        device: where the steps are computed; mixed precision (bfloat16) only on CUDA.
    """

    def __init__(
        self,
        model: Classifier,
        teacher: Classifier | None,
        photos: PhotoSet,
        settings: PhaseSettings,
        preprocessing: Preprocessing,
        device: torch.device,
    ) -> None:
        _check_settings(settings, teacher is not None)
        self.model = model.to(device)
        self.teacher = teacher.to(device).eval().requires_grad_(False) if teacher is not None else None
        self.average = copy.deepcopy(self.model).requires_grad_(False) if settings.ema_decay else None
        self.optimiser = optimiser_for(self.model, settings)
        self.photos, self.settings = photos, settings
        self.preprocessing, self.device = preprocessing, device
        self.augmentation: Augmentation = augmentation_named(settings.augment, settings.flip)
        self.steps = -(-len(photos) // settings.batch_size)
        self.step = 0

    @property
    def kept(self) -> Classifier:
        """The weights that are validated and kept: the average where there is one."""
        return self.average if self.average is not None else self.model

    def train_epoch(self, epoch: int, on_step: Callable[[int], None]) -> EpochResult:
        """All training photos once, in an order and augmentation that depend on seed and epoch only.

        Raises:
            TrainError: the loss is not finite.
        """
        self.model.train()
        strength = min(1.0, epoch / max(1, self.settings.ramp_epochs))
        self.augmentation = weakened(augmentation_named(self.settings.augment, self.settings.flip), strength)
        generator = epoch_generator(self.settings.seed, epoch)
        order = torch.randperm(len(self.photos), generator=generator)
        started, total, lr = time.perf_counter(), 0.0, 0.0
        batches = self.photos.batches(order, self.settings.batch_size)
        for number, (images, labels) in enumerate(batches, start=1):
            lr = self._set_learning_rate()
            total += self._take_step(images, labels, epoch, generator) * len(labels)
            on_step(number)
        seconds = time.perf_counter() - started
        return EpochResult(total / len(order), lr, len(order) / seconds, seconds)

    def _set_learning_rate(self) -> float:
        warmup = self.settings.warmup_epochs * self.steps
        lr = learning_rate(self.step, self.settings.epochs * self.steps, warmup, self.settings.lr)
        for group in self.optimiser.param_groups:
            group["lr"] = lr
        return lr

    def _take_step(self, photos: Tensor, labels: Tensor, epoch: int, generator: torch.Generator) -> float:
        images, targets = self._prepared(photos, labels, generator)
        kept = self._kept_patches(len(images), epoch, generator)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            loss = self._loss(images, targets, kept)
        value = float(loss.detach())
        if not math.isfinite(value):
            where = f"step {self.step + 1}, epoch {epoch}"
            raise TrainError(
                f"The loss of phase {self.settings.phase} is not a number at {where}.",
                "The best checkpoint so far is kept; start again with a lower --lr.",
            )
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip_norm)
        self.optimiser.step()
        self.step += 1
        self._follow()
        return value

    def _prepared(self, photos: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Augmented, mixed, normalised images [B, 3, H, W] and target probabilities [B, classes]."""
        arch = self.model.arch
        pixels = augment(
            photos.to(self.device),
            arch.image_size,
            self.augmentation,
            self.preprocessing.crop_fraction,
            generator,
        )
        targets = F.one_hot(labels, arch.classes).float().to(self.device)
        pixels, targets = mix(pixels, targets, self.augmentation, generator)
        return normalise(pixels, self.preprocessing), targets

    def _kept_patches(self, count: int, epoch: int, generator: torch.Generator) -> Tensor | None:
        """Random patches for every image, int64 [B, n]; None where none is left out."""
        settings, patches = self.settings, self.model.arch.patches
        if not settings.patch_drop or epoch > settings.epochs * (1 - WHOLE_IMAGES_SHARE):
            return None
        order = torch.rand(count, patches, generator=generator).argsort(dim=1)
        return order[:, : max(1, round(patches * (1 - settings.patch_drop)))].to(self.device)

    def _loss(self, images: Tensor, targets: Tensor, kept: Tensor | None) -> Tensor:
        if self.teacher is None:
            return F.cross_entropy(
                self.model(images, kept).float(), targets, label_smoothing=self.settings.label_smoothing
            )
        with torch.no_grad():
            taught = self.teacher(images, kept)
        learned = self.model(images, kept)
        loss = distillation_loss(learned, taught)
        return loss + F.cross_entropy(learned.float(), targets) if self.settings.loss == "kl+ce" else loss

    def _follow(self) -> None:
        """Move the average towards the weights; faster in the first steps."""
        if self.average is None:
            return
        decay = min(self.settings.ema_decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), 1 - decay)
