"""`ftervit estimate`: what fits, what does not, and where the time goes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ftervit_deploy.architecture import PRESETS
from ftervit_deploy.cli import main
from ftervit_deploy.resources import signs_folder

SIGNS = str(signs_folder() / "signs.ftv")


def estimated(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(["estimate", *arguments, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def mistake(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    status = main(["estimate", *arguments])
    out, err = capsys.readouterr()
    assert (status, out) == (2, "")
    assert len(err.splitlines()) <= 2
    return err


def board_like_the_eye(folder: Path, **changes: str) -> str:
    """A board file that differs from the S3-EYE in a few lines, `table__key`."""
    tables: dict[str, list[str]] = {}
    for name, value in changes.items():
        table, key = name.split("__")
        tables.setdefault(table, []).append(f"{key} = {value}")
    text = 'extends = "esp32s3-eye"\ndescription = "another"\n'
    text += "".join(f"[{table}]\n" + "\n".join(lines) + "\n" for table, lines in tables.items())
    path = folder / "another.toml"
    path.write_text(text)
    return str(path)


def test_the_bundled_model(capsys: pytest.CaptureFixture[str]) -> None:
    found = estimated(capsys, SIGNS, "--board", "esp32s3-eye")
    assert found["fits"]
    assert found["modelled"]["images_per_second"] >= 30
    assert found["flash"]["image_bytes"] == Path(SIGNS).stat().st_size
    assert found["sram"]["arena_bytes"] <= found["sram"]["available_bytes"]
    steps = found["modelled"]["steps"]
    assert sum(step["milliseconds"] for step in steps) == pytest.approx(found["modelled"]["milliseconds"])
    for step in steps:
        fetched = step["weights_ms"] + step["copies_ms"]
        parts = (step["compute_ms"], fetched - step["hidden_ms"], step["waits_ms"], step["dispatch_ms"])
        assert step["milliseconds"] == pytest.approx(sum(parts))
        assert 0 <= step["hidden_ms"] <= min(fetched, step["compute_ms"]) + 1e-9
    least, most = found["millijoules"]["least"], found["millijoules"]["most"]
    seconds = found["modelled"]["milliseconds"] / 1000
    assert (least, most) == (pytest.approx(250 * seconds), pytest.approx(267 * seconds))


def test_without_the_vector_unit_the_scalar_kernels_are_counted(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    board = board_like_the_eye(tmp_path, chip__vector="false")
    found = estimated(capsys, SIGNS, "--board", board)
    assert found["kernels"] == "scalar"
    vector = estimated(capsys, SIGNS, "--board", "esp32s3-eye")["modelled"]["milliseconds"]
    assert 4 * vector < found["modelled"]["milliseconds"] < 40 * vector
    assert main(["estimate", SIGNS, "--board", board]) == 0
    assert "Cycles are rough" in capsys.readouterr().out


def test_every_multiplication_of_a_model_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    """The busier core has at least half; the last block's queries are one."""
    a = PRESETS["mcu_nano_64"]
    found = estimated(capsys, "mcu_nano_64", "--board", "esp32s3-eye")
    macs = sum(step["macs_per_core"] for step in found["modelled"]["steps"])
    block = a.tokens * (a.width * (4 * a.width + 2 * a.hidden) + 2 * a.tokens * a.width)
    last = a.tokens * 2 * a.width**2
    all_macs = (a.depth - 1) * block + last + a.patches * a.patch_values * a.width
    assert all_macs / 2 <= macs <= 0.6 * all_macs


@pytest.mark.parametrize("encoding", ["t2", "t5"])
def test_presets_need_no_image(capsys: pytest.CaptureFixture[str], encoding: str) -> None:
    found = estimated(
        capsys, "deit_tiny_224", "--board", "esp32s3-eye", "--encoding", encoding, "--classes", "10"
    )
    assert found["fits"]
    assert found["encoding"] == encoding
    aims = {"t2": 1_490_032, "t5": 1_229_152}
    assert found["flash"]["image_bytes"] == pytest.approx(aims[encoding], rel=0.005)


def test_what_does_not_fit_is_said_with_the_arithmetic(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    board = board_like_the_eye(tmp_path, memory__arena_bytes="20_000", psram__size_bytes="0x20_0000")
    found = estimated(capsys, "deit3_small_384", "--board", board)
    assert not found["fits"]
    assert found["modelled"] is None
    assert "bytes of working memory" in found["problem"]
    assert main(["estimate", "deit3_small_384", "--board", board]) == 0
    assert "does not fit" in capsys.readouterr().out


def test_more_memory_is_never_slower(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    small = board_like_the_eye(tmp_path, memory__arena_bytes="150_000")
    slow = estimated(capsys, "deit_tiny_224", "--board", small)["modelled"]["milliseconds"]
    fast = estimated(capsys, "deit_tiny_224", "--board", "esp32s3-eye")["modelled"]["milliseconds"]
    assert fast < slow


def test_a_person_reads_what_is_modelled_and_what_is_published(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["estimate", SIGNS, "--board", "esp32s3-eye"]) == 0
    text = capsys.readouterr().out
    for word in ("fits", "modelled", "published", "assumed", "MAC/cycle", "mJ an image"):
        assert word in text
    assert main(["estimate", SIGNS, "--board", "esp32s3-eye", "--steps"]) == 0
    assert "block 5 fc2" in capsys.readouterr().out


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_a_picture(capsys: pytest.CaptureFixture[str], tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("matplotlib", reason="install matplotlib")
    path = tmp_path / f"picture{suffix}"
    estimated(capsys, SIGNS, "--board", "esp32s3-eye", "--plot", str(path))
    starts = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}
    assert path.read_bytes().startswith(starts[suffix])
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_bad_input_gets_one_sentence(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "Did you mean 'deit_tiny_224'" in mistake(capsys, "deit_tiny", "--board", "esp32s3-eye")
    assert "for presets" in mistake(capsys, SIGNS, "--board", "esp32s3-eye", "--encoding", "t5")
    assert "no board" in mistake(capsys, SIGNS, "--board", "esp32s9")
    assert "There is no" in mistake(capsys, str(tmp_path / "absent.ftv"), "--board", "esp32s3-eye")
    assert "is none of" in mistake(capsys, SIGNS, "--board", "esp32s3-eye", "--plot", "picture.gif")
    assert "no folder" in mistake(
        capsys, SIGNS, "--board", "esp32s3-eye", "--plot", str(tmp_path / "x" / "y.png")
    )
    assert "host" in mistake(capsys, SIGNS, "--board", "host")
    (tmp_path / "broken.ftv").write_bytes(b"FTVI")
    assert "broken.ftv" in mistake(capsys, str(tmp_path / "broken.ftv"), "--board", "esp32s3-eye")
