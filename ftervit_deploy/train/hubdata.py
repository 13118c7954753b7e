"""Photos from a dataset of the Hugging Face hub, or from files that its `datasets` library reads."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from PIL import Image

from ..errors import ConfigError, DataError, FtervitError, TrainError
from ..plaintext import reason_of
from .data import Split, SplitRule, split_listed
from .photosets import UNLABELLED
from .rowfiles import files_of
from .streams import READERS, BytesPhoto, NamedRow, PhotoStream, RowReader, class_index, unbroken

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
    reader: RowReader
    name: str
    label: int

    @property
    def content(self) -> bytes:
        """The file; empty where it cannot be read."""
        return self._read().content

    def load(self) -> Image.Image:
        """See `photosets.Stored`."""
        return self._read().load()

    def _read(self) -> BytesPhoto:
        return self.reader.photo(NamedRow(self.table[self.index], self.name))


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
        TrainError: no labels and no teacher.
        ConfigError: blocks of names, which a dataset has not.
    """
    if importlib.util.find_spec("datasets") is None:
        raise FtervitError("Datasets of the hub need `datasets`, which is not installed.",
                           'pip install "ftervit[datasets]"')  # fmt: skip
    if rule.group:
        raise ConfigError("A dataset has no file names to split by.", "Use --split random.")
    splits, hub = _loaded(data)
    if "train" not in splits:
        raise DataError(f"{data.name} has no split `train`, only {', '.join(splits)}.")
    image, label = _columns(splits["train"], data)
    labels = _labels(splits["train"], label, data) if label else _taught(splits["train"], classes, data)
    reader = RowReader(image, label, files_of(_source(data)[0], hub), len(labels))
    checking = next((splits[name] for name in VALIDATION_SPLITS if name in splits), None)
    if data.stream:
        parts = (splits["train"], checking, splits.get(TEST_SPLIT))
        train, checking, test = (None if part is None else _undecoded(part, image) for part in parts)
        return _Streams(data, train, checking, test, reader, labels).split(rule, memory_bytes)
    train = _rows(splits["train"], reader, labels, f"{data.name} train")
    validation = _known(checking, reader, labels, f"{data.name} validation")
    test = _known(splits.get(TEST_SPLIT), reader, labels, f"{data.name} test") if reader.label else ()
    if validation:
        return Split(labels, tuple(train), validation, test)
    return replace(split_listed(train, rule, labels, data.name), test=test)


def _known(dataset: Any, reader: RowReader, labels: Sequence[str], where: str) -> tuple[HubRow, ...]:
    """Rows of a split; where it has labels, those that have one: many test splits keep theirs secret."""
    rows = _rows(dataset, reader, labels, where) if dataset is not None else []
    return tuple(row for row in rows if not reader.label or row.label != UNLABELLED)


def _source(data: HubData) -> tuple[str, str, str]:
    """Folder or ``user/name``, configuration and revision."""
    name, _, revision = data.name.partition("@")
    if Path(name).is_dir():
        return name, "", revision
    source, _, configuration = name.partition(":")
    return source, configuration, revision


def _loaded(data: HubData) -> tuple[Mapping[str, Any], str]:
    """The dataset's splits by name, and the address on the hub of what is streamed from there."""
    import datasets

    source, configuration, revision = _source(data)
    if data.stream is False and not _progress_wanted():
        datasets.disable_progress_bars()
    try:
        if data.stream:
            builder = datasets.load_dataset_builder(source, configuration or None, revision=revision or None)
            found: Mapping[str, Any] = builder.as_streaming_dataset()
            return found, f"hf://datasets/{builder.repo_id}@{builder.hash}" if builder.repo_id else ""
        return datasets.load_dataset(source, configuration or None, revision=revision or None), ""
    except Exception as defect:  # of whichever file format, or of the hub's client
        raise DataError(
            f"The dataset {data.name} cannot be opened: {reason_of(defect)}",
            "It has the form hub:user/name[:configuration][@revision]; a private one needs HF_TOKEN.",
        ) from None


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
    if not _may_hold(features[image], datasets.Image, _IMAGE_TYPES):
        raise DataError(f"Column {image} of {data.name} holds no images.", "Name another --image-column.")
    if label and not _may_hold(features[label], datasets.ClassLabel, _LABEL_TYPES):
        raise DataError(f"Column {label} of {data.name} holds no classes.", "Name another --label-column.")
    return image, label


_IMAGE_TYPES = re.compile("(large_)?(binary|string)")
_LABEL_TYPES = re.compile("(large_)?string|u?int[0-9]+|bool")
"""Plain values that may be files or their names, and classes."""


def _may_hold(feature: Any, kind: type, plain: re.Pattern[str]) -> bool:
    """A column's type is `kind`, or one that `datasets` makes it from: a value, or the parts of a file."""
    if isinstance(feature, Mapping):
        return kind.__name__ == "Image" and "bytes" in feature
    return isinstance(feature, kind) or plain.fullmatch(str(getattr(feature, "dtype", ""))) is not None


def _taught(dataset: Any, classes: Callable[[], Sequence[str]], data: HubData) -> tuple[str, ...]:
    """The teacher's classes, for a dataset that does not tell which column has its own."""
    import datasets

    try:
        return tuple(classes())
    except TrainError:
        features = _features(dataset)
        names = [n for n, kind in features.items() if _may_hold(kind, datasets.ClassLabel, _LABEL_TYPES)]
        if not names:
            raise
        raise DataError(
            f"{data.name} does not say which column has its classes, and there is no teacher.",
            f"Name one with --label-column ({', '.join(names)}), or a teacher with --teacher.",
        ) from None


def _only(features: Mapping[str, Any], kind: type, what: str, data: HubData) -> str:
    found = [name for name, feature in features.items() if isinstance(feature, kind)]
    if len(found) > 1:
        raise DataError(
            f"{data.name} has several columns of {what}s: {', '.join(found)}.", f"Name one: --{what}-column."
        )
    return found[0] if found else ""


def _labels(dataset: Any, column: str, data: HubData) -> tuple[str, ...]:
    """Names of the classes in a column of labels."""
    feature = _features(dataset)[column]
    if hasattr(feature, "names"):
        return tuple(feature.names)
    if data.stream:
        raise DataError(f"Column {column} of {data.name} does not say which classes there are.",
                        "Leave out --stream.")  # fmt: skip
    names = tuple(map(str, sorted(set(dataset[column]) - {None})))
    if not names:
        raise DataError(f"Column {column} of {data.name} is empty.", "Name another --label-column.")
    return names


def _undecoded(dataset: Any, column: str) -> Any:
    """`dataset` with photos as the bytes of their files, or the files' names."""
    import datasets

    if isinstance(dataset, datasets.IterableDataset) and dataset.features:
        dataset = dataset.decode(False)  # of the hub's they come with a decoder behind which none is left off
    return dataset.cast_column(column, datasets.Image(decode=False))


def _rows(dataset: Any, reader: RowReader, labels: Sequence[str], where: str) -> list[HubRow]:
    table = _undecoded(dataset, reader.image)
    given: list[Any] = list(table[reader.label]) if reader.label else [UNLABELLED] * len(table)
    if reader.label and not hasattr(_features(dataset).get(reader.label), "names"):
        index = {label: number for number, label in enumerate(labels)}
        given = [None if value is None else index.get(str(value)) for value in given]
    photos = replace(reader, label="")
    names = [f"{where} no. {number}" for number in range(len(given))]
    return [
        HubRow(table, number, photos, name, class_index(label, reader.classes, name))
        for number, (name, label) in enumerate(zip(names, given, strict=True))
    ]


@dataclass(frozen=True)
class _Streams:
    """The splits of a dataset that is read in order, photos undecoded; None where it has none."""

    data: HubData
    train: Any
    checking: Any
    test: Any
    reader: RowReader
    labels: tuple[str, ...]

    def split(self, rule: SplitRule, memory_bytes: int) -> Split:
        """All photos that judge fit into `memory_bytes`, those of validation and of test half each."""
        has_test = self.test is not None and self.reader.label != ""
        room = memory_bytes // 2 if has_test else memory_bytes
        count = self.data.epoch_photos or _stated_count(self.train)
        if not count:
            raise DataError(f"{self.data.name} does not say how many photos it has.", "Give --epoch-photos.")
        train, remarks = self.train, []
        if self.checking is not None:
            read, all_fit = self._first(self.checking, "validation", room)
            validation = self._known(read)
        else:
            wanted = max(1, round(rule.fraction * (_stated_count(self.train) or count)))
            read, all_fit = self._first(self.train.take(wanted), "train", room)
            validation = self._known(read)
            self._check_mixed(validation)
            train = self.train.skip(len(read))
            if not self.data.epoch_photos:
                count -= len(read)
            remarks.append(f"{self.data.name} has no validation split: its first {len(validation)} "
                           "photos validate, and none of them trains.")  # fmt: skip
        if not all_fit:
            remarks.append(f"Validating on the first {len(validation)} photos: more need --memory-mb.")
        test: list[BytesPhoto] = []
        if has_test:
            read, all_fit = self._first(self.test, "test", room)
            test = self._known(read)
            if not all_fit:
                remarks.append(f"Tested on the first {len(test)} photos: more need --memory-mb.")
        stream = PhotoStream(train, self.reader, count, f"{self.data.name} train")
        return Split(
            self.labels, (), tuple(validation), stream=stream, test=tuple(test), remarks=tuple(remarks)
        )

    def _first(self, dataset: Any, part: str, room: int) -> tuple[list[BytesPhoto], bool]:
        """As many photos of a split as `room` bytes hold, and whether that is all of them."""
        photos: list[BytesPhoto] = []
        held_bytes, where = 0, f"{self.data.name} {part}"
        rows = (NamedRow(row, f"{where} no. {count}") for count, row in enumerate(unbroken(dataset, where)))
        with ThreadPoolExecutor(READERS) as readers:
            while some := list(islice(rows, READERS)):
                for photo in readers.map(self.reader.photo, some):
                    held_bytes += len(photo.content)
                    if photos and held_bytes > room:
                        return photos, False
                    photos.append(photo)
        return photos, True

    def _known(self, photos: Sequence[BytesPhoto]) -> list[BytesPhoto]:
        """Those with a label, where there are labels: only they judge."""
        return [photo for photo in photos if not self.reader.label or photo.label != UNLABELLED]

    def _check_mixed(self, validation: Sequence[BytesPhoto]) -> None:
        shown = len({photo.label for photo in validation})
        if self.reader.label and 2 * shown < min(len(self.labels), len(validation)):
            raise DataError(
                f"{self.data.name} has no validation split, and its first {len(validation)} photos show only "
                f"{shown} of its {len(self.labels)} classes, so they cannot validate.",
                "Leave out --stream.",
            )


def _stated_count(dataset: Any) -> int:
    splits = dataset.info.splits or {}
    stated = splits.get(str(dataset.split)) if dataset.split is not None else None
    return int(stated.num_examples or 0) if stated is not None else 0
