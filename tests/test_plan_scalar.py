"""The planner knows what the scalar kernels need."""

from __future__ import annotations

import subprocess
from pathlib import Path

from c_compiler import ROOT, RUNTIME, build, compiler
from engine_cases import ODD, preset_model

from ftervit_deploy.image import write_image
from ftervit_deploy.lower import lower
from ftervit_deploy.plan.scalar import scalar_kernels
from synthetic import random_graph

CHIP_SOURCES = (
    path for path in sorted((RUNTIME / "src").rglob("*.c")) if not {"esp32s3", "x86"} & set(path.parts)
)
PRESETS_HERE = ("mcu_nano_64", "mcu_small_96", "deit_tiny_224", "deit_small_224")


def test_scratch_and_steps(tmp_path: Path) -> None:
    program = build(
        compiler(), tmp_path / "needs", (ROOT / "tests" / "c" / "kernel_needs.c", *CHIP_SOURCES),
        "-D_POSIX_C_SOURCE=200809L",
    )  # fmt: skip
    models = [*map(preset_model, PRESETS_HERE), *(lower(random_graph(shape, 4)) for shape in ODD.values())]
    images, expected = [], []
    for model in models:
        for encoding in ("t2", "t5"):
            planned = scalar_kernels(model.architecture, encoding)
            images.append(tmp_path / f"{len(images)}.ftv")
            images[-1].write_bytes(write_image(model, encoding))
            expected.append((planned.linear, planned.steps, planned.value_bytes, planned.owns))
    done = subprocess.run((program, *images), capture_output=True, text=True, check=True)
    lines = [line.split() for line in done.stdout.splitlines()]
    found = [(*map(int, line[:3]), frozenset(line[3:])) for line in lines]
    assert found == expected
