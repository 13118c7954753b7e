"""ESP32-S3: decode, product and layer equal the definition, in the model of the chip."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest
from esp32s3_chip import Chip, chip

from ftervit_deploy.reference import gelu, sat30, shift

__all__ = ["chip"]

Ints = npt.NDArray[np.int64]
T2, T5 = 2, 5
STORE, ADD, ACTIVATE = 0, 1, 2


class _Linear(ctypes.Structure):
    _fields_ = (
        ("tiles", ctypes.c_void_p),
        ("mantissas", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
        ("stored_rows", ctypes.c_uint32),
        ("rows", ctypes.c_uint32),
        ("inputs", ctypes.c_uint32),
        ("tile_bytes", ctypes.c_uint32),
        ("exponent", ctypes.c_int16),
        ("bias_shift", ctypes.c_uint8),
        ("per_channel", ctypes.c_uint8),
    )


class _Rows(ctypes.Structure):
    _fields_ = (("codes", ctypes.c_void_p), ("scales", ctypes.c_void_p), ("stride", ctypes.c_uint32))


class _Narrow(ctypes.Structure):
    _fields_ = (("values", ctypes.c_void_p), ("absmax", ctypes.c_void_p), ("stride", ctypes.c_uint32))


class _Job(ctypes.Structure):
    _fields_ = (
        ("layer", ctypes.POINTER(_Linear)),
        ("encoding", ctypes.c_int),
        ("first_tile", ctypes.c_uint32),
        ("tiles", ctypes.c_uint32),
        ("x", _Rows),
        ("tokens", ctypes.c_uint32),
        ("output", ctypes.c_int),
        ("out", ctypes.c_void_p),
        ("out_stride", ctypes.c_uint32),
        ("narrow", _Narrow),
        ("column", ctypes.c_uint32),
    )


def _round16(n: int) -> int:
    return -(-n // 16) * 16


def packed(weights: Ints, encoding: int) -> npt.NDArray[np.uint8]:
    """Trits [rows, K] as IMAGE_FORMAT.md stores them: [tiles, bytes]."""
    rows, k = weights.shape
    unit = 16 if encoding == T2 else 5
    units = -(-k // unit)
    codes = np.ones((_round16(rows), units * unit), np.int64)
    codes[:rows, :k] += weights
    tiles = codes.reshape(-1, 16, units, unit)
    if encoding == T2:
        four = tiles.reshape(-1, 16, units, 4, 4)  # tile, channel, block, s, j
        data = (four << (2 * np.arange(4))[:, None]).sum(3).transpose(0, 2, 3, 1)
    else:
        data = (-(-256 * (tiles @ np.array([81, 27, 9, 3, 1])) // 243)).transpose(0, 2, 1)
    return data.reshape(len(tiles), -1).astype(np.uint8)


def padded(codes: Ints, more: int = 0) -> npt.NDArray[np.int8]:
    """Rows [tokens, K] with zeros up to K rounded up to 16, and `more`; 32 bytes of anything behind."""
    out = np.zeros((len(codes), _round16(codes.shape[1]) + more), np.int8)
    out[:, : codes.shape[1]] = codes
    return np.concatenate([out.reshape(-1), np.full(32, 99, np.int8)])


@dataclass
class Layer:
    """One layer and its input; defaults are usual values."""

    weights: Ints
    codes: Ints
    mantissa: Ints
    exponent: Ints
    mantissas: Ints
    layer_exponent: int
    bias: Ints
    bias_shift: int
    output: int
    out: Ints
    encoding: int = T2
    more: int = 0

    def expected(self) -> Ints:
        """NUMERICS.md, section 2 and 6."""
        acc = self.codes @ self.weights.T
        m = (self.mantissa[:, None] * self.mantissas + 2**14) >> 15
        y = shift(acc * m, (self.exponent + self.layer_exponent - 15)[:, None])
        y = sat30(y + (self.bias << self.bias_shift))
        if self.output == ADD:
            return sat30(self.out + y)
        return gelu(y) if self.output == ACTIVATE else y


def any_layer(
    rng: np.random.Generator, k: int, rows: int, tokens: int, output: int, **chosen: object
) -> Layer:
    """Random values within the ranges of NUMERICS.md that the assembly takes as long as sums fit 16 bits."""
    largest = 127 if k <= 258 else max(2, int(30000 / k**0.5 / 1.8 / k**0.5 * 2))
    values: dict[str, object] = {
        "weights": rng.integers(-1, 2, (rows, k)),
        "codes": rng.integers(-min(127, largest), min(127, largest) + 1, (tokens, k)),
        "mantissa": rng.integers(2**14, 2**15, tokens),
        "exponent": rng.integers(5, 24, tokens),
        "mantissas": rng.integers(2**14, 2**15, 1),
        "layer_exponent": int(rng.integers(11, 14)),
        "bias": rng.integers(-(2**15), 2**15, rows),
        "bias_shift": int(rng.integers(0, 15)),
        "output": output,
        "out": rng.integers(-(2**30), 2**30, (tokens, rows)),
    }
    return Layer(**(values | chosen))  # type: ignore[arg-type]


def run(chip: Chip, layer: Layer, first_tile: int = 0) -> Ints:
    """The layer by ftv_layer_esp32s3, from `first_tile` on."""
    rows, k = layer.weights.shape
    tokens, stored = len(layer.codes), _round16(rows)
    tiles = stored // 16 - first_tile
    pad = (0, stored - rows)
    per_channel = len(layer.mantissas) > 1
    with chip.fresh():
        data = packed(layer.weights, layer.encoding)
        mantissas = np.pad(layer.mantissas, pad if per_channel else (0, 0)).astype(np.uint16)
        linear = _Linear(
            chip.put("tiles", data, 64),
            chip.put("mantissas", mantissas),
            chip.put("bias", np.pad(layer.bias, pad).astype(np.int16)),
            stored, rows, k, data.shape[1], layer.layer_exponent, layer.bias_shift, per_channel,
        )  # fmt: skip
        scales = np.stack([layer.mantissa, layer.exponent], 1).astype(np.int16)
        x = _Rows(
            chip.put("x", padded(layer.codes, layer.more)),
            chip.put("scales", scales),
            _round16(k) + layer.more,
        )
        columns = 16 * tiles + 32
        view, out = chip.room("out", tokens * columns * 4)
        before = view.view(np.int32).reshape(tokens, columns)
        before[:, 16 : 16 + 16 * tiles] = np.pad(layer.out, ((0, 0), pad))[:, 16 * first_tile :]
        kept = before.copy()
        values, values_at = chip.room("values", tokens * columns * 2)
        absmax, absmax_at = chip.room("absmax", tokens * columns // 16 * 4)
        narrow = _Narrow(values_at, absmax_at, columns)
        _, scratch = chip.room("scratch", chip.size("ftv_layer_scratch_bytes_esp32s3", tokens, k))
        job = _Job(
            ctypes.pointer(linear),
            layer.encoding,
            first_tile,
            tiles,
            x,
            tokens,
            layer.output,
            out,
            columns,
            narrow,
            16,
        )
        chip.call("ftv_layer_esp32s3", ctypes.byref(job), ctypes.c_void_p(scratch))
        if layer.output == ACTIVATE:
            got = values.view(np.int16).reshape(tokens, columns).astype(np.int64)
            got_absmax = absmax.view(np.int32).reshape(tokens, -1)[:, 1:-1].astype(np.int64)
            return np.concatenate([got[:, 16:-16], got_absmax], axis=1)
        got = before.astype(np.int64)
        assert (got[:, :16] == kept[:, :16]).all()
        assert (got[:, -16:] == kept[:, -16:]).all()
        return got[:, 16 : 16 + rows - 16 * first_tile]


def narrowed(y: Ints, rows: int) -> Ints:
    """Columns of ftv_narrow: values, then absmax of the sixteens."""
    y = np.pad(y, ((0, 0), (0, _round16(rows) - rows))).reshape(len(y), -1, 16)
    absmax = np.abs(y).max(-1)
    by = np.maximum(0, np.array([[int(a).bit_length() - 15 for a in row] for row in absmax]))
    return np.concatenate([(y >> by[..., None]).reshape(len(y), -1), absmax], axis=1)


def check(chip: Chip, layer: Layer, first_tile: int = 0) -> None:
    want = layer.expected()[:, 16 * first_tile :]
    if layer.output == ACTIVATE:
        want = narrowed(want, len(layer.weights) - 16 * first_tile)
    got = run(chip, layer, first_tile)
    assert got.shape == want.shape
    wrong = np.argwhere(got != want)
    assert not len(wrong), (
        f"{len(wrong)} wrong, first {wrong[0]}: {got[tuple(wrong[0])]} is not {want[tuple(wrong[0])]}"
    )


def _products(chip: Chip) -> list[list[int]]:
    """Arguments of every call of the product."""
    return [words for name, words in chip.calls if name == "ftv_linear_s8s8_esp32s3"]


@pytest.mark.parametrize("encoding", [T2, T5])
@pytest.mark.parametrize("output", [STORE, ADD, ACTIVATE])
@pytest.mark.parametrize("k", [64, 96, 128, 192, 384, 432, 512, 768, 1536])
def test_a_layer_of_every_preset_equals_the_definition(
    chip: Chip, k: int, output: int, encoding: int
) -> None:
    check(chip, any_layer(np.random.default_rng(k), k, 32, 3, output, encoding=encoding))
    assert [words[3] for words in _products(chip)] == [3, 3], "one call a tile, with all tokens"


@pytest.mark.parametrize("encoding", [T2, T5])
@pytest.mark.parametrize("k", [*range(1, 71), 257, 258, 259])
def test_any_number_of_inputs(chip: Chip, k: int, encoding: int) -> None:
    rng = np.random.default_rng(k)
    check(chip, any_layer(rng, k, 16, 1 + k % 5, k % 3, encoding=encoding, more=16 * (k % 4 == 3)))


@pytest.mark.parametrize("output", [STORE, ADD, ACTIVATE])
@pytest.mark.parametrize("rows", [1, 15, 17, 40])
def test_rows_that_fill_no_tile(chip: Chip, rows: int, output: int) -> None:
    for per_channel in (False, True):
        rng = np.random.default_rng(rows)
        mantissas = rng.integers(0, 2**15, rows if per_channel else 1)
        check(chip, any_layer(rng, 48, rows, 3, output, mantissas=mantissas))


@pytest.mark.parametrize("encoding", [T2, T5])
def test_some_tiles_of_a_layer(chip: Chip, encoding: int) -> None:
    check(chip, any_layer(np.random.default_rng(7), 33, 64, 2, STORE, encoding=encoding), first_tile=2)


def test_the_next_tile_is_announced(chip: Chip) -> None:
    run(chip, any_layer(np.random.default_rng(8), 32, 48, 1, STORE))
    tiles = [words[0] for name, words in chip.calls if name == "ftv_decode_t2s8_esp32s3"]
    announced = [words for name, words in chip.calls if name == "ftv_prefetch_esp32s3"]
    assert announced == [[tiles[1], 128], [tiles[2], 128]]


@pytest.mark.parametrize("output", [STORE, ADD, ACTIVATE])
@pytest.mark.parametrize("k", [96, 112, 384])
def test_a_multiplier_for_every_channel(chip: Chip, k: int, output: int) -> None:
    rng = np.random.default_rng(k)
    mantissas = rng.integers(0, 2**15, 32)
    mantissas[:4] = 0, 1, 2**14, 2**15 - 1
    check(chip, any_layer(rng, k, 32, 4, output, mantissas=mantissas))


@pytest.mark.parametrize("output", [STORE, ADD, ACTIVATE])
@pytest.mark.parametrize("per_channel", [False, True])
def test_every_exponent(chip: Chip, output: int, per_channel: bool) -> None:
    """Shifts from -40 to 70: those below 1 go the generic way, all others the fast one."""
    rng = np.random.default_rng(output)
    exponent = np.arange(-50, 61)
    mantissas = rng.integers(2**14, 2**15, 16 if per_channel else 1)
    chosen = {"exponent": exponent, "layer_exponent": 25, "mantissas": mantissas, "bias_shift": 3}
    check(chip, any_layer(rng, 32, 16, len(exponent), output, **chosen))
    assert sum(words[3] for words in _products(chip) if words[10] != 64) == 70


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("output", [STORE, ADD, ACTIVATE])
def test_nothing_overflows_at_the_ends_of_all_ranges(chip: Chip, output: int, sign: int) -> None:
    """Largest sums, multipliers, biases and residuals, at the smallest shift."""
    k, tokens = 258, 2
    everything = {
        "weights": np.full((16, k), sign),
        "codes": np.stack([np.full(k, 127), np.full(k, -127)]),
        "mantissa": np.full(tokens, 2**15 - 1),
        "mantissas": np.full(1, 2**15 - 1),
        "exponent": np.array([6, 6]),
        "layer_exponent": 10,
        "bias": np.array([-(2**15), 2**15 - 1] * 8),
        "bias_shift": 14,
        "out": np.repeat([[-(2**30)], [2**30 - 1]], 16, 1),
    }
    check(chip, any_layer(np.random.default_rng(1), k, 16, tokens, output, **everything))
    assert len(_products(chip)) == 1


@pytest.mark.parametrize("encoding", [T2, T5])
@pytest.mark.parametrize("k", [259, 272, 513, 1536, 4128])
def test_sums_beyond_16_bits(chip: Chip, k: int, encoding: int) -> None:
    """Worst operands: rows of all 127, all -127, alternating; between them one that the fast way takes."""
    rng = np.random.default_rng(k)
    alternating = np.where(np.arange(k) % 2, 127, -127)
    codes = np.stack([np.full(k, 127), np.full(k, -127), rng.integers(-3, 4, k), alternating])
    weights = np.stack([np.ones(k), -np.ones(k), alternating / 127, *rng.integers(-1, 2, (13, k))]).astype(
        np.int64
    )
    for output in (STORE, ADD, ACTIVATE):
        check(chip, any_layer(rng, k, 16, 4, output, codes=codes, weights=weights, encoding=encoding))


@pytest.mark.parametrize("output", [STORE, ADD, ACTIVATE])
def test_sums_at_the_ends_of_16_bits(chip: Chip, output: int) -> None:
    """What needs more than 16 bits is done again, and so is what nearly does."""
    k, wanted = 384, [32511, 32512, 32767, 32768, -32512, -32513, -32768, -32769]
    codes = np.stack([np.sign(n) * (np.full(k, abs(n) // k) + (np.arange(k) < abs(n) % k)) for n in wanted])
    assert codes.sum(1).tolist() == wanted
    rng = np.random.default_rng(0)
    check(chip, any_layer(rng, k, 16, 8, output, codes=codes, weights=np.ones((16, k), np.int64)))
    assert [words[3] for words in _products(chip)] == [8] + [1] * 12, "in two parts each"


def test_many_tokens_on_both_ways(chip: Chip) -> None:
    rng = np.random.default_rng(3)
    codes = rng.integers(-30, 31, (170, 272))
    codes[rng.random(170) < 0.3] = 127
    weights = rng.integers(-1, 2, (32, 272))
    weights[[3, 19]] = 1
    exponent = np.where(rng.random(170) < 0.2, 0, 9)
    for output in (STORE, ADD, ACTIVATE):
        check(chip, any_layer(rng, 272, 32, 170, output, codes=codes, weights=weights, exponent=exponent))


def test_gelu_of_every_kind_of_value(chip: Chip) -> None:
    """Sixteen biases at a time: fine and coarse steps over all that GELU distinguishes, and far beyond."""
    for bias_shift in (0, 3, 14):
        rows = 4096
        bias = np.linspace(-(2**15), 2**15 - 1, rows).astype(np.int64)
        zero = np.zeros((rows, 1), np.int64)
        check(
            chip,
            any_layer(
                np.random.default_rng(5), 1, rows, 1, ACTIVATE, weights=zero, bias=bias, bias_shift=bias_shift
            ),
        )


@pytest.mark.parametrize("encoding", [T2, T5])
@pytest.mark.parametrize("k", [1, 5, 16, 17, 79, 192, 256, 257, 1000, 1536, 4128])
def test_exact_sums(chip: Chip, k: int, encoding: int) -> None:
    rng = np.random.default_rng(k)
    for codes in (rng.integers(-127, 128, (3, k)), np.full((1, k), 127), np.full((17, k), -127)):
        weights = rng.integers(-1, 2, (16, k))
        weights[0], weights[1] = 1, -1
        tokens, stride = len(codes), _round16(k) + 16
        with chip.fresh():
            x, tile = chip.put("x", padded(codes, 16)), chip.put("tile", packed(weights, encoding), 64)
            view, sums = chip.room("sums", tokens * 64)
            _, scratch = chip.room("scratch", chip.size("ftv_linear_scratch_bytes_esp32s3", k))
            pointers = [ctypes.c_void_p(address) for address in (sums, x, tile, scratch)]
            chip.call(
                f"ftv_linear_s8t{encoding}_esp32s3",
                *pointers[:2],
                tokens,
                stride,
                pointers[2],
                k,
                pointers[3],
            )
            assert (view.view(np.int32).reshape(tokens, 16) == codes @ weights.T).all()


@pytest.mark.parametrize("encoding", [T2, T5])
@pytest.mark.parametrize("k", [1, 5, 15, 16, 31, 60, 64, 192])
def test_a_decoded_tile(chip: Chip, k: int, encoding: int) -> None:
    weights = np.random.default_rng(k).integers(-1, 2, (16, k))
    unit = 16 if encoding == T2 else 5
    units = -(-k // unit)
    with chip.fresh():
        tile = chip.put("tile", packed(weights, encoding))
        view, address = chip.room("weights", 16 * unit * units)
        args = np.array([tile, address, units], np.uint32)
        chip.call(f"ftv_decode_t{encoding}s8_esp32s3", args.ctypes.data_as(ctypes.c_void_p))
        got = view.view(np.int8).reshape(-1, 16)
        assert (got[:k] == -weights.T).all()
        assert not got[k:].any()


@pytest.mark.parametrize("step", [16, 80])
@pytest.mark.parametrize("tokens", [1, 2, 37])
@pytest.mark.parametrize("worst", [126, 127, -127, -128])
def test_clamped_bytes_are_found(chip: Chip, worst: int, tokens: int, step: int) -> None:
    records = np.random.default_rng(tokens).integers(-127, 127, (tokens + 2, step)).astype(np.int8)
    records[tokens:] = records[:, 16:] = 127
    for token, lane in ((0, 0), (tokens - 1, 15), (tokens // 2, 6)):
        with chip.fresh():
            changed = records.copy()
            changed[token, lane] = worst
            view, found = chip.room("found", 4)
            args = np.array([chip.put("records", changed), step, tokens, found], np.uint32)
            chip.call("ftv_clamped_s8_esp32s3", args.ctypes.data_as(ctypes.c_void_p))
            assert bool(view.view(np.uint32)[0]) == (worst in (127, -128))
