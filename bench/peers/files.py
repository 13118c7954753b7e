"""Models as files, each made once, and the images that all peers see."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

CALIBRATION_IMAGES = 16


def images(batch: int, seed: int = 0) -> Floats:
    """Noise in the range of photos, [batch, 3, 224, 224]; the first is the same for every batch."""
    return np.random.default_rng(seed).standard_normal((batch, 3, 224, 224), np.float32)


def calibration_images() -> Iterator[Floats]:
    """Each [1, 3, 224, 224]."""
    for seed in range(1, CALIBRATION_IMAGES + 1):
        yield images(1, seed)


def made(path: Path, make: Callable[[Path], None]) -> Path:
    """`path`, made first if it is not there; never half of it."""
    if not path.exists():
        part = path.with_name(f"part-{os.getpid()}-{path.name}")
        make(part)
        part.replace(path)
    return path


def onnx_file(model: str, folder: Path, opset: int) -> Path:
    """The classifier as ONNX, its batch size free.

    Opset 20 has LayerNormalization and Gelu as one node each, 23 Attention too.
    """
    return made(folder / f"{model}.opset{opset}.onnx", partial(_export, model, opset))


def _export(model: str, opset: int, path: Path) -> None:
    import torch

    from .model import random_deit

    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    torch.onnx.export(
        random_deit(model),
        (torch.from_numpy(images(2)),),
        str(path),
        dynamo=True,
        opset_version=opset,
        input_names=["images"],
        output_names=["logits"],
        dynamic_shapes={"images": {0: torch.export.Dim("batch", min=1, max=1024)}},
        external_data=False,
        verbose=False,
    )


def reference_logits(model: str, folder: Path) -> Floats:
    """What PyTorch computes in float32 for the first image: [classes]."""
    logits: Floats = np.load(made(folder / f"{model}.logits.npy", partial(_run_float, model)))
    return logits[0]


def _run_float(model: str, path: Path) -> None:
    import torch

    from .model import random_deit

    with torch.inference_mode(), path.open("wb") as file:
        np.save(file, random_deit(model)(torch.from_numpy(images(1))).numpy())


def correlation(logits: npt.ArrayLike, reference: Floats) -> float:
    """Of the first row of `logits` with `reference`."""
    return float(np.corrcoef(np.asarray(logits, np.float32)[0], reference)[0, 1])
