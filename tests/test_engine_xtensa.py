"""The engine on an emulated Xtensa core, compiled for it and without a C library, gives the same logits."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from engine_cases import noise
from folding_models import FEW_BYTES, folded_model
from projects import rendered, roomy_board
from xtensa_board import BOARD, FLAGS, GCC, INCLUDES, MISSING, compile_engine, is_there, link, run

from ftervit_deploy.architecture import PRESETS, Architecture
from ftervit_deploy.image import write_image
from ftervit_deploy.lower import lower
from ftervit_deploy.reference import forward
from synthetic import random_graph

CASES = [(shape, encoding) for shape in ("square", "odd") for encoding in ("t2", "t5")]
SHAPES = {
    "square": Architecture(16, 4, 32, 2, 2, 64, 5),
    "odd": Architecture(10, 5, 40, 2, 5, 77, 3, layer_scale=True, position_on_class_token=False),
    "folded": FEW_BYTES,
}


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The engine, compiled for the core."""
    if not is_there():
        pytest.skip(MISSING)
    return compile_engine(tmp_path_factory.mktemp("xtensa"))


def _run(objects: list[Path], folder: Path, *more: str | Path) -> list[list[int]]:
    """The logits that the bare-metal program prints, with model.ftv and pixels.rgb of `folder` inside."""
    sources = (f"-I{folder}", BOARD / "model.S", BOARD / "main.c", *more, *objects)
    return run(link(folder / "engine.elf", *sources))


def _prepare(folder: Path, shape: str, encoding: str) -> tuple[bytes, list[int]]:
    """Writes model.ftv and pixels.rgb; the image, and the logits as 32-bit words."""
    model = folded_model(SHAPES[shape]) if shape == "folded" else lower(random_graph(SHAPES[shape], 6))
    pixels = noise(SHAPES[shape], 6)
    image = write_image(model, encoding)
    (folder / "model.ftv").write_bytes(image)
    (folder / "pixels.rgb").write_bytes(pixels.tobytes())
    expected = forward(model, pixels[None])[0].astype(np.int32).tolist()
    return image, [value & 0xFFFFFFFF for value in expected]


@pytest.mark.parametrize("encoding", ["t2", "t5"])
@pytest.mark.parametrize("shape", SHAPES)
def test_xtensa_gives_the_same_logits(objects: list[Path], tmp_path: Path, shape: str, encoding: str) -> None:
    _, expected = _prepare(tmp_path, shape, encoding)
    assert _run(objects, tmp_path) == [expected] * 3, "one line for each set of kernels"


@pytest.mark.parametrize("memories", [1, 2])
@pytest.mark.parametrize(("shape", "encoding"), CASES)
def test_rendered_kernels_and_plans_do_too(
    objects: list[Path], tmp_path: Path, shape: str, encoding: str, memories: int
) -> None:
    image, expected = _prepare(tmp_path, shape, encoding)
    project = rendered(image, roomy_board(vector=False))
    if memories == 2:
        scratch = project.memory.placed[0].buffer.bytes
        project = rendered(image, roomy_board(scratch, vector=False))
        assert project.memory.far_bytes > 0
    names = [name for name in project.files if name.startswith("main/model")]
    for name in names:
        (tmp_path / Path(name).name).write_bytes(project.files[name])
    sources = [tmp_path / Path(name).name for name in names if name.endswith(".c")]
    assert _run(objects, tmp_path, "-DWITH_PROJECT", *sources) == [expected] * 4


@pytest.mark.parametrize("name", PRESETS)
def test_rendered_kernels_of_every_preset_compile_for_xtensa(
    name: str, objects: list[Path], tmp_path: Path
) -> None:
    model = lower(random_graph(replace(PRESETS[name], depth=1), 1))
    for encoding in ("t2", "t5"):
        project = rendered(write_image(model, encoding), roomy_board(vector=False))
        for path in ("main/model.h", "main/model_plan.c", "main/model_kernels.c"):
            (tmp_path / Path(path).name).write_bytes(project.files[path])
        sources = (tmp_path / "model_plan.c", tmp_path / "model_kernels.c")
        subprocess.run((GCC, *FLAGS, *INCLUDES, "-c", *sources), check=True, cwd=tmp_path)
