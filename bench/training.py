"""`python -m bench.training`: a step of distillation beside a step of plain FP32 training of the same model.

Both with augmentation and optimiser, on noise, turn by turn; median of the ratios. On the CPU with one
thread, and there the processor's seconds count, since other programs disturb the clock's.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Any

from .table import Group, Row, report

TITLE = "A step of distillation, over plain FP32 training of the same model"
AIM = 1.8
MODELS = (("mcu_micro_64", 32, 15), ("deit_tiny_224", 4, 9))
"""Preset, photos of a step, rounds."""
WAYS = (("", ()), (", bfloat16", ("--precision", "bf16")), (", compiled", ("--compile",)))
"""How distillation is computed; the aim is for the first, which is the default on a CPU."""


def groups() -> Iterator[Group]:
    """A group for each of MODELS as soon as it is measured; a note where PyTorch is missing."""
    if any(importlib.util.find_spec(name) is None for name in ("torch", "accelerate")):
        yield Group(TITLE, [], ['Not measured: pip install "ftervit[train]".'])
        return
    for model in MODELS:
        yield Group(TITLE, [_row(_cost(*model, flags), way) for way, flags in WAYS])


def _cost(preset: str, batch_size: int, rounds: int, flags: Sequence[str]) -> dict[str, Any]:
    """In a process of its own, since this one stays small."""
    command = [
        sys.executable, "-m", "ftervit_deploy.train.speed", "--preset", preset,
        "--batch-size", str(batch_size), "--rounds", str(rounds), "--threads", "1", *flags,
    ]  # fmt: skip
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    cost: dict[str, Any] = json.loads(done.stdout)
    return cost


def _row(cost: dict[str, Any], way: str) -> Row:
    lower, upper = cost["quartiles"]
    slower = cost["processor_ratio" if cost["device"] == "cpu" else "ratio"]
    figures = {
        "plain, images/s": cost["batch_size"] / cost["plain_s"],
        "distillation, images/s": cost["batch_size"] / cost["distillation_s"],
        "times slower": slower, "by the clock": cost["ratio"], "quartiles": f"{lower:.2f}-{upper:.2f}",
        "aim": "" if way else f"at most {AIM:g}", "kind": "measured",
        "source": f"{cost['device']}, batches of {cost['batch_size']}, torch {version('torch')}",
    }  # fmt: skip
    return Row(cost["preset"] + way, figures, missed=not way and slower > AIM)


def main() -> int:
    """Measure, print, return 1 if an aim is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.training", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    return report(groups(), parser.parse_args().json)


if __name__ == "__main__":
    sys.exit(main())
