"""Buffers that are in use at once never overlap, nothing leaves its memory, what does not fit is refused."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from folding_models import constant_graph, unfolded
from hypothesis import given, settings
from hypothesis import strategies as st
from projects import TINY, board_named, rendered, tiny_image

from ftervit_deploy.architecture import PRESETS, Architecture
from ftervit_deploy.errors import ProjectError
from ftervit_deploy.image import read_info, write_image
from ftervit_deploy.lower import lower
from ftervit_deploy.plan import (
    Machine,
    Matrices,
    MemoryPlan,
    NormCall,
    kernels_of,
    machine_of,
    pass_steps,
    plan_flash,
    plan_memory,
    prices_of,
    rates_of,
)  # fmt: skip
from ftervit_deploy.plan.buffers import Tiling
from ftervit_deploy.plan.memory import FAR, SPARE
from ftervit_deploy.project.facts import reduced_bytes
from synthetic import random_graph

SMALL = st.builds(
    lambda patch, across, head_dim, heads, hidden: Architecture(
        patch * across, patch, head_dim * heads, 2, heads, hidden, 10
    ),
    st.integers(1, 16), st.integers(1, 9), st.integers(1, 64), st.integers(1, 6), st.integers(1, 700),
)  # fmt: skip


SRAM, PSRAM = st.integers(0, 400_000), st.integers(0, 4 << 20)


def planned(
    a: Architecture, encoding: str, workers: int, near: int, far: int, image_bytes: int = 0, spare: int = 0
) -> MemoryPlan:
    """The plan for a chip like the ESP32-S3 with so much memory."""
    machine = Machine(workers, 240e6, near, far, rates_of(board_named("esp32s3-eye")), spare)
    kernels = kernels_of(board_named("esp32s3-eye").chip, a, encoding)
    return plan_memory(a, Matrices(encoding, frozenset({"patch"})), kernels, machine, image_bytes)


def assert_sound(plan: MemoryPlan, near_bytes: int, far_bytes: int, spare_bytes: int = 0) -> None:
    sizes = (plan.near_bytes, plan.far_bytes, plan.spare_bytes)
    assert plan.near_bytes <= near_bytes
    assert plan.far_bytes <= far_bytes
    assert plan.spare_bytes <= spare_bytes
    for place in plan.placed:
        assert place.offset % 16 == 0
        assert place.end <= sizes[place.memory]
    for one, other in combinations(plan.placed, 2):
        if one.memory == other.memory and one.buffer.steps & other.buffer.steps:
            assert one.end <= other.offset or other.end <= one.offset


@settings(max_examples=60, deadline=None)
@given(SMALL, st.sampled_from(["t2", "t5"]), st.integers(1, 4), SRAM, PSRAM, st.integers(0, 100_000))
def test_plans_are_sound(
    a: Architecture, encoding: str, workers: int, near: int, far: int, spare: int
) -> None:
    assert_sound(planned(a, encoding, workers, near, 1 << 30), near, 1 << 30)
    with contextlib.suppress(ProjectError):
        assert_sound(planned(a, encoding, workers, near, far, spare=spare), near, far, spare)


def test_a_piece_of_the_heap_takes_what_static_memory_has_no_room_for() -> None:
    plan = planned(PRESETS["deit_small_224"], "t2", 2, 230_000, 4 << 20, spare=70_000)
    scratch = plan.placed[0]
    assert (scratch.buffer.name, scratch.memory) == ("scratch", SPARE)
    assert plan.spare_bytes >= scratch.buffer.bytes


def test_residual_rows_stay_in_sram_as_far_as_they_fit() -> None:
    a = Architecture(224, 16, 192, 12, 3, 384, 10)  # no room behind GELU's codes
    plan = planned(a, "t2", 2, 220_000, 6 << 20, image_bytes=1_055_696)
    assert 0 < plan.tiling.resident < a.tokens
    assert plan.tiling.window
    assert "residual" in plan.place.far
    assert "resident" not in plan.place.far


def test_rows_that_dma_copies_share_no_line_of_the_cache() -> None:
    plan = planned(PRESETS["deit3_small_224"], "t2", 2, 262_000, 7 << 20, image_bytes=5_761_328)
    assert plan.tiling.window
    assert {place.offset % 64 for place in plan.placed if place.memory == FAR} == {0}
    residual = next(place for place in plan.placed if place.buffer.name == "residual")
    assert residual.memory == FAR
    assert residual.buffer.bytes % 64 == 0


@pytest.mark.parametrize("stays", [True, False])
@pytest.mark.parametrize("resident", [0, 30])
@pytest.mark.parametrize("hidden", [768, 384])
def test_every_row_behind_a_window_comes_and_goes_once_a_block(
    hidden: int, resident: int, stays: bool
) -> None:
    a = Architecture(224, 16, 192, 4, 3, hidden, 10)
    steps = list(pass_steps(a, Matrices("t2", frozenset()), Tiling(2, 25, 1, True, resident, stays)))
    row = 192 * 4
    inner = (a.tokens - resident) * row
    last = row if not resident else 0  # the last block's one query
    assert sum(step.coming_bytes for step in steps) == 3 * inner + last
    assert sum(step.going_bytes for step in steps) == 4 * inner + last
    moved = sum(step.moved_bytes for step in steps)
    assert (moved > 0) == (hidden == 768)
    assert moved <= 3 * inner + last


def test_copies_hide_behind_what_weights_leave_of_the_computing() -> None:
    board, a = board_named("esp32s3-eye"), PRESETS["deit_tiny_224"]
    machine = machine_of(board, a)
    kernels = kernels_of(board.chip, a, "t2")
    plan = planned(a, "t2", 2, 262_000, 6 << 20, image_bytes=1_555_696)
    steps = list(pass_steps(a, Matrices("t2", frozenset()), plan.tiling))
    prices = prices_of(steps, kernels.cycles, machine, plan.place)
    rates = machine.rates
    copied = sum(
        rates.copy_read.seconds(s.coming_bytes) + rates.copy_write.seconds(s.going_bytes) for s in steps
    )
    assert sum(price.copies_s for price in prices) == pytest.approx(copied)
    for price in prices:
        assert price.hidden_s <= min(price.weights_s + price.copies_s, price.compute_s) + 1e-12
        assert price.step.settles or price.copies_s <= price.hidden_s


@pytest.mark.parametrize("encoding", ["t2", "t5"])
@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_fits_an_s3_eye(name: str, encoding: str) -> None:
    board, a = board_named("esp32s3-eye"), PRESETS[name]
    machine = machine_of(board, a)
    plan = planned(a, encoding, 2, machine.near_bytes, machine.far_bytes)
    assert_sound(plan, machine.near_bytes, machine.far_bytes)


def test_deit_small_needs_a_megabyte_of_psram() -> None:
    a = PRESETS["deit_small_224"]
    plan = planned(a, "t2", 2, 310_000, 1 << 20, image_bytes=5_738_736)
    assert plan.near_bytes <= 310_000
    assert not plan.weights_in_psram


def test_without_room_the_arithmetic_is_told() -> None:
    a = PRESETS["deit_small_224"]
    with pytest.raises(ProjectError, match=r"needs [\d,]+ bytes of working memory .* has 310,000 of SRAM"):
        planned(a, "t2", 2, 310_000, 0)


def test_a_5_8_megabyte_model_fits_8_megabytes_of_flash() -> None:
    flash = plan_flash(board_named("esp32s3-eye"), 5_756_400)
    assert flash.app.size == 1 << 20
    assert flash.model.offset == flash.app.offset + flash.app.size
    assert flash.model.offset + flash.model.size == 8 << 20
    assert 0.78 < 5_756_400 / flash.model.size < 0.80


def test_a_model_that_fits_as_t5_is_told_so() -> None:
    board = board_named("esp32s3-eye")
    with pytest.raises(ProjectError, match=r"has 8,000,000 bytes, .* has 7,274,496 for it") as caught:
        plan_flash(board, 8_000_000, 7_000_000)
    assert "--encoding t5" in caught.value.hint
    with pytest.raises(ProjectError) as caught:
        plan_flash(board, 9_000_000, 8_000_000)
    assert "t5" not in caught.value.hint


@pytest.mark.parametrize("shape", [TINY, Architecture(30, 5, 40, 2, 5, 77, 3)])
def test_the_bytes_of_the_smaller_encoding_are_exact(shape: Architecture) -> None:
    model = lower(random_graph(shape, 2))
    smaller = write_image(model, "t5")
    info = read_info(np.frombuffer(write_image(model, "t2"), np.uint8))
    assert reduced_bytes(info) == len(smaller)
    assert reduced_bytes(read_info(np.frombuffer(smaller, np.uint8))) is None


def test_a_board_without_psram_keeps_everything_in_sram() -> None:
    board = replace(board_named("esp32s3-eye"), psram=None)
    assert rendered(tiny_image(), board).memory.far_bytes == 0


def test_a_pass_is_planned_with_the_inputs_that_an_image_has() -> None:
    a = replace(PRESETS["deit_tiny_224"], depth=2)
    graph = constant_graph(a, 0.4)
    plain, folded = (
        Matrices.of_image(read_info(write_image(model))) for model in (unfolded(graph), lower(graph))
    )
    assert not plain.left_out
    assert set(folded.left_out) == {("qkv", 0), ("fc1", 0), ("qkv", 1), ("fc1", 1), ("head", -1)}
    tiling = Tiling(2, 25, 1, True)
    for one, other in zip(pass_steps(a, plain, tiling), pass_steps(a, folded, tiling), strict=True):
        share = 1 - folded.left_out.get((one.name, one.block), 0) / a.width
        assert other.macs == pytest.approx(one.macs * share)
        assert other.weights_bytes == pytest.approx(one.weights_bytes * share)
        norms = [call for _, call in other.calls if isinstance(call, NormCall)]
        assert all(call.left_out > 0 for call in norms)
