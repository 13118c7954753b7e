"""Bare-metal programs for an emulated Xtensa core without a vector unit.

Needs gcc-xtensa-lx106 and qemu-system-misc.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from c_compiler import ROOT, RUNTIME, WARNINGS

BOARD = ROOT / "tests" / "xtensa"
GCC, QEMU = "xtensa-lx106-elf-gcc", "qemu-system-xtensa"
MISSING = "no emulated Xtensa: install gcc-xtensa-lx106 and qemu-system-misc"
FLAGS = (
    "-std=c11", "-O2", "-DNDEBUG", "-ffreestanding", "-nostdlib", "-mlongcalls", "-ffunction-sections",
    *WARNINGS,
)  # fmt: skip
INCLUDES = (f"-I{RUNTIME / 'include'}", f"-I{RUNTIME / 'src'}")
MACHINE = ("-M", "sim", "-cpu", "de212", "-m", "128", "-semihosting")
QUIET = ("-display", "none", "-serial", "none", "-monitor", "none")
COUNTING = ("-icount", "shift=5,sleep=off")
"""An instruction takes 32 ns of the core's time, 1.28 cycles at 40 MHz: CCOUNT counts instructions."""


def is_there() -> bool:
    """Whether compiler and emulator are installed."""
    return shutil.which(GCC) is not None and shutil.which(QEMU) is not None


def compile_engine(folder: Path) -> list[Path]:
    """The objects of c_runtime/src, in `folder`; not those of a chip with a vector unit."""
    sources = [
        path for path in sorted((RUNTIME / "src").rglob("*.c")) if not {"esp32s3", "x86"} & set(path.parts)
    ]
    subprocess.run((GCC, *FLAGS, *INCLUDES, "-c", *sources), check=True, cwd=folder)
    return sorted(folder.glob("*.o"))


def link(program: Path, *parts: str | Path) -> Path:
    """Compiles and links flags, sources and objects, with what every program of tests/xtensa needs."""
    common = (BOARD / "start.S", BOARD / "library.c", f"-I{BOARD}")
    linking = ("-T", BOARD / "link.ld", "-Wl,--no-warn-rwx-segments,--gc-sections", "-lgcc", "-o", program)
    subprocess.run((GCC, *FLAGS, *INCLUDES, *common, *parts, *linking), check=True)
    return program


def run(program: Path, *options: str, timeout_seconds: int = 120) -> list[list[int]]:
    """Lines of 32-bit words that the program prints."""
    command = (QEMU, *MACHINE, *QUIET, *options, "-kernel", program)
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=timeout_seconds, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, f"status -{done.returncode}: {done.stdout}{done.stderr}"
    return [[int(word, 16) for word in line.split()] for line in done.stdout.splitlines()]
