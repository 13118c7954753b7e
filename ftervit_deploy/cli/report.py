"""`ftervit report`: one self-contained HTML page about a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import chosen_image, naming, settle, validation_names
from .output import Output, megabytes, output_options, percent

if TYPE_CHECKING:
    from ..report import Report, Request, Subject

DEFAULT_PAGE = "report.html"
PROBES = 4
"""Random vectors for the Hessian's trace, for each layer."""


@click.command()
@click.argument("source", metavar="[RUN|MODEL]", required=False)
@click.option(
    "-o", "--out", metavar="FILE", default=DEFAULT_PAGE, show_default=True, help="The page to write."
)
@click.option("--photos", metavar="PATH", multiple=True, help="Photo or folder for attention and importance.")
@click.option("--data", metavar="FOLDER", help="Class folders to measure accuracy on.")
@click.option("--split", metavar="FILE", help="Of --data, only the validation photos of this split.json.")
@click.option("--teacher", metavar="SOURCE", help="The FP32 model, if the run folder does not hold it.")
@click.option(
    "--board", "boards", metavar="NAME", multiple=True, help="Board to estimate for. [default: all]"
)
@click.option(
    "--probes",
    type=click.IntRange(1, 1000),
    default=PROBES,
    show_default=True,
    help="Random vectors for the Hessian's trace, for each layer.",
)
@click.option("--no-photos", is_flag=True, help="Keep every photo out of the page; numbers stay.")
@output_options
@click.pass_obj
def report(
    output: Output, /, source: str | None, out: str, photos: tuple[str, ...], data: str | None,
    split: str | None, teacher: str | None, boards: tuple[str, ...], probes: int, no_photos: bool,
) -> None:  # fmt: skip
    """Make one HTML page about a model; it opens from disk, without a network.

    RUN is a run folder of `ftervit train`; MODEL a .ftv image, or whatever `ftervit pack` reads. The page
    shows what can be had, and says why where something cannot. It needs `pip install ftervit[report]`;
    importance and attention need `ftervit[train]`, too.
    """
    from ..files import FileError, user_path, write_atomic

    check_bokeh()
    if split is not None and data is None:
        raise click.UsageError("--split goes with --data.", click.get_current_context())
    output.hush_the_hub()
    target = user_path(out)
    if not target.absolute().parent.is_dir():
        raise FileError(f"There is no folder {target.parent}.", "Make it, or name another file with -o.")
    subject = opened(source, teacher, output)
    request = request_of(photos, data, split, boards, probes, pictures=not no_photos)
    found, page = made(subject, request, output)
    write_atomic(target, page)
    output.result(as_json(found, target, len(page)), lambda: as_text(found, target, len(page)))


def check_bokeh() -> None:
    """Refuse before any work is done where no page can be made.

    Raises:
        FtervitError: Bokeh is not installed.
    """
    from ..errors import FtervitError
    from ..report import page_problem

    problem = page_problem()
    if problem:
        raise FtervitError(problem, 'pip install "ftervit[report]"')


def opened(source: str | None, teacher: str | None, output: Output) -> Subject:
    """What is reported on; without a source the image that the other commands would use.

    Photos of a dataset lie in a folder that goes when the command ends.
    """
    import tempfile

    from ..report import open_subject
    from ..report.rows import with_rows

    if source is None:
        source = str(chosen_image(settle(output), output))
    with output.step(f"Reading {source}"), naming(Path(source)):
        subject = open_subject(source, teacher)
        folder = click.get_current_context().with_resource(tempfile.TemporaryDirectory(prefix="ftervit-"))
        return with_rows(subject, Path(folder))


def request_of(
    photos: Sequence[str], data: str | None, split: str | None, boards: Sequence[str], probes: int,
    pictures: bool,
) -> Request:  # fmt: skip
    """The options as the report takes them.

    Raises:
        FtervitError: a board or a split that cannot serve.
    """
    from ..files import user_path
    from ..report import Request
    from ..report.onboards import named_boards

    return Request(
        photos=[user_path(name) for name in photos],
        data=None if data is None else user_path(data),
        split=None if split is None else validation_names(user_path(split)),
        boards=named_boards(boards),
        probes=probes,
        pictures=pictures,
    )


def made(subject: Subject, request: Request, output: Output) -> tuple[Report, bytes]:
    """The report and its page, with progress for whoever waits."""
    from ..report import gather, render

    track = lambda photos: output.track(photos, "Evaluating")  # noqa: E731
    found = gather(subject, request, output.step, track, output.bar)
    with output.step("Drawing"):
        return found, render(found)


def as_json(found: Report, path: Path, length: int) -> dict[str, Any]:
    """What `--json` prints."""
    from ..report import Missing

    ours = found.sizes.formats[-1]
    accuracy = None if isinstance(found.accuracy, Missing) else found.accuracy
    return {
        "path": str(path),
        "bytes": length,
        "model": found.name,
        "model_bytes": ours.bytes,
        "leftover_fraction": ours.leftover,
        "top1": accuracy.top1 if accuracy else None,
        "images": accuracy.images if accuracy else None,
        "zero_fraction": found.zero_fraction,
        **_understood(found),
        "missing": {name: part.why for name, part in found.parts() if isinstance(part, Missing)},
    }


def _understood(found: Report) -> dict[str, Any]:
    """What needs PyTorch, a teacher or photos; null where it could not be had."""
    from dataclasses import asdict

    from ..report import Missing

    looks = () if isinstance(found.rollout, Missing) else found.rollout.looks
    cosines = [look.cosine for look in looks if look.cosine is not None]
    ranked = None if isinstance(found.importance, Missing) else found.importance
    return {
        "feature_cosine": None if isinstance(found.filters, Missing) else found.filters.feature_cosine,
        "attention_cosine": sum(cosines) / len(cosines) if cosines else None,
        "other_attention_cosine": None if isinstance(found.rollout, Missing) else found.rollout.other_cosine,
        "importance": asdict(ranked) if ranked else None,
    }


def as_text(found: Report, path: Path, length: int) -> str:
    """Where the page is, and what it lacks."""
    from ..report import Missing

    ours = found.sizes.formats[-1]
    lines = [
        f"{path}  {megabytes(length)}",
        f"{found.name}: {megabytes(ours.bytes)}, {percent(ours.leftover)} of it not ternary",
    ]
    lines += [f"No {name}: {part.why}" for name, part in found.parts() if isinstance(part, Missing)]
    return "\n".join(lines)
