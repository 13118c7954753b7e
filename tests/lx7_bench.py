"""A bench for one instruction: puts everything into registers, runs it, and reads everything back."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

import numpy as np

from ftervit_deploy.lx7 import Core, assemble_text

FIRST, LAST = 4, 15
"""Address registers that an instruction under test may use."""
_ACCESS = 0x3FCB_0000
"""Where the memory of the bench lies."""
BYTES = 512


@dataclass
class Machine:
    """Everything that an instruction can see. Vector registers are numbers of 128 bits, lane 0 lowest.

    Attributes:
        accx: 40 bits, unsigned.
        qacc: 320 bits, QACC_H above QACC_L.
    """

    a: list[int] = field(default_factory=lambda: [0] * 16)
    q: list[int] = field(default_factory=lambda: [0] * 8)
    sar: int = 0
    sar_byte: int = 0
    fft: int = 3
    accx: int = 0
    qacc: int = 0
    ua: int = 0
    acc: int = 0
    memory: bytearray = field(default_factory=lambda: bytearray(BYTES))

    base = _ACCESS

    def copy(self) -> Machine:
        return copy.deepcopy(self)

    def load(self, address: int, size: int) -> int:
        """A number from memory, its low address bits cleared."""
        at = (address & -size) - self.base
        assert 0 <= at <= len(self.memory) - size
        return int.from_bytes(self.memory[at : at + size], "little")

    def store(self, address: int, size: int, value: int) -> None:
        at = (address & -size) - self.base
        assert 0 <= at <= len(self.memory) - size
        self.memory[at : at + size] = (value & (1 << 8 * size) - 1).to_bytes(size, "little")


_LOAD = """
    .global bench
bench:
    entry   a1, 32
    mov     a3, a2
    .irp    n, 0, 1, 2, 3, 4, 5, 6, 7
    ee.vld.128.ip q\\n, a3, 16
    .endr
    ee.ld.qacc_l.l.128.ip a3, 16
    ee.ld.qacc_l.h.32.ip a3, 16
    ee.ld.qacc_h.l.128.ip a3, 16
    ee.ld.qacc_h.h.32.ip a3, 16
    ee.ld.ua_state.ip a3, 16
    ee.ld.accx.ip a3, 16
    l32i    a4, a3, 0
    wsr.sar a4
    l32i    a4, a3, 4
    wur.sar_byte a4
    l32i    a4, a3, 8
    wur.fft_bit_width a4
    l32i    a4, a3, 12
    wsr.acclo a4
    l32i    a4, a3, 16
    wsr.acchi a4
    addi    a3, a3, 32
    .irp    n, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    l32i    a\\n, a3, (\\n - 4) * 4
    .endr
"""
_STORE = """
    l32i    a3, a2, 14 * 16 + 92
    .irp    n, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    s32i    a\\n, a3, 256 + (\\n - 4) * 4
    .endr
    mov     a4, a3
    .irp    n, 0, 1, 2, 3, 4, 5, 6, 7
    ee.vst.128.ip q\\n, a4, 16
    .endr
    ee.st.qacc_l.l.128.ip a4, 16
    ee.st.qacc_l.h.32.ip a4, 16
    ee.st.qacc_h.l.128.ip a4, 16
    ee.st.qacc_h.h.32.ip a4, 16
    ee.st.ua_state.ip a4, 16
    ee.st.accx.ip a4, 16
    rsr.sar a5
    s32i    a5, a4, 0
    rur.sar_byte a5
    s32i    a5, a4, 4
    rur.fft_bit_width a5
    s32i    a5, a4, 8
    rsr.acclo a5
    s32i    a5, a4, 12
    rsr.acchi a5
    s32i    a5, a4, 16
    retw
"""


class Bench:
    """The bench around one text; a branch may lead to `taken`, which sets a15 to 1."""

    def __init__(self, text: str, strict: bool = True) -> None:
        taken = "\n    j done\ntaken: movi a15, 1\ndone:\n" if "taken" in text else "\n"
        self._core = Core(assemble_text(_LOAD + "    " + text + taken + _STORE), strict)

    def run(self, machine: Machine) -> Machine:
        """The machine after the instruction."""
        image = np.frombuffer(bytearray(_image(machine)), np.uint8)
        out = np.zeros(512, np.uint8)
        memory = np.frombuffer(machine.memory, np.uint8).copy()
        with (
            self._core.memory.map("bench", memory, address=_ACCESS),
            self._core.memory.map("out", out) as address,
        ):
            image[316:320] = np.array([address], np.uint32).view(np.uint8)
            self._core.call("bench", image)
        return _machine(out.tobytes(), memory.tobytes(), machine)


def _image(m: Machine) -> bytes:
    low, high = m.qacc & 2**160 - 1, m.qacc >> 160
    out = b"".join(q.to_bytes(16, "little") for q in m.q)
    for half in (low, high):
        out += half.to_bytes(20, "little").ljust(32, b"\0")
    out += m.ua.to_bytes(16, "little") + m.accx.to_bytes(16, "little")
    words = [m.sar, m.sar_byte, m.fft, m.acc & 2**32 - 1, m.acc >> 32 & 255, 0, 0, 0, *m.a[4:], 0]
    return (out + b"".join(w.to_bytes(4, "little") for w in words)).ljust(320, b"\0")


def _machine(out: bytes, memory: bytes, before: Machine) -> Machine:
    def number(start: int, size: int) -> int:
        return int.from_bytes(out[start : start + size], "little")

    m = before.copy()
    m.q = [number(16 * n, 16) for n in range(8)]
    m.qacc = number(128, 20) | number(160, 20) << 160
    m.ua, m.accx = number(192, 16), number(208, 8)
    m.sar, m.sar_byte, m.fft = number(224, 4), number(228, 4), number(232, 4)
    m.acc = number(236, 4) | (number(240, 4) & 255) << 32
    m.a[4:] = [number(256 + 4 * n, 4) for n in range(12)]
    m.memory = bytearray(memory)
    return m
