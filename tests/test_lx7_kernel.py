"""A whole kernel on the LX7 model: the outer product over sixteen channels, against NumPy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from ftervit_deploy.lx7 import Core, assemble

OUTER = Path(__file__).parent / "lx7" / "outer.S"
WIDTHS = (16, 32, 64, 192, 384, 768, 1536)


@pytest.fixture(scope="module")
def core() -> Core:
    return Core(assemble(OUTER))


def _lanes(stored: npt.NDArray[np.uint8]) -> list[int]:
    """The sixteen sums of the stored accumulator."""
    halves = [int.from_bytes(stored[at : at + 20].tobytes(), "little") for at in (0, 32)]
    fields = [half >> (20 * n) & 0xFFFFF for half in halves for n in range(8)]
    return [(field ^ 2**19) - 2**19 for field in fields]


def _product(core: Core, name: str, x: npt.NDArray[np.int8], w: npt.NDArray[np.int8]) -> list[int]:
    out = np.zeros(64, np.uint8)
    padded = np.concatenate([x, np.zeros(32, np.int8)])
    tile = np.concatenate([w, np.zeros((2, 16), np.int8)])
    core.call(name, padded, tile, len(x) // 16, out)
    return _lanes(out)


@pytest.mark.parametrize("name", ["outer", "outer2"])
@pytest.mark.parametrize("width", WIDTHS)
def test_the_product_is_exact(core: Core, name: str, width: int) -> None:
    if name == "outer2" and width == 16:
        width = 4096
    rng = np.random.default_rng(width)
    x = rng.integers(-127, 128, width).astype(np.int8)
    w = rng.integers(-1, 2, (width, 16)).astype(np.int8)
    w[:, 0], w[:, 1] = 1, -1
    assert _product(core, name, x, w) == (x.astype(int) @ w.astype(int)).tolist()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("value", [-127, 127])
def test_the_worst_operands_of_a_ternary_product_stay_exact(core: Core, width: int, value: int) -> None:
    x = np.full(width, value, np.int8)
    w = np.where(np.arange(16) % 2, 1, -1) * np.ones((width, 1), int)
    assert _product(core, "outer", x, w.astype(np.int8)) == (x.astype(int) @ w).tolist()


def test_sums_beyond_twenty_bits_saturate_as_they_grow(core: Core) -> None:
    x = np.full(160, -128, np.int8)
    w = np.full((160, 16), -128, np.int8)
    w[:, 8:] = 127
    w[48:, 0] = 127
    expected = []
    for channel in range(16):
        total = 0
        for a, b in zip(x.tolist(), w[:, channel].tolist(), strict=True):
            total = max(-(2**19), min(2**19 - 1, total + a * b))
        expected.append(total)
    assert expected[1] == 2**19 - 1
    assert expected[8] == -(2**19)
    assert _product(core, "outer", x, w) == expected


def test_macs_and_instructions_are_counted(core: Core) -> None:
    x, w = np.zeros(384 + 32, np.int8), np.zeros((386, 16), np.int8)
    result = core.call("outer", x, w, 24, np.zeros(64, np.uint8))
    assert result.macs == 384 * 16
    assert result.stores == 2
    lines = result.lines()
    assert sum(line.cycles for line in lines) == result.cycles
    assert sum(line.times for line in lines) == result.instructions
    assert result.functions() == {"outer": result.cycles}
