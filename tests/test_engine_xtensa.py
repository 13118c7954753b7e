"""The engine on an emulated Xtensa core, compiled for it and without a C library, gives the same logits."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from c_compiler import ROOT, RUNTIME, WARNINGS
from engine_cases import noise

from ftervit_deploy.architecture import Architecture
from ftervit_deploy.image import write_image
from ftervit_deploy.lower import lower
from ftervit_deploy.reference import forward
from synthetic import random_graph

BOARD = ROOT / "tests" / "xtensa"
GCC, QEMU = "xtensa-lx106-elf-gcc", "qemu-system-xtensa"
FLAGS = ("-std=c11", "-O2", "-DNDEBUG", "-ffreestanding", "-nostdlib", "-mlongcalls", *WARNINGS)
MACHINE = ("-M", "sim", "-cpu", "de212", "-m", "128", "-semihosting")
QUIET = ("-display", "none", "-serial", "none", "-monitor", "none")
SHAPES = {
    "square": Architecture(16, 4, 32, 2, 2, 64, 5),
    "odd": Architecture(10, 5, 40, 2, 5, 77, 3, layer_scale=True, position_on_class_token=False),
}


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The engine and main.c, compiled for the core."""
    if shutil.which(GCC) is None or shutil.which(QEMU) is None:
        pytest.skip("no emulated Xtensa: install gcc-xtensa-lx106 and qemu-system-misc")
    folder = tmp_path_factory.mktemp("xtensa")
    sources = (BOARD / "main.c", *sorted((RUNTIME / "src").rglob("*.c")))
    includes = (f"-I{RUNTIME / 'include'}", f"-I{RUNTIME / 'src'}")
    subprocess.run((GCC, *FLAGS, *includes, "-c", *sources), check=True, cwd=folder)
    return sorted(folder.glob("*.o"))


def _link(objects: list[Path], folder: Path) -> Path:
    """The bare-metal program, with model.ftv and pixels.rgb of `folder` inside."""
    program = folder / "engine.elf"
    linking = ("-T", BOARD / "link.ld", "-Wl,--no-warn-rwx-segments", "-lgcc", "-o", program)
    subprocess.run((GCC, *FLAGS, f"-I{folder}", BOARD / "start.S", *objects, *linking), check=True)
    return program


@pytest.mark.parametrize("encoding", ["t2", "t5"])
@pytest.mark.parametrize("shape", SHAPES)
def test_xtensa_gives_the_same_logits(objects: list[Path], tmp_path: Path, shape: str, encoding: str) -> None:
    model, pixels = lower(random_graph(SHAPES[shape], 6)), noise(SHAPES[shape], 6)
    (tmp_path / "model.ftv").write_bytes(write_image(model, encoding))
    (tmp_path / "pixels.rgb").write_bytes(pixels.tobytes())
    command = (QEMU, *MACHINE, *QUIET, "-kernel", _link(objects, tmp_path))
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"status -{done.returncode}: {done.stdout}{done.stderr}"
    expected = forward(model, pixels[None])[0].astype(np.int32).tolist()
    lines = [[int(word, 16) for word in line.split()] for line in done.stdout.splitlines()]
    assert lines == [[value & 0xFFFFFFFF for value in expected]] * 2, "one line for each set of kernels"
