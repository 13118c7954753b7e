"""Photographs: finding them, decoding them safely, and turning one into model input."""

from __future__ import annotations

import io
import logging
import os
import re
import stat
import warnings
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from .architecture import Preprocessing
from .errors import ConfigError, DataError

PHOTO_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm"})
UNREAD_SUFFIXES = frozenset({".heic", ".heif", ".avif", ".jxl", ".jp2"})
"""Photos that are found, and then named as what cannot be read."""
MAX_PIXELS = 80_000_000
"""A photo with more pixels is refused before it is decoded."""
MAX_FILE_BYTES = 8 * MAX_PIXELS
"""What the largest photo takes without compression, 16 bits a channel; a larger file is not opened."""
MAX_ASPECT_RATIO = 16
"""Longer photos lose their ends before resizing, so that memory stays bounded."""
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "PPM", "TIFF", "WEBP")
"""Decoders that may look at a file. Pillow's others include one that starts Ghostscript."""
_FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}

logging.getLogger("PIL").addHandler(logging.NullHandler())  # else Pillow's remarks land on stderr


@dataclass(frozen=True)
class LabelledPhoto:
    """A photo's path and the index of its class."""

    path: Path
    label: int


def natural_key(name: str) -> tuple[tuple[int, int | str], ...]:
    """Sort key that compares digits in names as numbers: IMG_9 before IMG_10."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name.casefold())
    return tuple((0, int(part)) if part[0] in "0123456789" else (1, part) for part in parts)


def find_photos(folder: Path) -> list[Path]:
    """Photos in `folder` and below, by file suffix, in natural order; hidden files are left out.

    Raises:
        DataError: `folder` is no folder, or one in it may not be read.
    """
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}.", "Name a folder that holds photos.")
    found: list[Path] = []
    for root, folders, files in os.walk(folder, onerror=_refuse_folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(root, name) for name in files if not name.startswith(".") and _is_photo(name)]
    return sorted(found, key=lambda path: (natural_key(path.name), str(path)))


def _is_photo(name: str) -> bool:
    """By its name; a dead link or a pipe counts, so that somebody says that it cannot be read."""
    return Path(name).suffix.lower() in PHOTO_SUFFIXES | UNREAD_SUFFIXES


def _refuse_folder(error: OSError) -> None:
    """Photos that cannot be seen would silently be missing from a measurement."""
    raise DataError(f"Folder {error.filename} cannot be read: {error.strerror}.", "Check its permissions.")


def folders_in(folder: Path) -> list[Path]:
    """Folders directly in `folder`; hidden ones, and links to what `folder` lies in, are left out."""
    visible = (path for path in folder.iterdir() if path.name[0] != ".")
    return [path for path in visible if path.is_dir() and not _leads_up(path)]


def _leads_up(path: Path) -> bool:
    """Everything beside such a link would be found once more behind it."""
    return path.is_symlink() and path.parent.resolve().is_relative_to(path.resolve())


def class_folders(folder: Path) -> list[Path]:
    """Folders directly in `folder`, one per class, in natural order of their names.

    Raises:
        DataError: `folder` is no folder, or holds no folder.
    """
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}.", "Name a folder with one folder of photos per class.")
    found = folders_in(folder)
    for path in found:
        if any("\ud800" <= character <= "\udfff" for character in path.name):  # bytes that are no UTF-8
            raise DataError(
                f"The name of the class folder {path.name!a} in {folder} is not UTF-8.", "Rename it."
            )
    if not found:
        raise DataError(f"{folder} holds no class folders.", "Put the photos of each class into a folder.")
    return sorted(found, key=lambda path: (natural_key(path.name), path.name))


def labelled_photos(folder: Path) -> tuple[list[str], list[LabelledPhoto]]:
    """(class names, photos) of a folder of class folders; the label is the index of the name.

    Raises:
        DataError: no folder, no class folders, or a class without photos.
    """
    names: list[str] = []
    photos: list[LabelledPhoto] = []
    for label, class_folder in enumerate(class_folders(folder)):
        paths = find_photos(class_folder)
        if not paths:
            raise DataError(f"Class folder {class_folder} holds no photos.", "Fill it or remove it.")
        names.append(class_folder.name)
        photos.extend(LabelledPhoto(path, label) for path in paths)
    return names, photos


@dataclass(frozen=True)
class PhotoSets:
    """Folders of class folders, side by side, as ImageNet lies on disks; None where there is none.

    Attributes:
        train: photos to learn from.
        validation: photos to choose by.
        test: photos that choose nothing.
    """

    train: Path
    validation: Path | None
    test: Path | None

    @property
    def judging(self) -> Path:
        """Those that a finished model is judged by."""
        return self.test or self.validation or self.train


def photo_sets(folder: Path) -> PhotoSets | None:
    """The folders ``train`` and ``val``, ``valid`` or ``validation``, or ``test``, in `folder`.

    None where they are not there: the folders in it are its classes.
    """
    training, testing = folder / "train", folder / "test"
    given = next((folder / name for name in _VALIDATION_FOLDERS if (folder / name).is_dir()), None)
    test = testing if testing.is_dir() else None
    if not training.is_dir() or (given is None and test is None):
        return None
    return PhotoSets(training, given, test)


_VALIDATION_FOLDERS = ("val", "valid", "validation")


def listed_photos(
    folder: Path, names: Collection[str], complete: bool = False
) -> tuple[list[str], list[LabelledPhoto]]:
    """(class names, photos) of class folders, or of sets of them, as far as `names` lists the photos.

    Args:
        folder: what a training run was given.
        names: paths relative to it, with forward slashes.
        complete: refuse where some of them, or all, are not there.

    Raises:
        DataError: see `labelled_photos`; photos are missing.
    """
    sets = photo_sets(folder)
    roots = [folder] if sets is None else [sets.train, sets.validation, sets.test]
    index: dict[str, int] = {}
    photos: list[LabelledPhoto] = []
    wanted = set(names)
    for root in filter(None, roots):
        classes, found = labelled_photos(root)
        photos += [
            LabelledPhoto(photo.path, index.setdefault(classes[photo.label], len(index)))
            for photo in found
            if photo.path.relative_to(folder).as_posix() in wanted
        ]
    if complete and (not photos or len(photos) < len(wanted)):
        raise DataError(
            f"{folder} holds {len(photos)} of the {len(wanted)} validation photos that are listed.",
            "Name the folder that the run was trained on.",
        )
    return list(index), photos


def load_photo(path: Path) -> Image.Image:
    """Decode a photo completely: upright by its EXIF orientation, mode RGB.

    Raises:
        DataError: no such file, no regular one, no photo, damaged, or too large (MAX_PIXELS, MAX_FILE_BYTES).
    """
    return _load(str(path), path)


def load_photo_bytes(name: str, content: bytes) -> Image.Image:
    """Decode the bytes of a photo's file as `load_photo` does; `name` is for errors.

    Raises:
        DataError: see `load_photo`.
    """
    return _load(name, io.BytesIO(content))


def read_photo_file(path: Path) -> bytes:
    """The file of a photo, undecoded.

    Raises:
        DataError: see `load_photo`, as far as that can be told without decoding.
        OSError: it cannot be read.
    """
    _check_file(str(path), path)
    return path.read_bytes()


def _check_file(name: str, path: Path) -> None:
    """Before it is opened: a pipe would wait for its other end, and a device may never end."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise DataError(f"Photo {name} is no regular file.", "Use a JPEG or PNG file.")
    if found.st_size > MAX_FILE_BYTES:
        raise DataError(f"Photo {name} has more than {MAX_FILE_BYTES // 10**6} MB.", "Shrink it first.")


def _load(name: str, source: Path | io.BytesIO) -> Image.Image:
    try:
        if isinstance(source, Path):
            _check_file(name, source)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(source, formats=_FORMATS) as opened:
                _check_size(name, opened)
                is_tiff = opened.format == "TIFF"
                return _as_rgb(name, ImageOps.exif_transpose(opened), is_tiff)
    except FileNotFoundError:
        raise DataError(f"There is no photo {name}.") from None
    except PermissionError:
        raise DataError(f"Photo {name} may not be read.", "Check its permissions.") from None
    except Image.DecompressionBombError:
        raise _too_large(name) from None
    except (DataError, MemoryError):
        raise
    except Exception as defect:  # decoders of hostile bytes raise whatever they like
        reason = f"{name} is not a readable photo ({_reason(defect)})."
        raise DataError(reason, "Use a JPEG or PNG file.") from None


def _reason(defect: Exception) -> str:
    if isinstance(defect, UnidentifiedImageError):
        return "unknown format"
    return (isinstance(defect, OSError) and defect.strerror) or str(defect) or type(defect).__name__


def _check_size(name: str, photo: Image.Image) -> None:
    if photo.width * photo.height > MAX_PIXELS:
        raise _too_large(name)


def _too_large(name: str) -> DataError:
    return DataError(
        f"Photo {name} has more than {MAX_PIXELS // 1_000_000} million pixels.", "Shrink it first."
    )


def _as_rgb(name: str, photo: Image.Image, is_tiff: bool) -> Image.Image:
    """Pillow would clip wide greys instead of scaling them; integers of 32 bits are of TIFF alone."""
    if photo.mode == "F" or (photo.mode == "I" and is_tiff):
        photo = Image.fromarray(_narrowed(name, np.asarray(photo)))
    elif photo.mode.startswith("I"):
        greys = (np.asarray(photo).astype(np.uint32) + 128) // 257
        photo = Image.fromarray(greys.clip(0, 255).astype(np.uint8))
    return photo.convert("RGB")


def _narrowed(name: str, greys: np.ndarray) -> np.ndarray:
    """Greys of 32 bits, which do not say what white is, as uint8; the first white that holds all is taken."""
    low, high = greys.min(), greys.max()
    whites = (1, 255) if greys.dtype.kind == "f" else (255, 65_535)
    white = next((white for white in whites if low >= 0 and high <= white), None)
    if white is None:
        raise DataError(
            f"Photo {name} has greys from {low:.6g} to {high:.6g}, which leaves open what white is.",
            "Save it with 8 bits a channel.",
        )
    return np.rint(greys * (255 / white)).astype(np.uint8)


def resize_shorter_side(photo: Image.Image, side: int, interpolation: str) -> Image.Image:
    """`photo` resized, aspect kept, so that its shorter side is `side` pixels; Pillow's antialiasing.

    Raises:
        ConfigError: unknown interpolation.
    """
    if interpolation not in _FILTERS:
        raise ConfigError(f"There is no interpolation {interpolation!r}.", f"Known: {', '.join(_FILTERS)}.")
    photo = _trimmed(photo)
    short = min(photo.size)
    size = (max(side, round(photo.width * side / short)), max(side, round(photo.height * side / short)))
    return photo if size == photo.size else photo.resize(size, _FILTERS[interpolation])


def _trimmed(photo: Image.Image) -> Image.Image:
    longest = MAX_ASPECT_RATIO * min(photo.size)
    if max(photo.size) <= longest:
        return photo
    return centre_crop(photo, min(photo.width, longest), min(photo.height, longest))


def centre_crop(photo: Image.Image, width: int, height: int) -> Image.Image:
    """The middle `width` x `height` pixels."""
    left, top = round((photo.width - width) / 2), round((photo.height - height) / 2)
    return photo.crop((left, top, left + width, top + height))


def preprocess(photo: Image.Image, image_size: int, preprocessing: Preprocessing) -> np.ndarray:
    """A photo as the model sees it, before mean and standard deviation.

    The shorter side becomes round(image_size / crop_fraction), then the centre is cut out.

    Returns:
        uint8 [image_size, image_size, 3], RGB.
    """
    side = max(image_size, round(image_size / preprocessing.crop_fraction))
    resized = resize_shorter_side(photo, side, preprocessing.interpolation)
    return np.asarray(centre_crop(resized, image_size, image_size), dtype=np.uint8)
