"""The ESP32-S3's row steps equal NUMERICS.md bit for bit: the assembly itself, in the LX7 model."""

from __future__ import annotations

import ctypes
import math
import platform
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from esp32s3_rows import (
    KERNELS,
    Array,
    Call,
    Ints,
    Norm,
    NormJob,
    QuantiseJob,
    Rows,
    Steps,
    narrow,
    packed_trits,
    row_of,
    rows_of_all_kinds,
)

from ftervit_deploy.lower import IntegerNorm, Multiplier
from ftervit_deploy.lx7 import Core, Result, assemble_text
from ftervit_deploy.reference import layer_norm, quantise_rows

WIDTHS = (64, 96, 128, 192, 384)
HIDDEN = (256, 384, 512, 768, 1536)
NEEDS_LOW_ADDRESSES = pytest.mark.skipif(
    platform.machine() != "x86_64" or platform.system() != "Linux",
    reason="hardware: MAP_32BIT is x86-64 Linux",
)


# ---- int32 rows ----


def _quantise(x: Ints, levels: int, blocked: bool = False) -> tuple[Array, Array, Result]:
    """Codes, absmax, and the call. blocked: [columns / 16][rows][16], in and out."""
    count, columns = x.shape
    data = np.ascontiguousarray(x, np.int32)
    codes, absmax = np.full((count, columns), 99, np.int8), np.zeros(count, np.int32)
    x_steps, code_steps = (4 * columns, 64), (columns, 16)
    if blocked:
        data = np.ascontiguousarray(data.reshape(count, -1, 16).swapaxes(0, 1))
        codes = codes.reshape(-1, count, 16)
        x_steps, code_steps = (64, 64 * count), (16, 16 * count)
    call = (
        Call("ftv_quantise_row_s32s8_esp32s3")
        .reads("x", data, "psram")
        .numbers(*x_steps, count, columns // 16)
    )
    call.numbers(levels << 21).writes("codes", codes).numbers(*code_steps).writes("absmax", absmax)
    result = call.run()
    if blocked:
        codes = codes.swapaxes(0, 1).reshape(count, columns)
    return codes, absmax, result


@pytest.mark.parametrize("columns", [16, 32, 48, *WIDTHS, 768])
@pytest.mark.parametrize("levels", [63, 127])
def test_rows_of_every_magnitude(columns: int, levels: int) -> None:
    x = rows_of_all_kinds(np.random.default_rng(columns), columns)
    for blocked in (False, True):
        codes, absmax, _ = _quantise(x, levels, blocked)
        expected, a, _, _ = quantise_rows(x, levels)
        np.testing.assert_array_equal(absmax, a)
        np.testing.assert_array_equal(codes, expected)


def test_every_absmax_of_15_bits() -> None:
    """All a15 from 2^14 on: the division, and codes that lie next to a rounding edge."""
    rng = np.random.default_rng(5)
    for first in range(2**14, 2**15, 2**11):
        a = np.arange(first, first + 2**11, 8)
        x = rng.integers(-a[:, None], a[:, None], (len(a), 32), endpoint=True)
        x[:, 3] = a
        codes, absmax, _ = _quantise(x, 127)
        np.testing.assert_array_equal(absmax, a)
        np.testing.assert_array_equal(codes, quantise_rows(x, 127)[0])


# ---- narrow rows ----


def _quantise_narrow(y: Ints) -> tuple[Array, Array, Array, Result]:
    count, columns = y.shape
    values, absmax = narrow(y)
    codes, scales = np.full((count, columns), 99, np.int8), np.zeros((count, 2), np.int16)
    call = Call("ftv_quantise_narrow_esp32s3").reads("values", values).numbers(2 * columns)
    call.reads("absmax", absmax).numbers(columns // 4, count, columns // 16).writes("codes", codes)
    result = call.numbers(columns).writes("scales", scales).run()
    return codes, scales[:, 0], scales[:, 1], result


def _mixed_magnitudes(rng: np.random.Generator, columns: int) -> Ints:
    """Each sixteen of its own magnitude: every shift t of section 1's k."""
    magnitudes = rng.integers(0, 31, columns // 16)
    return np.concatenate([row_of(rng, 16, int(m)) for m in magnitudes])


@pytest.mark.parametrize("columns", [16, 32, 48, *WIDTHS, *HIDDEN])
def test_narrow_rows_of_every_magnitude(columns: int) -> None:
    rng = np.random.default_rng(columns)
    mixed = [_mixed_magnitudes(rng, columns) for _ in range(20)]
    y = np.concatenate([rows_of_all_kinds(rng, columns), np.stack(mixed)])
    for part in np.array_split(y, 4):
        codes, mantissa, exponent, _ = _quantise_narrow(part)
        expected, _, a15, k = quantise_rows(part, 127)
        np.testing.assert_array_equal(codes, expected)
        np.testing.assert_array_equal(mantissa, a15)
        np.testing.assert_array_equal(exponent, k)


# ---- LayerNorm ----


def _norm_of(rng: np.random.Generator, columns: int, mantissa: int, exponent: int) -> IntegerNorm:
    gamma, beta = (rng.integers(-1, 2, columns).astype(np.int8) for _ in range(2))
    return IntegerNorm(gamma, beta, 1.0, 1.0, Multiplier(mantissa, exponent))


def _trits(values: npt.NDArray[np.int8]) -> Array:
    trits = np.zeros(len(values) + 8, np.int16)
    call = Call("ftv_unpack_trits_t2s16_esp32s3").reads("codes", packed_trits(values))
    call.writes("trits", trits[: len(values)]).numbers(len(values) // 16).run()
    np.testing.assert_array_equal(trits[: len(values)], values)
    return trits


def _norm(
    norm: IntegerNorm, x: Ints, eps: int, area: str = "sram"
) -> tuple[Array, Array, Array, int, Result]:
    """Codes, mantissas, exponents, rows that were done, and the call."""
    count, columns = x.shape
    codes, scales = np.full((count, columns), 99, np.int8), np.zeros((count, 2), np.int16)
    done, row = np.zeros(1, np.uint32), np.zeros(columns + 8, np.int32)
    whole_eps = columns * eps
    call = Call("ftv_norm_s32s8_esp32s3").reads("x", np.ascontiguousarray(x, np.int32), area)
    call.numbers(4 * columns, count, columns, (2**31 - 1) // (columns // 8), -(-(2**32) // columns))
    call.numbers(
        -(-(2**32) // (columns // 16)),
        whole_eps,
        whole_eps >> 32,
        norm.beta_ratio.mantissa,
        norm.beta_ratio.exponent,
    )
    call.reads("gamma", _trits(norm.gamma)).reads("beta", _trits(norm.beta)).writes("row", row)
    call.writes("codes", codes).numbers(columns).writes("scales", scales).writes("done", done)
    result = call.run()
    return codes, scales[:, 0], scales[:, 1], int(done[0]), result


def _is_for_vectors(x: Ints, columns: int) -> bool:
    d = x - x.sum() // columns
    return bool(np.abs(x).max() <= (2**31 - 1) // (columns // 8) and np.abs(d).max() < 2**26)


@pytest.mark.parametrize("columns", [32, *WIDTHS, 768, 1024])
def test_norm_of_every_magnitude(columns: int) -> None:
    rng = np.random.default_rng(columns)
    x = rows_of_all_kinds(rng, columns)
    for mantissa, exponent, eps in ((20000, 40, 4295), (32767, 43, 42950), (16384, 48, 1), (16384, 62, 0)):
        norm = _norm_of(rng, columns, mantissa, exponent)
        expected = layer_norm(norm, x, eps)
        for index, row in enumerate(x):
            codes, mantissas, exponents, done, _ = _norm(norm, row[None], eps)
            if done:
                np.testing.assert_array_equal(codes[0], expected.codes[index])
                assert (mantissas[0], exponents[0]) == (expected.mantissa[index], expected.exponent[index])
            elif exponent > 45:  # beta's step is small: only large numbers are a reason to stop
                assert not _is_for_vectors(row, columns)


def test_norm_stops_at_a_row_that_is_too_large() -> None:
    rng = np.random.default_rng(3)
    x = np.stack([row_of(rng, 64, m) for m in (18, 20, 29, 18)])
    norm = _norm_of(rng, 64, 20000, 42)
    codes, _, _, done, _ = _norm(norm, x, 4295)
    assert done == 2
    np.testing.assert_array_equal(codes[:2], layer_norm(norm, x[:2], 4295).codes)
    assert (codes[2:] == 99).all()


def test_norm_takes_exact_roots() -> None:
    """The macro alone: next to squares, where an estimate that is off by one shows, and at random."""
    source = KERNELS / "ftv_norm_s32s8_esp32s3.S"
    test = "\n.global root\nroot:\nentry a1, 32\nmov a7, a2\nmov a8, a3\nftv_root\nmov a2, a11\nretw\n"
    core = Core(assemble_text(source.read_text() + test, source.name))
    rng = np.random.default_rng(11)
    roots = [2**31, 2**31 + 1, 2**32 - 1, 2**32 - 2, *(2**31 + 2**16 * np.arange(0, 2**15, 641) - 1).tolist()]
    roots += [2**31 + 2**16 * i + j for i in (0, 1, 2, 9268, 32766, 32767) for j in (0, 1, 2**15, 2**16 - 1)]
    roots += rng.integers(2**31, 2**32, 1500).tolist()
    squares = [root * root + offset for root in roots for offset in (-1, 0, 1, 2 * root)]
    for value in [2**62, 2**64 - 1, *squares, *rng.integers(2**62, 2**63, 1500).tolist()]:
        if 2**62 <= value < 2**64:
            assert core.call("root", value & 0xFFFFFFFF, value >> 32).value == math.isqrt(value), hex(value)


# ---- how fast ----


@pytest.mark.parametrize(
    ("step", "columns", "cycles"),
    [
        ("quantise_row", 64, 155),
        ("quantise_row", 768, 1220),
        ("quantise_narrow", 192, 246),
        ("quantise_narrow", 384, 405),
        ("quantise_narrow", 1536, 1340),
        ("norm", 64, 610),
        ("norm", 192, 1020),
        ("norm", 384, 1640),
    ],
)
def test_cycles_of_a_row(step: str, columns: int, cycles: int) -> None:
    """Modelled, of one row more."""
    rng = np.random.default_rng(1)
    x = rng.normal(0, 2.0**17, (12, columns)).round().astype(np.int64)
    norm = _norm_of(rng, columns, 20000, 41)
    runs: dict[str, Callable[[Ints], Result]] = {
        "quantise_row": lambda rows: _quantise(rows, 127)[2],
        "quantise_narrow": lambda rows: _quantise_narrow(rows)[3],
        "norm": lambda rows: _norm(norm, rows, 4295)[4],
    }
    run = runs[step]
    assert (run(x).cycles - run(x[:2]).cycles) / 10 <= cycles


# ---- the steps, C and assembly together ----


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> Steps:
    return Steps(tmp_path_factory.mktemp("rows"))


@NEEDS_LOW_ADDRESSES
@pytest.mark.parametrize("columns", [48, 64, 100, 192, 384, 1040])
def test_the_norm_step_takes_every_row(steps: Steps, columns: int) -> None:
    """Rows that are too large for the vector unit among others, and widths that it does not take."""
    rng = np.random.default_rng(columns)
    stride = -(-columns // 16) * 16
    x = np.zeros((40, stride), np.int32)
    x[:, :columns] = rng.permutation(rows_of_all_kinds(rng, columns))[:40]
    norm = _norm_of(rng, columns, 20000, 41)
    steps.clear()
    data, codes = steps.array(x), steps.array(np.full((40, stride), 99, np.int8))
    scales = steps.array(np.zeros((40, 2), np.int16))
    gamma, beta = (steps.array(packed_trits(t), align=12) for t in (norm.gamma, norm.beta))
    scratch = steps.array(np.zeros(steps.library.ftv_norm_scratch_bytes_esp32s3(columns), np.uint8))
    trits = Norm(gamma.ctypes.data, beta.ctypes.data, *vars(norm.beta_ratio).values())
    out = Rows(codes.ctypes.data, scales.ctypes.data, stride)
    job = NormJob(data.ctypes.data, stride, 40, columns, ctypes.pointer(trits), 4295, out)
    steps.library.ftv_norm_esp32s3(ctypes.byref(job), ctypes.c_void_p(scratch.ctypes.data))
    expected = layer_norm(norm, x[:, :columns].astype(np.int64), 4295)
    np.testing.assert_array_equal(codes[:, :columns], expected.codes)
    assert not codes[:, columns:].any()
    np.testing.assert_array_equal(scales[:, 0], expected.mantissa)
    np.testing.assert_array_equal(scales[:, 1], expected.exponent)
    assert bool(steps.functions) == (columns in (48, 64, 192, 384))


@NEEDS_LOW_ADDRESSES
@pytest.mark.parametrize(
    ("pieces", "piece", "vectors"),
    [(1, 1536, True), (6, 64, True), (3, 40, False), (1, 100, False), (4, 16, True)],
)
@pytest.mark.parametrize("in_place", [False, True])
def test_the_quantise_step(steps: Steps, pieces: int, piece: int, vectors: bool, in_place: bool) -> None:
    rng = np.random.default_rng(piece)
    piece_stride = -(-piece // 16) * 16
    stride, columns = pieces * piece_stride, pieces * piece
    y = np.stack([_mixed_magnitudes(rng, stride) for _ in range(12)])
    y.reshape(12, pieces, piece_stride)[:, :, piece:] = 0
    values, absmax = (steps.array(a) for a in narrow(y))
    out_stride = stride if in_place else -(-columns // 16) * 16
    codes = steps.array(np.full((12, out_stride), 99, np.int8))
    if in_place:
        codes = values.view(np.int8).reshape(-1)[: 12 * stride].reshape(12, stride)
    scales = steps.array(np.zeros((12, 2), np.int16))
    job = QuantiseJob(rows=12, pieces=pieces, piece=piece, piece_stride=piece_stride)
    job.in_.values, job.in_.absmax, job.in_.stride = values.ctypes.data, absmax.ctypes.data, stride
    job.out = Rows(codes.ctypes.data, scales.ctypes.data, out_stride)
    steps.functions.clear()
    steps.library.ftv_quantise_esp32s3(ctypes.byref(job), None)
    real = y.reshape(12, pieces, piece_stride)[:, :, :piece].reshape(12, columns)
    expected, _, a15, k = quantise_rows(real, 127)
    np.testing.assert_array_equal(codes[:, :columns], expected)
    np.testing.assert_array_equal(scales[:, 0], a15)
    np.testing.assert_array_equal(scales[:, 1], k)
    assert bool(steps.functions) == vectors
    steps.clear()
