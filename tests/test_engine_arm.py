"""The kernels for 64-bit ARM, compiled for it and run in an emulator of its CPUs."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from c_compiler import build
from test_engine_c import CHECKS, ENGINE_SOURCES, FLAGS, PROGRAMS

UNDEFINED = ("-fsanitize=undefined", "-fno-sanitize-recover=all")
NEON = ["neon", "portable", "scalar", "ref"]
CPUS = {"max": ["neondot", *NEON], "cortex-a53": NEON}
"""What QEMU emulates, and the sets of kernels that such a CPU runs."""
BUILDS = {"optimised": (("-O3",), ("max", "cortex-a53")), "sanitized": (UNDEFINED, ("max",))}


def _tool(name: str, package: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"no {name}: install {package}")
    return found


@pytest.mark.parametrize("kind", BUILDS)
@pytest.mark.parametrize("name", CHECKS)
def test_every_set_of_kernels_equals_its_definition_on_arm(tmp_path: Path, name: str, kind: str) -> None:
    flags, cpus = BUILDS[kind]
    cc = _tool("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu")
    emulator = _tool("qemu-aarch64", "qemu-user")
    sources = (*(PROGRAMS / file for file in CHECKS[name]), *ENGINE_SOURCES)
    program = build(cc, tmp_path / "check", sources, *FLAGS, "-static", *flags)
    for cpu in cpus:
        done = subprocess.run((emulator, "-cpu", cpu, program), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-4000:]
        assert done.stdout.split() == CPUS[cpu]
