"""Steps of training: the losses, the learning rate, and the model that takes them."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor, nn

from ..architecture import Preprocessing
from ..errors import ConfigError, TrainError
from .augment import Augmentation, augment, augmentation_named, mix, normalise, weakened
from .diagnosis import unfinite_layer, unfinite_parameter
from .guide import GuideNet
from .model import DeiT
from .photosets import UNLABELLED, Batch, EpochPlan, PhotoSource
from .settings import LR_FLOOR, WHOLE_IMAGES_SHARE, PhaseSettings, check_settings
from .sharing import Part, Share, generator_of
from .state import Tally

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


def uses_bfloat16(precision: str, device: torch.device) -> bool:
    """Whether matrix products are computed in bfloat16: as asked for, by default on CUDA alone."""
    return precision == "bf16" or (precision == "auto" and device.type == "cuda")


def _check_labels(labels: Tensor) -> None:
    if bool((labels == UNLABELLED).any()):
        raise ConfigError("Some photos have no label, and this loss needs that of every one.",
                          "Leave them out; students learn without labels with the loss kl.")  # fmt: skip


class Trainer:
    """A model, its average, its optimiser, and how they take a step.

    Args:
        model: what is trained.
        teacher: frozen, the model it learns from; None to learn from labels.
        photos: training photos.
        settings: of the phase.
        preprocessing: from photo to model input.
        accelerator: of this process; gradients are averaged over all of them.
        compiled: have PyTorch compile both models.
    """

    def __init__(
        self,
        model: Classifier,
        teacher: Classifier | None,
        photos: PhotoSource,
        settings: PhaseSettings,
        preprocessing: Preprocessing,
        accelerator: Accelerator,
        compiled: bool = False,
    ) -> None:
        check_settings(settings, teacher is not None)
        self.device = accelerator.device
        self.accelerator = accelerator
        self.model = model.to(self.device)
        self.teacher = teacher.to(self.device).eval().requires_grad_(False) if teacher is not None else None
        self.average = copy.deepcopy(self.model).requires_grad_(False) if settings.ema_decay else None
        self.optimiser = optimiser_for(self.model, settings)
        self.stepped: Any = accelerator.prepare_model(self.model)
        self.taught: Any = self.teacher
        if compiled:
            self.stepped = torch.compile(self.stepped)
            self.taught = torch.compile(self.teacher) if self.teacher is not None else None
        self.photos, self.settings, self.preprocessing = photos, settings, preprocessing
        self.share = Share(accelerator.process_index, accelerator.num_processes)
        self.augmentation: Augmentation = augmentation_named(settings.augment, settings.flip)
        self.steps = -(-len(photos) // settings.batch_size)
        self.step = 0

    @property
    def kept(self) -> Classifier:
        """The weights that are validated and kept: the average where there is one."""
        return self.average if self.average is not None else self.model

    def train_epoch(self, epoch: int, done: Tally, on_step: Callable[[], None]) -> float:
        """What is left of an epoch; order and augmentation depend on seed, epoch and step only.

        Args:
            epoch: from 1.
            done: what was done before, brought up to date after every step.
            on_step: called after every step.

        Returns:
            The last learning rate.

        Raises:
            TrainError: a loss, a gradient or a weight is not finite.
        """
        self.model.train()
        strength = min(1.0, epoch / max(1, self.settings.ramp_epochs))
        self.augmentation = weakened(augmentation_named(self.settings.augment, self.settings.flip), strength)
        plan = EpochPlan(self.settings.seed, epoch, self.settings.batch_size, done.steps, self.share)
        lr, started = 0.0, time.perf_counter() - done.seconds
        for batch in self.photos.epoch(plan):
            lr = self._set_learning_rate()
            done.loss_sum += self._take_step(batch, epoch) * batch.part.count
            done.steps, done.photos = done.steps + 1, done.photos + batch.part.count
            done.seconds = time.perf_counter() - started
            on_step()
        if name := unfinite_parameter(self.model):  # by the last step, whose loss nobody computes any more
            raise self._not_finite("weights", epoch, name)
        return lr

    def _set_learning_rate(self) -> float:
        warmup = self.settings.warmup_epochs * self.steps
        epochs = self.settings.schedule_epochs or self.settings.epochs
        lr = learning_rate(self.step, epochs * self.steps, warmup, self.settings.lr)
        for group in self.optimiser.param_groups:
            group["lr"] = lr
        return lr

    def _take_step(self, batch: Batch, epoch: int) -> float:
        """One step; the mean loss over the photos of all processes."""
        generator = generator_of(self.settings.seed, "step", self.step)
        images, targets = self._prepared(batch, generator)
        kept = self._kept_patches(batch.part, epoch, generator)
        loss = self._loss(images, targets, kept) * batch.part.weight
        value = float(self.accelerator.reduce(loss.detach(), "mean"))
        if not math.isfinite(value):
            raise self._not_finite("loss", epoch, self._spoiled_layer(images, kept))
        self.optimiser.zero_grad(set_to_none=True)
        self.accelerator.backward(loss)
        self._clip(epoch)
        self.optimiser.step()
        self.step += 1
        self._follow()
        return value

    def _clip(self, epoch: int) -> None:
        try:
            torch.nn.utils.clip_grad_norm_(
                self.model.parameters(), self.settings.clip_norm, error_if_nonfinite=True
            )
        except RuntimeError:
            layer = unfinite_parameter(self.model, gradients=True)
            raise self._not_finite("gradient", epoch, layer) from None

    def _prepared(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """Augmented, mixed, normalised images [B, 3, H, W]; probabilities [B, classes] where they count."""
        arch = self.model.arch
        pixels = augment(
            batch.images.to(self.device),
            arch.image_size,
            self.augmentation,
            self.preprocessing.crop_fraction,
            generator,
            batch.part,
        )
        targets = None
        if self.teacher is None or self.settings.loss == "kl+ce":
            _check_labels(batch.labels)
            targets = F.one_hot(batch.labels, arch.classes).float().to(self.device)
        pixels, targets = mix(pixels, targets, self.augmentation, generator)
        return normalise(pixels, self.preprocessing), targets

    def _kept_patches(self, part: Part, epoch: int, generator: torch.Generator) -> Tensor | None:
        """Random patches for every image, int64 [B, n]; None where none is left out."""
        settings, patches = self.settings, self.model.arch.patches
        if not settings.patch_drop or epoch > settings.epochs * (1 - WHOLE_IMAGES_SHARE):
            return None
        order = torch.rand(part.count, patches, generator=generator)[part.rows].argsort(dim=1)
        return order[:, : max(1, round(patches * (1 - settings.patch_drop)))].to(self.device)

    def _loss(self, images: Tensor, targets: Tensor | None, kept: Tensor | None) -> Tensor:
        """The mean loss over the photos of this process, float32, a scalar."""
        precise = uses_bfloat16(self.settings.precision, self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=precise):
            if self.teacher is None:
                smoothing = self.settings.label_smoothing
                predicted = self.stepped(images, kept)
                return F.cross_entropy(predicted.float(), targets, label_smoothing=smoothing)  # type: ignore[arg-type]
            with torch.no_grad():
                taught = self.taught(images, kept)
            learned = self.stepped(images, kept)
            loss = distillation_loss(learned, taught)
            return loss if targets is None else loss + F.cross_entropy(learned.float(), targets)

    def _spoiled_layer(self, images: Tensor, kept: Tensor | None) -> str | None:
        """What a loss that is not finite comes from: a weight, or the first layer that computes one."""
        if name := unfinite_parameter(self.model):
            return name
        for model, prefix in ((self.teacher, "teacher's "), (self.model, "")):
            if model is not None:
                layer = unfinite_layer(model, lambda model=model: model(images, kept))  # type: ignore[misc]
                if layer:
                    return prefix + layer
        return None

    def _not_finite(self, what: str, epoch: int, layer: str | None) -> TrainError:
        told = next(filter(None, gather_object([layer])), None)  # another process may have seen it
        where = f" in {told}" if told else ""
        kept = "The best checkpoint so far is kept; start" if epoch > 1 else "Start"
        done = what == "weights"  # the step that spoiled them; a loss or a gradient stops the step before it
        step, are = (self.step, "are not numbers") if done else (self.step + 1, "is not a number")
        return TrainError(
            f"The {what} of phase {self.settings.phase} {are} at step {step}, epoch {epoch}{where}.",
            f"{kept} again with a lower --lr.",
        )

    def _follow(self) -> None:
        """Move the average towards the weights; faster in the first steps."""
        if self.average is None:
            return
        decay = min(self.settings.ema_decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), 1 - decay)
