"""Rendered kernels and memory plans give the definition's logits, bit for bit, within the planned memory.

The vector unit's kernels need the chip or a model of it; here their plans are checked.
"""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from c_compiler import RUNTIME, SANITIZERS, WARNINGS, build, compiler
from engine_cases import ODD, extreme_models, hostile_model, noise, preset_model
from folding_models import SMALL, constant_graph, folded_model
from projects import rendered, roomy_board

from ftervit_deploy.image import write_image
from ftervit_deploy.lower import IntegerModel, lower
from ftervit_deploy.project import Project
from ftervit_deploy.reference import forward
from synthetic import random_graph

HARNESS = Path(__file__).parent / "c" / "run_project.c"
PLAN_HARNESS = Path(__file__).parent / "c" / "check_project_plan.c"
INCLUDES = (
    *(f"-I{RUNTIME / name}" for name in ("include", "src", "host")),
    "-D_POSIX_C_SOURCE=200809L",
    "-pthread",
)
FAST, CHECKED = ("-O2",), ("-O1", *SANITIZERS)
Objects = Callable[..., list[Path]]
PRESETS_HERE = ["mcu_micro_64", "mcu_small_96", "deit_tiny_224"]


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., list[Path]]:
    """Compiles the runtime and run_project.c's companions once for each set of flags."""

    @functools.cache
    def compile_once(*flags: str) -> list[Path]:
        folder = tmp_path_factory.mktemp("runtime")
        sources = [*(RUNTIME / "src").rglob("*.c"), *(RUNTIME / "host").glob("*.c")]
        command = (compiler(), "-std=c11", "-g", *WARNINGS, *INCLUDES, *flags, "-c", *sources)
        subprocess.run(command, check=True, cwd=folder)
        return sorted(folder.glob("*.o"))

    return compile_once


def compiled(project: Project, folder: Path, objects: Objects, *flags: str, harness: Path = HARNESS) -> Path:
    """A program of tests/c with the project's model_*.c and the runtime."""
    for name, content in project.files.items():
        if name.startswith("main/model"):
            (folder / Path(name).name).write_bytes(content)
    sources = (harness, folder / "model_plan.c", folder / "model_kernels.c", *objects(*flags))
    return build(compiler(), folder / harness.stem, sources, f"-I{folder}", *INCLUDES, *flags)


def check(
    objects: Objects, model: IntegerModel, encoding: str, folder: Path, *flags: str,
    near_bytes: int = 310_000, made_for: IntegerModel | None = None,
) -> None:  # fmt: skip
    """Compiles what is rendered for a model, or another, and compares its logits with the definition's."""
    image, other = (write_image(each, encoding) for each in (model, made_for or model))
    program = compiled(rendered(other, roomy_board(near_bytes, vector=False)), folder, objects, *flags)
    pixels = noise(model.architecture, 3)
    (folder / "model.ftv").write_bytes(image)
    (folder / "pixels.rgb").write_bytes(pixels.tobytes())
    names = [folder / name for name in ("model.ftv", "pixels.rgb", "logits.bin")]
    done = subprocess.run([program, *names], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(np.fromfile(names[2], np.int32), forward(model, pixels[None])[0])


@pytest.mark.parametrize("encoding", ["t2", "t5"])
@pytest.mark.parametrize("name", PRESETS_HERE)
def test_presets(objects: Objects, name: str, encoding: str, tmp_path: Path) -> None:
    check(objects, preset_model(name), encoding, tmp_path, *FAST)


def test_a_whole_deit_small(objects: Objects, tmp_path: Path) -> None:
    check(objects, preset_model("deit_small_224"), "t2", tmp_path, *FAST)


@pytest.mark.parametrize("number", range(len(ODD)), ids=list(ODD))
def test_odd_shapes_under_sanitizers(objects: Objects, number: int, tmp_path: Path) -> None:
    model = lower(random_graph(list(ODD.values())[number], 4))
    check(objects, model, ("t2", "t5")[number % 2], tmp_path, *CHECKED)


@pytest.mark.parametrize("near_bytes", [40_000, 60_000, 100_000])
def test_wherever_the_plan_puts_a_buffer(objects: Objects, near_bytes: int, tmp_path: Path) -> None:
    model = lower(random_graph(ODD["head of 24 channels, patch of 7"], 4))
    check(objects, model, "t2", tmp_path, *CHECKED, near_bytes=near_bytes)


@pytest.mark.parametrize("near_bytes", [60_000, 310_000])
@pytest.mark.parametrize("encoding", ["t2", "t5"])
def test_models_that_leave_out_channels(
    objects: Objects, encoding: str, near_bytes: int, tmp_path: Path
) -> None:
    check(objects, folded_model(), encoding, tmp_path, *CHECKED, near_bytes=near_bytes)


@pytest.mark.parametrize("folds", [True, False])
def test_what_was_rendered_for_one_share_of_constants_serves_any_other(
    objects: Objects, folds: bool, tmp_path: Path
) -> None:
    models = folded_model(), lower(constant_graph(SMALL, 0.0))
    model, made_for = models if folds else models[::-1]
    check(objects, model, "t2", tmp_path, *CHECKED, near_bytes=60_000, made_for=made_for)


@pytest.mark.parametrize("seed", range(4))
def test_models_with_numbers_from_the_whole_range(objects: Objects, seed: int, tmp_path: Path) -> None:
    check(objects, hostile_model(seed), "t2" if seed % 2 else "t5", tmp_path, *CHECKED)


@pytest.mark.parametrize("model", [pytest.param(model, id=name) for name, model in extreme_models()])
def test_extreme_models(objects: Objects, model: IntegerModel, tmp_path: Path) -> None:
    check(objects, model, "t2", tmp_path, *CHECKED)


# ---- the vector unit's kernels ----

VECTOR = ("-O1", "-DFTV_ESP32S3")


def check_plan(objects: Objects, model: IntegerModel, encoding: str, folder: Path, near_bytes: int) -> None:
    """The plan serves the rendered set and the kernels that replace it, on a model of the promised shape."""
    image = write_image(model, encoding)
    project = rendered(image, roomy_board(near_bytes))
    program = compiled(project, folder, objects, *VECTOR, harness=PLAN_HARNESS)
    (folder / "model.ftv").write_bytes(image)
    done = subprocess.run([program, folder / "model.ftv"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("near_bytes", [230_000, 310_000])
@pytest.mark.parametrize("name", PRESETS_HERE)
def test_plans_serve_the_vector_kernels(objects: Objects, name: str, near_bytes: int, tmp_path: Path) -> None:
    check_plan(objects, preset_model(name), "t2", tmp_path, near_bytes)


@pytest.mark.parametrize("number", range(len(ODD)), ids=list(ODD))
def test_plans_of_odd_shapes_do_too(objects: Objects, number: int, tmp_path: Path) -> None:
    model = lower(random_graph(list(ODD.values())[number], 4))
    check_plan(objects, model, ("t2", "t5")[number % 2], tmp_path, 230_000)
