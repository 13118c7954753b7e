"""Where the models of a phase come from: fresh, from the phase before, or from a named source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ..architecture import Architecture, Preprocessing
from ..errors import ConfigError, TrainError
from ..schemes import SCHEMES, Scheme, scheme_named
from .guide import GuideNet, build_guide
from .initialise import build_student
from .loop import Classifier
from .model import DeiT, load_arrays, start_student, ternary_parameter_rules
from .settings import PhaseSettings, RunMemory
from .state import arrays_of, read_run_checkpoint

BEST_NAME = "best.safetensors"
STUDENT_PHASES = ("training", "recovery")
"""The phases that train the ternary student."""


@dataclass(frozen=True)
class Sources:
    """Where weights come from, if not from the run folder: file, alias or hub name; "" for none."""

    teacher: str = ""
    init: str = ""


@dataclass(frozen=True)
class Start:
    """The model to train, the frozen one it learns from, how their input is made, and whence they came."""

    model: Classifier
    teacher: Classifier | None
    preprocessing: Preprocessing
    sources: Sources


def start_of(
    out: Path, arch: Architecture, memory: RunMemory, settings: PhaseSettings, sources: Sources
) -> Start:
    """What a phase starts with: fresh weights, or those that the phase before it left.

    Raises:
        ConfigError: no such scheme, or none for a student.
        CheckpointError: weights that cannot serve.
        TrainError: the phase before it is missing, or its model has another shape.
    """
    scheme = _student_scheme(memory.scheme)
    if settings.phase == "guide":
        return Start(build_guide(arch, settings.seed), None, Preprocessing(), sources)
    if settings.phase == "teacher":
        return _teacher_start(arch, settings, sources, _guide(out, arch))
    own = out / "teacher" / BEST_NAME
    taught = _weights(sources.teacher, own, "teacher")
    _check_same_shape(taught.architecture, arch, memory.preset)
    if taught.ternary:
        raise TrainError(f"{sources.teacher} is ternary and can be no teacher.", "Name FP32 weights.")
    teacher = build_student(arch, SCHEMES["fp32"])
    load_arrays(teacher, taught.arrays, ternary=False)
    student = build_student(arch, scheme, settings.seed)
    if settings.phase == "training" and not sources.init:
        start_student(student, taught.arrays)
    else:
        found = _weights(sources.init, out / "training" / BEST_NAME, "training")
        _check_same_shape(found.architecture, arch, memory.preset)
        _check_same_scheme(found.scheme, scheme.name)
        arrays = latent_arrays(student, found.arrays) if found.ternary else found.arrays
        start_student(student, arrays)
    return Start(student, teacher, taught.preprocessing, sources)


def latent_arrays(model: DeiT, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Floats from which `model` quantises the ternary `arrays` again, to rounding.

    An absmean scale is the mean magnitude of its weights, zeros included, so those that are not zero grow by
    what the zeros take away; other scales do not see the zeros.
    """
    latent = dict(arrays)
    for name, rule in ternary_parameter_rules(model).items():
        if rule.scale != "absmean":
            continue
        values = arrays[name]
        magnitudes = np.abs(values.reshape(1 if rule.granularity == "tensor" else len(values), -1))
        mean, largest = magnitudes.mean(axis=1), magnitudes.max(axis=1)
        growth = np.divide(largest, mean, out=np.ones_like(mean), where=mean > 0)
        latent[name] = values * growth.reshape(-1, *[1] * (values.ndim - 1))
    return latent


def _check_same_scheme(found: str, wanted: str) -> None:
    if found not in (wanted, "fp32"):
        raise TrainError(
            f"The checkpoint was trained with scheme {found}, not {wanted}.", f"Give --scheme {found}."
        )


def teacher_labels(out: Path, sources: Sources) -> tuple[str, ...]:
    """The classes that the teacher of a student knows.

    Raises:
        CheckpointError: it cannot be read.
        TrainError: there is none.
    """
    if sources.teacher:
        from ..checkpoint import read_checkpoint

        return read_checkpoint(sources.teacher).labels
    own = out / "teacher" / BEST_NAME
    if not own.exists():
        raise TrainError("Photos without labels need a teacher that exists.", "Name one with --teacher.")
    return read_run_checkpoint(own)[1].labels


def _student_scheme(name: str) -> Scheme:
    scheme = scheme_named(name)
    if scheme.linear is None:
        raise ConfigError(f"Scheme {name} leaves a student nothing to quantise.", "Choose another --scheme.")
    return scheme


def _guide(out: Path, arch: Architecture) -> GuideNet | None:
    """The guide of this run, if the phase ``guide`` was run."""
    path = out / "guide" / BEST_NAME
    if not path.exists():
        return None
    found = _weights("", path, "guide")
    _check_same_shape(found.architecture, arch, "this run's preset")
    guide = GuideNet(arch)
    load_arrays(guide, found.arrays, ternary=False)
    return guide


def _teacher_start(
    arch: Architecture, settings: PhaseSettings, sources: Sources, guide: GuideNet | None
) -> Start:
    model = build_student(arch, SCHEMES["fp32"], settings.seed)
    if not sources.init:
        return Start(model, guide, Preprocessing(), sources)
    weights = _weights(sources.init, Path(), "teacher")
    found, arrays = weights.architecture, weights.arrays
    _check_same_shape(found.with_classes(arch.classes), arch, "this run's preset")
    if found.classes != arch.classes:  # another task: its head does not serve
        fresh = arrays_of(model)
        arrays = {**arrays, "head.weight": fresh["head.weight"], "head.bias": fresh["head.bias"]}
    load_arrays(model, arrays, ternary=False)
    return Start(model, guide, weights.preprocessing, sources)


@dataclass(frozen=True)
class _Weights:
    """What a phase takes from a checkpoint; see `checkpoint.Checkpoint`."""

    arrays: dict[str, np.ndarray]
    architecture: Architecture
    preprocessing: Preprocessing
    scheme: str
    ternary: bool = False


def _weights(source: str, own: Path, phase: str) -> _Weights:
    """From `source`, or from the run folder's file `own`."""
    if source:
        from ..checkpoint import read_checkpoint

        found = read_checkpoint(source)
        return _Weights(found.dense(), found.architecture, found.preprocessing, found.scheme, found.ternary)
    if not own.exists():
        raise TrainError(f"There is no checkpoint {own}.", f"Run `ftervit train --phase {phase}` first.")
    arrays, description = read_run_checkpoint(own)
    return _Weights(arrays, description.architecture, description.preprocessing, description.scheme)


def _check_same_shape(found: Architecture, wanted: Architecture, preset: str) -> None:
    for name, value in asdict(wanted).items():
        other = getattr(found, name)
        if other != value:
            raise TrainError(
                f"The checkpoint has {name} {other}, but {preset} with these photos has {value}.",
                "Use weights of the same architecture and classes.",
            )
