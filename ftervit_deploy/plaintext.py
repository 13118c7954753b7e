"""Text from elsewhere, such as names of files and classes, made fit for a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """`text` with a space for every character that does not print, such as a terminal's escape."""
    return "".join(c if c.isprintable() else " " for c in text)


def one_line(text: str) -> str:
    """`text` without line breaks and other control characters, which a hostile name may carry."""
    return " ".join(printable(text).split())


def reason_of(defect: BaseException) -> str:
    """What went wrong in somebody else's code, in at most 200 characters: the first of chained errors."""
    while defect.__cause__ is not None:
        defect = defect.__cause__
    return one_line(str(defect))[:200] or type(defect).__name__
