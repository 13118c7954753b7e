"""Photos of a report: which ones, and how they are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from ..architecture import Preprocessing
from ..errors import DataError
from ..photos import find_photos, load_photo, preprocess
from .contents import Picture
from .subject import Subject

_Item = TypeVar("_Item")
SHOWN_SIDE = 176
"""Pixels of a photo's side on the page."""
_HEAT = np.array([[20, 24, 66], [44, 72, 148], [38, 138, 141], [140, 196, 76], [253, 231, 120]], np.float64)
"""Colours of a map, from least to most."""
_OVER = 0.62
"""Opacity of a map over its photo."""


@dataclass(frozen=True)
class ChosenPhoto:
    """A photo for roll-out and importance; label: index of its class, None where nobody says."""

    path: Path
    label: int | None

    @property
    def name(self) -> str:
        """Of the file, with its class folder where that is known."""
        return self.path.name if self.label is None else f"{self.path.parent.name}/{self.path.name}"


def chosen_photos(named: Sequence[Path], subject: Subject, most: int) -> tuple[ChosenPhoto, ...]:
    """The photos that were named, else some of the run's validation photos, else those beside the model.

    Args:
        named: files and folders.
        subject: the model, whose labels name class folders.
        most: how many at most, evenly spread.

    Raises:
        DataError: a path that is neither a photo nor a folder with photos.
    """
    if subject.rows is not None and not named:
        by_class = sorted(subject.rows.photos, key=lambda photo: photo.label)
        chosen = [photo for photo in spread(by_class, most) if _readable(photo.path)]
        return tuple(ChosenPhoto(photo.path, photo.label) for photo in chosen)
    paths = spread(_named(named), most) if named else [p for p in spread(_own(subject), most) if _readable(p)]
    labels = {label: index for index, label in reversed(list(enumerate(subject.student.labels)))}
    return tuple(ChosenPhoto(path, labels.get(path.parent.name)) for path in paths)


def _readable(path: Path) -> bool:
    """Training left out what it could not read; so does a report of its photos."""
    try:
        load_photo(path)
    except DataError:
        return False
    return True


def spread(items: Sequence[_Item], most: int) -> list[_Item]:
    """Up to `most` of them, evenly spread, in their order."""
    step = max(1.0, len(items) / most)
    return [items[int(index * step)] for index in range(min(most, len(items)))]


def _named(named: Sequence[Path]) -> list[Path]:
    paths: list[Path] = []
    for path in named:
        if path.is_dir():
            inside = _by_folder(find_photos(path))
            if not inside:
                raise DataError(f"{path} holds no photos.", "Name a photo, or a folder that holds some.")
            paths += inside
        elif path.is_file():
            paths.append(path)
        else:
            raise DataError(f"There is no photo {path}.", "Name a photo, or a folder that holds some.")
    return paths


def _own(subject: Subject) -> list[Path]:
    if subject.data is not None:
        listed = [subject.data / name for name in subject.validation if _leads_down(name)]
        return _by_folder([path for path in listed if _is_file(path)])
    return _by_folder(find_photos(subject.photos)) if subject.photos is not None else []


def _leads_down(name: str) -> bool:
    """A run that came from elsewhere may list photos anywhere on this disk, which a page must not show."""
    path = PurePath(name)
    return not path.is_absolute() and ".." not in path.parts


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # of names that are none
        return False


def _by_folder(paths: Sequence[Path]) -> list[Path]:
    """Folder after folder, so that an even choice has photos of every class."""
    return sorted(paths, key=lambda path: str(path.parent))


def shown(path: Path, preprocessing: Preprocessing, side: int = SHOWN_SIDE) -> Picture:
    """The part of the photo that the model sees, uint8 [side, side, 3].

    Raises:
        DataError: it cannot be read.
    """
    return preprocess(load_photo(path), side, preprocessing)


def overlaid(photo: Picture, heat: npt.NDArray[np.float32]) -> Picture:
    """A map [s, s] in colour over a photo [S, S, 3]; the largest value is the lightest colour."""
    from PIL import Image

    low, high = float(heat.min()), float(heat.max())
    scaled = np.asarray((heat - low) / max(high - low, 1e-30), np.float32)
    smooth = Image.fromarray(scaled).resize(photo.shape[1::-1], Image.Resampling.BICUBIC)
    position = np.clip(np.asarray(smooth, np.float64), 0, 1) * (len(_HEAT) - 1)
    below = np.minimum(position.astype(np.int64), len(_HEAT) - 2)
    part = (position - below)[..., None]
    colours = _HEAT[below] * (1 - part) + _HEAT[below + 1] * part
    return np.asarray(np.clip(photo * (1 - _OVER) + colours * _OVER, 0, 255).round(), np.uint8)
