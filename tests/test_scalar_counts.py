"""The scalar kernels' cost, in instructions of an emulated Xtensa core without a vector unit."""

from __future__ import annotations

from pathlib import Path

import pytest
from xtensa_board import BOARD, COUNTING, MISSING, compile_engine, is_there, link, run
from xtensa_count import LINEAR, NAIVE, SMALL, TINY, Block, count, instruction_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The engine, compiled for the core."""
    if not is_there():
        pytest.skip(MISSING)
    return compile_engine(tmp_path_factory.mktemp("xtensa"))


def test_the_emulator_counts_single_instructions(objects: list[Path], tmp_path: Path) -> None:
    shapes = [f"-DBLOCK_{name}" for name in ("TOKENS=1", "WIDTH=64", "HIDDEN=64", "HEAD_DIM=64")]
    short, long, *_ = run(link(tmp_path / "count.elf", *shapes, BOARD / "count.c"), *COUNTING)
    unit = instruction_of(short, long)
    assert unit == pytest.approx(1.28, abs=1e-5)
    for advance, rounds in (short, long):
        assert 2 * rounds <= advance / unit <= 2 * rounds + 4, "the loop, and what reads the counter"


@pytest.mark.parametrize("encoding", ["t2", "t5"])
@pytest.mark.parametrize("block", [TINY, SMALL], ids=lambda block: block.name)
def test_linear_layers_take_less_than_an_instruction_a_multiply_accumulate(
    objects: list[Path], tmp_path: Path, block: Block, encoding: str
) -> None:
    scalar = count(objects, tmp_path, block, encoding, "scalar")
    for step in LINEAR:
        assert scalar[step].macs_per_instruction >= 1.0, step


def test_counts_are_those_of_the_same_numbers(objects: list[Path], tmp_path: Path) -> None:
    block = Block("small", 21, 64, 128, 32)
    for encoding in ("t2", "t5"):
        scalar = count(objects, tmp_path, block, encoding, "scalar")
        for kernels in ("portable", "ref"):
            other = count(objects, tmp_path, block, encoding, kernels)
            assert {step: counted.digest for step, counted in other.items()} == {
                step: counted.digest for step, counted in scalar.items()
            }


def test_plain_c_takes_six_times_as_many_instructions(objects: list[Path], tmp_path: Path) -> None:
    scalar = count(objects, tmp_path, TINY, "t2", "scalar")
    for kernels in ("portable", NAIVE):
        plain = count(objects, tmp_path, TINY, "t2", kernels)
        for step in set(LINEAR) & set(plain):
            assert plain[step].instructions >= 6 * scalar[step].instructions, (kernels, step)
