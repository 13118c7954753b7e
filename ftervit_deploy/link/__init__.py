"""The host's end of the line to a board: c_runtime/LINE_PROTOCOL.md gives every byte.

`open_stream` opens a port, `Link` asks the board on it and hears what the board says of its own accord.
"""

from __future__ import annotations

from .errors import BoardError, ErrorCode
from .frames import Event, Frame, Guess, Parser, Prediction, Text, encode_frame
from .link import Link, Timing
from .messages import BenchResult, BoardInfo, Inference, ModelOnBoard, SiteRecord, Thumbnail
from .ports import choose_port, open_port, open_stream
from .stream import SerialStream, Stream

__all__ = [
    "BenchResult",
    "BoardError",
    "BoardInfo",
    "ErrorCode",
    "Event",
    "Frame",
    "Guess",
    "Inference",
    "Link",
    "ModelOnBoard",
    "Parser",
    "Prediction",
    "SerialStream",
    "SiteRecord",
    "Stream",
    "Text",
    "Thumbnail",
    "Timing",
    "choose_port",
    "encode_frame",
    "open_port",
    "open_stream",
]
