"""Constant channels of LayerNorm are folded: fewer inputs, and not a number changes."""

from __future__ import annotations

import struct
from dataclasses import replace

import numpy as np
import pytest
from engine_cases import assert_same, noise, reference_trace
from folding_models import SMALL, constant_graph, unfolded

from ftervit_deploy import reference
from ftervit_deploy.architecture import PRESETS
from ftervit_deploy.engine import Engine, available_kernels
from ftervit_deploy.folding import BLOCK, OUTPUTS_MIN, channels_read, folded, left_out
from ftervit_deploy.image import read_image, read_info, write_image
from ftervit_deploy.image import writer as image_writer
from ftervit_deploy.lower import IntegerModel, lower

ENCODINGS = ("t2", "t5")
SHARES = (0.0, 0.1, 0.4, 1.0)
TINY_TWO = replace(PRESETS["deit_tiny_224"], depth=2, image_size=64)
"""Widths of DeiT-Tiny, fewer tokens."""
SHAPES = {"small": SMALL, "deit_tiny": TINY_TWO}
FAST = [name for name in available_kernels() if name != "ref"]


def everything(model: IntegerModel, pixels: np.ndarray) -> dict[tuple[str, int], np.ndarray]:
    """Every site of the definition, LayerNorm's rows whole."""
    sites = {}
    reference.forward(model, pixels[None], lambda site, block, values: sites.update({(site, block): values}))
    return sites


def counts(model: IntegerModel) -> list[int]:
    """Channels that are left out before each matrix."""
    layers = [model.head, *(layer for block in model.blocks for layer in (block.qkv, block.fc1))]
    return [left_out(layer.codes).size for layer in layers]


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("shape", SHAPES)
def test_folding_changes_no_number(shape: str, share: float) -> None:
    graph = constant_graph(SHAPES[shape], share, 3)
    pixels = noise(graph.architecture, 3)
    assert_same(everything(lower(graph), pixels), everything(unfolded(graph), pixels))


@pytest.mark.parametrize("kernels", available_kernels())
@pytest.mark.parametrize("share", SHARES)
def test_the_engine_computes_the_folded_model(share: float, kernels: str) -> None:
    for shape in SHAPES.values() if kernels != "ref" else [SMALL]:
        graph = constant_graph(shape, share, 4)
        model, pixels = lower(graph), noise(shape, 4)
        assert any(counts(model)) == (share > 0.1)
        expected = reference_trace(model, pixels)
        for encoding in ENCODINGS:
            for threads in (1, 2, 3):
                with Engine(write_image(model, encoding), threads, kernels) as engine:
                    assert_same(engine.trace(pixels), expected)
        with Engine(write_image(unfolded(graph)), 1, kernels) as engine:
            np.testing.assert_array_equal(engine.logits(pixels[None]), expected["logits", -1])


@pytest.mark.parametrize("kernels", FAST)
def test_an_image_may_leave_out_any_columns_of_zeros(monkeypatch: pytest.MonkeyPatch, kernels: str) -> None:
    """Numbers that the writer does not choose."""
    model, pixels = lower(constant_graph(SMALL, 0.9, 5)), noise(SMALL, 5)
    expected = reference.forward(model, pixels[None])
    for most in (1, 5, 14):

        def every_other(codes: np.ndarray, most: int = most) -> np.ndarray:
            return np.flatnonzero(~codes.any(0))[::2][:most].astype(np.uint16)

        monkeypatch.setattr(image_writer, "left_out", every_other)
        for encoding in ENCODINGS:
            with Engine(write_image(model, encoding), 2, kernels) as engine:
                np.testing.assert_array_equal(engine.logits(pixels[None]), expected)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("share", SHARES)
def test_a_folded_image_is_read_back_whole(share: float, encoding: str) -> None:
    graph = constant_graph(SMALL, share, 6)
    model = lower(graph)
    data = write_image(model, encoding)
    again = read_image(data)
    assert write_image(again, encoding) == data
    np.testing.assert_array_equal(again.head.codes, model.head.codes)
    np.testing.assert_array_equal(again.blocks[1].qkv.codes, model.blocks[1].qkv.codes)
    plain = write_image(unfolded(graph), encoding)
    version, folds = struct.unpack_from("<H", data, 8)[0], any(counts(model))
    assert version == read_info(data).header.version == (2 if folds else 1)
    assert len(data) < len(plain) if folds else data == plain


def test_equal_codes_count_by_the_sum_of_their_weights() -> None:
    gamma = np.array([0, 1, 0, 0, 0, 0, 0, -1] + [0] * 60, np.int8)
    beta = np.array([1, 1, 1, -1, 1, -1, 0, 0] + [0] * 60, np.int8)
    codes = np.zeros((OUTPUTS_MIN, 68), np.int8)
    codes[0, :8] = [1, -1, -1, 1, -1, 1, 1, 1]
    codes[1, :8] = [1, 1, 1, 1, 0, -1, 1, 0]
    codes[2:, 6] = 1
    sparse = folded(codes, gamma, beta)
    np.testing.assert_array_equal(sparse[0, :8], [-1, -1, 0, 1, 0, 1, 0, 1])
    np.testing.assert_array_equal(sparse[1, :8], [1, 1, 1, 0, 0, 0, 0, 0])
    assert not sparse[2:].any()
    np.testing.assert_array_equal(left_out(sparse), np.arange(68 - 52, 68))
    np.testing.assert_array_equal(folded(sparse, gamma, beta), sparse)


def test_what_does_not_pay_is_left_alone() -> None:
    width = 4 * BLOCK
    codes = np.ones((OUTPUTS_MIN, width), np.int8)
    gamma, beta = np.ones(width, np.int8), np.zeros(width, np.int8)
    gamma[: BLOCK - 1] = 0
    assert folded(codes, gamma, beta) is codes
    gamma[BLOCK - 1] = 0
    np.testing.assert_array_equal(left_out(folded(codes, gamma, beta)), np.arange(BLOCK))
    fewer = codes[:-1]
    assert folded(fewer, gamma, beta) is fewer


def test_channels_beyond_the_last_input_fill_the_gaps_from_the_last_on() -> None:
    assert channels_read(np.array([1, 4, 7], np.uint16), 9).tolist() == [0, 8, 2, 3, 6, 5]
    assert channels_read(np.array([7, 8], np.uint16), 9).tolist() == list(range(7))
    assert channels_read(np.array([0, 1, 2, 3], np.uint16), 5).tolist() == [4]
    assert channels_read(np.array([], np.uint16), 3).tolist() == [0, 1, 2]
