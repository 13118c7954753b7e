"""Attention on the ESP32-S3 equals NUMERICS.md to the last bit, in the model of its processor."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import numpy as np
import pytest
from esp32s3_attention import (
    SOFTMAX_CONSTANTS,
    After,
    AttendJob,
    Attention,
    Inside,
    Ints,
    Narrow,
    Part,
    Rows,
    call,
    frozen,
    keys_in_tiles,
    narrow,
    padded,
    places,
    values_in_groups,
    weights_of,
)

from ftervit_deploy import reference

TOKENS = (1, 15, 16, 17, 65, 82, 197)


def codes(rng: np.random.Generator, rows: int, channels: int, levels: int) -> np.ndarray:
    return rng.integers(-levels, levels + 1, (rows, channels)).astype(np.int8)


# ---- layouts ----


@pytest.mark.parametrize("tiles", [1, 2, 5])
@pytest.mark.parametrize("channels", [16, 32, 48, 64])
def test_keys_are_laid_out_channel_by_channel(tiles: int, channels: int) -> None:
    rows = codes(np.random.default_rng(tiles), 16 * tiles, channels, 127)
    keys = np.zeros((tiles, channels, 16), np.int8)
    call("ftv_keys_s8_esp32s3", frozen(rows), keys, tiles, channels // 16)
    assert np.array_equal(keys, keys_in_tiles(rows))


@pytest.mark.parametrize("count", [1, 2, 17, 64])
@pytest.mark.parametrize("channels", [16, 64])
def test_values_are_laid_out_eight_channels_wide(count: int, channels: int) -> None:
    rows = codes(np.random.default_rng(count), count + 1, channels, 127)
    room = 80
    values = np.full((channels // 8, room, 8), 77, np.int16)
    call("ftv_values_s8s16_esp32s3", frozen(rows), values, room * 16, count, channels // 16, 0)
    rows = rows[:count]
    assert np.array_equal(values[:, :count], values_in_groups(rows))
    assert (values[:, count:] == 77).all()


@pytest.mark.parametrize("channels", [16, 64])
def test_values_of_a_group_are_where_its_scores_are(channels: int) -> None:
    rows = codes(np.random.default_rng(channels), 65, channels, 127)
    values = np.zeros((channels // 8, 64, 8), np.int16)
    for tile in range(4):
        fields = (frozen(rows[16 * tile : 16 * tile + 17]), Inside(values, 32 * tile), 1024, 16)
        call("ftv_values_s8s16_esp32s3", *fields, channels // 16, 1)
    assert np.array_equal(values[:, places(5)[0][:64]], values_in_groups(rows[:64]))


# ---- scores ----


def scored(queries: np.ndarray, rows: np.ndarray, scales: np.ndarray) -> Ints:
    """t of some queries and all keys."""
    tiles, channels = len(rows) // 16, rows.shape[1]
    scores = np.zeros((4, 16 * tiles), np.int32)
    of_score, of_scale = places(tiles)
    ordered = np.zeros(16 * tiles, np.int16)
    ordered[of_scale] = scales
    fields = (frozen(queries), frozen(keys_in_tiles(rows)), frozen(ordered), scores)
    call("ftv_scores_s8s8_esp32s3", *fields, 64 * tiles, len(queries), tiles, channels // 16)
    return scores[: len(queries), of_score].astype(np.int64)


def expected_scores(queries: np.ndarray, rows: np.ndarray, scales: np.ndarray) -> Ints:
    return queries.astype(np.int64) @ rows.astype(np.int64).T * scales


@pytest.mark.parametrize("queries", [1, 3, 4])
@pytest.mark.parametrize("channels", [16, 32, 48, 64])
@pytest.mark.parametrize("tiles", [1, 3, 4, 5, 9])
def test_scores_are_exact(queries: int, channels: int, tiles: int) -> None:
    rng = np.random.default_rng(channels + tiles)
    q, k = codes(rng, queries, channels, 63), codes(rng, 16 * tiles, channels, 127)
    scales = rng.integers(0, 4096, 16 * tiles).astype(np.uint16)
    assert np.array_equal(scored(q, k, scales), expected_scores(q, k, scales))


def test_scores_are_exact_at_the_limits() -> None:
    """Sums of every sign next to each other, the largest that 64 channels give, and every single bit."""
    rng = np.random.default_rng(3)
    q = np.array([[63], [-63], [1], [-1]]).repeat(64, 1).astype(np.int8)
    k = rng.choice(np.array([-127, 127], np.int8), (128, 1)).repeat(64, 1)
    k[16:32] = rng.choice(np.array([-1, 0, 1, 2, 16, -16, 127, -127], np.int8), (16, 64))
    k[32:48] = np.where(np.arange(64) < rng.integers(0, 65, (16, 1)), 127, -127)
    k[64:] = rng.permutation(k[:64])
    scales = np.full(128, 4095, np.uint16)
    assert np.array_equal(scored(q, k, scales), expected_scores(q, k, scales))


# ---- softmax ----


def check_softmax(t: Ints, c: int, shift: int, mv: Ints) -> None:
    tokens = len(t)
    tiles = -(-tokens // 16)
    both = np.zeros(96 * tiles + 160, np.uint8)
    scores = both[: 64 * tiles].view(np.int32)
    scores[:] = padded(t)
    start = 64 * tiles + 64
    weights, total = both[start : start + 32 * tiles].view(np.int16), np.zeros(1, np.uint32)
    padding = np.where(np.arange(16) < (tokens - 1) % 16 + 1, 0, 32767).astype(np.int16)
    values = padded(mv, 321).astype(np.int16)
    fields = (frozen(values), frozen(padding), frozen(SOFTMAX_CONSTANTS), c, min(shift - 16, 39), tiles)
    call("ftv_softmax_s32s16_esp32s3", both, After(start), *fields, total)
    expected, expected_total = weights_of(t, c, shift, mv)
    assert np.array_equal(weights[:tokens], expected)
    assert not weights[tokens : 16 * tiles].any()
    assert total[0] == expected_total


def score_kinds(rng: np.random.Generator, tokens: int) -> dict[str, Ints]:
    """Scores of every shape; |t| < 64 * 63 * 127 * 4096."""
    most = 64 * 63 * 127 * 4095
    one = np.full(tokens, -most)
    one[rng.integers(tokens)] = most
    return {
        "random": rng.integers(-most, most + 1, tokens),
        "peaked": one,
        "flat": rng.integers(-1000, 1000, tokens),
        "equal": np.full(tokens, -12345678),
        "negative": -most + rng.integers(0, 2**26, tokens),
        "ramp": np.arange(tokens) * 65537,
        "normal": (rng.normal(0, 1, tokens) * 2**24).astype(np.int64),
    }


@pytest.mark.parametrize("tokens", TOKENS)
def test_softmax_is_exact(tokens: int) -> None:
    rng = np.random.default_rng(tokens)
    for t in score_kinds(rng, tokens).values():
        for shift in (16, 22, 25, 30, 34):
            mv = rng.integers(0, 32768, tokens)
            check_softmax(t, int(rng.integers(2**13, 2**15)), shift, mv)


@pytest.mark.parametrize("c", [0, 1, 2, 8191, 32767])
@pytest.mark.parametrize("shift", [16, 31, 47, 55, 99])
def test_softmax_is_exact_for_odd_scales(c: int, shift: int) -> None:
    t = score_kinds(np.random.default_rng(shift), 40)["random"]
    check_softmax(t, c, shift, np.full(40, 32767))


def test_softmax_is_exact_for_every_distance() -> None:
    """u = 0 .. 32767: every fraction with every shift, and weights that round at every place."""
    rng = np.random.default_rng(8)
    for first in range(0, 32768, 1024):
        t = -np.concatenate([[0], np.arange(first, first + 1024)])
        check_softmax(t * 4, 16384, 16, rng.integers(32000, 32768, 1025))


# ---- mix ----


def check_mix(weights: Ints, rows: np.ndarray) -> None:
    values = values_in_groups(padded(rows, 99))
    sums = np.zeros(rows.shape[1], np.int32)
    fields = (frozen(np.pad(padded(weights, 0), (0, 8)).astype(np.int16)), frozen(values))
    sizes = (-(-len(rows) // 8), len(values))
    call("ftv_mix_s16s16_esp32s3", *fields, 16 * values.shape[1], sums, *sizes)
    assert np.array_equal(sums, weights @ rows.astype(np.int64))


@pytest.mark.parametrize("tokens", [*TOKENS, 577])
@pytest.mark.parametrize("channels", [16, 64])
def test_mix_is_exact(tokens: int, channels: int) -> None:
    rng = np.random.default_rng(tokens)
    check_mix(rng.integers(0, 2**13 + 1, tokens), codes(rng, tokens, channels, 127))
    check_mix(2 ** rng.integers(0, 14, tokens), codes(rng, tokens, channels, 1))


@pytest.mark.parametrize("code", [127, -127])
def test_mix_is_exact_at_the_limits(code: int) -> None:
    check_mix(np.full(2064, 2**13), np.full((2064, 16), code, np.int8))


# ---- division ----


@pytest.mark.parametrize("channels", [16, 64])
@pytest.mark.parametrize("shift", range(32))
def test_division_is_exact(channels: int, shift: int) -> None:
    rng = np.random.default_rng(shift)
    for factor in (8192, 16513, int(rng.integers(8192, 16514)), 0):
        most = min(2**31 - 1, ((2**30 - 1) << shift) // max(factor, 1), 2 ** (15 + shift) - 1)
        for magnitude in (most, most >> 7, most >> 20, 0):
            o = rng.integers(-magnitude, magnitude + 1, channels)
            for sums in (o, np.abs(o), -np.abs(o)):
                check_division(sums, factor, shift)


def check_division(sums: Ints, factor: int, shift: int) -> None:
    values, absmax = np.zeros(len(sums), np.int16), np.zeros(len(sums) // 16, np.int32)
    fields = (frozen(sums.astype(np.int32)), values, absmax)
    call("ftv_divide_s32s16_esp32s3", *fields, factor, shift, len(absmax))
    expected = narrow((sums * factor >> shift)[None])
    assert np.array_equal(values, expected[0][0])
    assert np.array_equal(absmax, expected[1][0])


# ---- the steps ----


@dataclass(frozen=True)
class Multiplier:
    mantissa: int
    exponent: int


@dataclass(frozen=True)
class Head:
    """What of a model the steps of one head need."""

    attention: Multiplier
    head_dim: int


@pytest.fixture(scope="module")
def attention(tmp_path_factory: pytest.TempPathFactory) -> Attention:
    return Attention(tmp_path_factory.mktemp("attention"))


def run_parts(steps: Attention, qkv: list[Ints], head_dim: int, piece: int) -> tuple[list, list]:
    """Codes and absmax of Q, K, V from Q16 rows [tokens, head_dim], `piece` tokens a call."""
    tokens, head_rows = len(qkv[1]), -(-head_dim // 16) * 16
    all_codes, all_absmax = [], []
    layer = steps.room((64,), np.uint8)  # a struct that nothing looks into
    for part, rows in enumerate(qkv):
        y = steps.put(np.pad(rows, ((0, 0), (0, head_rows - head_dim))).astype(np.int32))
        x = steps.room((tokens, 16), np.int8)
        steps.library.use_layer(ctypes.c_void_p(y.ctypes.data), ctypes.c_void_p(x.ctypes.data))
        of = steps.room((-(-tokens // 16) * 16 * head_rows * (2 if part == 2 else 1),), np.int8)
        absmax = steps.room((tokens + 1,), np.int32)[1:]
        for first in range(0, len(rows), piece):
            count = min(piece, len(rows) - first)
            size = steps.library.ftv_qkv_scratch_bytes_esp32s3(64, head_rows)
            scratch = steps.room((size,), np.uint8)
            job = Part(
                part=part,
                layer=layer.ctypes.data,
                x=Rows(x.ctypes.data, 0, 16),
                tokens=tokens,
                first=first,
                count=count,
                head_dim=head_dim,
                head_rows=head_rows,
                levels=63 if part == 0 else 127,
                codes=of.ctypes.data,
                absmax=absmax.ctypes.data,
            )
            steps.call("ftv_qkv_esp32s3", ctypes.byref(job), ctypes.c_void_p(scratch.ctypes.data))
        all_codes.append(of)
        all_absmax.append(absmax)
    return all_codes, all_absmax


def attended(
    steps: Attention, qkv: list[Ints], head: Head, first: int, count: int, piece: int
) -> tuple[Ints, Ints]:
    """Values and absmax of some query rows, in the middle of a row of three heads."""
    tokens, head_rows = len(qkv[1]), -(-head.head_dim // 16) * 16
    parts, absmaxes = run_parts(steps, qkv, head.head_dim, piece)
    values = steps.room((tokens, 3 * head_rows), np.int16)
    absmax = steps.room((tokens, 3 * head_rows // 16), np.int32)
    values[:], absmax[:] = -77, -77
    size = steps.library.ftv_attend_scratch_bytes_esp32s3(tokens, head_rows)
    scratch = steps.room((size,), np.uint8)
    job = AttendJob(
        codes=(ctypes.c_void_p * 3)(*(c.ctypes.data for c in parts)),
        absmax=(ctypes.c_void_p * 3)(*(a.ctypes.data for a in absmaxes)),
        tokens=tokens,
        first=first,
        count=count,
        head_dim=head.head_dim,
        head_rows=head_rows,
        mantissa=head.attention.mantissa,
        exponent=head.attention.exponent,
        out=Narrow(values.ctypes.data, absmax.ctypes.data, 3 * head_rows),
        column=head_rows,
    )
    steps.call("ftv_attend_esp32s3", ctypes.byref(job), ctypes.c_void_p(scratch.ctypes.data))
    inside = np.zeros_like(values, bool)
    inside[first : first + count, head_rows : 2 * head_rows] = True
    assert (values[~inside] == -77).all()
    assert (absmax[~inside[:, ::16]] == -77).all()
    rows, columns = slice(first, first + count), slice(head_rows, 2 * head_rows)
    return values[rows, columns], absmax[rows, head_rows // 16 : 2 * head_rows // 16]


def multiplier(head_dim: int) -> Multiplier:
    """head_dim^-0.5 * log2(e) / (63 * 127), as images have it."""
    value = head_dim**-0.5 * np.log2(np.e) / (63 * 127)
    exponent = 14 - int(np.floor(np.log2(value)))
    return Multiplier(min(32767, round(value * 2.0**exponent)), exponent)


@dataclass(frozen=True)
class _Architecture:
    head_dim: int


@dataclass(frozen=True)
class _Model:
    architecture: _Architecture
    attention: Multiplier


def check_steps(
    steps: Attention,
    qkv: list[Ints],
    first: int = 0,
    count: int | None = None,
    piece: int = 64,
    scale: Multiplier | None = None,
) -> None:
    steps.clear()
    head_dim = qkv[0].shape[1]
    head = Head(scale or multiplier(head_dim), head_dim)
    count = len(qkv[0]) - first if count is None else count
    got = attended(steps, qkv, head, first, count, piece)
    model = _Model(_Architecture(head_dim), head.attention)
    y = reference._head(model, *qkv)[first : first + count]  # type: ignore[arg-type]
    expected = narrow(y)
    assert np.array_equal(got[0], expected[0])
    assert np.array_equal(got[1], expected[1])


def parts_of(rng: np.random.Generator, tokens: int, head_dim: int, sizes: tuple[float, float, float]) -> list:
    return [(rng.normal(0, s, (tokens, head_dim)) * 65536).round().astype(np.int64) for s in sizes]


@pytest.mark.parametrize("head_dim", [16, 24, 32, 48, 64, 80, 128])
@pytest.mark.parametrize("tokens", [17, 65, 82])
def test_steps_equal_the_reference(attention: Attention, head_dim: int, tokens: int) -> None:
    rng = np.random.default_rng(tokens + head_dim)
    check_steps(attention, parts_of(rng, tokens, head_dim, (1.5, 1.5, 1.0)), first=tokens // 3, count=6)


@pytest.mark.parametrize("tokens", [197, 577])
def test_steps_equal_the_reference_for_whole_images(attention: Attention, tokens: int) -> None:
    rng = np.random.default_rng(tokens)
    check_steps(attention, parts_of(rng, tokens, 64, (2.0, 2.0, 1.0)), first=tokens - 5)


@pytest.mark.parametrize("piece", [16, 48, 80])
def test_parts_may_be_made_in_pieces(attention: Attention, piece: int) -> None:
    rng = np.random.default_rng(piece)
    check_steps(attention, parts_of(rng, 90, 32, (1.0, 1.0, 1.0)), count=5, piece=piece)


def test_one_query_is_enough(attention: Attention) -> None:
    """The last block computes Q and attention of the class token alone."""
    q, k, v = parts_of(np.random.default_rng(1), 50, 64, (1.0, 1.0, 1.0))
    check_steps(attention, [q[:1], k, v])


@pytest.mark.parametrize(
    "exponents", [(-16, -16, -16), (0, -14, 3), (-14, 0, 8), (10, 10, -12), (12, 12, 12)]
)
def test_steps_are_exact_at_every_magnitude(attention: Attention, exponents: tuple[int, int, int]) -> None:
    """From values of one unit in Q16 to those that saturate: every rare way in C is gone."""
    rng = np.random.default_rng(7)
    rows = [
        reference.sat30((rng.normal(0, 1, (40, 32)) * 2.0 ** (16 + e)).round().astype(np.int64))
        for e in exponents
    ]
    check_steps(attention, rows, count=9)


@pytest.mark.parametrize("exponent", [-20, 0, 5, 60])
@pytest.mark.parametrize("mantissa", [0, 1, 32767])
def test_steps_are_exact_for_odd_multipliers(attention: Attention, mantissa: int, exponent: int) -> None:
    rng = np.random.default_rng(9)
    rows = parts_of(rng, 20, 16, (1.0, 1.0, 1.0))
    check_steps(attention, rows, count=4, scale=Multiplier(mantissa, exponent))


@pytest.mark.parametrize("value", [0, 1, -(2**30), 2**30 - 1])
def test_steps_are_exact_where_all_tokens_are_alike(attention: Attention, value: int) -> None:
    rows = [np.full((33, 64), value) for _ in range(3)]
    check_steps(attention, rows, count=4)


# ---- time ----


@pytest.mark.parametrize(
    ("function", "cycles"),
    [
        ("ftv_scores_s8s8_esp32s3", 1445),
        ("ftv_softmax_s32s16_esp32s3", 949),
        ("ftv_mix_s16s16_esp32s3", 2064),
        ("ftv_divide_s32s16_esp32s3", 225),
    ],
)
def test_cycles_of_a_query(attention: Attention, function: str, cycles: int) -> None:
    """197 keys of 64 channels, as the heads of the files say."""
    rng = np.random.default_rng(0)
    check_steps(attention, parts_of(rng, 197, 64, (1.0, 1.0, 1.0)), count=4)
    assert attention.cycles[function] / 4 <= cycles
