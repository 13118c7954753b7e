"""What a run leaves beside its log for people to look at: curves as a picture, TensorBoard's files."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from ..charts import check_chart, draw_curves
from ..errors import TrainError
from .log import epochs_logged
from .settings import PHASES

TENSORBOARD_FOLDER = "tensorboard"
PICTURE_EVERY_S = 30.0


class Records:
    """Curves and TensorBoard's files of a phase; either may not be wanted.

    Args:
        folder: of the phase; the curves are those of all phases beside it.
        tensorboard: write TensorBoard's files there.
        plot: the picture.

    Raises:
        TrainError: TensorBoard is not installed.
        ChartError: a picture cannot be drawn there.
    """

    def __init__(self, folder: Path, tensorboard: bool, plot: Path | None) -> None:
        self.folder, self.tensorboard, self.plot = folder, tensorboard, plot
        self.writer: Any = None
        self.drawn_at = float("-inf")
        if plot is not None:
            check_chart(plot)
        if tensorboard and importlib.util.find_spec("tensorboard") is None:
            raise TrainError("TensorBoard is not installed.", 'pip install "ftervit[tensorboard]"')

    def __enter__(self) -> Records:
        if self.tensorboard:
            from torch.utils.tensorboard import SummaryWriter

            self.writer = SummaryWriter(self.folder / TENSORBOARD_FOLDER)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.writer is not None:
            self.writer.close()

    def epoch(self, values: Mapping[str, Any], last: bool) -> None:
        """An epoch is done; `values` are those of its log line."""
        if self.writer is not None:
            for name, value in values.items():
                if isinstance(value, float):
                    self.writer.add_scalar(name, value, values["epoch"])
            self.writer.flush()
        if self.plot is not None and (last or time.monotonic() - self.drawn_at > PICTURE_EVERY_S):
            logs = {name: _epochs(self.folder.parent / name) for name in PHASES}
            draw_curves({name: epochs for name, epochs in logs.items() if epochs}, self.plot)
            self.drawn_at = time.monotonic()


def _epochs(folder: Path) -> list[dict[str, Any]]:
    """Those in the log of a phase; none where it cannot be read, which must not stop another phase."""
    try:
        return epochs_logged(folder)
    except OSError:
        return []
