"""A checkpoint is data: hostile ones run nothing, take no memory, and end in one sentence."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from checkpoint_files import TINY, save_packed, save_pth, save_tiny, tensors, zip_pickle
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ftervit_deploy.checkpoint import read_checkpoint, torchfile
from ftervit_deploy.checkpoint.pickles import PickleReader
from ftervit_deploy.checkpoint.torchfile import TorchFile
from ftervit_deploy.errors import CheckpointError, FtervitError
from synthetic import random_checkpoint_arrays

resource = pytest.importorskip("resource", reason="hardware: limits on memory need a POSIX system")
torch = pytest.importorskip("torch", reason="pip install 'ftervit[train]'")

MEMORY_BYTES = 600 << 20
"""What no hostile file may make the reader allocate."""


def _text(value: str) -> bytes:
    return pickle.BINUNICODE + struct.pack("<I", len(value)) + value.encode()


def _global(module: str, name: str) -> bytes:
    return pickle.GLOBAL + f"{module}\n{name}\n".encode()


def _call(module: str, name: str, *arguments: bytes) -> bytes:
    return _global(module, name) + pickle.MARK + b"".join(arguments) + pickle.TUPLE + pickle.REDUCE


def _storage(count: bytes, kind: str = "FloatStorage", key: bytes = _text("0")) -> bytes:
    return (
        pickle.MARK + _text("storage") + _global("torch", kind) + key + _text("cpu") + count + pickle.TUPLE
        + pickle.BINPERSID
    )  # fmt: skip


def _int(value: int) -> bytes:
    data = pickle.encode_long(value)
    return pickle.LONG1 + bytes([len(data)]) + data


def _tuple(*values: int) -> bytes:
    return pickle.MARK + b"".join(map(_int, values)) + pickle.TUPLE


def _tensor(count: int, offset: int, shape: bytes, stride: bytes, **storage: Any) -> bytes:
    return _call(
        "torch._utils", "_rebuild_tensor_v2", _storage(_int(count), **storage), _int(offset), shape, stride,
        pickle.NEWFALSE, _call("collections", "OrderedDict"),
    )  # fmt: skip


TOUCH = _text("touch SENTINEL")

WANTS_CODE: dict[str, tuple[bytes, str]] = {
    "REDUCE": (_call("os", "system", TOUCH), r"call os\.system; refused"),
    "GLOBAL": (_global("__builtin__", "eval"), r"call builtins\.eval; refused"),
    "GLOBAL in a torch module": (_global("torch.storage", "_load_from_bytes"), "_load_from_bytes; refused"),
    "GLOBAL with a dotted name": (_global("collections", "OrderedDict.fromkeys"), "fromkeys; refused"),
    "STACK_GLOBAL": (_text("posix") + _text("system") + pickle.STACK_GLOBAL, r"call posix\.system; refused"),
    "INST": (pickle.MARK + TOUCH + pickle.INST + b"os\nsystem\n", r"call os\.system; refused"),
    "OBJ": (pickle.MARK + _global("torch", "Size") + pickle.OBJ, r"create an object \(OBJ\); refused"),
    "OBJ of a shell": (pickle.MARK + _global("subprocess", "Popen") + TOUCH + pickle.OBJ, "Popen; refused"),
    "NEWOBJ": (_global("subprocess", "Popen") + pickle.EMPTY_TUPLE + pickle.NEWOBJ, "Popen; refused"),
    "NEWOBJ of a call": (_global("torch", "device") + b")" + pickle.NEWOBJ, "create torch.device"),
    "NEWOBJ_EX": (pickle.NONE * 3 + pickle.NEWOBJ_EX, "opcode NEWOBJ_EX; refused"),
    "BUILD": (pickle.EMPTY_LIST + pickle.EMPTY_DICT + pickle.BUILD, "change a value.*refused"),
    "BUILD of a tensor": (
        _tensor(0, 0, _tuple(0), _tuple(1)) + pickle.EMPTY_DICT + pickle.BUILD, "change a value.*refused",
    ),
    "EXT1": (pickle.EXT1 + b"\1", "opcode EXT1; refused"),
    "EXT2": (pickle.EXT2 + b"\1\0", "opcode EXT2; refused"),
    "EXT4": (pickle.EXT4 + b"\1\0\0\0", "opcode EXT4; refused"),
    "PERSID": (pickle.PERSID + b"x\n", "opcode PERSID; refused"),
    "NEXT_BUFFER": (pickle.NEXT_BUFFER, "opcode NEXT_BUFFER; refused"),
    "REDUCE of a class": (_global("torch", "FloatStorage") + pickle.EMPTY_TUPLE + pickle.REDUCE, "refused"),
    "a call within a tensor subclass": (
        _call("torch._tensor", "_rebuild_from_type_v2", _global("torch", "device"),
              _global("torch", "Tensor"), pickle.EMPTY_TUPLE, pickle.NONE), "call torch.device; refused",
    ),
}  # fmt: skip


@pytest.mark.parametrize("attack", WANTS_CODE)
def test_a_pickle_that_wants_to_run_code_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attack: str
) -> None:
    program, what = WANTS_CODE[attack]
    monkeypatch.chdir(tmp_path)
    path = zip_pickle(tmp_path / "w.pth", b"\x80\x02" + program + pickle.STOP)
    with pytest.raises(CheckpointError, match=what):
        read_checkpoint(str(path))
    assert [entry.name for entry in tmp_path.iterdir()] == ["w.pth"]


def test_the_old_format_runs_no_code_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    honest = save_pth(tmp_path / "w.pth", {"a": 1}, _use_new_zipfile_serialization=False).read_bytes()
    contents = pickle.dumps({"a": 1}, 2)
    assert contents in honest
    (tmp_path / "w.pth").write_bytes(honest.replace(contents, _call("os", "system", TOUCH) + b"."))
    with pytest.raises(CheckpointError, match=r"os\.system; refused"):
        read_checkpoint("w.pth")
    assert [entry.name for entry in tmp_path.iterdir()] == ["w.pth"]


def _nested_tuples(depth: int) -> bytes:
    return pickle.EMPTY_TUPLE + pickle.TUPLE1 * depth


def _shared_tuples(depth: int) -> bytes:
    """A tuple of 2**depth leaves in `depth` steps."""
    return pickle.EMPTY_TUPLE + (pickle.BINPUT + b"\0" + pickle.BINGET + b"\0" + pickle.TUPLE2) * depth


def _as_key(key: bytes) -> bytes:
    return pickle.EMPTY_DICT + key + pickle.NONE + pickle.SETITEM


def _copying_calls() -> bytes:
    """A long text, encoded again and again."""
    text = _text("x" * 1_000_000) + pickle.BINPUT + b"\0" + pickle.POP
    encode = _call("_codecs", "encode", pickle.BINGET + b"\0", _text("latin1"))
    return text + pickle.EMPTY_LIST + (encode + pickle.APPEND) * 5000


BOMBS: dict[str, bytes] = {
    "deep key": _as_key(_nested_tuples(300_000)),
    "wide key": _as_key(_shared_tuples(60)),
    "wide set": _call("__builtin__", "set", pickle.MARK + _shared_tuples(60) + pickle.TUPLE),
    "wide pairs": _call(
        "collections", "OrderedDict", pickle.EMPTY_LIST + _shared_tuples(60) + pickle.NONE + pickle.TUPLE2
        + pickle.APPEND,
    ),
    "endless opcodes": pickle.NONE * 501_000,
    "endless marks": pickle.MARK * 501_000,
    "endless sets": pickle.EMPTY_SET * 501_000,
    "copying calls": _copying_calls(),
    "bytearray of a length": _call("__builtin__", "bytearray", _int(10**12)),
    "bytes of a length": _call("__builtin__", "bytes", _int(10**12)),
    "long integer": pickle.LONG4 + struct.pack("<I", 1_000_000) + bytes(1_000_000),
    "text beyond the end": pickle.BINUNICODE + b"\xff\xff\xff\xff",
    "bytes beyond the end": pickle.BINBYTES8 + b"\xff" * 8,
    "unmarked tuple": pickle.TUPLE,
    "empty stack": pickle.TUPLE3,
    "no such memo": pickle.LONG_BINGET + b"\xff\xff\xff\xff",
    "list as key": _as_key(pickle.EMPTY_LIST),
    "odd items": pickle.EMPTY_DICT + pickle.MARK + pickle.NONE + pickle.SETITEMS,
    "no bytes": b"",
    "unknown opcode": b"\xfe",
    "global without end": b"cos",
    "text that is no text": pickle.BINUNICODE + struct.pack("<I", 1) + b"\xff",
    "unbounded tensor": _tensor(1, 0, _tuple(2**40, 2**40), _tuple(0, 0)),
    "huge storage": _tensor(2**62, 0, _tuple(4), _tuple(1)),
    "storage beyond the file": _tensor(2**40, 0, _tuple(4), _tuple(1)),
    "offset beyond the storage": _tensor(4, 4, _tuple(1), _tuple(1)),
    "stride beyond the storage": _tensor(4, 0, _tuple(2, 2), _tuple(3, 1)),
    "negative offset": _tensor(4, -1, _tuple(1), _tuple(1)),
    "negative stride": _tensor(4, 3, _tuple(4), _tuple(-1)),
    "negative size": _tensor(4, 0, _tuple(-4), _tuple(1)),
    "negative count": _tensor(-4, 0, _tuple(0), _tuple(1)),
    "more strides than axes": _tensor(4, 0, _tuple(1), _tuple(1, 1)),
    "a hundred axes": _tensor(4, 0, _tuple(*[1] * 100), _tuple(*[1] * 100)),
    "huge empty tensor": _tensor(0, 0, _tuple(0, 2**62, 2**62), _tuple(1, 1, 1)),
    "storage of no kind": _tensor(4, 0, _tuple(1), _tuple(1), kind="Size"),
    "storage named by a list": _tensor(4, 0, _tuple(1), _tuple(1), key=pickle.EMPTY_LIST),
    "storage outside the folder": _tensor(4, 0, _tuple(4), _tuple(1), key=_text("../../etc/passwd")),
}  # fmt: skip


@contextmanager
def _little_memory() -> Iterator[None]:
    """Limits this process's address space to what it has and a little, where the system tells."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_AS)
    used_bytes = int(statm.read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used_bytes + MEMORY_BYTES, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def _read_everything(path: Path) -> None:
    with TorchFile(path) as found:
        contents = found.contents
        (contents["w"] if isinstance(contents, dict) else contents).array().sum()


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs_and_nonsense_are_refused_in_little_memory(tmp_path: Path, bomb: str) -> None:
    program = b"\x80\x02" + BOMBS[bomb] + (pickle.STOP if BOMBS[bomb] else b"")
    path = zip_pickle(tmp_path / "w.pth", program, {"data/0": bytes(16)})
    with _little_memory(), pytest.raises(CheckpointError):
        _read_everything(path)


def test_a_deeply_nested_value_beside_the_weights_is_harmless(tmp_path: Path) -> None:
    program = b"\x80\x02" + pickle.EMPTY_DICT + _text("x") + _nested_tuples(400_000) + pickle.SETITEM + b"."
    with pytest.raises(CheckpointError, match="no model weights"):
        read_checkpoint(str(zip_pickle(tmp_path / "w.pth", program)))


def _deflated(path: Path, name: str, size: int) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        contents = b"\x80\x02}" + _text("w") + _tensor(size // 4, 0, _tuple(2), _tuple(1)) + b"s."
        if name != "data.pkl":
            archive.writestr("a/data.pkl", contents)
        with archive.open(f"a/{name}", "w", force_zip64=True) as entry:
            for _ in range(size >> 20):
                entry.write(bytes(1 << 20))
    return path


@pytest.mark.parametrize("name", ["data.pkl", "data/0"])
def test_a_zip_bomb_is_refused_before_it_is_inflated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(torchfile, "MAX_CONTENTS_BYTES", 8 << 20)
    monkeypatch.setattr(torchfile, "MAX_INFLATED_BYTES", 8 << 20)
    path = _deflated(tmp_path / "w.pth", name, 32 << 20)
    assert path.stat().st_size < 1 << 20
    with _little_memory(), pytest.raises(CheckpointError, match="claims 33554432 bytes"):
        _read_everything(path)


def test_an_archive_with_two_lists_of_contents_is_refused(tmp_path: Path) -> None:
    path = zip_pickle(tmp_path / "w.pth", b"\x80\x02N.")
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}.")
    with pytest.raises(CheckpointError, match="names entries twice"):
        read_checkpoint(str(path))


def test_a_zip_that_torch_did_not_write_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "w.pth", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(CheckpointError, match=r"not one that torch\.save wrote"):
        read_checkpoint(str(tmp_path / "w.pth"))


def test_an_encrypted_entry_is_refused(tmp_path: Path) -> None:
    content = bytearray(zip_pickle(tmp_path / "w.pth", b"\x80\x02N.").read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"'data\.pkl' is missing or damaged"):
        read_checkpoint(str(tmp_path / "w.pth"))


class _Files(list[bytes]):
    """Contents of files, too long to print."""

    def __repr__(self) -> str:
        return "four honest files"


def _honest_files(folder: Path) -> list[bytes]:
    arrays = tensors(random_checkpoint_arrays(TINY, 3))
    paths = [
        save_pth(folder / "new.pth", {"model": arrays, "epoch": 1}),
        save_pth(folder / "old.pth", arrays, _use_new_zipfile_serialization=False),
        save_tiny(folder / "latent.safetensors"),
        save_packed(folder / "packed.safetensors"),
    ]
    return _Files(path.read_bytes() for path in paths)


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    return _honest_files(tmp_path_factory.mktemp("honest"))


FLIPS = st.tuples(st.floats(0, 1), st.integers(0, 7))
FUZZ = settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _read_or_sentence(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with suppress(FtervitError):
        read_checkpoint(str(path), heads=2)


@FUZZ
@given(which=st.integers(0, 3), keep=st.floats(0, 1, exclude_max=True))
@example(which=0, keep=0.0)
def test_a_truncated_file_gets_a_sentence(
    tmp_path: Path, honest: list[bytes], which: int, keep: float
) -> None:
    content = honest[which][: int(len(honest[which]) * keep)]
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(FtervitError):
        read_checkpoint(str(tmp_path / "w.pth"), heads=2)


@FUZZ
@given(which=st.integers(0, 3), flips=st.lists(FLIPS, min_size=1, max_size=6))
def test_flipped_bits_give_a_model_or_a_sentence(
    tmp_path: Path, honest: list[bytes], which: int, flips: list[tuple[float, int]]
) -> None:
    content = bytearray(honest[which])
    for place, bit in flips:
        content[int(place * (len(content) - 1))] ^= 1 << bit
    _read_or_sentence(tmp_path / "w.pth", bytes(content))


@FUZZ
@given(place=st.integers(0, 20_000), value=st.integers(0, 255))
def test_any_byte_of_the_contents_list_may_be_anything(
    tmp_path: Path, honest: list[bytes], place: int, value: int
) -> None:
    """The pickle alone, with its checksum made right again."""
    with zipfile.ZipFile(io.BytesIO(honest[0])) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    name = next(name for name in entries if name.endswith("data.pkl"))
    listed = bytearray(entries[name])
    listed[place % len(listed)] = value
    with zipfile.ZipFile(tmp_path / "w.pth", "w") as archive:
        for entry, data in {**entries, name: bytes(listed)}.items():
            archive.writestr(entry, data)
    _read_or_sentence(tmp_path / "w.pth", (tmp_path / "w.pth").read_bytes())


@FUZZ
@given(st.binary(max_size=60))
def test_random_pickles_give_a_value_or_a_sentence(content: bytes) -> None:
    with suppress(CheckpointError):
        PickleReader(b"\x80\x02" + content + b".").load()


PIECES = [
    *(pickle.MARK, pickle.NONE, pickle.EMPTY_LIST, pickle.EMPTY_DICT, pickle.EMPTY_TUPLE, pickle.TUPLE),
    *(pickle.TUPLE1, pickle.TUPLE2, pickle.APPEND, pickle.APPENDS, pickle.SETITEM, pickle.SETITEMS),
    *(pickle.REDUCE, pickle.NEWOBJ, pickle.BUILD, pickle.POP, pickle.POP_MARK, pickle.ADDITEMS),
    *(pickle.EMPTY_SET, pickle.MEMOIZE, pickle.BINGET + b"\0", pickle.BINPUT + b"\0", pickle.BINPERSID),
    *(_int(3), _int(-1), _text("cpu"), _text("latin1"), _storage(_int(4)), _tuple(1, 2)),
    *(_global("torch", name) for name in ("Size", "device", "float32", "Tensor")),
    *(_global("torch._utils", f"_rebuild_{name}") for name in ("tensor_v2", "tensor_v3", "parameter")),
    *(_global("__builtin__", name) for name in ("set", "complex", "bytearray", "bytes")),
    *(_global("torch._tensor", "_rebuild_from_type_v2"), _global("collections", "OrderedDict")),
    *(_global("_codecs", "encode"), _global("argparse", "Namespace"), _global("numpy", "dtype")),
]


@FUZZ
@given(st.lists(st.sampled_from(PIECES), max_size=30))
def test_random_programs_give_a_value_or_a_sentence(program: list[bytes]) -> None:
    with suppress(CheckpointError):
        PickleReader(b"".join(program) + b".", storage=lambda identity: identity).load()
