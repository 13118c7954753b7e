"""Everything that a report shows, read and computed; no HTML here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from .. import __version__
from ..boards import ChipBoard
from ..image import image_sha256, read_info
from .accuracy import Track, from_log, measured
from .contents import Accuracy, Method, Missing, Phase, Report, Rollout
from .curves import student_phases, teacher_phases
from .onboards import board_fits
from .photographs import chosen_photos
from .published import published_methods
from .subject import Subject
from .understanding import importance, rollout, with_features
from .weights import filters, image_sizes, layer_zeros, reference_sizes

LOOKS_SHOWN = 6
HIDDEN = "Photos are left out of this page."

Step = Callable[[str], AbstractContextManager[None]]
Bar = Callable[[str], AbstractContextManager[Callable[[int, int], None]]]


@dataclass(frozen=True)
class Request:
    """What a report is asked for.

    Attributes:
        photos: files and folders for roll-out and importance; empty for the model's own.
        data: folder of class folders to measure accuracy on; None for the run's own validation photos.
        split: names relative to `data` that count; None for all of them.
        boards: to estimate for.
        probes: random vectors of the Hessian's trace for each layer, at least 1.
        importance_photos: how many photos importance is computed on, at most.
        pictures: False keeps every photo out of the page; numbers stay.
    """

    photos: Sequence[Path] = ()
    data: Path | None = None
    split: Sequence[str] | None = None
    boards: Sequence[ChipBoard] = ()
    probes: int = 4
    importance_photos: int = 32
    pictures: bool = True


def _plain(photos: Sequence[object]) -> Sequence[object]:
    return photos


def gather(
    subject: Subject,
    request: Request,
    step: Step = lambda _: nullcontext(),
    track: Track = _plain,  # type: ignore[assignment]
    bar: Bar = lambda _: nullcontext(lambda done, total: None),
) -> Report:
    """Read, measure and compute.

    Args:
        subject: the model.
        request: what is asked for.
        step: told what is being done, for whoever waits.
        track: told of the photos that the engine classifies.
        bar: gives what is told of steps done and steps in all of the longest part.

    Raises:
        DataError: photos or data that were named cannot serve.
        FtervitError: anything else that was named is wrong.
    """
    info = read_info(subject.image)
    few = chosen_photos(request.photos, subject, LOOKS_SHOWN)
    many = chosen_photos(request.photos, subject, request.importance_photos)
    students = student_phases(subject)
    with step("Reading the weights"):
        zeros = layer_zeros(subject.image)
        found = with_features(filters(subject.student, subject.teacher, subject.image), subject, many)
    with step("Following attention"):
        looks: Rollout | Missing = rollout(subject, few) if request.pictures else Missing(HIDDEN)
    with bar("Computing importance") as on_step:
        ranked = importance(subject, many, request.probes, on_step)
    accuracy = measured(subject, request.data, request.split, request.pictures, track)
    with step("Running the kernels in the model of the processor"):
        boards = board_fits(subject.name, subject.image, request.boards)
    ours, note = _ours(subject, accuracy, students)
    return Report(
        name=subject.name,
        version=__version__,
        facts=_facts(subject, zeros_share=sum(z.zeros for z in zeros) / sum(z.weights for z in zeros)),
        labels=info.labels,
        sizes=image_sizes(subject.name, subject.image, info.header.architecture),
        reference=reference_sizes(),
        zeros=zeros,
        filters=found,
        importance=ranked,
        rollout=looks,
        student_phases=students,
        teacher_phases=teacher_phases(subject),
        accuracy=accuracy,
        methods=(*published_methods(), *ours),
        methods_note=note,
        boards=boards,
    )


def _ours(
    subject: Subject, accuracy: Accuracy | Missing, phases: tuple[Phase, ...] | Missing
) -> tuple[tuple[Method, ...], str]:
    megabytes = len(subject.image) / 1e6
    where = f"{len(subject.student.labels)} classes of its own"
    if isinstance(accuracy, Accuracy):
        found = Method(subject.name, megabytes, accuracy.top1, where, "measured", accuracy.evidence)
        return (found,), ""
    logged = None if isinstance(phases, Missing) else from_log(phases)
    if logged is not None:
        found = Method(subject.name, megabytes, logged[0], where, "measured", logged[1])
        return (found,), "Measured in PyTorch while it was trained, on its validation photos."
    return (), f"This model is not among them: its accuracy was not measured. {accuracy.why}"


def _facts(subject: Subject, zeros_share: float) -> tuple[tuple[str, str], ...]:
    info = read_info(subject.image)
    a, meta = info.header.architecture, info.meta
    origin = meta.provenance.repo or meta.provenance.source or meta.provenance.file
    rows = [
        ("input", f"{a.image_size} × {a.image_size} pixels, patches of {a.patch_size} × {a.patch_size}"),
        ("blocks", f"{a.depth} of width {a.width}, {a.heads} heads"),
        ("classes", f"{a.classes:,}"),
        ("scheme", meta.scheme),
        ("encoding", f"{info.header.encoding}, {100 * zeros_share:.1f} % of the ternary weights are zero"),
        ("from", origin),
        ("packed by", meta.tool),
        ("image SHA-256", image_sha256(subject.image)),
    ]
    return tuple(row for row in rows if row[1])
