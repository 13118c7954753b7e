"""`ftervit bench`: on this computer, in the model, on a board, with a PPK2; and what cannot be."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from line_board import running_board

from ftervit_deploy import bench as stages
from ftervit_deploy.architecture import Architecture
from ftervit_deploy.bench import board as board_stage
from ftervit_deploy.cli import main
from ftervit_deploy.image import write_image
from ftervit_deploy.link import Link
from ftervit_deploy.lower import lower
from ftervit_deploy.ppk2 import Recording
from synthetic import random_graph

SMALL = "mcu_nano_64:head"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "model.ftv"
    path.write_bytes(write_image(lower(random_graph(Architecture(16, 8, 32, 2, 2, 48, 5), 2)), "t2"))
    return path


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_stage, "SLICE_S", 1e-4)
    monkeypatch.setattr("ftervit_deploy.bench.timing.SLICE_S", 1e-4)


def _record(capsys: pytest.CaptureFixture[str], *arguments: object) -> Any:
    assert main(["bench", *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_this_computer_is_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    record = _record(capsys, SMALL)
    assert (record["on"], record["encoding"]) == ("host", "t2")
    (layer,) = record["layers"]
    assert (layer["layer"], layer["tokens"], layer["inputs"], layer["channels"]) == (SMALL, 1, 64, 10)
    assert {"fp32", "int8", "t2"} == {kernel["arithmetic"] for kernel in layer["kernels"]}
    assert all(kernel["kind"] == "measured" and kernel["times_fp32"] for kernel in layer["kernels"])
    assert main(["bench", SMALL, "--encoding", "t5", "--threads", "2"]) == 0
    out = capsys.readouterr().out
    assert "2 threads" in out
    assert "ternary t5, portable" in out


def test_the_papers_layer_stands_beside_the_papers_times(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--on", "model"]) == 0
    out = capsys.readouterr().out
    assert "deit_tiny_224:fc1: 197 x 192 x 768" in out
    assert "esp32s3-eye, modelled at 240 MHz" in out
    (ternary,) = [line for line in out.splitlines() if line.startswith("packed ternary")]
    assert ternary.split()[-5:] == ["1", "804", "0.151", "1.71", "published"]
    assert [line.split()[-1] for line in out.splitlines() if "esp32s3  " in line] == ["modelled"] * 2
    assert "2605.21171" in out


def test_a_board_is_measured_and_its_results_are_checked(
    image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running_board("--tcp", 0, image) as board:
        record = _record(capsys, SMALL, "--port", board.url)
    (layer,) = record["layers"]
    kernels = [(kernel["kernel"], kernel["does"], kernel["right"]) for kernel in layer["kernels"]]
    assert kernels == [
        ("FP32, plain C", "product", True),
        ("INT8, plain C", "product", True),
        ("ternary t2, portable", "product", True),
        ("ternary t2, portable", "step", True),
    ]


def test_a_board_whose_results_are_wrong_exits_1(
    image: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board_stage, "expected_crc", lambda *_: 1)
    with running_board("--tcp", 0, image) as board:
        assert main(["bench", SMALL, "--port", board.url]) == 1
    assert capsys.readouterr().out.count("WRONG RESULTS") == 4


# ---- energy ----


class _Meter:
    """A PPK2 that sees a pulse of 2 ms at 100 mA for each BENCH and each inference."""

    pulses = 0

    def __init__(self, port: str | None) -> None:
        self.port = port

    def __enter__(self) -> _Meter:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    @contextmanager
    def recording(self) -> Iterator[list[Recording]]:
        found: list[Recording] = []
        _Meter.pulses = 0
        yield found
        logic = np.tile(np.repeat([0, 2], [300, 200]), _Meter.pulses).astype(np.uint8)
        logic = np.concatenate([logic, np.zeros(300, np.uint8)])
        found.append(Recording(np.where(logic, 100e3, 50e3), logic, 3.3))


@pytest.fixture
def metered(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("bench", "infer"):
        function = getattr(Link, name)

        def counted(*arguments: Any, function: Any = function, **named: Any) -> Any:
            _Meter.pulses += 1
            return function(*arguments, **named)

        monkeypatch.setattr(Link, name, counted)
    monkeypatch.setattr("ftervit_deploy.ppk2.Ppk2", _Meter)
    monkeypatch.setattr("ftervit_deploy.ppk2.check_package", lambda: None)


@pytest.mark.usefixtures("metered")
def test_energy_stands_beside_time(image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--board", "esp32s3-eye", "--ppk2", "COM7", "--channel", 1)
    with running_board("--tcp", 0, image) as board:
        record = _record(capsys, SMALL, "--port", board.url, *options)
        assert main(["bench", SMALL, "--port", board.url, *map(str, options)]) == 0
    out = capsys.readouterr().out
    assert record["idle_milliwatts"] == pytest.approx(165)
    assert record["image"]["millijoules"] == pytest.approx(0.66)
    assert record["image"]["above_idle_millijoules"] == pytest.approx(0.33)
    assert (record["image"]["images"], record["image"]["samples"]) == (5, 1000)
    for kernel in record["layers"][0]["kernels"]:
        energy = kernel["energy"]
        assert energy["milliwatts"] == pytest.approx(330)
        assert energy["above_idle_millijoules"] == pytest.approx(energy["millijoules"] / 2)
    assert "An image: 0.66 mJ, 0.33 mJ above idle, in 2.0 ms at 330 mW (5 images" in out
    assert "energy of the layer" in out


# ---- mistakes ----


MISTAKES = {
    "no such preset": (["deit_tiny:fc1"], "There is no preset 'deit_tiny'.", "deit_tiny_224"),
    "no such layer": (["deit_tiny_224:fc3"], "There is no layer 'fc3'.", "Did you mean 'fc2'?"),
    "no such board": (["--on", "model", "--board", "esp32s3-eyes"], "esp32s3-eyes", "esp32s3-eye"),
    "not in the model": (["--on", "model", "--port", "COM7"], "need a board", "--help"),
    "no such port": (["--port", "/dev/no-such-port"], "There is no port /dev/no-such-port.", ""),
    "no trigger": (["--ppk2", "--board", "host"], "The board host has no trigger pin.", "--board"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_sentence_and_exits_2(mistake: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments, sentence, hint = MISTAKES[mistake]
    assert main(["bench", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert sentence in err
    assert hint in err
    assert len(err.strip().splitlines()) <= 2


def test_without_a_board_it_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ftervit_deploy.link.ports._ports", list)
    monkeypatch.delenv("ESPPORT", raising=False)
    assert main(["bench", "--on", "board"]) == 2
    assert capsys.readouterr().err.startswith("ftervit: error: There is no serial port.")


def test_without_a_ppk2_it_is_said_before_any_port_is_opened(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ppk2_api = pytest.importorskip("ppk2_api.ppk2_api", reason="install ppk2-api")
    monkeypatch.setattr(ppk2_api.PPK2_API, "list_devices", staticmethod(list))
    arguments = ["bench", "--board", "esp32s3-eye", "--port", "/dev/no-such-port", "--ppk2"]
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith("ftervit: error: There is no PPK2.")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(arguments) == 2
    assert 'pip install "ftervit[ppk2]"' in capsys.readouterr().err


def test_numpy_has_the_threads_that_the_engine_has() -> None:
    program = (
        "import os, sys; from ftervit_deploy.cli import main; "
        f"main(['bench', '{SMALL}', '--threads', '1', '--json']); "
        "print(os.environ['OPENBLAS_NUM_THREADS'], os.environ['OMP_NUM_THREADS'])"
    )
    variables = {**os.environ, "OMP_NUM_THREADS": "7"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=variables, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "1 1"


def test_without_the_engine_the_way_to_it_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from ftervit_deploy.engine import load_library

    load_library.cache_clear()
    monkeypatch.setenv("FTERVIT_LIBRARY", "/nowhere/libftv.so")
    for place in ("host", "model"):
        assert main(["bench", "--on", place]) == 2
        assert "There is no library /nowhere/libftv.so" in capsys.readouterr().err
    load_library.cache_clear()


def test_an_app_without_these_kernels_is_said_to_be_of_another_version(
    image: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board_stage, "_named", lambda *_: iter([_unknown()]))
    with running_board("--tcp", 0, image) as board:
        assert main(["bench", SMALL, "--port", board.url]) == 2
    assert "none of the kernels" in capsys.readouterr().err


def _unknown() -> board_stage.BoardKernel:
    return board_stage.BoardKernel("linear_s8t9_x", "x", "t2", "product", 1)


def test_the_default_case_is_the_papers() -> None:
    assert stages.DEFAULT_CASE == "deit_tiny_224:fc1"
