"""`ftervit publish`: checkpoint, image, report and card to the hub, or into a folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .output import Output, megabytes, output_options, table
from .report import PROBES, check_bokeh, made, opened, request_of

if TYPE_CHECKING:
    from ..publish import Publication, Pushed


@click.command()
@click.argument("source", metavar="RUN|MODEL")
@click.argument("repo", metavar="USER/NAME")
@click.option(
    "--license",
    "licence",
    metavar="NAME",
    required=True,
    help="Licence of the weights, as the hub names it: apache-2.0, mit, cc-by-4.0, other.",
)
@click.option("--dry-run", metavar="FOLDER", help="Write everything into FOLDER instead; needs no token.")
@click.option("--private", is_flag=True, help="Publish to a private repository only.")
@click.option(
    "--with-photos", is_flag=True, help="Show photos in the report. [default: none leaves this machine]"
)
@click.option("--photos", metavar="PATH", multiple=True, help="As for `ftervit report`.")
@click.option("--data", metavar="FOLDER", help="As for `ftervit report`.")
@click.option("--split", metavar="FILE", help="As for `ftervit report`.")
@click.option("--teacher", metavar="SOURCE", help="As for `ftervit report`.")
@click.option("--board", "boards", metavar="NAME", multiple=True, help="As for `ftervit report`.")
@output_options
@click.pass_obj
def publish(
    output: Output, /, source: str, repo: str, licence: str, dry_run: str | None, private: bool,
    with_photos: bool, photos: tuple[str, ...], data: str | None, split: str | None, teacher: str | None,
    boards: tuple[str, ...],
) -> None:  # fmt: skip
    """Push a model to the hub: checkpoint, image, report, logs and a model card, in one commit.

    RUN is a run folder of `ftervit train`; MODEL a .ftv image, or whatever `ftervit pack` reads. The card
    says of every figure where it comes from. The logs hold the commands as typed, with the names of folders,
    and the classes; photos stay here unless --with-photos shows them in the report.
    """
    from ..files import user_path
    from ..publish import check_licence, check_repo, check_token, publication

    if split is not None and data is None:
        raise click.UsageError("--split goes with --data.", click.get_current_context())
    output.hush_the_hub()
    check_bokeh()
    check_repo(repo)
    check_licence(licence)
    folder = None if dry_run is None else user_path(dry_run)
    if folder is None:
        check_token()
    else:
        _check_empty(folder)
    subject = opened(source, teacher, output)
    report, page = made(
        subject, request_of(photos, data, split, boards, PROBES, pictures=with_photos), output
    )
    ready = publication(subject, report, page, repo, licence)
    pushed = None
    if folder is None:
        pushed = _pushed(repo, ready, private, output)
    else:
        _write(folder, ready.files)
    output.result(as_json(repo, ready, folder, pushed), lambda: as_text(ready, folder, pushed))


def _pushed(repo: str, ready: Publication, private: bool, output: Output) -> Pushed:
    from ..publish import push

    with output.step(f"Pushing to {repo}"):
        return push(repo, ready.files, f"ftervit publish: {ready.image}", private)


def _check_empty(folder: Path) -> None:
    from ..files import FileError

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileError(f"{folder} is there already and not an empty folder.", "Name another for --dry-run.")


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    """All files, or none: a folder beside it is filled first and then takes its name."""
    import shutil
    import tempfile

    from ..files import FileError

    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        filled = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            for name, content in files.items():
                path = filled / name
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(content)
            filled.chmod(0o755)
            if folder.is_dir():
                folder.rmdir()
            filled.rename(folder)
        finally:
            shutil.rmtree(filled, ignore_errors=True)
    except OSError as error:
        raise FileError(f"{folder} cannot be written: {error.strerror}.", "Name another folder.") from error


def as_json(repo: str, ready: Publication, folder: Path | None, pushed: Pushed | None) -> dict[str, Any]:
    """What `--json` prints."""
    return {
        "repo": repo,
        "folder": None if folder is None else str(folder),
        "url": pushed.url if pushed else None,
        "commit": pushed.commit if pushed else None,
        "files": [{"path": name, "bytes": len(content)} for name, content in ready.files.items()],
        "metrics": [
            {"what": m.what, "value": m.value, "kind": m.kind, "evidence": m.evidence} for m in ready.metrics
        ],
    }


def as_text(ready: Publication, folder: Path | None, pushed: Pushed | None) -> str:
    """The files, and where they are now."""
    rows = [[name, megabytes(len(content))] for name, content in ready.files.items()]
    where = f"{pushed.url}, commit {pushed.commit}" if pushed else f"Written to {folder}; nothing was pushed."
    return f"{table(rows)}\n\n{where}"
