"""The files that a dataset's rows name instead of holding them: which may be read, and how."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError
from ..photos import MAX_FILE_BYTES, read_photo_file
from ..plaintext import reason_of

_HUB_FILE = re.compile(r"(zip://((?!::).)+::)?(?P<file>hf://((?!::).)+)", re.DOTALL)
"""A file on the hub, or one inside a ZIP archive there, as `fsspec` writes it."""


@dataclass(frozen=True)
class RowFiles:
    """The files of one dataset. Its rows may name those and no others.

    Attributes:
        folders: where they lie on this disk, not empty, without links on their way.
        hub: address on the hub, ``hf://datasets/user/name@commit``, of a dataset that is streamed from there;
            else empty.
    """

    folders: tuple[Path, ...]
    hub: str = ""

    def read(self, path: str) -> bytes:
        """The file, undecoded.

        Raises:
            DataError: it is no file of the dataset, no regular one, too large, or cannot be read.
        """
        remote = _HUB_FILE.fullmatch(path) if self.hub else None
        try:
            return self._from_hub(path, remote["file"]) if remote else self._from_disk(path)
        except (OSError, ValueError, RuntimeError):  # ValueError: of names that are none
            raise DataError(f"{path} cannot be read.") from None

    def _from_disk(self, path: str) -> bytes:
        file = Path(self.folders[0], path).resolve()
        if not any(file.is_relative_to(folder) for folder in self.folders):
            raise DataError(f"{path} is no file of the dataset.")
        return read_photo_file(file)

    def _from_hub(self, path: str, file: str) -> bytes:
        import fsspec

        if not file.startswith(f"{self.hub}/") or ".." in file.split("/"):
            raise DataError(f"{path} is no file of the dataset.")
        try:
            with fsspec.open(path, "rb") as opened:
                content: bytes = opened.read(MAX_FILE_BYTES + 1)
        except Exception as defect:  # of the hub's client, or of a ZIP archive
            raise DataError(f"{path} cannot be read: {reason_of(defect)}") from None
        if len(content) > MAX_FILE_BYTES:
            raise DataError(f"{path} has more than {MAX_FILE_BYTES // 10**6} MB.", "Shrink it first.")
        return content


def files_of(source: str, hub: str) -> RowFiles:
    """The files of a dataset: in its folder, or got from the hub, or unpacked.

    Args:
        source: folder, or name on the hub.
        hub: see RowFiles.
    """
    from datasets import config
    from huggingface_hub.constants import HF_HUB_CACHE

    if Path(source).is_dir():
        own = [Path(source)]
    else:  # the hub knows names in any case, and those of old datasets without a user
        name = re.escape(source.replace("/", "--"))
        pattern = re.compile(f"datasets--{'' if '/' in source else '(.*--)?'}{name}", re.IGNORECASE)
        own = [path for path in Path(HF_HUB_CACHE).glob("datasets--*") if pattern.fullmatch(path.name)]
    unpacked = (config.DOWNLOADED_DATASETS_PATH, config.EXTRACTED_DATASETS_PATH)
    return RowFiles(tuple(Path(folder).resolve() for folder in (*own, *unpacked)), hub)
