"""The LX7 model: runs the ESP32-S3 kernels' own assembler text, checks it, and counts modelled cycles.

>>> program = assemble("c_runtime/src/kernels/esp32s3/ftv_linear_s8t2_esp32s3.S")
>>> core = Core(program)
>>> with core.memory.map("x", x, writable=False) as address:
...     result = core.call("ftv_linear_s8t2_esp32s3", address, ...)
>>> result.cycles
"""

from .assembler import assemble, assemble_text
from .core import Core, Result
from .faults import AssemblyError, Lx7Fault, Place
from .memory import Memory, Region
from .program import Instruction, Program

__all__ = [
    "AssemblyError",
    "Core",
    "Instruction",
    "Lx7Fault",
    "Memory",
    "Place",
    "Program",
    "Region",
    "Result",
    "assemble",
    "assemble_text",
]
