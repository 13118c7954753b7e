"""What a run is kept from: another program in its folder, and running out of memory without a word."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from ..errors import TrainError

LOCK_NAME = ".lock"


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """While open, no other program trains in `folder`; where files cannot be locked, nobody is kept out."""
    lock = FileLock(folder / LOCK_NAME)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise TrainError(
            f"Another program is training in {folder} now.", "Wait for it, or choose another --out."
        ) from None
    except (OSError, NotImplementedError):
        pass
    try:
        yield
    finally:
        lock.release()


def out_of_memory(error: RuntimeError, batch_size: int) -> TrainError | None:
    """PyTorch's ways to say that memory is lacking, in a sentence; None for other errors."""
    if not isinstance(error, torch.OutOfMemoryError) and "can't allocate memory" not in str(error):
        return None
    return TrainError(
        f"There is not enough memory for batches of {batch_size} photos.", "Lower --batch-size."
    )
