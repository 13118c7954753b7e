"""Runs a teacher and its student in the process that starts it, or in each of several; see the test."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from conftest import TINY

from ftervit_deploy.architecture import PRESETS
from ftervit_deploy.train import distill, phase, settings, starts

SHORT = {"epochs": 2, "batch_size": 14, "seed": 3, "lr": 3e-3, "warmup_epochs": 0, "ramp_epochs": 0}


def main(data: str, out: str, teacher: str, scheme: str) -> None:
    """A teacher with an average and few patches, then a student of another one under three-augment.

    Photos do not fit the memory, so that each process meets only some of those that cannot be read.
    """
    PRESETS["tiny"] = TINY
    options = phase.RunOptions(1, memory_bytes=1, quiet=True, save_seconds=0)
    memory = settings.RunMemory(data, "tiny", "random", 0.3, 3, scheme, True)
    for name, sources, chosen in (
        ("teacher", starts.Sources(), {"augment": "strong", "ema_decay": 0.9, "patch_drop": 0.5}),
        ("training", starts.Sources(teacher), {"augment": "three", "lr": 3e-4}),
    ):
        asked = replace(settings.PHASES[name], **{**SHORT, **chosen})
        distill.run_phase(Path(out), memory, asked, sources, options)


if __name__ == "__main__":
    main(*sys.argv[1:])
