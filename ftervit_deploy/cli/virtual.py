"""`ftervit virtual`: a board without hardware, on this computer."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .numbers import POSITIVE
from .options import chosen_image, model_option, naming, settle
from .output import Output, output_options

if TYPE_CHECKING:
    from ..virtual import Camera, VirtualBoard


@click.command()
@click.argument("image", metavar="[MODEL.ftv]", required=False)
@click.option("--photos", metavar="FOLDER", help="What the camera shows. [default: the bundled hand signs]")
@click.option("--display", metavar="FOLDER", help="Keep FOLDER/display.png as what the display shows.")
@click.option(
    "--tcp", type=click.IntRange(0, 65535), metavar="PORT",
    help="Listen on this TCP port of this computer; 0 chooses one. [default: a pseudo-terminal]",
)  # fmt: skip
@click.option(
    "--fps", type=click.IntRange(1, 1000), default=15, show_default=True, help="Camera frames a second."
)
@click.option(
    "--dwell", type=POSITIVE, default=2.0, show_default=True, metavar="SECONDS",
    help="How long the camera sees one photo.",
)  # fmt: skip
@model_option
@output_options
@click.pass_context
def virtual(
    context: click.Context, /, image: str | None, photos: str | None, display: str | None,
    tcp: int | None, fps: int, dwell: float, **flags: Any,
) -> None:  # fmt: skip
    """Run the application of the boards on this computer.

    The same C sources as in the firmware, with photos for a camera. Prints the port for `ftervit
    monitor` and `ftervit verify`. Ctrl-C ends it; SIGHUP to ftv-board is its reset button.
    """
    from ..virtual import Camera, choose_photos, virtual_board
    from .ending import ending_in_order

    output = context.ensure_object(Output)
    settings = settle(output, **{**flags, "model": image or flags["model"]})
    path = chosen_image(settings, output)
    _check(path)
    camera = Camera(choose_photos(_photos(photos)), fps, dwell)
    folder = _folder(display) if display else None
    with (
        suppress(KeyboardInterrupt),
        ending_in_order(),
        virtual_board(path, camera, display=folder, tcp=tcp) as board,
    ):
        _announce(output, board, path, camera, folder)
        board.wait()


def _check(path: Path) -> None:
    """What is no image is refused here; the board would only show what is wrong with it."""
    import numpy as np

    from ..files import read_file
    from ..image import read_info

    with naming(path):
        read_info(np.frombuffer(read_file(path, "image"), np.uint8))


def _photos(name: str | None) -> Path:
    from ..files import user_path
    from ..resources import signs_folder

    return user_path(name) if name else signs_folder() / "photos"


def _folder(name: str) -> Path:
    from ..files import FileError, user_path

    folder = user_path(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"{folder} is no folder to write to: {error.strerror}.", "Name another.") from error
    if not os.access(folder, os.W_OK):
        raise FileError(f"{folder} is no folder to write to.", "Name another.")
    return folder


def _announce(output: Output, board: VirtualBoard, path: Path, camera: Camera, display: Path | None) -> None:
    payload = {
        "port": board.port, "model": str(path), "photos": len(camera.photos), "fps": camera.fps,
        "display": str(display / "display.png") if display else None,
    }  # fmt: skip
    lines = [
        board.port,
        f"  ftervit monitor --port {board.port}",
        f"  ftervit verify {path} --port {board.port}",
    ]
    output.result(payload, lambda: "\n".join(lines))
    sys.stdout.flush()
    output.note(f"A board with {path}; its camera sees {len(camera.photos)} photos. Ctrl-C ends it.")
    if display:
        output.note(f"Its display is {display / 'display.png'}.")
