"""The two readers agree: on every hostile image, on random damage, and on every field of a valid one."""

from __future__ import annotations

import ctypes
import hashlib
import random
import re
import struct
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from c_compiler import READER_SOURCES, ROOT, RUNTIME, SANITIZERS, build, compiler
from folding_models import folded_model
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from image_hostile import hostile_images, hostile_metas, rehashed
from image_models import TINY, random_model
from test_image import ENCODINGS, GOLDEN, architectures

from ftervit_deploy.errors import ImageFormatError
from ftervit_deploy.image import read_image, read_info, write_image
from ftervit_deploy.image.defects import Defect
from ftervit_deploy.image.layout import ENCODINGS as ENCODING_NUMBERS
from ftervit_deploy.image.layout import NO_BLOCK, Role, Section
from ftervit_deploy.image.text import unpack_meta
from ftervit_deploy.lower import Embedding, IntegerLinear, IntegerModel, IntegerNorm

HEADER = (RUNTIME / "include" / "ftv.h").read_text()
STATUS = {name: int(value) for name, value in re.findall(r"(FTV_(?:OK|ERR_\w+)) = (-?\d+)", HEADER)}
OK, TEXT = STATUS["FTV_OK"], STATUS["FTV_ERR_TEXT"]

Open = Callable[..., list[list[int]]]


@pytest.fixture(scope="session")
def c_open(tmp_path_factory: pytest.TempPathFactory) -> Open:
    """Opens images with the C reader, under sanitizers; gives what read_images.c prints for each."""
    folder = tmp_path_factory.mktemp("reader")
    sources = (ROOT / "tests" / "c" / "read_images.c", *READER_SOURCES)
    program = build(compiler(), folder / "read_images", sources, *SANITIZERS)

    def run(images: Sequence[bytes], shift: int = 0) -> list[list[int]]:
        batch = folder / "batch"
        batch.write_bytes(b"".join(struct.pack("<II", len(data), shift) + data for data in images))
        done = subprocess.run((program, batch), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-4000:]
        lines = [[int(number) for number in line.split()] for line in done.stdout.splitlines()]
        assert len(lines) == len(images)
        return lines

    return run


class _Fields:
    """The numbers that the C reader should print, from what the Python reader says."""

    def __init__(self, data: bytes) -> None:
        self._data = np.frombuffer(data, np.uint8)
        self._model, self._info = read_image(data), read_info(data)
        self._sections = {(s.place.role, s.place.block): s for s in self._info.sections}

    def all(self) -> list[int]:
        model = self._model
        fields = [OK, *self._header(), *self._text(), *self._linear(Role.PATCH_WEIGHT, model.patch)]
        fields += self._embedding(model.cls, model.position)
        for index, block in enumerate(model.blocks):
            fields += self._norm(Role.NORM1, block.norm1, index)
            fields += self._linear(Role.QKV_WEIGHT, block.qkv, index)
            fields += self._linear(Role.PROJ_WEIGHT, block.proj, index)
            fields += self._norm(Role.NORM2, block.norm2, index)
            fields += self._linear(Role.FC1_WEIGHT, block.fc1, index)
            fields += self._linear(Role.FC2_WEIGHT, block.fc2, index)
        return fields + self._norm(Role.NORM, model.norm) + self._linear(Role.HEAD_WEIGHT, model.head)

    def _header(self) -> list[int]:
        a, model = self._model.architecture, self._model
        return [
            ENCODING_NUMBERS[self._info.header.encoding], self._data.size,
            a.image_size, a.patch_size, a.width, a.depth, a.heads, a.head_dim, -(-a.head_dim // 16) * 16,
            a.hidden, a.classes, a.tokens, int(a.position_on_class_token),
            model.eps_q32, model.attention.mantissa, model.attention.exponent,
            *model.pixel_scale, *model.pixel_offset,
        ]  # fmt: skip

    def _text(self) -> list[int]:
        meta, labels = self._info.sections[:2]
        fields, at = [meta.offset, meta.length, labels.offset, labels.length], labels.offset
        for label in self._model.labels:
            length = len(label.encode())
            fields += [at, length]
            at += length + 1
        return fields

    def _linear(self, role: Role, linear: IntegerLinear, block: int = NO_BLOCK) -> list[int]:
        weight, affine = self._sections[role, block], self._sections[Role(role + 1), block]
        shape = weight.place.matrix
        assert shape is not None
        n, per_channel = shape.stored_rows, linear.mantissa.size > 1
        return [
            shape.rows, shape.inputs, n, weight.length * 16 // n, linear.exponent,
            linear.bias_shift, int(per_channel), weight.offset, affine.offset + 8, affine.end - 2 * n,
            int(linear.mantissa.sum(dtype=np.int64)), int(linear.bias.sum(dtype=np.int64)), self._sum(weight),
        ]  # fmt: skip

    def _norm(self, role: Role, norm: IntegerNorm, block: int = NO_BLOCK) -> list[int]:
        section, half = self._sections[role, block], -(-norm.gamma.size // 4)
        gamma, beta = section.offset + 12, section.offset + 12 + half
        sums = [int(self._data[start : start + half].sum()) for start in (gamma, beta)]
        left_out = self._data[beta + half : section.end].view("<u2").tolist()
        return [
            gamma, beta, norm.beta_ratio.mantissa, norm.beta_ratio.exponent, *sums, len(left_out), *left_out
        ]  # fmt: skip

    def _embedding(self, cls: Embedding, position: Embedding) -> list[int]:
        start = self._sections[Role.EMBEDDING, NO_BLOCK].offset + 4
        sums = [int(part.values.sum(dtype=np.int64)) for part in (cls, position)]
        return [start, start + 2 * cls.values.size, cls.shift, position.shift, *sums]

    def _sum(self, section: Section) -> int:
        return int(self._data[section.offset : section.end].sum(dtype=np.int64)) % 2**32


def python_open(data: bytes) -> list[int]:
    """What the C reader should print for an image, by the Python reader."""
    try:
        read_image(data)
    except ImageFormatError as error:
        return [STATUS[error.code]]
    return _Fields(data).all()


def meta_is_bad(data: bytes) -> bool:
    """Only the Python reader looks into meta data."""
    _, _, offset, length = struct.unpack_from("<HHII", data, 144)
    try:
        unpack_meta(data[offset : offset + length])
    except ImageFormatError:
        return True
    return False


def assert_agreement(images: Sequence[bytes], c_open: Open) -> None:
    for data, c_fields in zip(images, c_open(images), strict=True):
        fields = python_open(data)
        if c_fields[0] == OK and fields == [TEXT] and meta_is_bad(data):
            continue
        assert c_fields == fields


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_each_broken_rule_has_its_status_in_both_readers(encoding: str, c_open: Open) -> None:
    images = hostile_images(encoding)
    for hostile, fields in zip(images, c_open([hostile.data for hostile in images]), strict=True):
        expected = [STATUS[hostile.code]]
        assert fields == expected, f"C reader on {hostile.rule!r}"
        assert python_open(hostile.data) == expected, f"Python reader on {hostile.rule!r}"


def test_every_status_of_an_image_has_a_hostile_image() -> None:
    found = {hostile.code for hostile in hostile_images("t2")}
    assert found == {defect.value for defect in Defect}
    assert found == set(STATUS) - {
        "FTV_OK",
        "FTV_ERR_ARGUMENT",
        "FTV_ERR_ALIGN",
        "FTV_ERR_ARENA",
        "FTV_ERR_PLAN",
    }


def test_the_specification_lists_the_headers_statuses() -> None:
    page = (RUNTIME / "IMAGE_FORMAT.md").read_text().split("## Status")[1]
    listed = {name: int(value) for value, name in re.findall(r"(-?\d+)\s+(FTV_OK|FTV_ERR_\w+)", page)}
    assert listed == STATUS


@pytest.mark.parametrize("shift", [1, 2, 4, 8, 15])
def test_an_image_off_its_alignment_is_refused(shift: int, c_open: Open) -> None:
    assert c_open([write_image(random_model(TINY))], shift) == [[STATUS["FTV_ERR_ALIGN"]]]


def test_meta_data_is_the_python_readers_business(c_open: Open) -> None:
    metas = dict(hostile_metas(write_image(random_model(TINY))))
    assert [fields[0] for fields in c_open(list(metas.values()))] == [OK] * len(metas)
    for rule, data in metas.items():
        assert python_open(data) == [TEXT], rule


def test_each_error_is_one_sentence_and_the_way_out() -> None:
    for hostile in hostile_images("t2"):
        with pytest.raises(ImageFormatError) as caught:
            read_image(hostile.data)
        assert re.fullmatch(r"[A-Z][^\n]*\.", caught.value.what)
        assert re.fullmatch(r"[A-Z][^\n]*\.", caught.value.hint)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_golden_images_open(encoding: str, c_open: Open) -> None:
    assert_agreement([(GOLDEN / f"tiny_{encoding}.ftv").read_bytes()], c_open)


MODEL: IntegerModel = random_model(TINY, seed=1)
RARELY = settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
MODELS = st.lists(
    st.tuples(architectures(), st.integers(0, 99), st.sampled_from(ENCODINGS)), min_size=8, max_size=8
)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_images_that_leave_out_channels_mean_the_same_to_both_readers(encoding: str, c_open: Open) -> None:
    assert_agreement([write_image(folded_model(), encoding)], c_open)


@given(models=MODELS)
@RARELY
def test_valid_images_mean_the_same_to_both_readers(models: list[tuple], c_open: Open) -> None:
    images = [write_image(random_model(sizes, seed), encoding) for sizes, seed, encoding in models]
    assert_agreement(images, c_open)


@st.composite
def damages(draw: st.DrawFn) -> tuple[str, list[tuple[int, int]], int, bool]:
    """An encoding, bytes to overwrite, bytes to cut (or add, if negative), whether the hash is made to fit.

    Half of the places lie in the header and the table.
    """
    place = st.one_of(st.integers(0, 600), st.integers(0, 1 << 20))
    value = st.one_of(st.sampled_from([0, 1, 2, 3, 127, 128, 254, 255]), st.integers(0, 255))
    changes = draw(st.lists(st.tuples(place, value), max_size=4))
    cut = draw(st.one_of(st.just(0), st.integers(-40, 300), st.integers(0, 1 << 14)))
    return draw(st.sampled_from(ENCODINGS)), changes, cut, draw(st.booleans())


def damaged(base: bytes, changes: list[tuple[int, int]], cut: int, rehash: bool) -> bytes:
    data = bytearray(base)
    for place, value in changes:
        data[place % len(data)] = value
    data = data[: max(len(data) - cut, 0)] if cut >= 0 else data + bytes(-cut)
    if rehash and len(data) > 48:
        struct.pack_into("<I", data, 12, len(data))
        return rehashed(data)
    return bytes(data)


@pytest.mark.parametrize("model", [MODEL, folded_model()], ids=["all channels", "some left out"])
@given(batch=st.lists(damages(), min_size=40, max_size=40))
@RARELY
def test_random_damage_gets_the_same_status(model: IntegerModel, batch: list[tuple], c_open: Open) -> None:
    bases = {encoding: write_image(model, encoding) for encoding in ENCODINGS}
    images = [damaged(bases[encoding], *rest) for encoding, *rest in batch]
    assert_agreement(images, c_open)


def test_every_byte_counts(c_open: Open) -> None:
    """Each byte of the header, and many others, in turn inverted under a hash that fits."""
    base = write_image(MODEL, "t5")
    places = (*range(48, 144), *range(144, len(base), 7))
    assert_agreement([damaged(base, [(place, base[place] ^ 0xFF)], 0, True) for place in places], c_open)


def test_sha256_is_right_at_every_block_boundary(tmp_path: Path) -> None:
    source = RUNTIME / "src" / "ftv_sha256.c"
    library = build(compiler(), tmp_path / "sha256.so", (source,), "-shared", "-fPIC")
    digest = ctypes.create_string_buffer(32)
    for size in (*range(200), 1000):
        data = random.Random(size).randbytes(size)
        ctypes.CDLL(str(library)).ftv_sha256(digest, data, ctypes.c_size_t(size))
        assert digest.raw == hashlib.sha256(data).digest(), size
