"""`ftervit build`: a model and a board become firmware."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..config import Settings
from .options import board_option, chosen_image, model_option, naming, project_option, settle
from .output import Output, output_options, table

if TYPE_CHECKING:
    from ..firmware import FirmwareBuild
    from ..project import Project, Written


@click.command()
@click.argument("image", metavar="[MODEL.ftv]", required=False)
@board_option
@project_option
@model_option
@click.option("--render-only", is_flag=True, help="Write the project, do not build it.")
@click.option("--force", is_flag=True, help="Replace files of the project that were edited by hand.")
@output_options
@click.pass_obj
def build(output: Output, /, image: str | None, render_only: bool, force: bool, **flags: Any) -> None:
    """Render the ESP-IDF project for a model and a board, and build it.

    The project is complete and readable: application, memory plan and kernels for the model's shapes,
    partitions for its size, settings for the board. ESP-IDF 5.1 or newer builds it; `ftervit doctor`
    says how to install it.
    """
    settings = settle(output, **{**flags, "model": image or flags["model"]})
    record = build_project(settings, output, render_only=render_only, force=force)
    output.result(record.payload(), record.text)


@dataclass(frozen=True)
class BuildRecord:
    """A project, and the firmware that was built from it.

    Attributes:
        folder: of the project.
        written: which of its files changed.
        firmware: None with --render-only.
    """

    folder: Path
    project: Project
    written: Written
    firmware: FirmwareBuild | None

    def payload(self) -> dict[str, Any]:
        """What `build --json` prints."""
        from .firmware_build import as_json

        manifest, memory = self.project.manifest, self.project.memory
        return {
            "project": str(self.folder),
            "board": manifest.board,
            "model": {"sha256": manifest.model_sha256, "bytes": manifest.model_bytes},
            "partitions": {
                "app": {"offset": manifest.app_offset, "bytes": manifest.app_partition_bytes},
                "model": {"offset": manifest.model_offset, "bytes": manifest.model_partition_bytes},
            },
            "memory": {
                "sram_bytes": memory.near_bytes,
                "psram_bytes": memory.far_bytes,
                "cores": memory.tiling.workers,
                "group_tokens": memory.tiling.group,
            },
            "changed": list(self.written.changed),
            "removed": list(self.written.removed),
            "firmware": None if self.firmware is None else as_json(self.firmware),
        }

    def text(self, *, onward: bool = True) -> str:
        """The plan, the build and, with `onward`, what to do next."""
        from .firmware_build import as_text

        parts = [f"{self.folder}: project for {self.project.manifest.board}", table(self._plan(), left=1)]
        if self.firmware is None:
            return "\n".join([*parts, "Next: `ftervit build`, or `idf.py build` in it."])
        following = ["", "Next: `ftervit flash`."] if onward else []
        return "\n".join([*parts, "", as_text(self.firmware), *following])

    def _plan(self) -> list[list[str]]:
        manifest, memory = self.project.manifest, self.project.memory
        share = f"{100 * manifest.model_bytes / manifest.model_partition_bytes:.0f} % of its partition"
        return [
            ["model", f"{manifest.model_bytes:,}", share],
            ["working memory in SRAM", f"{memory.near_bytes:,}", f"{memory.tiling.workers} cores"],
            ["working memory in PSRAM", f"{memory.far_bytes:,}", ""],
        ]


def build_project(
    settings: Settings, output: Output, *, render_only: bool = False, force: bool = False
) -> BuildRecord:
    """Render and build what `settings` name: `model`, `board`, `project`.

    Raises:
        FtervitError: the board cannot run the model, the folder cannot serve, or the build fails.
    """
    import numpy as np

    from ..boards import chip_board, load_board
    from ..config import folders_of_boards
    from ..files import read_file
    from ..image import read_info
    from ..project import render_project, write_project

    board = chip_board(load_board(settings.board, folders_of_boards()))
    path, folder = chosen_image(settings, output), Path(settings.project)
    image = read_file(path, "image")
    with naming(path), output.step(f"Rendering the project for {board.name}"):
        project = render_project(board, image, read_info(np.frombuffer(image, np.uint8)))
        written = write_project(project, folder, replace_edited=force)
    output.detail(f"{len(written.changed)} files of {folder} changed, {len(written.removed)} removed")
    return BuildRecord(folder, project, written, None if render_only else _built(folder, output))


def _built(folder: Path, output: Output) -> FirmwareBuild:
    from .firmware_build import run_build

    return run_build(folder, output)
