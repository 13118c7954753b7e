"""What a board answers instead of a result."""

from __future__ import annotations

import enum

from ..errors import LinkError


class ErrorCode(enum.IntEnum):
    """Codes of an error reply, section 6 of LINE_PROTOCOL.md."""

    VERSION = 1
    SESSION = 2
    REQUEST = 3
    PAYLOAD = 4
    RANGE = 5
    CHECKSUM = 6
    NO_MODEL = 7
    ABSENT = 8
    ENGINE = 9
    NO_RESULT = 10
    FAILED = 11


_HINTS = {
    ErrorCode.VERSION: "Flash an app of this version of ftervit, or install the version that fits the app.",
    ErrorCode.SESSION: "If it resets again and again, look at its power supply and at its log.",
    ErrorCode.CHECKSUM: "If this comes again, lower the baud rate or change the cable.",
    ErrorCode.NO_MODEL: "Flash a model.",
    ErrorCode.ABSENT: "Use a board or an app that has it.",
}


class BoardError(LinkError):
    """The board's own sentence about a request that it could not serve.

    Args:
        code: see ErrorCode; a board of a later version may send others.
        detail: for ENGINE the ftv_status, for VERSION the board's version.
        sentence: the board's words.
    """

    def __init__(self, code: int, detail: int, sentence: str) -> None:
        hint = _HINTS[ErrorCode(code)] if code in _HINTS else ""
        super().__init__(f"The board answers: {sentence} (error {code}).", hint)
        self.code = code
        self.detail = detail
