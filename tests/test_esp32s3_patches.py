"""The ESP32-S3's way from pixels to the residual stream equals NUMERICS.md, section 3, bit for bit."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from esp32s3_rows import LIMIT, Array, Call, EmbedJob, PatchesJob, Rows, Steps
from test_esp32s3_rows import NEEDS_LOW_ADDRESSES

from ftervit_deploy.reference import quantise_rows

SCALE = np.array([290_213, 295_001, -293_700], np.int32)
OFFSET = np.array([-35_450_000, -33_000_001, 30_250_777], np.int32)


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> Steps:
    return Steps(tmp_path_factory.mktemp("patches"))


def _in_q16(pixels: Array, side: int) -> Array:
    """[patches, 3 side^2] of one line of patches."""
    values = (pixels.astype(np.int64) * SCALE + OFFSET + 128) >> 8
    return values.reshape(side, -1, side, 3).transpose(1, 3, 0, 2).reshape(-1, 3 * side * side)


@pytest.mark.parametrize("side", [4, 8, 16, 32])
def test_pixels_of_a_patch(side: int) -> None:
    """The second of two patches, at an address that is no multiple of anything."""
    pixels = np.random.default_rng(side).integers(0, 256, (side, 2 * side, 3), np.uint8)
    row = np.zeros(3 * side * side, np.int32)
    call = Call("ftv_patch_u8s32_esp32s3").reads("pixels", pixels.reshape(-1)[3 * side :].copy())
    call.numbers(6 * side, side).writes("row", row)
    call.numbers(*np.stack([SCALE, OFFSET + 128], 1).reshape(-1).tolist())
    cycles = call.run().cycles
    np.testing.assert_array_equal(row, _in_q16(pixels, side)[1])
    assert cycles <= 3 * side * (5.5 * side + 9) + 40


@NEEDS_LOW_ADDRESSES
@pytest.mark.parametrize("side", [6, 8, 16])
def test_the_patches_step(steps: Steps, side: int) -> None:
    rng = np.random.default_rng(side)
    pixels = rng.integers(0, 256, (side, 5 * side, 3), np.uint8)
    pixels[:, :side] = 122  # a patch of one colour, near the mean
    values = _in_q16(pixels, side)
    stride = -(-values.shape[1] // 16) * 16
    steps.clear()
    picture, codes = steps.array(pixels, align=1), steps.array(np.full((5, stride), 99, np.int8))
    scales = steps.array(np.zeros((5, 2), np.int16))
    scratch = steps.array(np.zeros(steps.library.ftv_patches_scratch_bytes_esp32s3(side), np.uint8))
    out = Rows(codes.ctypes.data, scales.ctypes.data, stride)
    job = PatchesJob(picture.ctypes.data, 15 * side, 5, side, SCALE.ctypes.data, OFFSET.ctypes.data, out)
    steps.library.ftv_patches_esp32s3(ctypes.byref(job), ctypes.c_void_p(scratch.ctypes.data))
    expected, _, a15, k = quantise_rows(values, 127)
    np.testing.assert_array_equal(codes[:, : values.shape[1]], expected)
    assert not codes[:, values.shape[1] :].any()
    np.testing.assert_array_equal(scales, np.stack([a15, k], 1))
    assert len(steps.functions) == (10 if side % 4 == 0 else 0)


@NEEDS_LOW_ADDRESSES
@pytest.mark.parametrize("columns", [8, 64, 100, 192, 384])
@pytest.mark.parametrize("align", [2, 4, 10, 16])
def test_the_embed_step(steps: Steps, columns: int, align: int) -> None:
    """Values at any even address; sums that leave 31 bits on both sides."""
    rng = np.random.default_rng(columns + align)
    stride = -(-columns // 16) * 16
    x = rng.integers(-LIMIT, LIMIT, (7, stride)).astype(np.int32)
    values = rng.integers(-(2**15), 2**15, (7, columns)).astype(np.int16)
    for shift in (0, 3, 14):
        steps.clear()
        stream, added = steps.array(x), steps.array(values, align=align)
        job = EmbedJob(stream.ctypes.data, stride, added.ctypes.data, 7, columns, shift)
        steps.library.ftv_embed_esp32s3(ctypes.byref(job), None)
        expected = x.astype(np.int64)
        expected[:, :columns] += values.astype(np.int64) << shift
        np.testing.assert_array_equal(stream, np.clip(expected, -LIMIT, LIMIT - 1))
        assert bool(steps.functions) == (columns % 8 == 0 and align % 16 != 0)
