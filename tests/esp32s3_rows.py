"""The row steps of the ESP32-S3's kernels, run in the LX7 model: arrays in, arrays and cycles out."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import numpy.typing as npt
from c_compiler import RUNTIME

from ftervit_deploy.lx7 import Core, Result, assemble

Array = npt.NDArray[np.generic]
KERNELS = RUNTIME / "src" / "kernels" / "esp32s3"
LEVELS = 127


@dataclass
class Call:
    """A struct of 32-bit fields in the making: numbers, and arrays whose addresses it holds."""

    function: str
    fields: list[tuple[str, int | Array, bool, str]] = field(default_factory=list)

    def number(self, value: int) -> Call:
        self.fields.append(("", value, False, ""))
        return self

    def reads(self, name: str, array: Array, area: str = "sram") -> Call:
        self.fields.append((name, array, False, area))
        return self

    def writes(self, name: str, array: Array) -> Call:
        self.fields.append((name, array, True, "sram"))
        return self

    def run(self, known: dict[int, int] | None = None) -> Result:
        """Calls the function; `known`: arrays (by id) that the caller has mapped."""
        core = _core(self.function)
        with ExitStack() as stack:
            words = []
            for name, value, writable, area in self.fields:
                if isinstance(value, np.ndarray):
                    value = stack.enter_context(core.memory.map(name, value, writable, area))
                words.append(int(value) & 0xFFFFFFFF)
            return core.call(self.function, np.array(words, np.uint32))


@cache
def _core(function: str) -> Core:
    return Core(assemble(KERNELS / f"{function}.S"))
