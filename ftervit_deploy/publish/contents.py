"""What is published: the files, and the card that explains them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from .. import __version__
from ..errors import ConfigError
from ..files import read_file
from ..image import image_sha256, read_image, read_info
from ..raising import as_safetensors
from ..report import Missing, Report, Subject
from ..resources import templates_folder

CARD = "README.md"
REPORT = "report.html"
CHECKPOINT = "student.safetensors"
_LABELS_SHOWN = 40
_LICENCE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,63}")


@dataclass(frozen=True)
class Metric:
    """A figure of the card.

    Attributes:
        what: its name.
        value: as people read it.
        kind: ``measured``, ``modelled`` or ``computed``.
        evidence: where it comes from: a file beside the card, or how it was had.
    """

    what: str
    value: str
    kind: str
    evidence: str


@dataclass(frozen=True)
class Publication:
    """Files by their path in the repository, README.md among them; `image`: the path of the .ftv file."""

    files: Mapping[str, bytes]
    image: str
    metrics: tuple[Metric, ...]


def publication(subject: Subject, report: Report, page: bytes, repo: str, licence: str) -> Publication:
    """Everything that is pushed, the same for the same model.

    Args:
        subject, report: the model, and what was found about it.
        page: the report as HTML.
        repo: ``user/name``.
        licence: the hub's name of a licence, e.g. ``apache-2.0``.

    Raises:
        ConfigError: see `check_licence`.
    """
    check_licence(licence)
    image = f"{repo.rpartition('/')[2]}.ftv"
    files = {image: subject.image, CHECKPOINT: _checkpoint(subject), REPORT: page}
    files |= {f"log/{phase}.jsonl": read_file(path, "log") for phase, path in subject.logs}
    metrics = tuple(_metrics(report, image))
    card = _card(subject, report, repo, licence, image, metrics, files)
    files[CARD] = card.encode("utf-8", "replace")
    return Publication(dict(sorted(files.items())), image, metrics)


def check_licence(licence: str) -> None:
    """Refuse what the hub would not take.

    Raises:
        ConfigError: `licence` cannot be the name of one.
    """
    if not _LICENCE.fullmatch(licence):
        raise ConfigError(
            f"{licence!r} cannot be a licence on the hub.",
            "Use its name there, such as apache-2.0, mit, cc-by-4.0 or other.",
        )


def _checkpoint(subject: Subject) -> bytes:
    """The packed checkpoint of training where there is one, else the image's weights."""
    file = subject.checkpoint_file
    packed = subject.student.ternary and file is not None and file.suffix == PurePosixPath(CHECKPOINT).suffix
    if packed and file is not None:
        return read_file(file, "checkpoint")
    return as_safetensors(read_image(subject.image))[0]


def _metrics(report: Report, image: str) -> Iterator[Metric]:
    ours = report.sizes.formats[-1]
    accuracy = report.accuracy
    if not isinstance(accuracy, Missing):
        yield Metric("top-1", _percent(accuracy.top1), "measured", accuracy.evidence)
        yield Metric("top-5", _percent(accuracy.top5), "measured", accuracy.evidence)
    phases = () if isinstance(report.student_phases, Missing) else report.student_phases
    for phase in (*report.teacher_phases, *phases):
        best = phase.best
        if best is not None and best.judged is not None:
            what = "top-1" if phase.labelled else "answers as the teacher's"
            yield Metric(
                f"{what} after {phase.name}, in PyTorch", _percent(best.judged), "measured",
                f"`log/{phase.name}.jsonl`, epoch {best.epoch}, on the validation photos that chose it",
            )  # fmt: skip
        if phase.tested is not None:
            photos, top1 = phase.tested
            yield Metric(
                f"top-1 after {phase.name}, in PyTorch, on test photos", _percent(top1), "measured",
                f"`log/{phase.name}.jsonl`, on {photos} photos that chose nothing",
            )  # fmt: skip
    yield Metric("size", f"{ours.bytes:,} bytes", "computed", f"`{image}`, the whole file")
    yield Metric("not ternary", _percent(ours.leftover), "computed", f"share of the bytes of `{image}`")
    yield Metric("zeros", _percent(report.zero_fraction), "computed", "share of the ternary weights")
    for board in report.boards:
        if board.milliseconds:
            how = "`ftervit estimate`: kernels in a model of the processor, camera and display not counted"
            yield Metric(f"one image on {board.board}", f"{board.milliseconds:.1f} ms", "modelled", how)


def _card(
    subject: Subject, report: Report, repo: str, licence: str, image: str, metrics: tuple[Metric, ...],
    files: Mapping[str, bytes],
) -> str:  # fmt: skip
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    info = read_info(subject.image)
    environment = Environment(
        loader=FileSystemLoader(templates_folder() / "publish"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )  # fmt: skip, autoescape is for HTML: every text passes `plain` or `yaml`
    environment.filters.update(plain=plain, yaml=_yaml)
    labels = info.labels[:_LABELS_SHOWN]
    return environment.get_template("card.md.j2").render(
        report=report, repo=repo, licence=licence, image=image, metrics=metrics, files=sorted(files),
        architecture=info.header.architecture, scheme=info.meta.scheme, encoding=info.header.encoding,
        labels=labels, more_labels=len(info.labels) - len(labels), sha256=image_sha256(subject.image),
        provenance=info.meta.provenance, index=_index(subject, report), version=__version__,
        missing=[(name, part.why) for name, part in report.parts() if isinstance(part, Missing)],
    )  # fmt: skip


def _index(subject: Subject, report: Report) -> dict[str, Any] | None:
    """The hub's own form of a metric; only for what was measured."""
    accuracy = report.accuracy
    if isinstance(accuracy, Missing):
        return None
    data = accuracy.data or f"{accuracy.images} photos"
    return {"data": data, "top1": round(accuracy.top1, 6), "images": accuracy.images}


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.2f} %"


def plain(text: str) -> str:
    """Foreign text as Markdown that shows it and does nothing else, on one line."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]!|~$])", r"\\\1", line)


def _yaml(value: object) -> str:
    """A value as YAML in the form of JSON, which every YAML reader takes, on one line."""
    return json.dumps(value, ensure_ascii=True)
