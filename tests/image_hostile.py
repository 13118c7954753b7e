"""Images that break one rule of IMAGE_FORMAT.md each, under a hash that fits."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from folding_models import SMALL, folded_model
from image_models import TINY, random_model

from ftervit_deploy.image import read_info, write_image
from ftervit_deploy.image.layout import NO_BLOCK, Role, Section
from ftervit_deploy.lower import IntegerModel

Bytes = bytearray


def rehashed(data: bytes | bytearray) -> bytes:
    """The same bytes with a hash that fits."""
    return bytes(data[:16]) + hashlib.sha256(data[48:]).digest() + bytes(data[48:])


@dataclass(frozen=True)
class Hostile:
    """An image, the status that it deserves, and the rule that it breaks."""

    rule: str
    code: str
    data: bytes


class _Maker:
    """Changes of one valid image."""

    def __init__(self, encoding: str, model: IntegerModel) -> None:
        self.encoding = encoding
        self.base = write_image(model, encoding)
        self.sections = {(s.place.role, s.place.block): s for s in read_info(self.base).sections}

    def section(self, role: Role, block: int = NO_BLOCK) -> Section:
        return self.sections[role, block]

    def set(self, offset: int, layout: str, *values: float) -> bytes:
        data = Bytes(self.base)
        struct.pack_into("<" + layout, data, offset, *values)
        return rehashed(data)

    def in_section(self, role: Role, block: int, at: int, layout: str, *values: float) -> bytes:
        section = self.section(role, block)
        return self.set(section.offset + (at if at >= 0 else section.length + at), layout, *values)

    def row(self, index: int, at: int, layout: str, value: int) -> bytes:
        return self.set(144 + 12 * index + at, layout, value)


def hostile_images(encoding: str) -> list[Hostile]:
    """At least one image for every rule that can be broken."""
    make, leaving_out = _Maker(encoding, random_model(TINY)), _Maker(encoding, folded_model())
    groups: tuple[Callable[[_Maker], Iterator[tuple[str, str, bytes]]], ...] = (
        _prefixes, _architectures, _constants, _tables, _paddings, _labels, _matrices, _affines, _norms,
        _embeddings,
    )  # fmt: skip
    broken = [*(image for group in groups for image in group(make)), *_left_out(leaving_out)]
    return [Hostile(rule, f"FTV_ERR_{code}", data) for rule, code, data in broken]


def _prefixes(m: _Maker) -> Iterator[tuple[str, str, bytes]]:
    base, grown = m.base, len(m.base) + 16
    yield "empty", "TRUNCATED", b""
    yield "first byte only", "TRUNCATED", base[:1]
    yield "half a magic", "TRUNCATED", base[:5]
    yield "header cut", "TRUNCATED", base[:143]
    yield "header only", "TRUNCATED", base[:144]
    yield "last byte missing", "TRUNCATED", base[:-1]
    yield "short and another magic", "MAGIC", b"FTVX"
    yield "text-mode damage", "MAGIC", base.replace(b"\r\n\x1a\n", b"\n\x1a\n", 1)
    yield "another file", "MAGIC", b"\x89PNG\r\n\x1a\n" + bytes(200)
    yield "version 0", "VERSION", m.set(8, "H", 0)
    yield "version 3", "VERSION", m.set(8, "H", 3)
    yield "version 2, and no channels are left out", "TABLE", m.set(8, "H", 2)
    yield "numerics 2", "VERSION", m.set(10, "H", 2)
    yield "a byte more", "LENGTH", base + b"\0"
    yield "sixteen bytes more", "LENGTH", base + bytes(16)
    yield "says 143 bytes", "LENGTH", m.set(12, "I", 143)
    yield "says 0 bytes", "LENGTH", m.set(12, "I", 0)
    yield "says 2^32 - 16 bytes", "TRUNCATED", m.set(12, "I", 2**32 - 16)
    yield "length no multiple of 16", "LENGTH", rehashed(_with_length(base + bytes(8)))
    yield "sixteen zeros at the end", "TABLE", rehashed(_with_length(base + bytes(16)))
    yield "says 16 bytes more", "TRUNCATED", m.set(12, "I", grown)
    yield "hash flipped", "HASH", base[:20] + bytes([base[20] ^ 1]) + base[21:]
    yield "last byte flipped", "HASH", base[:-1] + bytes([base[-1] ^ 0x80])
    yield "header flipped", "HASH", base[:48] + bytes([base[48] ^ 1]) + base[49:]
    for encoding in (0, 1, 3, 4, 6, 255):
        yield f"encoding {encoding}", "ENCODING", m.set(48, "B", encoding)


def _with_length(data: bytes) -> bytes:
    return data[:12] + struct.pack("<I", len(data)) + data[16:]


def _architectures(m: _Maker) -> Iterator[tuple[str, str, bytes]]:
    for name, offset, values in (
        ("image size", 50, (0, 7, 4097, 4098, 138)),
        ("patch size", 52, (0, 4, 38, 65535)),
        ("width", 54, (0, 15, 2050, 65534)),
        ("depth", 56, (0, 1, 3, 65, 65535)),
        ("heads", 58, (0, 3, 65535)),
        ("hidden", 60, (0, 4129, 65535)),
        ("classes", 62, (0,)),
    ):
        for value in values:
            yield f"{name} {value}", "ARCHITECTURE", m.set(offset, "H", value)
    yield "unknown flag", "ARCHITECTURE", m.set(49, "B", 7)
    yield "flag 128", "ARCHITECTURE", m.set(49, "B", 128)
    yield "257 channels a head", "ARCHITECTURE", m.set(54, "HHH", 514, 2, 2)
    for tokens in (0, 4, 6, 2**32 - 1):
        yield f"tokens {tokens}", "ARCHITECTURE", m.set(64, "I", tokens)
    yield "2117 tokens", "ARCHITECTURE", m.set(50, "HH", 138, 3)[:64] + m.base[64:]
    for rows in (0, 27, 29, 2**32 - 1):
        yield f"rows {rows}", "ARCHITECTURE", m.set(68, "I", rows)


def _constants(m: _Maker) -> Iterator[tuple[str, str, bytes]]:
    for name, offset, layout, values in (
        ("eps", 72, "I", (0, 2**24 + 1, 2**32 - 1)),
        ("attention mantissa", 76, "H", (0, 2**14 - 1, 2**15, 65535)),
        ("attention exponent", 78, "h", (-1, 63, -32768)),
        ("red scale", 80, "i", (-1, 2**22 + 1, -(2**31))),
        ("blue scale", 88, "i", (-1, 2**22 + 1)),
        ("red offset", 92, "i", (-(2**29) - 1, 2**29 + 1, -(2**31))),
        ("blue offset", 100, "i", (-(2**29) - 1, 2**29 + 1)),
    ):
        for value in values:
            yield f"{name} {value}", "SCALE", m.set(offset, layout, value)
    yield "first reserved byte", "PADDING", m.set(104, "B", 1)
    yield "last reserved byte", "PADDING", m.set(143, "B", 128)


def _tables(m: _Maker) -> Iterator[tuple[str, str, bytes]]:
    last = len(m.sections) - 1
    for index, section in enumerate(m.sections.values()):
        row = section.place.role.name
        yield f"role of {row} {section.place.block}", "TABLE", m.row(index, 0, "H", 9)
        yield f"block of {row} {section.place.block}", "TABLE", m.row(index, 2, "H", 2)
        yield f"offset of {row} {section.place.block}", "TABLE", m.row(index, 4, "I", section.offset + 64)
    for index in (0, 1, 2, 3, 4, 5, last):
        for length in (0, 1, 2**32 - 1, 2**31):
            yield f"row {index}, {length} bytes", "TABLE", m.row(index, 8, "I", length)
    yield "meta of 65537 bytes", "TABLE", m.row(0, 8, "I", 65537)
    yield "labels of 2^22 + 1 bytes", "TABLE", m.row(1, 8, "I", 2**22 + 1)
    yield "offset 2^32 - 64", "TABLE", m.row(2, 4, "I", 2**32 - 64)
    yield "other encoding", "TABLE", m.set(48, "B", 7 - m.base[48])
    yield "position rows", "TABLE", m.set(49, "B", 2)
    yield "ends in its table", "TABLE", rehashed(_with_length(m.base[:160]))
    yield "ends in a section", "TABLE", rehashed(_with_length(m.base[:-64]))
    yield "65535 classes", "TABLE", m.set(62, "H", 65535)


def _paddings(m: _Maker) -> Iterator[tuple[str, str, bytes]]:
    ends = [144 + 12 * len(m.sections), *(section.end for section in m.sections.values())]
    starts = [*(section.offset for section in m.sections.values()), len(m.base)]
    for end, start in zip(ends, starts, strict=True):
        if start > end:
            yield f"byte {end} between sections", "PADDING", m.set(end, "B", 1)
            yield f"byte {start - 1} between sections", "PADDING", m.set(start - 1, "B", 255)


def _labels(m: _Maker) -> Iterator[tuple[str, str, bytes]]:
    section = m.section(Role.LABELS)
    text = m.base[section.offset : section.end]
    first, rest = text.split(b"\n", 1)
    for rule, line in (
        ("an empty label", b""),
        ("a tab", b"class\t0"),
        ("DEL", b"class\x7f0"),
        ("NUL", b"class\x000"),
        ("a stray continuation byte", b"class \x80"),
        ("a cut character", b"class 0 \xe2\x82"),
        ("an overlong slash", b"class \xc0\xaf"),
        ("an overlong 3-byte form", b"class \xe0\x9f\xbf"),
        ("an overlong 4-byte form", b"class \xf0\x8f\xbf\xbf"),
        ("a surrogate", b"class \xed\xa0\x80"),
        ("beyond U+10FFFF", b"cla \xf4\x90\x80\x80"),
        ("byte F5", b"class \xf5\x80\x80\x80"),
        ("byte FF", b"class 0 \xff"),
        ("a line too many", b"cla\nss 0"),
    ):
        yield rule, "TEXT", m.in_section(Role.LABELS, NO_BLOCK, 0, f"{len(text)}s", _fill(line, first, rest))
    yield "a label without an end", "TEXT", m.in_section(Role.LABELS, NO_BLOCK, -1, "B", ord("x"))
    yield "a character cut by the end", "TEXT", m.in_section(Role.LABELS, NO_BLOCK, -1, "B", 0xC3)
    yield "two labels in one line", "TEXT", m.in_section(Role.LABELS, NO_BLOCK, len(first), "B", ord(" "))


def _fill(line: bytes, first: bytes, rest: bytes) -> bytes:
    """The labels with another first line; the last line is stretched so that the length stays."""
    missing = len(first) - len(line)
    return line + b"\n" + (rest if missing == 0 else rest[:-1] + b"y" * missing + b"\n")


def _matrices(m: _Maker) -> Iterator[tuple[str, str, bytes]]:
    not_base_3 = [byte for byte in range(256) if byte * 243 % 256 >= 243]
    bad = [0x03, 0xC0, 0x0C, 0xFF] if m.encoding == "t2" else not_base_3
    for role, block in ((Role.PATCH_WEIGHT, NO_BLOCK), (Role.QKV_WEIGHT, 0), (Role.FC2_WEIGHT, 1)):
        for value in bad:
            yield f"code {value} in {role.name}", "CODE", m.in_section(role, block, 0, "B", value)
        yield f"last code in {role.name}", "CODE", m.in_section(role, block, -1, "B", bad[0])
    other = 0x56 if m.encoding == "t2" else 129
    for role, block in [(Role.HEAD_WEIGHT, NO_BLOCK), (Role.QKV_WEIGHT, 1), (Role.PROJ_WEIGHT, 0)]:
        yield f"pad row in {role.name}", "CODE", m.in_section(role, block, 15, "B", other)
    for value in (0x00, 0x95, 0x51) if m.encoding == "t2" else (0, 127, 254):
        yield f"pad row {value}", "CODE", m.in_section(Role.QKV_WEIGHT, 0, 7, "B", value)
    yield from _ends(m)


def _ends(m: _Maker) -> Iterator[tuple[str, str, bytes]]:
    """Weights beyond K: 27 of the patch embedding, 14 of the rest, 21 of fc2."""
    for role, block, inputs in (
        (Role.PATCH_WEIGHT, NO_BLOCK, 27), (Role.QKV_WEIGHT, 0, 14), (Role.FC2_WEIGHT, 1, 21),
    ):  # fmt: skip
        section = m.section(role, block)
        step = 16 if m.encoding == "t2" else 5
        tile = (64 if m.encoding == "t2" else 16) * -(-inputs // step)
        for k in range(inputs, -(-inputs // step) * step):
            at, change = _beyond(m, k, step)
            index = section.offset + at
            assert at < tile
            yield f"k {k} of {role.name}", "CODE", m.set(index, "B", change(m.base[index]))


def _beyond(m: _Maker, k: int, step: int) -> tuple[int, Callable[[int], int]]:
    """Offset in the first tile of channel 0's weight k, and a change of it from 0 to -1."""
    if m.encoding == "t2":
        block, s, j = k // 16, k % 16 // 4, k % 4
        return block * 64 + j * 16, lambda byte: byte & ~(3 << 2 * s)
    power = 3 ** (4 - k % 5)
    return k // step * 16, lambda byte: -(-(byte * 243 // 256 - power) * 256 // 243)


def _affines(m: _Maker) -> Iterator[tuple[str, str, bytes]]:
    wide, narrow = (Role.QKV_AFFINE, 0), (Role.HEAD_AFFINE, NO_BLOCK)
    for role, block in (wide, narrow):
        for scale in (0.0, -0.0, -1.0, float("inf"), float("nan")):
            yield f"{role.name} scale {scale}", "SCALE", m.in_section(role, block, 0, "f", scale)
        for exponent in (-33, 63, 32767):
            yield f"{role.name} exponent {exponent}", "SCALE", m.in_section(role, block, 4, "h", exponent)
        for shift in (15, 255):
            yield f"{role.name} bias shift {shift}", "SCALE", m.in_section(role, block, 6, "B", shift)
        yield f"{role.name} per_channel 2", "SCALE", m.in_section(role, block, 7, "B", 2)
        yield f"{role.name} mantissa", "SCALE", m.in_section(role, block, 8, "H", 32768)
        yield f"{role.name} bias of a pad row", "PADDING", m.in_section(role, block, -2, "h", -1)
    yield "per_channel 0 in a long section", "SCALE", m.in_section(*wide, 7, "B", 0)
    yield "per_channel 1 in a short section", "SCALE", m.in_section(*narrow, 7, "B", 1)
    yield "mantissa below 2^14", "SCALE", m.in_section(*narrow, 8, "H", 2**14 - 1)
    yield "half word after the mantissa", "SCALE", m.in_section(*narrow, 10, "H", 1)
    yield "mantissas below 2^14", "SCALE", m.in_section(*wide, 8, "96H", *([16383] * 7 + [0] * 9) * 6)
    yield "all mantissas 0", "SCALE", m.in_section(*wide, 8, "96H", *[0] * 96)
    yield "mantissa of a pad row", "PADDING", m.in_section(*wide, 8 + 2 * 7, "H", 1)
    yield "bias of a pad row in a group", "PADDING", m.in_section(*wide, 8 + 2 * 96 + 2 * 31, "h", 1)


def _norms(m: _Maker) -> Iterator[tuple[str, str, bytes]]:
    for role, block in ((Role.NORM1, 0), (Role.NORM2, 1), (Role.NORM, NO_BLOCK)):
        for at in (0, 4):
            for scale in (0.0, -1.0, float("inf"), float("nan")):
                yield f"{role.name} scale {scale} at {at}", "SCALE", m.in_section(role, block, at, "f", scale)
        for mantissa in (0, 2**14 - 1, 2**15):
            yield f"{role.name} mantissa {mantissa}", "SCALE", m.in_section(role, block, 8, "H", mantissa)
        for exponent in (-33, 63):
            yield f"{role.name} exponent {exponent}", "SCALE", m.in_section(role, block, 10, "h", exponent)
        for at in (12, 16):
            yield f"{role.name} code 3 at {at}", "CODE", m.in_section(role, block, at, "B", 0x57)
            for value in (0x45, 0x15, 0x95):
                yield (
                    f"{role.name} pad {value} at {at}",
                    "CODE",
                    m.in_section(role, block, at + 3, "B", value),
                )


def _left_out(m: _Maker) -> Iterator[tuple[str, str, bytes]]:
    yield "channels are left out in version 1", "TABLE", m.set(8, "H", 1)
    no_code = 0xFF if m.encoding == "t2" else 1
    yield "no code in a matrix of fewer inputs", "CODE", m.in_section(Role.QKV_WEIGHT, 0, -1, "B", no_code)
    shortest = 12 + 2 * -(-SMALL.width // 4)
    for index, section in enumerate(m.sections.values()):
        role, block = section.place.role, section.place.block
        if role not in (Role.NORM1, Role.NORM2, Role.NORM):
            continue
        for length in (shortest - 2, shortest + 1, shortest + 2 * SMALL.width, section.length - 12):
            yield f"{role.name} {block}, {length} bytes", "TABLE", m.row(index, 8, "I", length)
        for value in (SMALL.width, 65535):
            yield f"{role.name} leaves out {value}", "CODE", m.in_section(role, block, -2, "H", value)
        for at in (shortest, -2):
            yield (
                f"{role.name} leaves out {at} too early",
                "CODE",
                m.in_section(role, block, at, "H", SMALL.width - 1 if at > 0 else 0),
            )
        twice = m.base[section.end - 4 : section.end - 2]
        yield f"{role.name} leaves out one twice", "CODE", m.in_section(role, block, -2, "2s", twice)


def _embeddings(m: _Maker) -> Iterator[tuple[str, str, bytes]]:
    for at, layout, value in ((0, "B", 15), (1, "B", 15), (0, "B", 255), (2, "H", 1), (2, "H", 256)):
        yield f"embedding {value} at {at}", "SCALE", m.in_section(Role.EMBEDDING, NO_BLOCK, at, layout, value)


def hostile_metas(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Images whose meta data only the Python reader refuses."""
    section = read_info(data).sections[0]
    text = data[section.offset : section.end]
    reordered = json.dumps(dict(reversed(json.loads(text).items())), separators=(",", ":"))
    for rule, meta in (
        ("no JSON", b"hello"),
        ("not ASCII", text.replace(b"a.pth", b"\xc3\xa9pth")),
        ("a list", b"[]"),
        ("a number", b"1"),
        ("deep nesting", b"[" * section.length),
        ("a huge number", b"9" * section.length),
        ("white space", text.replace(b':"a.pth"', b': "a.pt"')),
        ("keys in another order", reordered.encode()),
        ("an unknown interpolation", text.replace(b"bicubic", b"bicupid")),
        ("a crop of nothing", text.replace(b":0.9,", b":0.0,")),
        ("a crop that needs gigabytes", text.replace(b":0.9,", b":0.1,")),
        ("a crop of NaN", text.replace(b":0.9,", b":NaN,")),
        ("a number in another form", text.replace(b":0.9,", b":9e-1,").replace(b'"a.pth"', b'"a.pt"')),
        ("no std", text.replace(b'"std"', b'"sdt"')),
        ("a std of 0", text.replace(b"[0.229,", b"[0.000,")),
        ("a std of two values", text.replace(b"0.229,0.224,", b"0.229000000,")),
        ("a provenance that is a text", text.replace(b'{"file"', b'"file","')),
        ("a number for a text", text.replace(b'"a.pth"', b"1234567")),
        ("a control character", text.replace(b"0" * 6, b"\\u001b", 1)),
        ("a lone surrogate", text.replace(b"0" * 6, b"\\ud800", 1)),
    ):
        yield rule, _with_meta(data, section, meta)


def _with_meta(data: bytes, section: Section, meta: bytes) -> bytes:
    """An image with other meta data, cut or filled with blanks to the same length."""
    changed = meta.ljust(section.length)[: section.length]
    assert changed != data[section.offset : section.end]
    return rehashed(data[: section.offset] + changed + data[section.end :])
