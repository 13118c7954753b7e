"""`ftv_kernels_esp32s3` in this process."""

from __future__ import annotations

import ctypes
from ctypes import byref, c_char_p, c_uint32, c_void_p
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .. import cstructs as c
from ..engine import load_library
from ..errors import EngineError
from ..image.layout import round_up
from ..lx7 import Core, assemble
from ..resources import c_runtime_folder

Array = npt.NDArray[np.generic]
KERNELS = "esp32s3"
_ADDRESS = 0x3D00_0000
_BYTES = 12 << 20
_ARGUMENT_BYTES = 256
_HOOK = ctypes.CFUNCTYPE(None, c_void_p, c_char_p, c_void_p, c_uint32)


@dataclass
class Count:
    """What the model counted since it was last asked.

    Attributes:
        cycles: modelled, of assembly.
        calls: of assembly functions, by name.
    """

    cycles: int = 0
    calls: dict[str, int] = field(default_factory=dict)


class ChipKernels:
    """`ftv_kernels_esp32s3` in this process; not for several threads.

    Everything that a kernel is given must lie in `memory`: `put` and `room` place arrays there.

    Attributes:
        kernels: the set's table.
        memory: uint8, the piece of memory that stands for the chip's.

    Raises:
        EngineError: the engine was built without these kernels.
    """

    def __init__(self) -> None:
        library = load_library()
        try:
            self.kernels = c.Kernels.in_dll(library, f"ftv_kernels_{KERNELS}")
            self._attach = library.ftv_esp32s3_attach
        except (ValueError, AttributeError):
            raise EngineError(
                "This build of the C engine lacks the ESP32-S3's kernels.", "Build it with GCC or Clang."
            ) from None
        self.library = library
        self.memory = _page_aligned(_BYTES)
        self._cores = {path.stem: Core(assemble(path)) for path in _sources()}
        for core in self._cores.values():
            core.memory.add("memory", self.memory, True, address=_ADDRESS)
        self._count = Count()
        self._fault: Exception | None = None
        self._hook = _HOOK(self._run)
        self._attach.argtypes = (_HOOK, c_void_p, c_void_p, c_uint32)
        self.attach()
        self._taken = _ARGUMENT_BYTES

    def attach(self) -> None:
        """From now on the kernels' assembly comes here, and not to another instance."""
        self._attach(self._hook, None, self.memory.ctypes.data, _ADDRESS)

    def check(self) -> None:
        """Raises what the model raised since it was last asked."""
        if self._fault is not None:
            fault, self._fault = self._fault, None
            raise fault

    def close(self) -> None:
        """Detaches the model from the kernels."""
        self._attach(_HOOK(), None, None, 0)

    def put(self, array: Array) -> Array:
        """A copy of the array in `memory`."""
        placed = self.room(array.shape, array.dtype)
        placed[...] = array
        return placed

    def room(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array:
        """An array of zeros in `memory`, 16-byte aligned."""
        kind = np.dtype(dtype)
        size = int(np.prod(shape)) * kind.itemsize
        start = round_up(self._taken, 16)
        if start + size > len(self.memory):
            raise MemoryError("the model's memory is full")
        self._taken = start + size
        placed = self.memory[start : start + size].view(kind).reshape(shape)
        placed[...] = 0
        return placed

    def forget(self) -> None:
        """Makes all of `memory` free again."""
        self._taken = _ARGUMENT_BYTES

    def run(self, step: str, job: ctypes.Structure, scratch_bytes: int) -> Count:
        """One step, e.g. ``layer``, on its job; raises what the model raised.

        Args:
            job: all of whose pointers lead into `memory`.
        """
        self.attach()
        self._count = Count()
        scratch = self.room((scratch_bytes,), np.uint8)
        getattr(self.kernels, step)(byref(job), scratch.ctypes.data)
        self.check()
        return self._count

    def _run(self, _: int | None, function: bytes, arguments: int, size: int) -> None:
        """The hook: exceptions cannot pass through C, so they wait."""
        if self._fault is not None:
            return
        try:
            self.memory[:size] = np.frombuffer(ctypes.string_at(arguments, size), np.uint8)
            name = function.decode()
            result = self._cores[name].call(name, _ADDRESS)
        except Exception as fault:
            self._fault = fault
            return
        self._count.cycles += result.cycles
        self._count.calls[name] = self._count.calls.get(name, 0) + 1


def _page_aligned(size: int) -> npt.NDArray[np.uint8]:
    memory = np.zeros(size + 4096, np.uint8)
    start = -memory.ctypes.data % 4096
    return memory[start : start + size]


def _sources() -> list[Path]:
    """The set's assembly; a file has the name of its function."""
    return sorted((c_runtime_folder() / "src" / "kernels" / KERNELS).glob("*.S"))
