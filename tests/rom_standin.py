"""A stand-in for an ESP32-S3 in download mode: it speaks as its ROM and as esptool's flasher do.

Written from Espressif's "Serial Protocol" (docs.espressif.com, esptool). It runs no code of the chip; its
flash behaves as NOR flash does: erasing sets bits, writing only clears them.
"""

from __future__ import annotations

import hashlib
import os
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

SECTOR = 0x1000
CHIP_ID = 9
EFUSE = 0x60007000
STRAP, WDT_CONFIG0, SPI = 0x60004038, 0x60008098, 0x60002000
SPI_USR2, SPI_W0, SPI_ADDR = SPI + 0x20, SPI + 0x58, SPI + 0x04
SPI_GO = 1 << 18
FLASH_8MB = 0x1740C8
"""JEDEC id of a GD25Q64: maker 0xC8 in the lowest byte, 2^0x17 bytes."""
FAILED, CHECKSUM, FORMAT = 0x06, 0x07, 0x05


@dataclass
class Chip:
    """An ESP32-S3 and how it misbehaves.

    Attributes:
        flash: its content; what tests look at.
        efuses: words of the eFuse registers by address.
        security_flags, crypt_count: of GET_SECURITY_INFO.
        vanish_after: bytes written to the flash after which the line breaks, once.
        stuck_bit: offset of a byte of the flash that keeps a cleared bit.
        deaf: answers nothing.
        has_flasher: MEM_END starts what was loaded.
        most_baud: at a higher rate it does not understand a thing.
        baud: the rate that it was changed to.
        log: names of what it was asked, in order.
        resets: how often a watchdog reset it.
    """

    flash: bytearray = field(default_factory=lambda: bytearray(b"\xff" * (8 << 20)))
    chip_id: int = CHIP_ID
    flash_id: int = FLASH_8MB
    efuses: dict[int, int] = field(default_factory=dict)
    security_flags: int = 0
    crypt_count: int = 0
    vanish_after: int | None = None
    stuck_bit: int | None = None
    deaf: bool = False
    has_flasher: bool = True
    most_baud: int = 5_000_000
    baud: int = 115_200
    log: list[str] = field(default_factory=list)
    resets: int = 0
    written_bytes: int = 0

    def set_psram(self, capacity: int) -> None:
        """EFuse PSRAM_CAP: 1 is 8 MB, 2 is 2 MB, 4 is 4 MB."""
        self.efuses[EFUSE + 0x44 + 16] = (capacity & 3) << 3
        self.efuses[EFUSE + 0x44 + 20] = (capacity >> 2) << 19

    def set_revision(self, major: int, minor: int) -> None:
        """EFuses of the wafer's version."""
        self.efuses[EFUSE + 0x44 + 12] = (minor & 7) << 18
        self.efuses[EFUSE + 0x44 + 20] = (minor >> 3) << 23 | major << 24

    def set_octal_flash(self) -> None:
        """EFuse FLASH_TYPE."""
        self.efuses[EFUSE + 0x3C] = 1 << 9

    @property
    def secure_download(self) -> bool:
        """Most commands are refused."""
        return bool(self.security_flags & 4)

    def erase(self, offset: int, size: int) -> None:
        """Whole sectors."""
        start, end = offset // SECTOR * SECTOR, -(-(offset + size) // SECTOR) * SECTOR
        self.flash[start:end] = b"\xff" * (end - start)

    def program(self, offset: int, data: bytes) -> None:
        """Clear bits."""
        old = self.flash[offset : offset + len(data)]
        value = int.from_bytes(old, "little") & int.from_bytes(data[: len(old)], "little")
        self.flash[offset : offset + len(data)] = value.to_bytes(len(old), "little")
        self.written_bytes += len(old)
        if self.stuck_bit is not None:
            self.flash[self.stuck_bit] &= 0xFE


class _GoneError(Exception):
    """The cable is out."""


class _RefusedError(Exception):
    """A command that the chip answers with an error."""


def _unslip(data: bytearray) -> bytes | None:
    """The first whole packet, taken out of `data`."""
    while True:
        start = data.find(b"\xc0")
        end = data.find(b"\xc0", start + 1)
        if start < 0 or end < 0:
            return None
        packet = bytes(data[start + 1 : end])
        del data[: end if not packet else end + 1]
        if packet:
            return packet.replace(b"\xdb\xdc", b"\xc0").replace(b"\xdb\xdd", b"\xdb")


def _slip(packet: bytes) -> bytes:
    return b"\xc0" + packet.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc") + b"\xc0"


class Session:
    """One power-up of the chip: ROM first, then perhaps esptool's flasher."""

    def __init__(self, chip: Chip) -> None:
        self.chip = chip
        self.stub = False
        self.registers: dict[int, int] = {STRAP: 0x8}
        self._spans: list[bytes] = []
        self._at = self._end = self._erased = 0
        self._unpack: Callable[[bytes], bytes] | None = None
        self._reading: tuple[int, int, int] | None = None

    def answers(self, packet: bytes) -> Iterator[bytes]:
        """Packets that come back for one."""
        if self._reading is not None:
            yield from self._read_on(packet)
            return
        _, op, length, check = struct.unpack_from("<BBHI", packet)
        data, name = packet[8:], COMMANDS.get(packet[1], "")
        self.chip.log.append(name)
        assert len(data) == length
        try:
            value, result = self._run(name, data, check)
            status = b"\0\0"
        except _RefusedError as refused:
            value, result, status = 0, b"", bytes((1, refused.args[0]))
        reserved = b"" if self.stub and name != "MEM_END" else b"\0\0"
        reply = struct.pack("<BBHI", 1, op, len(result) + 2 + len(reserved), value)
        for _ in range(8 if name == "SYNC" else 1):
            yield reply + result + status + reserved
        if name == "MEM_END" and self.stub:
            yield b"OHAI"
        if name == "READ_FLASH":
            yield from self._read_on(None)

    def _run(self, name: str, data: bytes, check: int) -> tuple[int, bytes]:
        rom_only, stub_only = {"READ_FLASH_SLOW"}, {"ERASE_FLASH", "READ_FLASH"}
        blind = {"READ_REG", "WRITE_REG", "MEM_BEGIN", "SPI_FLASH_MD5", "READ_FLASH_SLOW"}
        refused = blind if self.chip.secure_download else set()
        if not name or name in (rom_only if self.stub else stub_only) | refused:
            raise _RefusedError(FORMAT)
        result = getattr(self, "_" + name.lower())(data, check)
        return result if isinstance(result, tuple) else (0, result or b"")

    def _sync(self, data: bytes, check: int) -> tuple[int, bytes]:
        return (0 if self.stub else 0x20120707), b""

    def _get_security_info(self, data: bytes, check: int) -> bytes:
        chip = self.chip
        return struct.pack("<IB7xII", chip.security_flags, chip.crypt_count, chip.chip_id, 0)

    def _read_reg(self, data: bytes, check: int) -> tuple[int, bytes]:
        address = struct.unpack("<I", data)[0]
        return self.registers.get(address, self.chip.efuses.get(address, 0)), b""

    def _write_reg(self, data: bytes, check: int) -> None:
        address, value, mask, _ = struct.unpack_from("<4I", data)
        self.registers[address] = self.registers.get(address, 0) & ~mask | value & mask
        if address == SPI and value & SPI_GO:
            self.registers[SPI] = 0
            self.registers[SPI_W0] = self._spi(self.registers.get(SPI_USR2, 0) & 0xFF)
        if address == WDT_CONFIG0 and value >> 31:
            self.chip.resets += 1

    def _spi(self, opcode: int) -> int:
        if opcode == 0x9F:
            return self.chip.flash_id
        if opcode == 0x5A:
            return 0x50444653 if self.registers.get(SPI_ADDR, 0) == 0 else 0
        return 0

    def _spi_attach(self, data: bytes, check: int) -> None:
        assert len(data) == (4 if self.stub else 8)

    def _spi_set_params(self, data: bytes, check: int) -> None:
        assert len(data) == 24

    def _change_baudrate(self, data: bytes, check: int) -> None:
        self.chip.baud = struct.unpack_from("<I", data)[0]

    def _mem_begin(self, data: bytes, check: int) -> None:
        self._spans.append(b"")

    def _mem_data(self, data: bytes, check: int) -> None:
        self._spans[-1] += self._block(data, check)

    def _mem_end(self, data: bytes, check: int) -> None:
        self.stub = self.chip.has_flasher and len(b"".join(self._spans)) > 1000

    def _block(self, data: bytes, check: int) -> bytes:
        length = struct.unpack_from("<I", data)[0]
        content, expected = data[16:], 0xEF
        for byte in content:
            expected ^= byte
        if len(content) != length or expected != check:
            raise _RefusedError(CHECKSUM)
        return content

    def _begin(self, data: bytes) -> None:
        size, _, _, self._at, encrypted = struct.unpack("<5I", data)
        assert not encrypted
        assert self._at % SECTOR == 0
        self._end = self._at + size
        self._erased = self._at
        if not self.stub:  # the ROM erases first, the flasher as it goes
            self.chip.erase(self._at, size)
            self._erased = self._end

    def _flash_begin(self, data: bytes, check: int) -> None:
        self._begin(data)

    def _flash_data(self, data: bytes, check: int) -> None:
        self._put(self._block(data, check))

    def _flash_defl_begin(self, data: bytes, check: int) -> None:
        self._begin(data)
        self._unpack = zlib.decompressobj().decompress

    def _flash_defl_data(self, data: bytes, check: int) -> None:
        assert self._unpack is not None
        self._put(self._unpack(self._block(data, check)))

    def _put(self, content: bytes) -> None:
        content = content[: self._end - self._at]
        while content:
            piece = content[: SECTOR - self._at % SECTOR]
            if self._at >= self._erased:
                self.chip.erase(self._at, 1)
                self._erased = self._at // SECTOR * SECTOR + SECTOR
            self.chip.program(self._at, piece)
            self._at += len(piece)
            content = content[len(piece) :]
            limit = self.chip.vanish_after
            if limit is not None and self.chip.written_bytes >= limit:
                self.chip.vanish_after = None
                raise _GoneError

    def _flash_end(self, data: bytes, check: int) -> None:
        if self._at < self._end:
            raise _RefusedError(FAILED)

    _flash_defl_end = _flash_end

    def _spi_flash_md5(self, data: bytes, check: int) -> bytes:
        offset, size, _, _ = struct.unpack("<4I", data)
        digest = hashlib.md5(self.chip.flash[offset : offset + size])
        return digest.digest() if self.stub else digest.hexdigest().encode()

    def _read_flash_slow(self, data: bytes, check: int) -> bytes:
        offset, size = struct.unpack("<II", data)
        return bytes(self.chip.flash[offset : offset + size]).ljust(64, b"\0")

    def _erase_flash(self, data: bytes, check: int) -> None:
        self.chip.erase(0, len(self.chip.flash))

    def _read_flash(self, data: bytes, check: int) -> None:
        offset, size, _, _ = struct.unpack("<4I", data)
        self._reading = (offset, size, 0)

    def _read_on(self, acknowledged: bytes | None) -> Iterator[bytes]:
        assert self._reading is not None
        offset, size, sent = self._reading
        if acknowledged is not None and struct.unpack("<I", acknowledged)[0] != sent:
            raise _GoneError
        if sent == size:
            self._reading = None
            yield hashlib.md5(self.chip.flash[offset : offset + size]).digest()
            return
        piece = bytes(self.chip.flash[offset + sent : offset + min(sent + SECTOR, size)])
        self._reading = (offset, size, sent + len(piece))
        yield piece


COMMANDS = {
    0x02: "FLASH_BEGIN", 0x03: "FLASH_DATA", 0x04: "FLASH_END", 0x05: "MEM_BEGIN", 0x06: "MEM_END",
    0x07: "MEM_DATA", 0x08: "SYNC", 0x09: "WRITE_REG", 0x0A: "READ_REG", 0x0B: "SPI_SET_PARAMS",
    0x0D: "SPI_ATTACH", 0x0E: "READ_FLASH_SLOW", 0x0F: "CHANGE_BAUDRATE", 0x10: "FLASH_DEFL_BEGIN",
    0x11: "FLASH_DEFL_DATA", 0x12: "FLASH_DEFL_END", 0x13: "SPI_FLASH_MD5", 0x14: "GET_SECURITY_INFO",
    0xD0: "ERASE_FLASH", 0xD2: "READ_FLASH",
}  # fmt: skip


def serve(chip: Chip, receive: Callable[[], bytes], send: Callable[[bytes], object]) -> None:
    """Talk until the line ends; each call is a power-up."""
    session, data = Session(chip), bytearray()
    chip.baud = 115_200
    while chunk := receive():
        data += chunk
        while (packet := _unslip(data)) is not None:
            if chip.deaf or chip.baud > chip.most_baud:
                continue
            resets = chip.resets
            for answer in session.answers(packet):
                send(_slip(answer))
            if chip.resets != resets:
                session = Session(chip)


@contextmanager
def running(chip: Chip) -> Iterator[str]:
    """The socket:// URL at which a chip answers; each connection finds it in its ROM."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_accept, args=(server, chip), daemon=True)
        thread.start()
        yield f"socket://127.0.0.1:{server.getsockname()[1]}"
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def _accept(server: socket.socket, chip: Chip) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection, suppress(_GoneError, OSError):
            serve(chip, lambda: connection.recv(65536), connection.sendall)  # noqa: B023


@contextmanager
def running_on_pty(chip: Chip) -> Iterator[str]:
    """The name of a pseudo-terminal at which a chip answers; whoever opens it finds the chip in its ROM."""
    import tty

    master, slave = os.openpty()
    tty.setraw(slave)
    name, ended = os.ttyname(slave), threading.Event()
    os.close(slave)
    thread = threading.Thread(target=_answer_openings, args=(master, chip, ended), daemon=True)
    thread.start()
    yield name
    ended.set()
    thread.join(10)
    os.close(master)


def _answer_openings(master: int, chip: Chip, ended: threading.Event) -> None:
    """Reading fails as long as nobody has the other end open."""
    while not ended.is_set():
        with suppress(_GoneError, OSError):
            serve(chip, lambda: os.read(master, 65536), lambda data: _write_all(master, data))
        time.sleep(0.005)


def _write_all(master: int, data: bytes) -> None:
    while data:
        data = data[os.write(master, data) :]
