"""Where the models of a phase come from: fresh, from the phase before, or from a named source."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from ..architecture import Architecture, Preprocessing, architecture_named
from ..errors import ConfigError, TrainError
from ..schemes import SCHEMES, Scheme, scheme_named
from .guide import GuideNet, build_guide
from .initialise import build_student
from .loop import Classifier
from .model import DeiT, load_arrays, start_student, ternary_parameter_rules
from .runfolder import BEST_NAME
from .settings import PhaseSettings, RunMemory
from .state import arrays_of, naming_weights, read_run_checkpoint

TEACHER = "a teacher"
"""What `Start.weights` calls that of a student."""


@dataclass(frozen=True)
class Sources:
    """Where weights come from, if not from the run folder: file, alias or hub name; "" for none."""

    teacher: str = ""
    init: str = ""


@dataclass(frozen=True)
class Start:
    """The model to train, the frozen one it learns from, how their input is made, and whence they came.

    Attributes:
        weights: digest of the teacher's weights, and of those that the model starts with where they are not
            fresh, by what a sentence calls them: a run is not continued with others.
    """

    model: Classifier
    teacher: Classifier | None
    preprocessing: Preprocessing
    sources: Sources
    weights: Mapping[str, str] = field(default_factory=dict)


def start_of(
    out: Path, labels: Sequence[str], memory: RunMemory, settings: PhaseSettings, sources: Sources
) -> Start:
    """What a phase starts with: fresh weights, or those that the phase before it left.

    Args:
        out: the run folder.
        labels: classes of the photos.
        memory: preset and scheme.
        settings: of the phase.
        sources: of weights from elsewhere.

    Raises:
        ConfigError: no such scheme, or none for a student.
        CheckpointError: weights that cannot serve.
        TrainError: the phase before it is missing, or its model has another shape or other classes.
    """
    arch = architecture_named(memory.preset).with_classes(len(labels))
    scheme = _student_scheme(memory.scheme)
    if settings.phase == "guide":
        return Start(build_guide(arch, settings.seed), None, Preprocessing(), sources)
    if settings.phase == "teacher":
        return _teacher_start(arch, labels, settings, sources, _guide(out, arch, labels))
    own = out / "teacher" / BEST_NAME
    taught = _weights(sources.teacher, own, "teacher")
    _check_same_shape(taught, arch, memory.preset)
    _check_same_classes(taught, labels, "The teacher")
    if taught.ternary or (taught.scheme_stated and taught.scheme != "fp32"):
        what = "is ternary" if taught.ternary else f"is a student of scheme {taught.scheme}"
        raise TrainError(f"{taught.origin} {what} and can be no teacher.", "Name FP32 weights.")
    teacher = build_student(arch, SCHEMES["fp32"])
    with naming_weights(taught.origin):
        load_arrays(teacher, taught.arrays, ternary=False)
    student = build_student(arch, scheme, settings.seed)
    if settings.phase == "training" and not sources.init:
        start_student(student, taught.arrays)
    else:
        found = _weights(sources.init, out / "training" / BEST_NAME, "training")
        _check_same_shape(found, arch, memory.preset)
        _check_same_classes(found, labels, "The student to start from")
        _check_same_scheme(found, scheme.name)
        with naming_weights(found.origin):
            start_student(student, latent_arrays(student, found.arrays) if found.ternary else found.arrays)
    weights = {
        TEACHER: digest_of(arrays_of(teacher)),
        "weights to start with": digest_of(arrays_of(student)),
    }
    return Start(student, teacher, taught.preprocessing, sources, weights)


def digest_of(arrays: Mapping[str, np.ndarray]) -> str:
    """Hex digits that differ for other weights."""
    found = hashlib.sha256()
    for name in sorted(arrays):
        found.update(name.encode())
        found.update(arrays[name].tobytes())
    return found.hexdigest()[:16]


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


def _check_same_scheme(found: _Weights, wanted: str) -> None:
    if found.scheme not in (wanted, "fp32"):
        raise TrainError(
            f"{found.origin} was trained with scheme {found.scheme}, not {wanted}.",
            f"Give --scheme {found.scheme}.",
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


def _guide(out: Path, arch: Architecture, labels: Sequence[str]) -> GuideNet | None:
    """The guide of this run, if the phase ``guide`` was run."""
    path = out / "guide" / BEST_NAME
    if not path.exists():
        return None
    found = _weights("", path, "guide")
    _check_same_shape(found, arch, "this run's preset")
    _check_same_classes(found, labels, "The guide")
    guide = GuideNet(arch)
    with naming_weights(found.origin):
        load_arrays(guide, found.arrays, ternary=False)
    return guide


def _teacher_start(
    arch: Architecture, labels: Sequence[str], settings: PhaseSettings, sources: Sources,
    guide: GuideNet | None,
) -> Start:  # fmt: skip
    model = build_student(arch, SCHEMES["fp32"], settings.seed)
    guided = {} if guide is None else {"a guide": digest_of(arrays_of(guide))}
    if not sources.init:
        return Start(model, guide, Preprocessing(), sources, guided)
    weights = _weights(sources.init, Path(), "teacher")
    found, arrays = weights.architecture, weights.arrays
    same_head = replace(weights, architecture=found.with_classes(arch.classes))
    _check_same_shape(same_head, arch, "this run's preset")
    if found.classes != arch.classes or not weights.knows(labels):  # another task: its head does not serve
        fresh = arrays_of(model)
        arrays = {**arrays, "head.weight": fresh["head.weight"], "head.bias": fresh["head.bias"]}
    with naming_weights(weights.origin):
        load_arrays(model, arrays, ternary=False)
    digests = {**guided, "weights to start with": digest_of(arrays_of(model))}
    return Start(model, guide, weights.preprocessing, sources, digests)


@dataclass(frozen=True)
class _Weights:
    """What a phase takes from a checkpoint; see `checkpoint.Checkpoint`.

    Attributes:
        origin: the file, or what the user named.
        labels: those that the file states; empty where it does not.
        scheme_stated: the file says it.
    """

    origin: str
    arrays: dict[str, np.ndarray]
    architecture: Architecture
    preprocessing: Preprocessing
    labels: tuple[str, ...]
    scheme: str
    scheme_stated: bool = True
    ternary: bool = False

    def knows(self, labels: Sequence[str]) -> bool:
        """Its classes are `labels`, as far as it says."""
        return not self.labels or self.labels == tuple(labels)


def _weights(source: str, own: Path, phase: str) -> _Weights:
    """From `source`, or from the run folder's file `own`."""
    if source:
        from ..checkpoint import read_checkpoint

        found = read_checkpoint(source)
        labels = found.labels if "labels" in found.stated else ()
        return _Weights(
            source, found.dense(), found.architecture, found.preprocessing, labels, found.scheme,
            "scheme" in found.stated, found.ternary,
        )  # fmt: skip
    if not own.exists():
        raise TrainError(f"There is no checkpoint {own}.", f"Run `ftervit train --phase {phase}` first.")
    arrays, about = read_run_checkpoint(own)
    return _Weights(str(own), arrays, about.architecture, about.preprocessing, about.labels, about.scheme)


def _check_same_classes(weights: _Weights, labels: Sequence[str], whose: str) -> None:
    if weights.knows(labels):
        return
    theirs, ours = next(pair for pair in zip(weights.labels, labels, strict=True) if pair[0] != pair[1])
    raise TrainError(
        f"{whose} knows other classes than the photos: {theirs!r} where they have {ours!r}.",
        "Name the class folders after its labels, or train one on these photos.",
    )


def _check_same_shape(found: _Weights, wanted: Architecture, preset: str) -> None:
    for name, value in asdict(wanted).items():
        other = getattr(found.architecture, name)
        if other != value:
            raise TrainError(
                f"{found.origin} has {name} {other}, but {preset} with these photos has {value}.",
                "Use weights of the same architecture and classes.",
            )
