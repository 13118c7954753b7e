"""The C engine itself: kernels against each other, passes under sanitizers, and compilers' warnings."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from c_compiler import ROOT, RUNTIME, SANITIZERS, build, compiler
from engine_cases import (
    ODD,
    Pixels,
    Trace,
    assert_same,
    extreme_models,
    hostile_model,
    noise,
    reference_trace,
)
from folding_models import folded_model

from ftervit_deploy.engine import SITES, available_kernels
from ftervit_deploy.image import write_image
from ftervit_deploy.lower import IntegerModel, lower
from synthetic import random_graph

ENGINE_SOURCES = tuple(sorted(path for folder in ("src", "host") for path in (RUNTIME / folder).rglob("*.c")))
HOST_FOLDERS = ("x86", "arm")
"""Kernels of computers, which no chip's project lists."""
FLAGS = (f"-I{RUNTIME / 'host'}", "-D_POSIX_C_SOURCE=200809L", "-pthread")
BUILDS = {
    "sanitized": SANITIZERS,
    "optimised": ("-O3",),
    "one version a function": ("-O3", "-DFTV_NO_CLONES"),
}
CHECKS = {"inner loops": ("check_kernels.c",), "whole steps": ("check_steps.c", "step_definitions.c")}
PROGRAMS = ROOT / "tests" / "c"
EXTREMES = dict(extreme_models())
KERNELS = available_kernels()

Drive = Callable[[IntegerModel, Pixels, str, str, int], Trace]


def _driver(folder: Path, *flags: str) -> Drive:
    """Builds run_image.c; returns a function that runs a model there and gives its trace."""
    program = build(
        compiler(),
        folder / "run_image",
        (PROGRAMS / "run_image.c", PROGRAMS / "late_copies.c", *ENGINE_SOURCES),
        *FLAGS,
        *flags,
    )
    image, rgb, trace = (folder / name for name in ("image", "pixels", "trace"))

    def drive(model: IntegerModel, pixels: Pixels, encoding: str, kernels: str, workers: int) -> Trace:
        image.write_bytes(write_image(model, encoding))
        rgb.write_bytes(pixels.tobytes())
        done = subprocess.run(
            (program, image, rgb, trace, kernels, str(workers)), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-4000:]
        return _read_trace(trace.read_bytes())

    return drive


def _read_trace(data: bytes) -> Trace:
    pieces: dict[tuple[str, int], list[np.ndarray]] = {}
    offset = 0
    while offset < len(data):
        site, block, rows, columns, size = struct.unpack_from("<5I", data, offset)
        dtype = np.int8 if size == 1 else np.int32
        values = np.frombuffer(data, dtype, rows * columns, offset + 20).reshape(rows, columns)
        pieces.setdefault((SITES[site], -1 if block == 0xFFFF else block), []).append(values)
        offset += 20 + values.nbytes
    return {site: np.concatenate(parts) for site, parts in pieces.items()}


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory: pytest.TempPathFactory) -> Drive:
    """Whole passes under AddressSanitizer and UndefinedBehaviorSanitizer."""
    return _driver(tmp_path_factory.mktemp("sanitized"), *SANITIZERS)


@pytest.fixture(scope="module")
def raced(tmp_path_factory: pytest.TempPathFactory) -> Drive:
    """Whole passes under ThreadSanitizer."""
    return _driver(tmp_path_factory.mktemp("raced"), "-fsanitize=thread")


@pytest.mark.parametrize("build_flags", BUILDS)
@pytest.mark.parametrize("name", CHECKS)
def test_every_set_of_kernels_equals_its_definition(tmp_path: Path, name: str, build_flags: str) -> None:
    sources = (*(PROGRAMS / file for file in CHECKS[name]), *ENGINE_SOURCES)
    program = build(compiler(), tmp_path / "check", sources, *FLAGS, *BUILDS[build_flags])
    done = subprocess.run((program,), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.mark.parametrize("shape", ODD)
def test_a_pass_stays_within_its_memory(sanitized: Drive, shape: str) -> None:
    model, pixels = lower(random_graph(ODD[shape], 3)), noise(ODD[shape], 3)
    expected = reference_trace(model, pixels)
    for number, kernels in enumerate(KERNELS):
        assert_same(sanitized(model, pixels, ("t2", "t5")[number % 2], kernels, 1 + number % 3), expected)


def test_a_pass_that_leaves_out_channels_stays_within_its_memory(sanitized: Drive) -> None:
    model = folded_model()
    pixels = noise(model.architecture, 4)
    expected = reference_trace(model, pixels)
    for number, kernels in enumerate(KERNELS):
        assert_same(sanitized(model, pixels, ("t2", "t5")[number % 2], kernels, 1 + number % 3), expected)


@pytest.mark.parametrize("case", EXTREMES)
def test_nothing_overflows_at_the_ends_of_the_ranges(sanitized: Drive, case: str) -> None:
    model = EXTREMES[case]
    pixels = noise(model.architecture)
    expected = reference_trace(model, pixels)
    for kernels in KERNELS[:-1]:
        assert_same(sanitized(model, pixels, "t5", kernels, 2), expected)


@pytest.mark.parametrize("seed", range(24))
def test_nothing_overflows_whatever_a_valid_image_holds(sanitized: Drive, seed: int) -> None:
    model = hostile_model(seed)
    pixels = noise(model.architecture, seed)
    encoding, kernels = ("t2", "t5")[seed % 2], KERNELS[seed // 2 % len(KERNELS)]
    assert_same(sanitized(model, pixels, encoding, kernels, 1 + seed % 3), reference_trace(model, pixels))


@pytest.mark.parametrize("workers", [2, 3, 7])
def test_workers_do_not_race(raced: Drive, workers: int) -> None:
    for model in (lower(random_graph(ODD["nothing is a multiple of 16"], 4)), folded_model()):
        pixels = noise(model.architecture, 4)
        for kernels in KERNELS[:-1]:
            assert_same(raced(model, pixels, "t2", kernels, workers), reference_trace(model, pixels))


@pytest.mark.parametrize("name", ["gcc", "clang"])
def test_the_engine_compiles_without_a_warning(tmp_path: Path, name: str) -> None:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"no {name}: install {name}")
    build(found, tmp_path / "engine.so", ENGINE_SOURCES, *FLAGS, "-fPIC", "-shared", "-DFTV_SHARED")


def _is_ours(path: Path, included: str) -> bool:
    return (path.parent / included).is_file() or (RUNTIME / "src" / included).is_file()


def test_the_chips_sources_need_nothing_but_the_compiler() -> None:
    allowed = {"ftv.h", "stddef.h", "stdint.h", "stdbool.h"}
    paths = (path for path in (RUNTIME / "src").rglob("*.[ch]") if path.parent.name not in HOST_FOLDERS)
    for path in sorted(paths):
        code = re.sub(r"/\*.*?\*/", "", path.read_text("utf-8"), flags=re.DOTALL)
        included = set(re.findall(r'#include [<"](.*?)[>"]', code))
        foreign = {name for name in included - allowed if not _is_ours(path, name)}
        assert not foreign, f"{path.name} includes {foreign}"
        used = re.findall(r"\b(?:float|double|malloc|calloc|free|printf|exit|abort)\b", code)
        assert not used, f"{path.name} uses {used}"
