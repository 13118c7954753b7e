"""The ESP32-S3's kernels on this computer: their C natively, their assembly in the model of the chip."""

from __future__ import annotations

import ctypes
import mmap
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from c_compiler import ROOT, RUNTIME, WARNINGS, compiler

from ftervit_deploy.lx7 import Core, Program, assemble

KERNELS = RUNTIME / "src" / "kernels" / "esp32s3"
_MAP_32BIT = 0x40
_ARENA_BYTES = 64 << 20
_GAP = 512
_HOOK = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_uint32)

Bytes = npt.NDArray[np.uint8]


def build_library(output: Path) -> Path:
    """The engine with the kernels of the ESP32-S3, as a library for this computer."""
    sources = (*sorted((RUNTIME / "src").rglob("*.c")), ROOT / "tests" / "c" / "esp32s3_model.c")
    trap = ("-fsanitize=undefined", "-fsanitize-undefined-trap-on-error")
    flags = ("-std=c11", "-O1", "-g", "-shared", "-fPIC", "-DFTV_ESP32S3", *WARNINGS, *trap)
    includes = (f"-I{RUNTIME / 'include'}", f"-I{RUNTIME / 'src'}")
    subprocess.run((compiler(), *flags, *includes, "-o", output, *sources), check=True)
    return output


def programs() -> dict[str, Program]:
    """Every assembly function of the folder, by name."""
    return {path.stem: assemble(path) for path in sorted(KERNELS.glob("*.S"))}


class Chip:
    """Memory below 2^32 and the kernels that work on it.

    Attributes:
        library: the C functions.
        cycles: modelled, by assembly function, since the last `fresh`.
        calls: arguments of every call since then, as words.
    """

    def __init__(self, library: Path, texts: dict[str, Program]) -> None:
        self.library = ctypes.CDLL(str(library))
        self.cycles: Counter[str] = Counter()
        self.calls: list[tuple[str, list[int]]] = []
        self._error: BaseException | None = None
        self._cores = {name: Core(program) for name, program in texts.items()}
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_32BIT
        self._arena = np.frombuffer(mmap.mmap(-1, _ARENA_BYTES, flags=flags), np.uint8)
        self._start = self._arena.ctypes.data
        assert self._start + _ARENA_BYTES < 2**32
        self._used = 0
        self._hook = _HOOK(self._call)
        self.library.ftv_set_call_hook(self._hook)

    @contextmanager
    def fresh(self) -> Iterator[None]:
        """A scope of buffers: `put` and `room` within it are forgotten at its end, and cycles start at 0."""
        self._used = 0
        self.cycles.clear()
        self.calls.clear()
        self._regions: list[tuple[str, Bytes, int]] = []
        yield
        for core in self._cores.values():
            for region in list(core.memory._regions):
                if region.name.startswith("arena "):
                    core.memory.remove(region)

    def room(self, name: str, size: int, align: int = 16, writable: bool = True) -> tuple[Bytes, int]:
        """`size` bytes at a multiple of `align` that is none of twice it; nothing beside them is mapped."""
        start = -(-(self._start + self._used + _GAP) // (2 * align)) * 2 * align + align - self._start
        self._used = start + size
        view = self._arena[start : start + size]
        view[:] = 0xA5
        for core in self._cores.values():
            core.memory.add(f"arena {name}", view, writable, address=self._start + start)
        return view, self._start + start

    def put(self, name: str, data: npt.NDArray[np.generic], align: int = 16) -> int:
        """Address of a copy that kernels may read."""
        view, address = self.room(name, data.nbytes, align, writable=False)
        view[:] = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
        return address

    def call(self, function: str, *arguments: object) -> None:
        """Calls a C function that returns nothing; errors of the assembly come out here."""
        getattr(self.library, function)(*arguments)
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def size(self, function: str, *arguments: int) -> int:
        """Calls a C function that returns a size."""
        address = getattr(self.library, function)
        address.restype = ctypes.c_size_t
        return int(address(*(ctypes.c_uint32(value) for value in arguments)))

    def _call(self, function: bytes, args: int, size: int) -> None:
        name = function.decode()
        try:
            words = np.frombuffer(ctypes.string_at(args, size), np.uint32).copy()
            words.flags.writeable = False
            self.calls.append((name, words.tolist()))
            if name in self._cores:
                self.cycles[name] += self._cores[name].call(name, words).cycles
        except BaseException as error:  # what a callback raises would be lost
            self._error = self._error or error


@pytest.fixture(scope="session")
def chip(tmp_path_factory: pytest.TempPathFactory) -> Chip:
    """The kernels of the ESP32-S3."""
    return Chip(build_library(tmp_path_factory.mktemp("esp32s3") / "libftv_esp32s3.so"), programs())
