"""`ftervit verify`: identical, different, another model, no board."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from c_compiler import RUNTIME
from line_board import ENGINE_SOURCES, build_board, running_board
from photo_files import save_photo

from ftervit_deploy.architecture import Architecture
from ftervit_deploy.cli import main
from ftervit_deploy.engine import Engine
from ftervit_deploy.image import write_image
from ftervit_deploy.link import Link, open_stream
from ftervit_deploy.lower import lower
from ftervit_deploy.verify import random_pixels, verify_image
from synthetic import random_graph

SHAPE = Architecture(16, 8, 32, 3, 2, 48, 5)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "model.ftv"
    path.write_bytes(write_image(lower(random_graph(SHAPE, 2)), "t2"))
    return path


def _verify(image: Path, url: str, *arguments: object) -> int:
    return main(["verify", str(image), "--port", url, "--threads", "1", *map(str, arguments)])


@pytest.mark.parametrize("port", [("--pty",), ("--tcp", 0)])
def test_an_identical_board_exits_0(
    image: Path, port: tuple[object, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    photo = save_photo(image.parent / "photo.jpg", seed=4)
    with running_board(*port, image) as board:
        assert _verify(image, board.url) == 0
        assert "All 20 logits of 4 images are identical, bit for bit." in capsys.readouterr().out
        assert _verify(image, board.url, photo, "--json", "--digests") == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["identical"], record["board"]["app"]) == (True, "ftv-board")
    assert [found["image"] for found in record["images"]] == [str(photo)]


def test_a_board_that_computes_otherwise_exits_1_and_the_first_site_is_named(
    image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = image.parent / "ftv_gelu.c"
    source = (RUNTIME / "src" / "ftv_gelu.c").read_text("utf-8")
    wrong.write_text(source.replace("void ftv_gelu(", "static void right_gelu(") + WRONG_GELU, "utf-8")
    engine = (wrong, *(path for path in ENGINE_SOURCES if path.name != "ftv_gelu.c"))
    program = build_board(image.parent / "wrong-board", engine=engine)
    with running_board("--tcp", 0, image, program=program) as board:
        assert _verify(image, board.url, "--random", 1) == 1
        out = capsys.readouterr().out
        assert "of 5 logits differ; first at block 0, hidden_codes" in out
        assert _verify(image, board.url, "--random", 1, "--json") == 1
    (found,) = json.loads(capsys.readouterr().out)["images"]
    assert (found["first_site"], found["repeatable"]) == ("block 0, hidden_codes", True)


WRONG_GELU = """
void ftv_gelu(int32_t *y, uint32_t n) {
    right_gelu(y, n);
    for (uint32_t i = 0; i < n; i++) {
        y[i] = i % 5U == 0U ? y[i] / 2 + 70000 : y[i];
    }
}
"""


def test_the_first_site_is_found_in_a_later_block(image: Path) -> None:
    model = lower(random_graph(SHAPE, 2))
    blocks = list(model.blocks)
    proj = blocks[1].proj
    blocks[1] = replace(blocks[1], proj=replace(proj, codes=np.roll(proj.codes, 1, axis=0)))
    other = image.parent / "other.ftv"
    other.write_bytes(write_image(replace(model, blocks=tuple(blocks)), "t2"))
    with (
        running_board("--tcp", 0, other) as board,
        Link(open_stream(board.url)) as link,
        Engine(image, threads=1) as engine,
    ):
        verdict = verify_image(link, engine, random_pixels(SHAPE.image_size, 0))
    assert verdict.first_site == ("proj_residual", 1)
    assert not verdict.identical


def _mistake(capsys: pytest.CaptureFixture[str]) -> str:
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("ftervit: error: ")
    assert "Traceback" not in err
    return err


def test_another_model_on_the_board_exits_2(image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = image.parent / "other.ftv"
    other.write_bytes(write_image(lower(random_graph(SHAPE, 9)), "t2"))
    with running_board("--tcp", 0, other) as board:
        assert _verify(image, board.url) == 2
    assert "another model" in _mistake(capsys)


def test_a_board_without_a_model_exits_2(image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = image.parent / "broken.ftv"
    broken.write_bytes(b"no image")
    with running_board("--tcp", 0, broken) as board:
        assert _verify(image, board.url) == 2
    assert "no valid model" in _mistake(capsys)


def test_no_board_exits_2(image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _verify(image, "socket://127.0.0.1:1") == 2
    assert "socket://127.0.0.1:1" in _mistake(capsys)
    assert _verify(image, "/dev/no-such-port") == 2
    assert "no port" in _mistake(capsys)
