"""What can be named by alias: the published FTerViT checkpoints, their teachers, the demonstration."""

from __future__ import annotations

from dataclasses import dataclass

from .architecture import Preprocessing

FTERVIT_REPO = "szymonrucinski/FTerViT"
DEFAULT_MODEL = "ftervit-deit3-small-224"


@dataclass(frozen=True)
class Model:
    """A checkpoint that a user can name by alias.

    Attributes:
        alias: what a user types.
        summary: one line for `ftervit models`.
        architecture: name of a preset in architecture.py, but for the number of classes.
        classes: number of logits.
        repo: hub repository; empty where the checkpoint is bundled.
        file: path in the repository.
        labels: ``imagenet``, ``cifar10`` or ``cifar100``; empty where the checkpoint says.
        published_accuracy: top-1 that the authors report, 0 to 1; None where there is none.
        teacher_accuracy: that of the FP32 model it was distilled from.
        crop_fraction: of the preprocessing it was evaluated with.
        ternary: False for full-precision teachers.
        inferred: True where the file's name follows its siblings' and was not read from a listing.
        bundled: path in the package's data folder; None where it comes from the hub.
    """

    alias: str
    summary: str
    architecture: str
    classes: int = 1000
    repo: str = ""
    file: str = ""
    labels: str = "imagenet"
    published_accuracy: float | None = None
    teacher_accuracy: float | None = None
    crop_fraction: float = 0.9
    ternary: bool = True
    inferred: bool = False
    bundled: str | None = None

    @property
    def source(self) -> str:
        """The hub source that the alias stands for, ``repo:file``; empty where it is bundled."""
        return f"{self.repo}:{self.file}" if self.repo else ""

    @property
    def preprocessing(self) -> Preprocessing:
        """How photos are prepared for it."""
        return Preprocessing(crop_fraction=self.crop_fraction)


def _imagenet(
    alias: str, preset: str, phase: str, top1: float, teacher: float | None, inferred: bool = False
) -> Model:
    """A model of the repository's imagenet1k folder; deit3's teachers were evaluated uncropped."""
    return Model(
        alias=f"ftervit-{alias}",
        summary=f"FTerViT {preset}, after {'recovery' if phase.startswith('phase2') else 'phase 1'}",
        architecture=preset,
        repo=FTERVIT_REPO,
        file=f"imagenet1k/{phase}_acc{top1:.2f}_{preset}.pth",
        published_accuracy=round(top1 / 100, 4),
        teacher_accuracy=teacher,
        crop_fraction=1.0 if preset.startswith("deit3") else 0.9,
        inferred=inferred,
    )


def _cifar(classes: int, top1: float, teacher: float, inferred: bool = False) -> Model:
    return Model(
        alias=f"ftervit-deit-tiny-cifar{classes}",
        summary=f"FTerViT deit_tiny_224 for CIFAR-{classes}, after recovery",
        architecture="deit_tiny_224",
        classes=classes,
        repo=FTERVIT_REPO,
        file=f"cifar{classes}/phase2_ep010_acc{top1:.2f}_deit_tiny_224.pth",
        labels=f"cifar{classes}",
        published_accuracy=round(top1 / 100, 4),
        teacher_accuracy=teacher,
        crop_fraction=1.0,
        inferred=inferred,
    )


def _teacher(preset: str, timm_name: str) -> Model:
    return Model(
        alias=f"teacher-{preset.replace('_', '-')}",
        summary=f"full-precision teacher, timm's {timm_name}",
        architecture=preset,
        repo=f"timm/{timm_name}",
        file="model.safetensors",
        crop_fraction=1.0 if preset.startswith("deit3") else 0.9,
        ternary=False,
    )


_ALL = (
    _imagenet("deit3-small-224", "deit3_small_224", "phase2_ep010", 79.64, 0.8308),
    _imagenet("deit3-small-384", "deit3_small_384", "phase2_ep010", 82.43, 0.8485, inferred=True),
    _imagenet("deit-small-224", "deit_small_224", "phase2_ep010", 77.47, None),
    _imagenet("deit3-small-224-phase1", "deit3_small_224", "phase1_ep250", 76.78, 0.8308),
    _imagenet("deit-small-224-phase1", "deit_small_224", "phase1_ep250", 75.05, None),
    _cifar(10, 97.43, 0.9752),
    _cifar(100, 86.01, 0.8654, inferred=True),
    _teacher("deit_tiny_224", "deit_tiny_patch16_224.fb_in1k"),
    _teacher("deit_small_224", "deit_small_patch16_224.fb_in1k"),
    _teacher("deit3_small_224", "deit3_small_patch16_224.fb_in22k_ft_in1k"),
    _teacher("deit3_small_384", "deit3_small_patch16_384.fb_in22k_ft_in1k"),
    Model(
        alias="signs",
        summary="hand-sign digits, bundled: the demonstration",
        architecture="mcu_micro_64",
        classes=10,
        labels="",
        crop_fraction=1.0,
        bundled="signs/student.safetensors",
    ),
)

MODELS: dict[str, Model] = {model.alias: model for model in _ALL}
"""By alias; the first is the default."""


def model_at(repo: str, file: str) -> Model | None:
    """The model that is published there, if it is one of ours to name."""
    return next((m for m in _ALL if m.repo and (m.repo, m.file) == (repo, file)), None)
