"""The one error family. Every error names the thing and the way out; the CLI catches it once."""

from __future__ import annotations


class FtervitError(Exception):
    """A mistake in the input or the environment, never a defect of ours.

    Args:
        what: one sentence that names the thing that is wrong.
        hint: what the user can do about it; empty where `what` already says so.
    """

    exit_code = 2

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.what} {self.hint}".strip()


class CheckpointError(FtervitError):
    """A checkpoint that cannot be read, or does not describe a supported model."""


class HubError(FtervitError):
    """A hub name, token or connection that does not work."""


class ImageFormatError(FtervitError):
    """A `.ftv` file that violates c_runtime/IMAGE_FORMAT.md.

    Args:
        code: name of the C reader's status for the same defect, e.g. ``FTV_ERR_MAGIC``.
    """

    def __init__(self, code: str, what: str, hint: str = "") -> None:
        super().__init__(what, hint)
        self.code = code


class DataError(FtervitError):
    """Photos, labels or folders that cannot serve."""


class ConfigError(FtervitError):
    """A setting with an impossible value, from a flag, the environment or ftervit.toml."""


class TrainError(FtervitError):
    """A training run that cannot start or continue."""


class StoppedError(TrainError):
    """Training that the user stopped, with its last complete epoch kept."""


class RecordError(FtervitError):
    """What a run left of itself besides weights, such as its memory or a row, is damaged."""


class EngineError(FtervitError):
    """The C engine refused an image or could not be loaded."""


class LinkError(FtervitError):
    """A port that cannot be opened, or a line without a board that answers."""


class BoardProgramError(FtervitError):
    """The virtual board is not there, or ended."""


class ProjectError(FtervitError):
    """A project that cannot be rendered, read or built."""


class FlashError(FtervitError):
    """A board that cannot be flashed, or must not be."""


class EnergyError(FtervitError):
    """Energy that cannot be measured: no instrument, no trigger, a disturbed recording."""
