"""A board without hardware: ftv-board, the application of the boards, run on this computer."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .errors import BoardProgramError, DataError
from .photos import centre_crop, find_photos, load_photo, resize_shorter_side
from .resources import board_program

CAMERA_SIDE = 240
"""Pixels: the frames that the camera of an ESP32-S3-EYE gives are so wide and high."""
MAX_PHOTOS = 256
"""Of a larger folder so many are shown, evenly spread: the board holds them in memory, 115 KB each."""
END_S = 5.0


@dataclass(frozen=True)
class Camera:
    """What the virtual camera shows.

    Args:
        photos: shown one after the other, over and over.
        fps: frames a second.
        dwell_s: how long a photo is shown, seconds.
    """

    photos: Sequence[Path]
    fps: int = 15
    dwell_s: float = 2.0


class VirtualBoard:
    """A running ftv-board.

    Attributes:
        port: its port, as `--port` takes it.
    """

    def __init__(self, command: Sequence[str]) -> None:
        end, self._leash = os.pipe()  # ends with this process, however that ends, and the board with it
        try:
            self._process = subprocess.Popen(
                [command[0], "--until-eof", *command[1:]], stdin=end, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, text=True, start_new_session=True,
            )  # fmt: skip
        finally:
            os.close(end)
        assert self._process.stdout is not None
        self.port = self._process.stdout.readline().strip()
        if not self.port:
            self.wait()

    def wait(self) -> None:
        """Until it ends, which it does not by itself.

        Raises:
            BoardProgramError: it ended.
        """
        _, errors = self._process.communicate()
        reason = errors.strip().splitlines()[-1:] or [f"exit status {self._process.returncode}"]
        raise BoardProgramError(f"The virtual board ended: {reason[0].removeprefix('ftv-board: ')}.")

    def close(self) -> None:
        """End it."""
        os.close(self._leash)
        self._process.terminate()
        try:
            self._process.communicate(timeout=END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()


@contextmanager
def virtual_board(
    model: Path, camera: Camera, *, display: Path | None = None, tcp: int | None = None
) -> Iterator[VirtualBoard]:
    """A board with `model` in flash, for the length of a block.

    Args:
        model: a `.ftv` image.
        display: folder for display.png, what the board's display shows; None: no display.
        tcp: port on 127.0.0.1, 0 chooses one; None: a pseudo-terminal.

    Raises:
        BoardProgramError: ftv-board is not there, or does not start.
        DataError: a photo cannot be read.
    """
    program = board_program()
    with tempfile.TemporaryDirectory(prefix="ftervit-virtual-") as folder:
        frames = Path(folder, "frames.rgb565")
        _write_frames(frames, camera.photos)
        line = ["--pty"] if tcp is None else ["--tcp", str(tcp)]
        shown = [] if display is None else ["--display", str(display)]
        board = VirtualBoard([str(program), *line, *_camera_options(frames, camera), *shown, str(model)])
        try:
            yield board
        finally:
            board.close()


def _camera_options(frames: Path, camera: Camera) -> list[str]:
    repeat = max(1, round(camera.fps * camera.dwell_s))
    size = f"{CAMERA_SIDE}x{CAMERA_SIDE}"
    return [
        "--camera", str(frames), "--camera-size", size, "--camera-format", "rgb565",
        "--fps", str(camera.fps), "--repeat", str(repeat),
    ]  # fmt: skip


def choose_photos(folder: Path) -> list[Path]:
    """Photos in `folder` and below, at most MAX_PHOTOS.

    Raises:
        DataError: there is none.
    """
    photos = find_photos(folder)
    if not photos:
        raise DataError(f"{folder} holds no photos.", "Name a folder with JPEG or PNG files.")
    return (
        [photos[i * len(photos) // MAX_PHOTOS] for i in range(MAX_PHOTOS)]
        if len(photos) > MAX_PHOTOS
        else photos
    )


def camera_frame(path: Path) -> np.ndarray:
    """A photo as the camera of a board would give it.

    Returns:
        uint16 [CAMERA_SIDE, CAMERA_SIDE], RGB565, big-endian.

    Raises:
        DataError: it cannot be read.
    """
    resized = resize_shorter_side(load_photo(path), CAMERA_SIDE, "bilinear")
    pixels = np.asarray(centre_crop(resized, CAMERA_SIDE, CAMERA_SIDE)).astype(np.uint16)
    red, green, blue = (pixels[..., channel] for channel in range(3))
    return ((red >> 3) << 11 | (green >> 2) << 5 | blue >> 3).astype(">u2")


def _write_frames(path: Path, photos: Sequence[Path]) -> None:
    with path.open("wb") as file:
        for photo in photos:
            file.write(camera_frame(photo).tobytes())
