"""Photos from a dataset of the Hugging Face hub, or from files that its `datasets` library reads."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from ..errors import ConfigError, DataError, FtervitError
from ..photos import load_photo_bytes
from .data import Split, SplitRule, split_listed
from .photosets import UNLABELLED
from .streams import BytesPhoto, PhotoStream, bytes_photo

PREFIX = "hub:"
"""What a dataset's name begins with, so that it is no folder."""
VALIDATION_SPLITS, TEST_SPLIT = ("validation", "valid", "val"), "test"


@dataclass(frozen=True)
class HubData:
    """A dataset.

    Attributes:
        name: ``user/name[:configuration][@revision]``, or a folder of files such as Parquet.
        image_column, label_column: "" to find the only one.
        stream: read it in order instead of downloading it.
        epoch_photos: photos of an epoch of a stream; 0: as many as the dataset says it has.
    """

    name: str
    image_column: str = ""
    label_column: str = ""
    stream: bool = False
    epoch_photos: int = 0


@dataclass(frozen=True)
class HubRow:
    """A photo as a row of a dataset; see `photosets.Stored`."""

    table: Any
    index: int
    column: str
    name: str
    label: int

    @property
    def content(self) -> bytes:
        """The file."""
        return bytes_photo(self.table[self.index], (self.column, ""), self.name).content

    def load(self) -> Image.Image:
        """See `photosets.Stored`."""
        return load_photo_bytes(self.name, self.content)


def is_hub_data(data: str) -> bool:
    """DATA names a dataset rather than a folder."""
    return data.startswith(PREFIX)


def split_dataset(
    data: HubData, rule: SplitRule, classes: Callable[[], Sequence[str]], memory_bytes: int
) -> Split:
    """Open a dataset: its own validation split, or its training split divided by `rule`; its test split.

    A stream without a validation split is validated with its first photos, which are then no training photos.

    Args:
        data: which, and how.
        rule: where it has no validation split.
        classes: tells those of the teacher, for a dataset without labels.
        memory_bytes: most memory for the validation photos of a stream.

    Raises:
        FtervitError: `datasets` is not installed.
        DataError: no such dataset, no images, labels that cannot be told, a stream sorted by class.
        ConfigError: blocks of names, which a dataset has not.
    """
    if importlib.util.find_spec("datasets") is None:
        raise FtervitError("Datasets of the hub need `datasets`, which is not installed.",
                           'pip install "ftervit[datasets]"')  # fmt: skip
    if rule.group:
        raise ConfigError("A dataset has no file names to split by.", "Use --split random.")
    splits = _loaded(data)
    if "train" not in splits:
        raise DataError(f"{data.name} has no split `train`, only {', '.join(splits)}.")
    columns = _columns(splits["train"], data)
    labels = _labels(splits["train"], columns[1], data) or tuple(classes())
    checking = next((splits[name] for name in VALIDATION_SPLITS if name in splits), None)
    if data.stream:
        streams = _Streams(data, splits["train"], checking, splits.get(TEST_SPLIT), columns, labels)
        return streams.split(rule, memory_bytes)
    train = _rows(splits["train"], columns, labels, f"{data.name} train")
    validation = _known(checking, columns, labels, f"{data.name} validation")
    test = _known(splits.get(TEST_SPLIT), columns, labels, f"{data.name} test") if columns[1] else ()
    if validation:
        return Split(labels, tuple(train), validation, test)
    return replace(split_listed(train, rule, labels, data.name), test=test)


def _known(dataset: Any, columns: tuple[str, str], labels: Sequence[str], where: str) -> tuple[HubRow, ...]:
    """Rows of a split; where it has labels, those that have one: many test splits keep theirs secret."""
    rows = _rows(dataset, columns, labels, where) if dataset is not None else []
    return tuple(row for row in rows if not columns[1] or row.label != UNLABELLED)


def _loaded(data: HubData) -> Mapping[str, Any]:
    """The dataset's splits by name; images are left as the bytes of their files."""
    import datasets

    name, _, revision = data.name.partition("@")
    if Path(name).is_dir():
        source, configuration = name, ""
    else:
        source, _, configuration = name.partition(":")
    if data.stream is False and not _progress_wanted():
        datasets.disable_progress_bars()
    try:
        found: Mapping[str, Any] = datasets.load_dataset(
            source, configuration or None, revision=revision or None, streaming=data.stream
        )
    except Exception as defect:  # of whichever file format, or of the hub's client
        reason = " ".join(str(defect).split())[:200] or type(defect).__name__
        raise DataError(
            f"The dataset {data.name} cannot be opened: {reason}",
            "It has the form hub:user/name[:configuration][@revision]; a private one needs HF_TOKEN.",
        ) from None
    return found


def _progress_wanted() -> bool:
    import sys

    return sys.stderr.isatty()


def _features(dataset: Any) -> Mapping[str, Any]:
    features = dataset.features
    if features is None:
        features = dataset._resolve_features().features
    return features or {}


def _columns(dataset: Any, data: HubData) -> tuple[str, str]:
    """The columns of image and label; the latter "" where there is none."""
    import datasets

    features = _features(dataset)
    for asked in (data.image_column, data.label_column):
        if asked and asked not in features:
            raise DataError(f"{data.name} has no column {asked!r}, only {', '.join(features)}.")
    image = data.image_column or _only(features, datasets.Image, "image", data)
    label = data.label_column or _only(features, datasets.ClassLabel, "label", data)
    if not image:
        raise DataError(f"{data.name} has no column of images, only {', '.join(features)}.")
    return image, label


def _only(features: Mapping[str, Any], kind: type, what: str, data: HubData) -> str:
    found = [name for name, feature in features.items() if isinstance(feature, kind)]
    if len(found) > 1:
        raise DataError(
            f"{data.name} has several columns of {what}s: {', '.join(found)}.", f"Name one: --{what}-column."
        )
    return found[0] if found else ""


def _labels(dataset: Any, column: str, data: HubData) -> tuple[str, ...]:
    """Names of the classes; none without a column of labels."""
    if not column:
        return ()
    feature = _features(dataset)[column]
    if hasattr(feature, "names"):
        return tuple(feature.names)
    if data.stream:
        raise DataError(f"Column {column} of {data.name} does not say which classes there are.",
                        "Leave out --stream.")  # fmt: skip
    return tuple(map(str, sorted(set(dataset[column]))))


def _undecoded(dataset: Any, column: str) -> Any:
    import datasets

    return dataset.cast_column(column, datasets.Image(decode=False))


def _rows(dataset: Any, columns: tuple[str, str], labels: Sequence[str], where: str) -> list[HubRow]:
    table = _undecoded(dataset, columns[0])
    if not columns[1]:
        given: list[Any] = [UNLABELLED] * len(table)
    else:
        given = list(table[columns[1]])
    if not hasattr(_features(dataset).get(columns[1]), "names") and columns[1]:
        index = {label: number for number, label in enumerate(labels)}
        given = [index.get(str(value), UNLABELLED) for value in given]
    return [
        HubRow(
            table, number, columns[0], f"{where} no. {number}", UNLABELLED if label is None else int(label)
        )
        for number, label in enumerate(given)
    ]


@dataclass(frozen=True)
class _Streams:
    """The splits of a dataset that is read in order; None where it has none."""

    data: HubData
    train: Any
    checking: Any
    test: Any
    columns: tuple[str, str]
    labels: tuple[str, ...]

    def split(self, rule: SplitRule, memory_bytes: int) -> Split:
        """All photos that judge fit into `memory_bytes`, those of validation and of test half each."""
        has_test = self.test is not None and self.columns[1] != ""
        room = memory_bytes // 2 if has_test else memory_bytes
        count = self.data.epoch_photos or _stated_count(self.train)
        if not count:
            raise DataError(f"{self.data.name} does not say how many photos it has.", "Give --epoch-photos.")
        train, remarks = self.train, []
        if self.checking is not None:
            validation, all_fit = self._fitting(self.checking, "validation", room)
        else:
            wanted = max(1, round(rule.fraction * (_stated_count(self.train) or count)))
            validation, all_fit = self._fitting(self.train.take(wanted), "train", room)
            self._check_mixed(validation)
            train = self.train.skip(len(validation))
            if not self.data.epoch_photos:
                count -= len(validation)
            remarks.append(f"{self.data.name} has no validation split: its first {len(validation)} "
                           "photos validate, and none of them trains.")  # fmt: skip
        if not all_fit:
            remarks.append(f"Validating on the first {len(validation)} photos: more need --memory-mb.")
        test, all_fit = self._fitting(self.test, "test", room) if has_test else ([], True)
        if not all_fit:
            remarks.append(f"Tested on the first {len(test)} photos: more need --memory-mb.")
        stream = PhotoStream(
            _undecoded(train, self.columns[0]), self.columns, count, f"{self.data.name} train"
        )
        return Split(
            self.labels, (), tuple(validation), stream=stream, test=tuple(test), remarks=tuple(remarks)
        )

    def _fitting(self, dataset: Any, part: str, room: int) -> tuple[list[BytesPhoto], bool]:
        photos, all_fit = _fitting(dataset, self.columns, f"{self.data.name} {part}", room)
        known = [photo for photo in photos if not self.columns[1] or photo.label != UNLABELLED]
        return known, all_fit

    def _check_mixed(self, validation: Sequence[BytesPhoto]) -> None:
        shown = len({photo.label for photo in validation})
        if self.columns[1] and 2 * shown < min(len(self.labels), len(validation)):
            raise DataError(
                f"{self.data.name} has no validation split, and its first {len(validation)} photos show only "
                f"{shown} of its {len(self.labels)} classes, so they cannot validate.",
                "Leave out --stream.",
            )


def _stated_count(dataset: Any) -> int:
    splits = dataset.info.splits or {}
    stated = splits.get(str(dataset.split)) if dataset.split is not None else None
    return int(stated.num_examples or 0) if stated is not None else 0


def _fitting(
    dataset: Any, columns: tuple[str, str], where: str, memory_bytes: int
) -> tuple[list[BytesPhoto], bool]:
    """As many photos of a split as `memory_bytes` hold, and whether that is all of them."""
    photos: list[BytesPhoto] = []
    held_bytes = 0
    for number, row in enumerate(_undecoded(dataset, columns[0])):
        photo = bytes_photo(row, columns, f"{where} no. {number}")
        held_bytes += len(photo.content)
        if photos and held_bytes > memory_bytes:
            return photos, False
        photos.append(photo)
    return photos, True
