"""Stages of `ftervit bench`: layers, their products, the model of the processor, what a board must answer."""

from __future__ import annotations

import binascii

import numpy as np
import pytest
from line_board import running_board
from projects import board_named

from ftervit_deploy.architecture import PRESETS, Architecture
from ftervit_deploy.bench import bench_board, bench_host, bench_model, cases_of, published, ratio_of
from ftervit_deploy.bench.board import FP32 as FP32_NAME
from ftervit_deploy.bench.cases import LAYERS
from ftervit_deploy.bench.host import FP32, INT8, DenseProduct, HostMemory, ternary_step
from ftervit_deploy.bench.numbers import expected_crc
from ftervit_deploy.bench.rows import Row
from ftervit_deploy.boards import ChipBoard
from ftervit_deploy.chip import chip_cycles
from ftervit_deploy.engine import available_kernels, thread_pool
from ftervit_deploy.errors import ConfigError
from ftervit_deploy.image import write_image
from ftervit_deploy.link import Link, open_stream
from ftervit_deploy.lower import lower
from ftervit_deploy.plan import LayerCall
from synthetic import random_graph

SMALL = "mcu_nano_64:proj"


def test_a_preset_alone_is_all_of_its_layers_and_the_papers_layer_has_the_papers_shape() -> None:
    assert [case.layer for case in cases_of(["deit_tiny_224"])] == list(LAYERS)
    (case,) = cases_of(["deit_tiny_224:fc1"])
    assert (case.tokens, case.inputs, case.channels) == (197, 192, 768)
    assert [row.seconds for row in published(case)] == [1.376, 0.804]
    assert not published(cases_of(["deit_small_224:fc1"])[0])


@pytest.mark.parametrize(
    ("name", "nearest"), [("deit_tiny", "deit_tiny_224"), ("deit_tiny_224:fc", "fc"), ("x:fc1", "There are")]
)
def test_what_does_not_exist_is_said_with_the_nearest_name(name: str, nearest: str) -> None:
    with pytest.raises(ConfigError) as caught:
        cases_of([name])
    assert "There is no" in caught.value.what
    assert nearest in caught.value.hint


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("kind", [INT8, FP32])
def test_the_products_beside_ours_are_right(kind: int, threads: int) -> None:
    for name in ("mcu_nano_64:patch", "mcu_nano_64:head"):
        (case,) = cases_of([name])
        with thread_pool(threads) as pool:
            product = DenseProduct(case, kind, pool)
            product()
        expected = product.x.astype(np.int64) @ product.weights.astype(np.int64).T
        assert (product.sums() == expected).all()


def test_this_computer_runs_float_int8_and_every_set_of_its_own() -> None:
    (case,) = cases_of([SMALL])
    rows = bench_host(case, "t5", rounds=1)
    assert [row.arithmetic for row in rows[:2]] == ["fp32", "int8"]
    names = [row.kernel for row in rows[2:]]
    assert names == [f"ternary t5, {name}" for name in available_kernels() if name != "ref"]
    assert all(row.seconds > 0 and row.kind == "measured" for row in rows)


class _Guarded(HostMemory):
    """Arrays with bytes behind them that nobody may write."""

    def __init__(self) -> None:
        super().__init__()
        self.guards: list[np.ndarray] = []

    def room(self, shape: tuple[int, ...], dtype: np.typing.DTypeLike) -> np.ndarray:
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        memory = super().room((size + 4096,), np.uint8)
        self.guards.append(memory[size:])
        self.guards[-1][:] = 0xA5
        return memory[:size].view(dtype).reshape(shape)


@pytest.mark.parametrize("encoding", ["t2", "t5"])
def test_a_layer_stays_within_the_scratch_that_its_set_asks_for(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = _Guarded()
    monkeypatch.setattr("ftervit_deploy.bench.host.HostMemory", lambda: memory)
    for case in cases_of(["mcu_nano_64:proj", "mcu_nano_64:fc1", "mcu_nano_64:head"]):
        for name in available_kernels():
            with thread_pool(2) as pool:
                ternary_step(case, encoding, name, pool)()
            assert all((guard == 0xA5).all() for guard in memory.guards), (case.name, name)


def _row(arithmetic: str, seconds: float, kind: str) -> Row:
    return Row("k", arithmetic, "product", seconds, kind, 1, None, 1)  # type: ignore[arg-type]


def test_published_times_are_compared_with_published_ones_unless_there_are_no_others() -> None:
    paper = [_row("fp32", 8.0, "published"), _row("t2", 4.0, "published")]
    ours = [_row("fp32", 1.0, "measured"), _row("fp32", 3.0, "measured"), _row("t2", 0.5, "measured")]
    assert [ratio_of(row, [*paper, *ours]) for row in (*paper, *ours)] == [1, 2, 1, 1 / 3, 2]
    assert ratio_of(_row("t2", 0.5, "modelled"), paper) == 16
    assert ratio_of(ours[2], ours[2:]) is None


def test_the_model_shares_a_layer_out_as_the_engine_does() -> None:
    board = board_named("esp32s3-eye")
    assert isinstance(board, ChipBoard)
    cycles = chip_cycles(board, PRESETS["mcu_nano_64"], "t2")
    for case in cases_of(["mcu_nano_64:proj", "mcu_nano_64:qkv"]):
        one, two = bench_model(case, board, "t2", cycles)
        assert (one.cores, two.cores, one.kind) == (1, 2, "modelled")
        assert one.cycles is not None
        assert two.cycles is not None
        assert one.cycles / 2.2 < two.cycles < one.cycles
    (case,) = cases_of(["mcu_nano_64:proj"])
    one, _ = bench_model(case, board, "t2", cycles)
    assert one.cycles == cycles.of(LayerCall(case.tiles, case.inputs, case.tokens, "add", False))


# ---- boards ----

FAMILIES = ("linear", "store", "add", "activate")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> object:
    path = tmp_path_factory.mktemp("board") / "model.ftv"
    path.write_bytes(write_image(lower(random_graph(Architecture(16, 8, 32, 2, 2, 48, 5), 2)), "t2"))
    return path


def test_a_boards_steps_and_products_give_what_the_protocol_says(image: object) -> None:
    names = [f"{family}_s8{e}_{s}" for family in FAMILIES for e in ("t2", "t5") for s in ("ref", "portable")]
    with running_board("--tcp", 0, image) as board, Link(open_stream(board.url)) as link:
        for tokens, inputs in ((5, 37), (1, 192)):
            for name in [*names, "linear_s8s8_portable", "linear_f32f32_portable"]:
                assert link.bench(name, tokens, inputs, 2).crc32 == expected_crc(name, tokens, inputs), name


def test_the_sums_of_all_arithmetics_are_the_same() -> None:
    assert expected_crc("linear_s8t2_ref", 3, 40) == expected_crc(FP32_NAME, 3, 40)
    assert expected_crc("store_s8t2_ref", 3, 40) != expected_crc("activate_s8t2_ref", 3, 40)
    assert expected_crc("linear_s8t5_ref", 1, 1) == binascii.crc32(
        np.array([-127 * w for w in ([-1, 1, 0] * 6)[:16]], "<i4").tobytes()
    )


def test_a_board_with_little_memory_does_fewer_tokens_and_the_time_is_scaled(image: object) -> None:
    (case,) = cases_of(["deit_tiny_224:patch"])
    with running_board("--tcp", 0, image) as board, Link(open_stream(board.url)) as link:
        fewer = _Small(link, 60)
        rows = bench_board(fewer, case, "t2", rounds=1)  # type: ignore[arg-type]
    assert {row.tokens for row in rows} == {49}
    assert all(row.right for row in rows)
    assert [row.does for row in rows] == ["product", "product", "product", "step"]
    assert rows[0].seconds > rows[1].seconds / 20


class _Small:
    """A link to a board without memory for many tokens."""

    def __init__(self, link: Link, most: int) -> None:
        self._link, self._most = link, most

    def info(self) -> object:
        return self._link.info()

    def bench(self, kernel: str, tokens: int, inputs: int, repetitions: int = 1) -> object:
        return self._link.bench(kernel, tokens if tokens <= self._most else 5000, inputs, min(repetitions, 3))
