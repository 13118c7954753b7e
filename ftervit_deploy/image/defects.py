"""What can be wrong with an image, by the C reader's names (c_runtime/include/ftv.h, ftv_status)."""

from __future__ import annotations

import enum

from ..errors import ImageFormatError

WAY_OUT = "Pack the model again or download it again."


class Defect(str, enum.Enum):
    """A rule of c_runtime/IMAGE_FORMAT.md that is violated."""

    TRUNCATED = "FTV_ERR_TRUNCATED"
    MAGIC = "FTV_ERR_MAGIC"
    VERSION = "FTV_ERR_VERSION"
    LENGTH = "FTV_ERR_LENGTH"
    HASH = "FTV_ERR_HASH"
    ENCODING = "FTV_ERR_ENCODING"
    ARCHITECTURE = "FTV_ERR_ARCHITECTURE"
    SCALE = "FTV_ERR_SCALE"
    PADDING = "FTV_ERR_PADDING"
    TABLE = "FTV_ERR_TABLE"
    TEXT = "FTV_ERR_TEXT"
    CODE = "FTV_ERR_CODE"


def defect(kind: Defect, what: str, hint: str = WAY_OUT) -> ImageFormatError:
    """The error to raise: one sentence that names the thing, and the way out."""
    return ImageFormatError(kind.value, what, hint)


def require(holds: bool, kind: Defect, what: str) -> None:
    """Raises `what` as a defect of this kind unless `holds`."""
    if not holds:
        raise defect(kind, what)
