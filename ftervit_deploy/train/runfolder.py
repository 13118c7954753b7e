"""Files of a run folder, and of the folder that each phase has in it."""

from __future__ import annotations

import re
from pathlib import Path

SPLIT_NAME = "split.json"
"""In the run folder: which photos were for what."""
STATE_NAME = "state.safetensors"
"""In a phase's folder: all that it takes to go on."""
BEST_NAME = "best.safetensors"
"""The weights of the best epoch."""
PACKED_NAME = "student.safetensors"
"""The packed ternary checkpoint of a student that the engine can run."""
LOG_NAME = "log.jsonl"
"""What the phase said; see `log`."""
_KEPT = re.compile(r"epoch-[0-9]{4,}\.safetensors")


def kept_name(epoch: int) -> str:
    """The weights of an epoch that was asked for: ``epoch-0040.safetensors``."""
    return f"epoch-{epoch:04}.safetensors"


def remove_weights(folder: Path) -> None:
    """Remove the weights and the state that a phase left in its folder; other files stay."""
    kept = [path for path in folder.glob("epoch-*") if _KEPT.fullmatch(path.name)]
    for path in (*(folder / name for name in (STATE_NAME, BEST_NAME, PACKED_NAME)), *kept):
        path.unlink(missing_ok=True)
