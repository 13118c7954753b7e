"""pack, inspect and unpack: what they write, what they print, what they leave behind when they fail."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from folding_models import folded_model
from safetensors.numpy import load_file, save_file

from ftervit_deploy.architecture import Architecture
from ftervit_deploy.cli import main
from ftervit_deploy.files import FileError, replacing, write_atomic
from ftervit_deploy.image import read_image, read_info, write_image
from synthetic import random_checkpoint_arrays

TINY = Architecture(image_size=16, patch_size=8, width=64, depth=2, heads=1, hidden=128, classes=3)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.safetensors"
    save_file(random_checkpoint_arrays(TINY), path)
    return path


@pytest.fixture
def image(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    path = checkpoint.with_suffix(".ftv")
    assert main(["pack", str(checkpoint), "-o", str(path)]) == 0
    capsys.readouterr()
    return path


def _json(capsys: pytest.CaptureFixture[str], *arguments: object) -> Any:
    """Runs a command with --json; stdout must hold one JSON document and nothing else."""
    assert main([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def _mistake(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    status = main([*map(str, arguments)])
    out, err = capsys.readouterr()
    assert (status, out) == (2, ""), err
    assert err.startswith("ftervit: error: ")
    assert len(err.splitlines()) <= 2
    return err


def _leftovers(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.name.endswith(".tmp")]


def test_pack_prints_what_programs_rely_on(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = checkpoint.with_name("out.ftv")
    record = _json(capsys, "pack", checkpoint, "-o", target)
    content = target.read_bytes()
    assert list(record) == [
        "path", "bytes", "encoding", "sha256", "architecture", "ternary_weights", "zero_fraction",
    ]  # fmt: skip
    assert record["path"] == str(target)
    assert record["bytes"] == len(content)
    assert record["encoding"] == "t2"
    assert record["sha256"] == hashlib.sha256(content).hexdigest()
    assert record["architecture"]["width"] == TINY.width
    assert 0 < record["zero_fraction"] < 1


def test_pack_writes_the_same_bytes_twice(image: Path, checkpoint: Path) -> None:
    again = image.with_name("again.ftv")
    assert main(["pack", str(checkpoint), "-o", str(again)]) == 0
    assert again.read_bytes() == image.read_bytes()


def test_pack_takes_everything_from_the_project_file(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project = checkpoint.parent / "ftervit.toml"
    project.write_text('source = "tiny.safetensors"\nmodel = "named.ftv"\nencoding = "t5"\n')
    monkeypatch.chdir(checkpoint.parent)
    record = _json(capsys, "pack")
    assert record["encoding"] == "t5"
    assert (checkpoint.parent / "named.ftv").stat().st_size == record["bytes"]


def test_pack_makes_an_ordinary_file(image: Path) -> None:
    umask = os.umask(0)
    os.umask(umask)
    assert image.stat().st_mode & 0o777 == 0o666 & ~umask


def test_pack_takes_labels(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = checkpoint.with_name("labels.txt")
    labels.write_text("cup\nkey\nÄpfel\n", "utf-8")
    target = checkpoint.with_name("out.ftv")
    _json(capsys, "pack", checkpoint, "--labels", labels, "-o", target)
    assert _json(capsys, "inspect", target)["labels"] == ["cup", "key", "Äpfel"]


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"a\nb\n", "2 labels"), (b"a\n\nc\n", "empty label"), (b"\xff\xfe", "not UTF-8"), (b"", "empty label")],
)
def test_pack_refuses_labels_that_do_not_fit(
    content: bytes, said: str, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = checkpoint.with_name("labels.txt")
    labels.write_bytes(content)
    target = checkpoint.with_name("out.ftv")
    assert said in _mistake(capsys, "pack", checkpoint, "--labels", labels, "-o", target)
    assert not target.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("pack", "{folder}/missing.safetensors"),
        ("pack", "no-such-alias"),
        ("pack", "{folder}"),
        ("pack", "{checkpoint}", "--scheme", "ftervti"),
        ("pack", "{checkpoint}", "--heads", "5"),
        ("pack", "{checkpoint}", "-o", "{folder}/missing/out.ftv"),
        ("pack", "{checkpoint}", "-o", "{folder}"),
        ("pack", "{checkpoint}", "--labels", "{folder}/missing.txt"),
        ("inspect", "{folder}/missing.ftv"),
        ("inspect", "{folder}"),
        ("inspect", "{checkpoint}"),
        ("unpack", "{checkpoint}"),
    ],
    ids=" ".join,
)
def test_a_wrong_argument_is_one_sentence(
    arguments: tuple[str, ...], checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = {"folder": checkpoint.parent, "checkpoint": checkpoint}
    before = set(checkpoint.parent.iterdir())
    _mistake(capsys, *(argument.format(**known) for argument in arguments))
    assert set(checkpoint.parent.iterdir()) == before


def test_inspect_accounts_for_every_byte(image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = _json(capsys, "inspect", image)
    assert all(set(component) == {"name", "bytes", "parameters"} for component in record["components"])
    assert sum(component["bytes"] for component in record["components"]) == image.stat().st_size
    parameters = sum(component["parameters"] for component in record["components"])
    assert parameters == sum(array.size for array in random_checkpoint_arrays(TINY).values())
    assert record["comparison"]["fp32_bytes"] == 4 * parameters
    assert sum(layer["weights"] for layer in record["layers"]) == record["ternary_weights"]


def test_inspect_shows_a_person_where_the_model_came_from(
    image: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", str(image)]) == 0
    out = capsys.readouterr().out
    assert hashlib.sha256(checkpoint.read_bytes()).hexdigest() in out
    assert hashlib.sha256(image.read_bytes()).hexdigest() in out
    assert "encoder only" in out


@pytest.mark.parametrize("length", [0, 10, 143, 144, 1000])
def test_a_truncated_image_is_refused(length: int, image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image.write_bytes(image.read_bytes()[:length])
    _mistake(capsys, "inspect", image)


def test_a_flipped_bit_is_refused(image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = bytearray(image.read_bytes())
    content[len(content) // 2] ^= 1
    image.write_bytes(content)
    assert "damaged" in _mistake(capsys, "inspect", image)


def test_unpack_gives_back_a_checkpoint_that_packs_to_the_same_model(
    image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights, again = image.with_name("weights.safetensors"), image.with_name("again.ftv")
    assert _json(capsys, "unpack", image, "-o", weights)["tensors"] == len(load_file(weights))
    first, second = _json(capsys, "inspect", image), _json(capsys, "pack", weights, "-o", again)
    assert second["ternary_weights"] == first["ternary_weights"]
    assert second["zero_fraction"] == first["zero_fraction"]
    once, twice = load_file(weights), _unpacked(again, capsys)
    for name, array in once.items():
        np.testing.assert_allclose(twice[name], array, rtol=1e-6, atol=1e-4, err_msg=name)


def test_a_folded_image_says_so_and_unpacks_to_what_packs_to_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image, again = tmp_path / "folded.ftv", tmp_path / "again.ftv"
    image.write_bytes(write_image(folded_model()))
    count = _json(capsys, "inspect", image)["channels_left_out"]
    assert count == sum(read_info(image.read_bytes()).left_out.values()) > 0
    assert main(["inspect", str(image)]) == 0
    assert f"{count} of {5 * 90} inputs after LayerNorm" in capsys.readouterr().out
    _unpacked(image, capsys)
    _json(capsys, "pack", image.with_suffix(".safetensors"), "-o", again)
    before, after = (read_image(path.read_bytes()) for path in (image, again))
    np.testing.assert_array_equal(before.head.codes, after.head.codes)
    for one, other in zip(before.blocks, after.blocks, strict=True):
        np.testing.assert_array_equal(one.qkv.codes, other.qkv.codes)
        np.testing.assert_array_equal(one.fc1.codes, other.fc1.codes)


def _unpacked(image: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, np.ndarray]:
    target = image.with_suffix(".safetensors")
    _json(capsys, "unpack", image, "-o", target)
    return load_file(target)


def _unwritable(tmp_path: Path) -> Path:
    """A folder in which even this user may not write."""
    if os.geteuid() != 0:
        folder = tmp_path / "read-only"
        folder.mkdir()
        folder.chmod(0o555)
        return folder
    if Path("/sys/kernel").is_dir():
        return Path("/sys/kernel")
    pytest.skip("hardware: root may write everywhere here")


def test_a_read_only_folder_is_one_sentence(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = _unwritable(tmp_path) / "out.ftv"
    assert str(target) in _mistake(capsys, "pack", checkpoint, "-o", target)


def _ftervit(limit: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    program = f"import resource, sys; {limit}; from ftervit_deploy.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.skipif(sys.platform == "win32", reason="hardware: file size limits are POSIX")
def test_a_file_that_cannot_grow_leaves_what_was_there(checkpoint: Path) -> None:
    target = checkpoint.with_name("out.ftv")
    target.write_bytes(b"before")
    done = _ftervit(
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))", "pack", checkpoint, "-o", target
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("ftervit: error: ")
    assert "Traceback" not in done.stderr
    assert target.read_bytes() == b"before"
    assert _leftovers(checkpoint.parent) == []


@pytest.mark.parametrize(
    ("number", "said"),
    [(errno.ENOSPC, "no room on the disk"), (errno.EROFS, "read-only"), (errno.EIO, "output error")],
)
def test_a_failing_disk_is_one_sentence_and_leaves_what_was_there(
    number: int, said: str, tmp_path: Path
) -> None:
    target = tmp_path / "out.ftv"
    target.write_bytes(b"before")
    with pytest.raises(FileError, match=said), replacing(target) as temporary:
        temporary.write_bytes(b"half")
        raise OSError(number, os.strerror(number))
    assert target.read_bytes() == b"before"
    assert _leftovers(tmp_path) == []


def test_an_interrupted_write_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "out.ftv"
    target.write_bytes(b"before")
    with pytest.raises(KeyboardInterrupt), replacing(target) as temporary:
        temporary.write_bytes(b"half")
        raise KeyboardInterrupt
    assert target.read_bytes() == b"before"
    assert _leftovers(tmp_path) == []


def test_a_write_replaces_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "out.ftv"
    write_atomic(target, b"before")
    write_atomic(target, b"after")
    assert target.read_bytes() == b"after"
    assert [path.name for path in tmp_path.iterdir()] == ["out.ftv"]


def test_pack_does_not_replace_the_checkpoint(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = checkpoint.read_bytes()
    assert "is the file to read" in _mistake(capsys, "pack", checkpoint, "-o", checkpoint)
    assert checkpoint.read_bytes() == before


def test_unpack_does_not_replace_the_checkpoint_beside_its_image(
    checkpoint: Path, image: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(image.parent)
    before = checkpoint.read_bytes()
    assert "is there already" in _mistake(capsys, "unpack", image.name)
    assert checkpoint.read_bytes() == before
    assert "is the file to read" in _mistake(capsys, "unpack", image.name, "-o", image.name)


def test_the_same_checkpoint_gives_the_same_bytes_wherever_it_lies(checkpoint: Path, image: Path) -> None:
    elsewhere = checkpoint.parent / "elsewhere" / checkpoint.name
    elsewhere.parent.mkdir()
    elsewhere.write_bytes(checkpoint.read_bytes())
    assert main(["pack", str(elsewhere), "-o", str(elsewhere.with_suffix(".ftv"))]) == 0
    assert elsewhere.with_suffix(".ftv").read_bytes() == image.read_bytes()
    assert str(checkpoint.parent).encode() not in image.read_bytes()


def test_an_image_is_not_taken_for_a_checkpoint(image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "packed image, not a checkpoint" in _mistake(capsys, "pack", image, "-o", image.with_name("b.ftv"))
