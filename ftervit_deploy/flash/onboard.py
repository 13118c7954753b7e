"""Which application of ftervit's a board carries, and where its model goes."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import FlashError
from .descriptor import AppDescriptor
from .downloader import Downloader
from .espimage import HEAD_BYTES, parse_head
from .partitions import TABLE_BYTES, TABLE_OFFSET, Partition, model_partition, parse_partitions


@dataclass(frozen=True)
class OnBoard:
    """A flashed application.

    Attributes:
        app: what it was built for.
        version: its version, as ESP-IDF keeps it.
        model: the model's partition.
    """

    app: AppDescriptor
    version: str
    model: Partition


def read_onboard(downloader: Downloader) -> OnBoard:
    """Read partition table and the head of the application from the flash.

    Raises:
        FlashError: there is no application of ftervit's, or no place for a model.
    """
    partitions = parse_partitions(downloader.read(TABLE_OFFSET, TABLE_BYTES))
    model = model_partition(partitions)
    for partition in partitions:
        head = parse_head(downloader.read(partition.offset, HEAD_BYTES)) if partition.is_app else None
        if head is not None and head.descriptor is not None and model is not None:
            return OnBoard(head.descriptor, head.version, model)
    raise FlashError(
        f"The board on {downloader.url} carries no application of ftervit's that a model alone could serve.",
        "Flash the whole project once: `ftervit build`, then `ftervit flash`.",
    )
