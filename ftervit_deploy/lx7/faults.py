"""What can go wrong: text that does not assemble, and a kernel that does what it must not."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import FtervitError


@dataclass(frozen=True)
class Place:
    """A line of a `.S` file; inside a macro, of the macro's body.

    Attributes:
        used: where the macro was used.
        depth: how many uses of macros the line is within.
    """

    file: str
    line: int
    used: Place | None = None
    depth: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" + (f" (used at {self.used})" if self.used else "")


class AssemblyError(FtervitError):
    """Assembler text that the model cannot read; the sentence begins with file and line."""

    def __init__(self, place: Place | None, what: str, hint: str = "") -> None:
        super().__init__(f"{place}: {what}" if place else what, hint)
        self.place = place


class Lx7Fault(FtervitError):  # noqa: N818
    """A kernel broke a rule while it ran.

    Attributes:
        place: the line of the `.S` file, None outside a program.
        function: the function that the line belongs to.
        instruction: its text.
    """

    def __init__(
        self, what: str, place: Place | None = None, function: str = "", instruction: str = ""
    ) -> None:
        where = f"{place}: in {function}, `{instruction}`: " if place else ""
        super().__init__(where + what)
        self.reason = what
        self.place = place
        self.function = function
        self.instruction = instruction


class KernelError(Exception):
    """Raised where the line is not known; the core turns it into an `Lx7Fault`."""
