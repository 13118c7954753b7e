"""The flash: bootloader, partition table, application and model."""

from __future__ import annotations

from dataclasses import dataclass

from ..boards import ChipBoard
from ..errors import ProjectError

APP_ALIGN = 0x1_0000
SECTOR = 0x1000
MODEL_TYPE, MODEL_SUBTYPE = 0x40, 0x00
TABLE_OFFSET = 0x8000


@dataclass(frozen=True)
class Partition:
    """One line of partitions.csv; offset and size in bytes."""

    name: str
    type: str
    subtype: str
    offset: int
    size: int


@dataclass(frozen=True)
class FlashPlan:
    """The application's partition, and the model's behind it, which takes all that is left."""

    app: Partition
    model: Partition


def plan_flash(board: ChipBoard, image_bytes: int, smaller_bytes: int | None = None) -> FlashPlan:
    """Partitions for an image of `image_bytes` on the board.

    Args:
        smaller_bytes: what the image would take as t5; None if it is one.

    Raises:
        ProjectError: it does not fit; the sentence has the arithmetic, and says so if t5 would.
    """
    limits = board.partitions
    app_offset = -(-limits.first_offset // APP_ALIGN) * APP_ALIGN
    app_bytes = -(-limits.app_min_bytes // APP_ALIGN) * APP_ALIGN
    model_offset = app_offset + app_bytes
    room = (limits.end_offset - model_offset) // SECTOR * SECTOR
    if image_bytes > room:
        raise _does_not_fit(board, image_bytes, smaller_bytes, app_bytes, room)
    app = Partition("factory", "app", "factory", app_offset, app_bytes)
    model = Partition("model", f"0x{MODEL_TYPE:02x}", f"0x{MODEL_SUBTYPE:02x}", model_offset, room)
    return FlashPlan(app, model)


def _does_not_fit(
    board: ChipBoard, image_bytes: int, smaller_bytes: int | None, app_bytes: int, room: int
) -> ProjectError:
    limits = board.partitions
    what = (
        f"The model has {image_bytes:,} bytes, and {board.name} has {max(room, 0):,} for it: flash up to "
        f"{limits.end_offset:,} less {limits.first_offset:,} for bootloader and table "
        f"and {app_bytes:,} for the app."
    )
    if smaller_bytes is not None and smaller_bytes <= room:
        return ProjectError(
            what, f"Five weights a byte fit, in {smaller_bytes:,} bytes: pack it with --encoding t5."
        )
    return ProjectError(what, "Take a smaller model or a board with more flash.")
