"""The address space: arrays of the caller at addresses of the chip, every access checked.

Nothing but what was mapped can be reached. Between two mappings at least 256 bytes stay free, so that
running past an array's end is found. Addresses are those of the ESP32-S3 (technical reference, 4.3).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from struct import Struct

import numpy as np
import numpy.typing as npt

from .faults import KernelError, Lx7Fault

AREAS = {
    "sram": (0x3FCA_0000, 0x3FD0_0000),
    "sram0": (0x3FC9_8000, 0x3FCA_0000),
    "psram": (0x3D00_0000, 0x3E00_0000),
    "flash": (0x3C00_0000, 0x3D00_0000),
}
"""Where `map` puts an array: internal data RAM (`sram0` a second bank), external RAM, mapped flash."""
_GAP = 256
_PAGE = 8
_q, _w, _h, _d = Struct("16s"), Struct("<I"), Struct("<H"), Struct("8s")
_read_q, _read_w, _read_h, _read_d = _q.unpack_from, _w.unpack_from, _h.unpack_from, _d.unpack_from
_write_q, _write_w, _write_h, _write_d = _q.pack_into, _w.pack_into, _h.pack_into, _d.pack_into


@dataclass(eq=False)
class Region:
    """Bytes that may be accessed."""

    name: str
    address: int
    size: int
    writable: bool
    view: memoryview
    whole: memoryview

    def __str__(self) -> str:
        return (
            f"{self.name} [0x{self.address:08x}, {self.size:,} bytes{'' if self.writable else ', read-only'}]"
        )


class Memory:
    """Regions of one core.

    Attributes:
        strict: a misaligned 128-bit access is a fault; else its low address bits are dropped, as on the chip.
    """

    def __init__(self, strict: bool = True) -> None:
        self.strict = strict
        self._regions: list[Region] = []
        self._starts: list[int] = []
        self._pages: dict[int, Region] = {}
        self._next = {name: start for name, (start, _) in AREAS.items()}

    # ---- regions ----

    @contextmanager
    def map(
        self,
        name: str,
        array: npt.NDArray[np.generic],
        writable: bool = True,
        area: str = "sram",
        address: int | None = None,
        align: int = 16,
    ) -> Iterator[int]:
        """The array's own bytes at an address, for as long as the context lasts.

        Args:
            array: C-contiguous; the kernel's stores change it.
            writable: whether stores are allowed.
            area: of `AREAS`; where the array goes if no address is given.
            align: the address is a multiple of it and not of twice it, so that nothing relies on more.

        Raises:
            Lx7Fault: the area is full, the address taken, or the array not contiguous.
        """
        region = self.add(name, array, writable, area, address, align)
        try:
            yield region.address
        finally:
            self.remove(region)

    def add(
        self,
        name: str,
        array: npt.NDArray[np.generic],
        writable: bool = True,
        area: str = "sram",
        address: int | None = None,
        align: int = 16,
    ) -> Region:
        """As `map`, until `remove`."""
        view = _bytes_of(name, array, writable)
        if address is None:
            address = self._room(area, len(view), align)
        region = Region(name, address, len(view), writable, view, view)
        at = bisect_right(self._starts, address)
        for other in self._regions[max(at - 1, 0) : at + 1]:
            if address < other.address + other.size and other.address < address + len(view):
                raise Lx7Fault(f"{name} at 0x{address:08x} overlaps {other}.")
        self._regions.insert(at, region)
        self._starts.insert(at, address)
        self._fill_pages(region)
        return region

    def remove(self, region: Region) -> None:
        """Takes a region away."""
        at = self._regions.index(region)
        del self._regions[at], self._starts[at]
        self._clear_pages(region)
        for area, (start, end) in AREAS.items():
            if start <= region.address < end:
                inside = [r.address + r.size for r in self._regions if start <= r.address < end]
                self._next[area] = max([start, *[-(-e // _GAP) * _GAP + _GAP for e in inside]])

    def _room(self, area: str, size: int, align: int) -> int:
        address = self._next[area] + align if align < _GAP else -(-self._next[area] // align) * align
        if address + size > AREAS[area][1]:
            raise Lx7Fault(f"{size:,} bytes more do not fit into {area}.")
        self._next[area] = -(-(address + size) // _GAP) * _GAP + _GAP
        return address

    def begin_at(self, region: Region, address: int) -> None:
        """Lets a region begin elsewhere within what it was when it was added, its end where it is."""
        whole = region.whole
        offset = address - (region.address + region.size - len(whole))
        self._starts[self._regions.index(region)] = address
        region.address, region.size, region.view = address, len(whole) - offset, whole[offset:]

    def _fill_pages(self, region: Region) -> None:
        for page in _pages(region):
            self._pages.setdefault(page, region)

    def _clear_pages(self, region: Region) -> None:
        """Forgets the region; a page that it shared is found by searching from then on."""
        for page in _pages(region):
            if self._pages.get(page) is region:
                del self._pages[page]

    # ---- accesses ----

    def _at(self, address: int, size: int, write: bool) -> tuple[memoryview, int]:
        """View and offset.

        Raises:
            KernelError: the access is not allowed.
        """
        address &= 0xFFFFFFFF
        region = self._pages.get(address >> _PAGE)
        if region is None or not (0 <= address - region.address <= region.size - size):
            region = self._searched(address, size, write)
        if write and not region.writable:
            raise KernelError(f"store to 0x{address:08x}, offset {address - region.address} of {region}.")
        return region.view, address - region.address

    def _searched(self, address: int, size: int, write: bool) -> Region:
        at = bisect_right(self._starts, address) - 1
        below = self._regions[at] if at >= 0 else None
        if below and address - below.address <= below.size - size:
            return below
        verb = "store" if write else "load"
        raise KernelError(f"{verb} of {size} bytes at 0x{address:08x}: {self._neighbours(address, size)}.")

    def _neighbours(self, address: int, size: int) -> str:
        """Where the address stands in relation to the regions beside it."""
        at = bisect_right(self._starts, address)
        parts = []
        if at:
            below = self._regions[at - 1]
            past = address + size - below.address - below.size
            parts.append(f"{past:,} bytes past the end of {below}")
        if at < len(self._regions):
            above = self._regions[at]
            parts.append(f"{above.address - address:,} bytes before {above}")
        return "; ".join(parts) or "nothing is mapped"

    def _aligned(self, address: int, size: int) -> int:
        """The address with its low bits cleared.

        Raises:
            KernelError: they were not clear, and the memory is strict.
        """
        if self.strict:
            raise KernelError(
                f"0x{address & 0xFFFFFFFF:08x} is not a multiple of {size}; the chip would drop the low bits."
            )
        return address & -size

    def ld128(self, address: int) -> bytes:
        """Sixteen bytes."""
        if address & 15:
            address = self._aligned(address, 16)
        region = self._pages.get(address >> _PAGE)
        if region is not None:
            offset = address - region.address
            if 0 <= offset <= region.size - 16:
                return _read_q(region.view, offset)[0]  # type: ignore[no-any-return]
        view, offset = self._at(address, 16, False)
        return _read_q(view, offset)[0]  # type: ignore[no-any-return]

    def st128(self, address: int, value: bytes) -> None:
        """Sixteen bytes."""
        if address & 15:
            address = self._aligned(address, 16)
        view, offset = self._at(address, 16, True)
        if type(value) is not bytes:
            raise TypeError("a register that was not written whole")
        _write_q(view, offset, value)

    def ld64(self, address: int) -> bytes:
        """Eight bytes."""
        if address & 7:
            address = self._aligned(address, 8)
        view, offset = self._at(address, 8, False)
        return _read_d(view, offset)[0]  # type: ignore[no-any-return]

    def st64(self, address: int, value: bytes) -> None:
        """Eight bytes."""
        if address & 7:
            address = self._aligned(address, 8)
        view, offset = self._at(address, 8, True)
        _write_d(view, offset, value)

    def ld32(self, address: int) -> int:
        """A word."""
        if address & 3:
            self._scalar(address, 4)
        view, offset = self._at(address, 4, False)
        return _read_w(view, offset)[0]  # type: ignore[no-any-return]

    def st32(self, address: int, value: int) -> None:
        """A word."""
        if address & 3:
            self._scalar(address, 4)
        view, offset = self._at(address, 4, True)
        _write_w(view, offset, +value)

    def ld16(self, address: int) -> int:
        """A half-word, unsigned."""
        if address & 1:
            self._scalar(address, 2)
        view, offset = self._at(address, 2, False)
        return _read_h(view, offset)[0]  # type: ignore[no-any-return]

    def st16(self, address: int, value: int) -> None:
        """The low half of a word."""
        if address & 1:
            self._scalar(address, 2)
        view, offset = self._at(address, 2, True)
        _write_h(view, offset, value & 65535)

    def ld8(self, address: int) -> int:
        """A byte, unsigned."""
        view, offset = self._at(address, 1, False)
        return view[offset]

    def st8(self, address: int, value: int) -> None:
        """The low byte of a word."""
        view, offset = self._at(address, 1, True)
        view[offset] = value & 255

    def broadcast8(self, address: int) -> bytes:
        """A byte sixteen times."""
        return bytes((self.ld8(address),)) * 16

    def broadcast16(self, address: int) -> bytes:
        """Two bytes eight times."""
        if address & 1:
            address = self._aligned(address, 2)
        view, offset = self._at(address, 2, False)
        return bytes(view[offset : offset + 2]) * 8

    def broadcast32(self, address: int) -> bytes:
        """Four bytes four times."""
        if address & 3:
            address = self._aligned(address, 4)
        view, offset = self._at(address, 4, False)
        return bytes(view[offset : offset + 4]) * 4

    def _scalar(self, address: int, size: int) -> None:
        """The chip carries out unaligned scalar accesses, slowly; a kernel has no business doing so."""
        if self.strict:
            raise KernelError(f"0x{address & 0xFFFFFFFF:08x} is not a multiple of {size}.")


def _pages(region: Region) -> range:
    """Numbers of the pages on which the region's bytes, with all that it ever began with, lie."""
    start, end = region.address + region.size - len(region.whole), region.address + region.size
    return range(start >> _PAGE, (end - 1 >> _PAGE) + 1 if end > start else start >> _PAGE)


def _bytes_of(name: str, array: npt.NDArray[np.generic], writable: bool) -> memoryview:
    if not array.flags.c_contiguous:
        raise Lx7Fault(f"{name} is not contiguous.")
    if writable and not array.flags.writeable:
        raise Lx7Fault(f"{name} is read-only in NumPy; map it with writable=False.")
    return array.reshape(-1).view(np.uint8).data
