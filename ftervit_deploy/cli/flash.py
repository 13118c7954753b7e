"""`ftervit flash`: a built project, or a model alone, goes into a board."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..config import DEFAULT_IMAGE, Settings
from ..errors import FlashError
from .options import model_option, port_option, project_option, settle
from .output import Output, megabytes, output_options, table

if TYPE_CHECKING:
    from ..flash import ChipFacts, Downloader, Model, Part, Planned, Written
    from ..project import Manifest


@click.command()
@port_option
@project_option
@model_option
@click.option("--model-only", is_flag=True, help="Write the model alone, for the app on the board.")
@click.option("--erase", is_flag=True, help="Erase the whole flash first.")
@click.option("--dry-run", is_flag=True, help="Check everything, say what would be written, write nothing.")
@click.option(
    "-b", "--baud", type=click.IntRange(300, 20_000_000), metavar="N",
    help="Rate to write at, through a UART. [default: 460800]",
)  # fmt: skip
@output_options
@click.pass_obj
def flash(output: Output, /, model_only: bool, erase: bool, dry_run: bool, **flags: Any) -> None:
    """Write what `ftervit build` built to a board, and start it.

    Chip, flash, PSRAM and security are checked first. What the board holds already is not written again,
    so that a second call goes on where a broken one stopped.

    With --model-only the model (--model, else ./model.ftv, else the project's) goes to the application that
    the board has, if that can run it; no project is needed.
    """
    if model_only and erase:
        raise click.UsageError("--erase would erase the application that --model-only needs.")
    settings = settle(output, **flags)
    if model_only:
        record = flash_model(output, settings, dry_run=dry_run)
    else:
        record = flash_project(output, settings, erase=erase, dry_run=dry_run)
    output.result(record.payload(), record.text)


@dataclass(frozen=True)
class FlashRecord:
    """What was written to a board, or would have been.

    Attributes:
        port: name or URL.
        board: the board's name, as the app was built for it.
        facts: of the chip.
        baud: 0 where no UART is in between.
        parts: in the order of writing; with `dry_run` without times.
        reset: ``rts`` or ``watchdog``.
        seconds: from the chip's first answer to its reset.
    """

    port: str
    board: str
    facts: ChipFacts
    baud: int
    dry_run: bool
    erased: bool
    parts: tuple[Written, ...]
    reset: str
    seconds: float

    def payload(self) -> dict[str, object]:
        """For --json."""
        return {
            "port": self.port,
            "board": self.board,
            "chip": self.facts.chip,
            "revision": self.facts.revision,
            "baud": self.baud or None,
            "dry_run": self.dry_run,
            "erased": self.erased,
            "parts": [self._part(written) for written in self.parts],
            "reset": self.reset,
            "seconds": round(self.seconds, 3),
        }

    def _part(self, written: Written) -> dict[str, object]:
        planned = written.planned
        return {
            "name": planned.part.name,
            "file": str(planned.part.path),
            "offset": planned.part.offset,
            "bytes": len(planned.part.data),
            "to_write_bytes" if self.dry_run else "written_bytes": planned.write_bytes,
            "present_bytes": len(planned.part.data) - planned.write_bytes,
            "seconds": round(written.seconds, 3),
        }

    def text(self) -> str:
        """For a person."""
        rows = [self._row(written) for written in self.parts]
        chip = f"{self.facts.description} on {self.port}, built for {self.board}"
        end = "Nothing was written." if self.dry_run else f"Done in {self.seconds:.1f} s; the board starts."
        return f"{chip}\n{table(rows, ('part', 'file', 'at', 'bytes', ''), left=2)}\n{end}"

    def _row(self, written: Written) -> tuple[str, ...]:
        part = written.planned.part
        return part.name, str(part.path), f"{part.offset:#x}", str(len(part.data)), self._did(written)

    def _did(self, written: Written) -> str:
        to_write, size = written.planned.write_bytes, len(written.planned.part.data)
        if not to_write:
            return "there already"
        rest = f", {megabytes(size - to_write)} there already" if to_write < size else ""
        did = "would write" if self.dry_run else f"{written.seconds:.1f} s: wrote"
        return f"{did} {megabytes(to_write)}{rest}"


def flash_project(
    output: Output, settings: Settings, *, erase: bool = False, dry_run: bool = False
) -> FlashRecord:
    """Write the built project that `settings` name, with its model, and reset the board.

    Args:
        erase: erase the whole flash first.
        dry_run: do everything up to the writing.

    Raises:
        FtervitError: no project, no port, a board that does not fit, a line that broke.
    """
    from ..flash import check_facts, connected, model_part, read_build, untold
    from ..project import read_manifest

    project = Path(settings.project)
    manifest = read_manifest(project)
    build = read_build(project, manifest)
    model = _project_model(output, settings, project, manifest)
    parts = (model_part(manifest.model_offset, model), *build.parts)
    url, baud = _port(settings)
    with connected(url, baud, manifest.chip, output) as downloader:
        started = time.monotonic()
        facts = downloader.facts()
        check_facts(facts, manifest, build.images)
        for unknown in untold(facts, manifest):
            output.detail(unknown)
        written = _flash(output, downloader, parts, erase=erase, dry_run=dry_run)
        reset = downloader.reset()
        seconds = time.monotonic() - started
    return FlashRecord(
        url, manifest.board, facts, downloader.baud, dry_run, erase and not dry_run, written, reset, seconds
    )


def flash_model(output: Output, settings: Settings, *, dry_run: bool = False) -> FlashRecord:
    """Write the model that `settings` name to the application on the board, and reset the board.

    Raises:
        FtervitError: no model, no port, an application that cannot run the model, a line that broke.
    """
    from ..flash import check_room, check_runs, connected, model_part, read_model, read_onboard

    model = read_model(_lone_model(output, settings))
    url, baud = _port(settings)
    with connected(url, baud, None, output) as downloader:
        started = time.monotonic()
        facts, onboard = downloader.facts(), read_onboard(downloader)
        output.detail(f"The board's application is version {onboard.version}, built for {onboard.app.board}.")
        check_runs(model, onboard.app, "the application on the board")
        check_room(model, onboard.model.size)
        parts = (model_part(onboard.model.offset, model),)
        written = _flash(output, downloader, parts, erase=False, dry_run=dry_run)
        reset = downloader.reset()
        seconds = time.monotonic() - started
    return FlashRecord(
        url, onboard.app.board, facts, downloader.baud, dry_run, False, written, reset, seconds
    )


def _port(settings: Settings) -> tuple[str, int | None]:
    """The port, and the rate where somebody chose one; others are for the application's log."""
    from ..link import choose_port

    return choose_port(settings.port), settings.baud if settings.chosen("baud") else None


def _project_model(output: Output, settings: Settings, project: Path, manifest: Manifest) -> Model:
    """The project's own model, or the one named for this call; it must fit the app."""
    from ..flash import check_room, check_shape, read_model

    own = project / manifest.model_file
    named = settings.model if _named_now(settings) else None
    model = read_model(Path(named) if named else own)
    check_shape(model, manifest.shape, f"the application of {project}, built for {manifest.board}")
    check_room(model, manifest.model_partition_bytes)
    if model.header.content_sha256 != manifest.model_sha256:
        output.note(f"{model.path} is another model than the project was rendered for; it fits.")
    return model


def _named_now(settings: Settings) -> bool:
    """A flag or a variable, not ftervit.toml: there `model` is what `pack` writes."""
    return settings.origins.get("model") in ("--model", "FTERVIT_MODEL")


def _lone_model(output: Output, settings: Settings) -> Path:
    """The model named, else ./model.ftv, else the project's."""
    from ..project import MANIFEST_FILE, read_manifest

    if settings.model is not None:
        return Path(settings.model)
    path, project = Path(DEFAULT_IMAGE), Path(settings.project)
    if not path.is_file() and (project / MANIFEST_FILE).is_file():
        path = project / read_manifest(project).model_file
    if not path.is_file():
        raise FlashError(
            "There is no model to flash.", "Name one with --model, or make one with `ftervit pack`."
        )
    output.note(f"Using {path}.")
    return path


def _flash(
    output: Output, downloader: Downloader, parts: Sequence[Part], *, erase: bool, dry_run: bool
) -> tuple[Written, ...]:
    from ..flash import Written, whole, write_parts

    planned = [whole(part) for part in parts] if erase else _compared(output, downloader, parts)
    if dry_run:
        return tuple(Written(part, 0.0) for part in planned)
    if erase:
        with output.step("Erasing the flash"):
            downloader.erase()
    return tuple(write_parts(downloader, planned, output))


def _compared(output: Output, downloader: Downloader, parts: Sequence[Part]) -> list[Planned]:
    from ..flash import plan_part

    return [plan_part(downloader, part, output) for part in parts]
