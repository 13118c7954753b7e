"""The image's Python side: what is written is read back, in the layout that IMAGE_FORMAT.md prescribes."""

from __future__ import annotations

import json
import time
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_models import TINY, random_model

from ftervit_deploy import image
from ftervit_deploy.architecture import PRESETS, Architecture
from ftervit_deploy.errors import ImageFormatError
from ftervit_deploy.image import text
from ftervit_deploy.image.layout import NO_BLOCK, MatrixShape, Role
from ftervit_deploy.image.trits import pack_matrix, unpack_matrix
from ftervit_deploy.lower import lower
from synthetic import random_graph

GOLDEN = Path(__file__).parent / "golden"
ENCODINGS = ("t2", "t5")


def same(a: Any, b: Any) -> bool:
    """Equality of dataclasses with arrays, types included."""
    if is_dataclass(a):
        return type(a) is type(b) and all(same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and bool((a == b).all())
    if isinstance(a, tuple):
        return isinstance(b, tuple) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and bool(a == b)


@st.composite
def architectures(draw: st.DrawFn) -> Architecture:
    """Small ones, so that tiles, blocks and bytes are seldom full."""
    patch, side, heads = draw(st.integers(1, 6)), draw(st.integers(1, 3)), draw(st.integers(1, 4))
    return Architecture(
        image_size=patch * side,
        patch_size=patch,
        width=heads * draw(st.integers(1, 20)),
        depth=draw(st.integers(1, 3)),
        heads=heads,
        hidden=draw(st.integers(1, 70)),
        classes=draw(st.integers(1, 40)),
        layer_scale=draw(st.booleans()),
        position_on_class_token=draw(st.booleans()),
    )


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(architecture=architectures(), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_what_is_written_is_read_back(encoding: str, architecture: Architecture, seed: int) -> None:
    model = random_model(architecture, seed)
    data = image.write_image(model, encoding)
    assert same(image.read_image(data), model)
    assert image.write_image(image.read_image(data), encoding) == data
    assert image.image_components(data) == image.image_components(model, encoding)
    assert sum(component.bytes for component in image.image_components(data)) == len(data)


def test_any_buffer_is_read() -> None:
    data = image.write_image(random_model(TINY))
    expected = image.image_sha256(data)
    for buffer in (bytearray(data), memoryview(data), np.frombuffer(b"x" + data, np.uint8)[1:]):
        assert image.image_sha256(buffer) == expected
        assert same(image.read_image(buffer), image.read_image(data))


def stored_row(shape: MatrixShape, row: int) -> int:
    """Where IMAGE_FORMAT.md puts a row, by its formula."""
    if not shape.heads:
        return row
    h = shape.rows // 3 // shape.heads
    part, head, c = row // (shape.heads * h), row // h % shape.heads, row % h
    return (head * 3 + part) * -(-h // 16) * 16 + c


def weight_t2(section: np.ndarray, inputs: int, row: int, k: int) -> int:
    block, s, j = k // 16, k % 16 // 4, k % 4
    at = (row // 16 * -(-inputs // 16) + block) * 64 + j * 16 + row % 16
    return (int(section[at]) >> 2 * s & 3) - 1


def weight_t5(section: np.ndarray, inputs: int, row: int, k: int) -> int:
    byte = int(section[(row // 16 * -(-inputs // 5) + k // 5) * 16 + row % 16])
    return ((byte * 3 ** (k % 5) % 256 * 3) >> 8) - 1


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("shape", [MatrixShape(33, 37), MatrixShape(3 * 2 * 18, 21, 2), MatrixShape(1, 1)])
def test_every_weight_lies_where_the_specification_says(shape: MatrixShape, encoding: str) -> None:
    codes = np.random.default_rng(0).integers(-1, 2, (shape.rows, shape.inputs), np.int8)
    section = pack_matrix(codes, shape, encoding)
    assert section.size == shape.matrix_bytes(encoding)
    weight = weight_t2 if encoding == "t2" else weight_t5
    for row in range(shape.rows):
        at = stored_row(shape, row)
        assert [weight(section, shape.inputs, at, k) for k in range(shape.inputs)] == codes[row].tolist()
    pads = set(range(shape.stored_rows)) - {stored_row(shape, row) for row in range(shape.rows)}
    for at in pads:
        assert not any(weight(section, shape.inputs, at, k) for k in range(shape.inputs))
    assert same(unpack_matrix(section, shape, encoding, "w"), codes)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_golden_image_stays(
    encoding: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr(text, "TOOL", "ftervit golden")
    data = image.write_image(random_model(TINY), encoding)
    path = GOLDEN / f"tiny_{encoding}.ftv"
    if request.config.getoption("--regenerate-golden"):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    assert path.read_bytes() == data, "the format changed; if that is meant: pytest --regenerate-golden"


SIZES = [
    ("deit_small_224", 1000, 5_780_000, 4_700_000),
    ("deit3_small_224", 1000, 5_780_000, 4_700_000),
    ("deit3_small_384", 1000, 6_070_000, 4_970_000),
    ("deit_tiny_224", 10, 1_500_000, 1_250_000),
]


@pytest.mark.slow
@pytest.mark.parametrize(("preset", "classes", "t2_bytes", "t5_bytes"), SIZES)
def test_presets_fit_their_sizes(preset: str, classes: int, t2_bytes: int, t5_bytes: int) -> None:
    """With labels as long as ImageNet's: 11.2 characters on average."""
    graph = random_graph(PRESETS[preset].with_classes(classes))
    model = lower(replace(graph, labels=tuple(f"label {index:06d}" for index in range(classes))))
    assert image.image_components(model, "t2") == image.image_components(image.write_image(model, "t2"))
    for encoding, most in (("t2", t2_bytes), ("t5", t5_bytes)):
        assert sum(component.bytes for component in image.image_components(model, encoding)) <= most


@pytest.mark.slow
def test_a_small_deit3_is_written_and_read_within_seconds() -> None:
    """Each takes about 0.2 s; the bound only catches a loop over weights in Python."""
    model = random_model(PRESETS["deit3_small_224"])
    start = time.perf_counter()
    for encoding in ENCODINGS:
        image.read_image(image.write_image(model, encoding))
    assert time.perf_counter() - start < 10


def test_components_have_the_checkpoints_parameters() -> None:
    """Counts of the published models."""
    for preset, total in (("deit_tiny_224", 5_717_416), ("deit_small_224", 22_050_664),
                          ("deit3_small_224", 22_059_496), ("deit3_small_384", 22_205_416)):  # fmt: skip
        components = image.fp32_components(PRESETS[preset])
        assert sum(component.parameters for component in components) == total
        assert sum(component.bytes for component in components) == 4 * total


@pytest.mark.parametrize(
    ("preset", "classes", "bits", "share"),
    [
        ("deit_small_224", 1000, 32, 0.381),
        ("deit3_small_224", 1000, 32, 0.384),
        ("deit_tiny_224", 10, 32, 0.396),
        ("deit_tiny_224", 1000, 16, 0.381),
        ("deit_tiny_224", 1000, 32, 0.552),
    ],
)
def test_leftovers_of_partially_ternary_models(preset: str, classes: int, bits: int, share: float) -> None:
    """FTerViT reports 38-39 %."""
    components = image.encoder_only_components(PRESETS[preset].with_classes(classes), bits)
    assert image.leftover_fraction(components, image.ENCODER_MATRICES) == pytest.approx(share, abs=5e-4)


def test_leftovers_of_our_images_are_below_the_papers() -> None:
    """FTerViT: about 10 % of a fully ternary DeiT-Tiny of 1.6 MB."""
    components = image.image_components(random_model(PRESETS["deit_tiny_224"]))
    assert image.leftover_fraction(components) < 0.1
    assert sum(component.bytes for component in components) < 1_600_000


def test_info_tells_what_is_in_the_image() -> None:
    model = random_model(TINY)
    info = image.read_info(image.write_image(model, "t5"))
    assert info.header.architecture == TINY
    assert info.header.encoding == "t5"
    assert info.labels == model.labels
    assert info.meta.provenance == model.provenance
    assert info.meta.preprocessing == model.preprocessing
    assert info.meta.tool.startswith("ftervit ")
    assert info.sections[0].place.role == Role.META
    assert info.sections[0].place.block == NO_BLOCK


def test_meta_data_is_sorted_ascii_json() -> None:
    model = random_model(TINY)
    provenance = replace(model.provenance, source="/tmp/Größe\n\udcff.pth")
    data = image.write_image(replace(model, provenance=provenance))
    section = image.read_info(data).sections[0]
    meta = data[section.offset : section.end]
    values = json.loads(meta)
    assert values["provenance"]["source"] == "/tmp/Größe\ufffd\ufffd.pth"
    assert meta == json.dumps(values, sort_keys=True, separators=(",", ":")).encode("ascii")
    assert sorted(values) == ["crop_fraction", "interpolation", "mean", "provenance", "scheme", "std", "tool"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"labels": ("a", "b")}, "FTV_ERR_TEXT"),
        ({"labels": ("a", "b", "")}, "FTV_ERR_TEXT"),
        ({"labels": ("a", "b", "c\nd")}, "FTV_ERR_TEXT"),
        ({"labels": ("a", "b", "c" * (1 << 22))}, "FTV_ERR_LENGTH"),
        ({"architecture": replace(TINY, hidden=5000)}, "FTV_ERR_ARCHITECTURE"),
        ({"architecture": replace(TINY, width=15)}, "FTV_ERR_ARCHITECTURE"),
        ({"architecture": replace(TINY, patch_size=0)}, "FTV_ERR_ARCHITECTURE"),
        ({"eps_q32": 0}, "FTV_ERR_SCALE"),
    ],
)
def test_a_model_that_cannot_be_an_image_is_refused(change: dict[str, Any], code: str) -> None:
    with pytest.raises(ImageFormatError) as caught:
        image.write_image(replace(random_model(TINY), **change))
    assert caught.value.code == code
    assert caught.value.hint


def test_an_unknown_encoding_is_a_programmers_mistake() -> None:
    with pytest.raises(ValueError, match="t3"):
        image.write_image(random_model(TINY), "t3")
