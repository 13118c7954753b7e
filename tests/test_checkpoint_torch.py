"""The torch reader sees what `torch.load(weights_only=True)` sees."""

from __future__ import annotations

import sys
import zipfile
from collections import Counter, OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoint_files import TINY, save_pth, tensors
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ftervit_deploy.checkpoint import read_checkpoint
from ftervit_deploy.checkpoint.tensors import StridedTensor
from ftervit_deploy.checkpoint.torchfile import TorchFile
from ftervit_deploy.checkpoint.torchglobals import Name
from ftervit_deploy.errors import CheckpointError
from synthetic import random_checkpoint_arrays

torch = pytest.importorskip("torch", reason="pip install 'ftervit[train]'")

DTYPES = ["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool",
          "complex64", "complex128"]  # fmt: skip
FLOAT8 = ["float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu"]
FLOAT8 = [name for name in FLOAT8 if hasattr(torch, name)]
NEWER_DTYPES = ["uint16", "uint32", "uint64", *FLOAT8]
WIDENED = {torch.bfloat16, *(getattr(torch, name) for name in FLOAT8)}


@st.composite
def strided_tensors(draw: st.DrawFn, dtypes: list[str]) -> Any:
    """Views of random storages: any stride, any offset, overlaps, empty and scalar ones."""
    dtype = getattr(torch, draw(st.sampled_from(dtypes)))
    rank = draw(st.integers(0, 3))
    shape = draw(st.lists(st.integers(0, 4), min_size=rank, max_size=rank))
    stride = draw(st.lists(st.integers(0, 5), min_size=rank, max_size=rank))
    offset = draw(st.integers(0, 3))
    needed = offset + sum((size - 1) * step for size, step in zip(shape, stride, strict=True) if size) + 1
    count = needed + draw(st.integers(0, 3))
    raw = np.random.default_rng(draw(st.integers(0, 9999))).integers(0, 100, count * 16, np.uint8)
    base = torch.from_numpy(raw).view(torch.uint8)[: count * dtype.itemsize]
    values = (base & 1).view(torch.bool) if dtype is torch.bool else base.clone().view(dtype)
    view = values.as_strided(shape, stride, offset)
    return torch.nn.Parameter(view) if draw(st.booleans()) and view.is_floating_point() else view


def _trees(dtypes: list[str]) -> st.SearchStrategy[Any]:
    keys = st.one_of(st.text(max_size=5), st.integers(), st.tuples(st.integers(), st.text(max_size=2)))
    leaves = st.one_of(
        st.none(), st.booleans(), st.integers(-(2**300), 2**300), st.floats(), st.text(),
        st.binary(min_size=1), st.complex_numbers(), st.sets(st.integers()), st.binary().map(bytearray),
        st.sampled_from([torch.float32, torch.bfloat16, torch.int64]),
        st.sampled_from([torch.device("cpu"), torch.device("cuda", 1)]),
        st.lists(st.integers(0, 9), max_size=4).map(torch.Size),
        strided_tensors(dtypes), strided_tensors(dtypes),
    )  # fmt: skip
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, max_size=4),
            st.lists(inner, max_size=4).map(tuple),
            st.dictionaries(keys, inner, max_size=4),
            st.dictionaries(keys, inner, max_size=4).map(OrderedDict),
            st.dictionaries(st.text(max_size=3), st.integers(0, 99), max_size=4).map(Counter),
            inner.map(lambda shared: [shared, {"again": shared}]),
        ),
        max_leaves=12,
    )


def _assert_agree(ours: Any, theirs: Any) -> None:
    if isinstance(theirs, torch.Tensor):
        assert isinstance(ours, StridedTensor)
        values = theirs.detach()
        expected = (values.float() if values.dtype in WIDENED else values).numpy()
        assert ours.array().dtype == expected.dtype
        np.testing.assert_array_equal(ours.array(), expected)
    elif isinstance(theirs, (torch.dtype, torch.layout)):
        assert ours == Name(str(theirs))
    elif isinstance(theirs, torch.device):
        assert ours == str(theirs)
    elif isinstance(theirs, dict):
        assert list(ours) == list(theirs)
        for key in theirs:
            _assert_agree(ours[key], theirs[key])
    elif isinstance(theirs, (list, tuple)):
        assert isinstance(ours, list if isinstance(theirs, list) else tuple)
        assert len(ours) == len(theirs)
        for mine, other in zip(ours, theirs, strict=True):
            _assert_agree(mine, other)
    else:
        assert type(ours) is type(theirs)
        assert ours == theirs or (ours != ours and theirs != theirs)


def _check_agreement(path: Path, contents: Any, **options: Any) -> None:
    save_pth(path, contents, **options)
    expected = torch.load(path, weights_only=True)
    with TorchFile(path) as found:
        _assert_agree(found.contents, expected)


RELAXED = settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@RELAXED
@given(contents=_trees(DTYPES + NEWER_DTYPES))
def test_random_contents_agree_with_torch(tmp_path: Path, contents: Any) -> None:
    _check_agreement(tmp_path / "w.pth", contents)


@RELAXED
@given(contents=_trees(DTYPES))
def test_random_contents_of_the_old_format_agree_with_torch(tmp_path: Path, contents: Any) -> None:
    _check_agreement(tmp_path / "w.pth", contents, _use_new_zipfile_serialization=False)


def test_shared_storages_agree_with_torch(tmp_path: Path) -> None:
    base = torch.arange(24.0)
    contents = {"a": base, "b": base[3:9], "c": base.view(4, 6).T, "d": base[::5], "e": base.expand(2, 24)}
    _check_agreement(tmp_path / "new.pth", contents)
    _check_agreement(tmp_path / "old.pth", contents, _use_new_zipfile_serialization=False)


def test_cyclic_contents_are_read(tmp_path: Path) -> None:
    loop: list[Any] = [1]
    loop.append(loop)
    save_pth(tmp_path / "w.pth", loop)
    with TorchFile(tmp_path / "w.pth") as found:
        assert found.contents[1] is found.contents


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_pickle_protocol_is_read(tmp_path: Path, protocol: int) -> None:
    contents = {"model": tensors(random_checkpoint_arrays(TINY, 3)), "note": b"x" * 300, "set": {1, 2}}
    for name, is_zip in (("new.pth", True), ("old.pth", False)):
        path = tmp_path / name
        save_pth(path, contents, pickle_protocol=protocol, _use_new_zipfile_serialization=is_zip)
        assert read_checkpoint(str(path), heads=2).architecture == TINY


def test_files_without_checksums_are_read(tmp_path: Path) -> None:
    torch.serialization.set_crc32_options(False)
    try:
        _check_agreement(tmp_path / "w.pth", {"a": torch.arange(9.0)})
    finally:
        torch.serialization.set_crc32_options(True)


def test_a_state_dict_of_a_module_keeps_its_attributes_harmlessly(tmp_path: Path) -> None:
    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.LayerNorm(2))
    _check_agreement(tmp_path / "w.pth", module.state_dict())


def test_a_tensor_with_attributes_agrees_with_torch(tmp_path: Path) -> None:
    tensor = torch.arange(3.0)
    tensor.note = "hello"
    _check_agreement(tmp_path / "w.pth", [tensor])


def _rewrite(path: Path, target: Path, compression: int, **replaced: bytes) -> Path:
    """The same archive with other compression or contents."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w", compression) as new:
        for name in old.namelist():
            new.writestr(name, replaced.get(name.rpartition("/")[2], old.read(name)))
    return target


def test_a_compressed_archive_agrees_with_torch(tmp_path: Path) -> None:
    path = save_pth(tmp_path / "w.pth", {"a": torch.arange(999.0)})
    packed = _rewrite(path, tmp_path / "packed.pth", zipfile.ZIP_DEFLATED)
    with TorchFile(packed) as found:
        _assert_agree(found.contents, torch.load(packed, weights_only=True))


@pytest.mark.skipif(sys.byteorder != "little", reason="hardware: needs a little-endian machine")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int16", "complex64"])
def test_the_byte_order_record_counts(tmp_path: Path, dtype: str) -> None:
    path = save_pth(tmp_path / "w.pth", [torch.arange(6).to(getattr(torch, dtype))])
    with TorchFile(path) as found:
        swapped = found.contents[0].array().astype(np.complex64)
    raw = torch.arange(6).to(getattr(torch, dtype)).view(torch.uint8).numpy()
    item = 4 if dtype == "complex64" else getattr(torch, dtype).itemsize
    big = raw.reshape(-1, item)[:, ::-1].tobytes()
    target = _rewrite(path, tmp_path / "big.pth", zipfile.ZIP_STORED, byteorder=b"big", **{"0": big})
    with TorchFile(target) as found:
        np.testing.assert_array_equal(found.contents[0].array(), swapped)
    with pytest.raises(CheckpointError, match="byte order"):
        TorchFile(_rewrite(path, tmp_path / "odd.pth", zipfile.ZIP_STORED, byteorder=b"middle"))


def test_a_whole_module_is_refused_by_the_name_of_its_class(tmp_path: Path) -> None:
    path = save_pth(tmp_path / "w.pth", torch.nn.Linear(2, 2))
    with pytest.raises(CheckpointError, match=r"wants to call torch\.nn.*Linear; refused.*state_dict"):
        read_checkpoint(str(path))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_torchscript_program_is_refused(tmp_path: Path) -> None:
    scripted = torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2))
    torch.jit.save(scripted, str(tmp_path / "w.pt"))
    with pytest.raises(CheckpointError, match="TorchScript program"):
        read_checkpoint(str(tmp_path / "w.pt"))


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.eye(3).to_sparse(),
        lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
        lambda: torch.ones(3, dtype=torch.complex64).conj(),
        lambda: torch.ones(3, device="meta"),
    ],
    ids=["sparse", "quantised", "conjugated", "meta"],
)
def test_unusual_tensors_are_refused_in_a_sentence(tmp_path: Path, make: Any) -> None:
    path = save_pth(tmp_path / "w.pth", {"a": make()})
    with pytest.raises(CheckpointError, match=r"refused|not supported|lazily"):
        read_checkpoint(str(path))


@pytest.mark.parametrize("dtype", FLOAT8)
def test_every_eight_bit_float_has_its_value(tmp_path: Path, dtype: str) -> None:
    _check_agreement(tmp_path / "w.pth", torch.arange(256).to(torch.uint8).view(getattr(torch, dtype)))
