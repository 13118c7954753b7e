"""What needs PyTorch: importance of every layer, attention roll-out, patch features."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..checkpoint import Checkpoint
from ..image import parameter_counts
from ..photos import load_photo, preprocess
from .contents import Filters, Importance, LayerShare, Look, Missing, Rollout
from .photographs import ChosenPhoto, overlaid, shown, spread
from .subject import Subject

if TYPE_CHECKING:
    from ..train.importance import LayerImportance

Floats = npt.NDArray[np.float32]
_LARGE, _LARGE_PHOTOS, _LARGE_TRACE_PHOTOS = 2_000_000, 8, 2
"""Parameters from which on importance is computed on so many photos at most, and its Hessian on so many."""
_TRACE_PHOTOS = 16
"""On so many otherwise: a second derivative for every layer and probe takes time."""
NO_TORCH = 'PyTorch is not installed; `pip install "ftervit[train]"` brings it.'
NO_PHOTOS = "No photos are at hand; name some with --photos."
_ALONE = "The FP32 teacher is not at hand, so the student looks alone; name it with --teacher."
_OTHER_GRID = "The teacher has another grid of patches, so the student looks alone."


def _why_not(photos: Sequence[ChosenPhoto]) -> str:
    if importlib.util.find_spec("torch") is None:
        return NO_TORCH
    return "" if photos else NO_PHOTOS


def importance(
    subject: Subject, photos: Sequence[ChosenPhoto], probes: int, on_step: Callable[[int, int], None]
) -> Importance | Missing:
    """Importance of the teacher's layers, as in the paper; of the student's where there is no teacher.

    Args:
        photos: a large model takes a few of them, because each costs seconds.
        probes: random vectors of the Hessian's trace, for each layer.
        on_step: told of steps done and steps in all.
    """
    why = _why_not(photos)
    if why:
        return Missing(why)
    from ..train.understand import UNKNOWN, importance_of

    checkpoint = subject.teacher or subject.student
    ours = subject.teacher is None or _same_classes(subject.teacher, subject.student)
    traced = _TRACE_PHOTOS
    if sum(parameter_counts(checkpoint.architecture).values()) > _LARGE:
        photos, traced = spread(photos, _LARGE_PHOTOS), _LARGE_TRACE_PHOTOS
    known = [photo.label is not None and ours for photo in photos]
    labels = np.array([p.label if k else UNKNOWN for p, k in zip(photos, known, strict=True)], np.int64)
    found = importance_of(checkpoint, _pixels(checkpoint, photos), labels, probes, traced, on_step)
    whose = "the FP32 teacher" if subject.teacher else (
        "the ternary student, gradients passed straight through its rounding"
    )  # fmt: skip
    return Importance(whose, _loss(known), probes, min(traced, len(photos)), _shares(found))


def _same_classes(teacher: Checkpoint, student: Checkpoint) -> bool:
    """The teacher's logits are those of the student's classes, as far as it says."""
    said = "labels" in teacher.stated
    return teacher.labels == student.labels if said else len(teacher.labels) == len(student.labels)


def _loss(known: Sequence[bool]) -> str:
    if all(known):
        what = "the photos' classes"
    elif any(known):
        what = "the photos' classes, or the model's own answer where a photo has none"
    else:
        what = "the model's own answers, because the photos lie in no class folders"
    count = f"{len(known)} photos" if len(known) > 1 else "one photo"
    return f"mean cross-entropy on {count}, against {what}"


def _shares(found: Sequence[LayerImportance]) -> tuple[LayerShare, ...]:
    parameters = sum(layer.parameters for layer in found)
    taylor = sum(layer.taylor for layer in found) or 1.0
    squared = sum(layer.taylor_squared for layer in found) or 1.0
    trace = sum(max(layer.trace, 0.0) for layer in found) or 1.0
    return tuple(
        LayerShare(
            layer.layer, layer.group, layer.parameters, layer.parameters / parameters,
            layer.taylor, layer.taylor / taylor, layer.taylor_squared, layer.taylor_squared / squared,
            layer.trace, layer.trace_error, layer.trace / trace, layer.trace_error / trace,
        )
        for layer in found
    )  # fmt: skip


def rollout(subject: Subject, photos: Sequence[ChosenPhoto]) -> Rollout | Missing:
    """Where student and teacher look, side by side."""
    why = _why_not(photos)
    if why:
        return Missing(why)
    from ..train.understand import rollout_of

    student, teacher, note = subject.student, subject.teacher, ""
    ours = rollout_of(student, _pixels(student, photos))
    theirs = None
    if teacher is None:
        note = _ALONE
    elif teacher.architecture.patches != student.architecture.patches:
        note = _OTHER_GRID
    else:
        theirs = rollout_of(teacher, _pixels(teacher, photos))
    looks = []
    for index, photo in enumerate(photos):
        picture, map_ = shown(photo.path, student.preprocessing), ours[index]
        other = None if theirs is None else overlaid(picture, theirs[index])
        cosine = None if theirs is None else _cosine(map_, theirs[index])
        looks.append(Look(photo.name, picture, overlaid(picture, map_), other, cosine))
    others = [] if theirs is None else [
        _cosine(own, other) for i, own in enumerate(ours) for j, other in enumerate(theirs) if i != j
    ]  # fmt: skip
    return Rollout(tuple(looks), note, float(np.mean(others)) if others else None)


def with_features(filters: Filters, subject: Subject, photos: Sequence[ChosenPhoto]) -> Filters:
    """`filters` with the cosine between the patch features of student and teacher on the photos."""
    teacher = subject.teacher
    if teacher is None or not filters.cosines or _why_not(photos):
        return filters
    from ..train.understand import features_of

    ours = features_of(subject.student, _pixels(subject.student, photos))
    theirs = features_of(teacher, _pixels(teacher, photos))
    if ours.shape != theirs.shape:
        return filters
    norms = np.linalg.norm(ours, axis=2) * np.linalg.norm(theirs, axis=2)
    cosines = np.einsum("npc,npc->np", ours, theirs) / np.maximum(norms, 1e-30)
    return replace(filters, feature_cosine=float(cosines.mean()))


def _cosine(a: Floats, b: Floats) -> float:
    return float((a * b).sum() / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-30))


def _pixels(checkpoint: Checkpoint, photos: Sequence[ChosenPhoto]) -> npt.NDArray[np.uint8]:
    """The photos as this model sees them: uint8 [N, H, W, 3]."""
    size, how = checkpoint.architecture.image_size, checkpoint.preprocessing
    return np.stack([preprocess(load_photo(photo.path), size, how) for photo in photos])
