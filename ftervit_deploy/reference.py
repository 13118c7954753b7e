"""The integer forward pass in NumPy: c_runtime/NUMERICS.md, line by line. The numeric truth.

Everything is computed in int64, where nothing can overflow, and written for reading; the C engine is fast.
Arrays named ``x`` are the residual stream, int64 [tokens, C], Q16.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .lower import CODE_MAX, QUERY_MAX, Embedding, IntegerLinear, IntegerModel, IntegerNorm

Ints = npt.NDArray[np.int64]
Trace = Callable[[str, int, Ints], None]
"""Called with the name of a site, the block (-1 outside blocks) and an array; ftv.h lists the sites."""

LIMIT = 2**30
EXP2_POLY = (32767, -22654, 7566, -1296)
"""2^15 * 2^-f by powers of f in Q15."""
GELU_POLY = (2979, -11173, 14283, 17, -19972, 18806, 1502, -9331, 1214, 1685)
"""v (1 - Phi(v)) in Q16 by powers of v/2 - 1 in Q15."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Eight-bit rows and their token scales ``mantissa * 2^-exponent``.

    Attributes:
        codes: [rows, K], -127..127.
        mantissa, exponent: [rows].
    """

    codes: Ints
    mantissa: Ints
    exponent: Ints


def forward(model: IntegerModel, pixels: npt.NDArray[np.uint8], trace: Trace | None = None) -> Ints:
    """Logits of a batch.

    Args:
        pixels: uint8 [N, image_size, image_size, 3].
        trace: called for every site of every image, in the order of computation.

    Returns:
        int64 [N, classes], Q16: value / 65536.
    """
    return np.stack([_forward_one(model, image, trace or _ignore) for image in pixels])


def _ignore(site: str, block: int, values: Ints) -> None:
    pass


def _forward_one(model: IntegerModel, pixels: npt.NDArray[np.uint8], trace: Trace) -> Ints:
    x = embed(model, pixels, trace)
    for index in range(len(model.blocks)):
        queries = 1 if index == model.architecture.depth - 1 else x.shape[0]
        x = _block(model, index, x, queries, trace)
    rows = layer_norm(model.norm, x[:1], model.eps_q32)
    trace("norm_codes", -1, rows.codes)
    logits = linear(model.head, rows)
    trace("logits", -1, logits)
    first: Ints = logits[0]
    return first


def _block(model: IntegerModel, index: int, x: Ints, queries: int, trace: Trace) -> Ints:
    """One block; only the first `queries` tokens are computed beyond K and V (NUMERICS.md, section 7)."""
    block = model.blocks[index]
    rows = layer_norm(block.norm1, x, model.eps_q32)
    trace("norm1_codes", index, rows.codes)
    mixed = attention(model, linear(block.qkv, rows), queries)
    rows = quantised(mixed)
    trace("attention_codes", index, rows.codes)
    x = sat30(x[:queries] + linear(block.proj, rows))
    trace("proj_residual", index, x)
    rows = layer_norm(block.norm2, x, model.eps_q32)
    trace("norm2_codes", index, rows.codes)
    rows = quantised(gelu(linear(block.fc1, rows)))
    trace("hidden_codes", index, rows.codes)
    x = sat30(x + linear(block.fc2, rows))
    trace("fc2_residual", index, x)
    return x


# ---- conventions ----


def sat30(values: Ints) -> Ints:
    """Clamps to [-2^30, 2^30 - 1]."""
    return np.clip(values, -LIMIT, LIMIT - 1)


def shift(values: Ints, s: Ints, limit: int = LIMIT) -> Ints:
    """``values * 2^-s``, floored, clamped to [-limit, limit - 1]; s broadcasts against values."""
    right = values >> np.clip(s, 0, 62)
    left = np.clip(-s, 0, 31)
    result: Ints = np.clip(np.clip(right, -limit, limit - 1) << left, -limit, limit - 1)
    return result


def bits(values: Ints) -> Ints:
    """Bit length of non-negative integers below 2^63."""
    result = np.zeros_like(values)
    for step in (32, 16, 8, 4, 2, 1):
        big = values >> step > 0
        result += np.where(big, step, 0)
        values = np.where(big, values >> step, values)
    return result + (values > 0)


def scaled(values: Ints, k: Ints) -> Ints:
    """``values << k``, or ``values >> -k`` where k is negative."""
    return (values << np.maximum(k, 0)) >> np.maximum(-k, 0)


def horner(x: Ints, coefficients: tuple[int, ...]) -> Ints:
    """A polynomial of x in Q15, every product shifted right by 15."""
    r = np.full_like(x, coefficients[-1])
    for c in coefficients[-2::-1]:
        r = (r * x >> 15) + c
    return r


# ---- section 1: eight-bit rows ----


def quantise_rows(x: Ints, levels: int) -> tuple[Ints, Ints, Ints, Ints]:
    """Codes [..., K], and absmax a, a15, k of each row [...]."""
    a = np.maximum(1, np.abs(x).max(-1))
    k = 15 - bits(a)
    a15 = scaled(a, k)
    reciprocal = (levels << 21) // a15
    codes = (scaled(x, k[..., None]) * reciprocal[..., None] + 2**20) >> 21
    return codes, a, a15, k


def quantised(x: Ints) -> Rows:
    """Q16 rows as 8-bit rows."""
    codes, _, a15, k = quantise_rows(x, CODE_MAX)
    return Rows(codes, a15, k)


# ---- section 2: linear layers ----


def linear(layer: IntegerLinear, rows: Rows) -> Ints:
    """One output row for every input row: [rows, N], Q16."""
    acc = accumulate(rows.codes, layer.codes)
    m = (rows.mantissa[:, None] * layer.mantissa.astype(np.int64) + 2**14) >> 15
    y = shift(acc * m, rows.exponent[:, None] + layer.exponent - 15)
    return sat30(y + (layer.bias.astype(np.int64) << layer.bias_shift))


def accumulate(codes: Ints, weights: npt.NDArray[np.int8]) -> Ints:
    """Exact integer product [rows, N]: float32 sums of at most 127 * 4128 < 2^24 are exact in any order."""
    product = codes.astype(np.float32) @ weights.astype(np.float32).T
    return product.astype(np.int64)


# ---- section 3: patch embedding ----


def embed(model: IntegerModel, pixels: npt.NDArray[np.uint8], trace: Trace = _ignore) -> Ints:
    """Pixels uint8 [S, S, 3] -> residual stream [tokens, C]."""
    arch = model.architecture
    rows = quantised(patch_rows(model, pixels))
    trace("patch_codes", -1, rows.codes)
    x = np.concatenate([_rows_of(model.cls), linear(model.patch, rows)])
    first = 0 if arch.position_on_class_token else 1
    x[first:] = sat30(x[first:] + _rows_of(model.position))
    trace("embedded", -1, x)
    return x


def patch_rows(model: IntegerModel, pixels: npt.NDArray[np.uint8]) -> Ints:
    """Normalised pixels in Q16, one row a patch: [patches, 3 * patch^2] in the order colour, y, x."""
    p, side = model.architecture.patch_size, model.architecture.image_size // model.architecture.patch_size
    values = (pixels.astype(np.int64) * np.array(model.pixel_scale) + np.array(model.pixel_offset) + 128) >> 8
    grid = values.reshape(side, p, side, p, 3)
    rows: Ints = grid.transpose(0, 2, 4, 1, 3).reshape(side * side, 3 * p * p)
    return rows


def _rows_of(embedding: Embedding) -> Ints:
    return embedding.values.astype(np.int64) << embedding.shift


# ---- section 4: LayerNorm ----


def layer_norm(norm: IntegerNorm, x: Ints, eps_q32: int) -> Rows:
    """Normalised, ternary-affine, quantised rows."""
    width = x.shape[1]
    total = x.sum(1)
    mean = total // width
    rem = total - mean * width
    d = x - mean[:, None]
    a = np.abs(d).max(1)
    s = np.maximum(0, bits(a) - 26)
    v = ((d >> s[:, None]) ** 2).sum(1) - np.where(s == 0, rem * rem // width, 0)
    v = np.maximum(1, v + ((width * eps_q32) >> 2 * s))
    z = (64 - bits(v)) & ~1
    q = np.array([math.isqrt(int(value) << int(by)) for value, by in zip(v, z, strict=True)], np.int64)
    r = np.minimum(32767, 2**46 // q)
    n = np.where(a == 0, 0, 14 - bits(a))
    fraction = np.where(n >= 0, (rem << np.maximum(n, 0)) // width, 0)
    d14 = scaled(d, n[:, None]) - fraction[:, None]
    b = _beta_unit(norm, q, z // 2 - s - n)
    codes, _, a15, k = quantise_rows(norm.gamma * d14 + norm.beta * b[:, None], CODE_MAX)
    product = a15 * r
    small = product < 2**29
    mantissa = np.minimum(32767, np.where(small, (product + 2**13) >> 14, (product + 2**14) >> 15))
    exponent = k + n + s + 46 - z // 2 - np.where(small, 14, 15)
    return Rows(codes, mantissa, exponent)


def _beta_unit(norm: IntegerNorm, q: Ints, power: Ints) -> Ints:
    """B: one step of beta in units of d14. [rows], at most 2^29."""
    by = norm.beta_ratio.exponent + power
    product = q * norm.beta_ratio.mantissa
    rounded = (product + (1 << np.clip(by - 1, 0, 61))) >> np.clip(by, 0, 62)
    grown = np.minimum(product, 2**29) << np.clip(-by, 0, 30)
    return np.minimum(2**29, np.where(by > 62, 0, np.where(by > 0, rounded, grown)))


# ---- section 5: attention ----


def attention(model: IntegerModel, qkv: Ints, queries: int) -> Ints:
    """Rows [tokens, 3 C] in Q16 -> attention output of the first `queries` tokens [queries, C] in Q16."""
    heads, head_dim = model.architecture.heads, model.architecture.head_dim
    q, k, v = qkv.reshape(-1, 3, heads, head_dim).transpose(1, 2, 0, 3)
    out = [_head(model, q[h, :queries], k[h], v[h]) for h in range(heads)]
    return np.concatenate(out, axis=1)


def _head(model: IntegerModel, q: Ints, k: Ints, v: Ints) -> Ints:
    """One head. q [queries, d], k and v [tokens, d], all Q16 -> [queries, d], Q16."""
    q_codes, _, q_a15, q_k = quantise_rows(q, QUERY_MAX)
    k_codes, k_absmax, _, _ = quantise_rows(k, CODE_MAX)
    v_codes, v_absmax, _, _ = quantise_rows(v, CODE_MAX)
    e = _exponentials(model, q_codes @ k_codes.T, q_a15, q_k, k_absmax)
    shv = int(bits(v_absmax.max())) - 15
    mv = scaled(v_absmax, np.array(-shv))
    weights = (e * mv + 2**16) >> 17
    total = e.sum(1)
    b = bits(total)
    reciprocal = np.minimum(32767, 2**30 // scaled(total, 16 - b))
    factor = (reciprocal * 16513 + 2**14) >> 15
    return shift((weights @ v_codes) * factor[:, None], (b + 3 - shv)[:, None])


def _exponentials(model: IntegerModel, acc: Ints, q_a15: Ints, q_k: Ints, k_absmax: Ints) -> Ints:
    """2^15 * softmax numerators: [queries, tokens], relative to each row's largest."""
    score_bits = 12 - max(0, math.ceil(math.log2(model.architecture.head_dim / 64)))
    shk = max(0, int(bits(k_absmax.max())) - score_bits)
    t = acc * (k_absmax >> shk)
    diff = t.max(1, keepdims=True) - t
    c = (q_a15 * model.attention.mantissa + 2**14) >> 15
    u = shift(diff * c[:, None], (q_k + model.attention.exponent + 6 - shk)[:, None], 2**15)
    return horner((u & 2047) << 4, EXP2_POLY) >> (u >> 11)


# ---- section 6: GELU ----


def gelu(y: Ints) -> Ints:
    """Exact-erf GELU to 1.4e-4, Q16 to Q16."""
    x = np.minimum(np.abs(y) >> 2, 65535) - 32768
    return np.maximum(y, 0) - horner(x, GELU_POLY)
