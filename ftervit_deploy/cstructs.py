"""The structs of c_runtime/include/ftv.h that steps take, for calling kernels through ctypes."""

from __future__ import annotations

import ctypes
from ctypes import c_int, c_int16, c_int32, c_size_t, c_uint8, c_uint16, c_uint32, c_void_p

ENCODINGS = {"t2": 2, "t5": 5}
OUTPUTS = {"store": 0, "add": 1, "activate": 2}
PARTS = {"q": 0, "k": 1, "v": 2}


class Multiplier(ctypes.Structure):
    """ftv_multiplier: mantissa * 2^-exponent."""

    _fields_ = (("mantissa", c_uint16), ("exponent", c_int16))


class Linear(ctypes.Structure):
    """ftv_linear: a ternary matrix in its image."""

    _fields_ = (
        ("tiles", c_void_p), ("mantissas", c_void_p), ("bias", c_void_p), ("stored_rows", c_uint32),
        ("rows", c_uint32), ("inputs", c_uint32), ("tile_bytes", c_uint32), ("exponent", c_int16),
        ("bias_shift", c_uint8), ("per_channel", c_uint8),
    )  # fmt: skip


class Norm(ctypes.Structure):
    """ftv_norm: a ternary LayerNorm."""

    _fields_ = (("gamma", c_void_p), ("beta", c_void_p), ("beta_ratio", Multiplier), ("left_out", c_void_p))


class Rows(ctypes.Structure):
    """ftv_rows: eight-bit rows with their token scales."""

    _fields_ = (("codes", c_void_p), ("scales", c_void_p), ("stride", c_uint32))


class Narrow(ctypes.Structure):
    """ftv_narrow: Q16 rows in sixteen bits."""

    _fields_ = (("values", c_void_p), ("absmax", c_void_p), ("stride", c_uint32))


class LayerJob(ctypes.Structure):
    """ftv_layer_job."""

    _fields_ = (
        ("layer", c_void_p), ("encoding", c_int), ("first_tile", c_uint32), ("tiles", c_uint32), ("x", Rows),
        ("tokens", c_uint32), ("output", c_int), ("out", c_void_p), ("out_stride", c_uint32),
        ("narrow", Narrow), ("column", c_uint32),
    )  # fmt: skip


class QkvPart(ctypes.Structure):
    """ftv_qkv_part."""

    _fields_ = (
        ("part", c_int), ("layer", c_void_p), ("encoding", c_int), ("first_row", c_uint32), ("x", Rows),
        ("tokens", c_uint32), ("first", c_uint32), ("count", c_uint32), ("head_dim", c_uint32),
        ("head_rows", c_uint32), ("levels", c_int32), ("codes", c_void_p), ("absmax", c_void_p),
        ("again", c_uint32),
    )  # fmt: skip


class AttendJob(ctypes.Structure):
    """ftv_attend_job."""

    _fields_ = (
        ("codes", c_void_p * 3), ("absmax", c_void_p * 3), ("tokens", c_uint32), ("first", c_uint32),
        ("count", c_uint32), ("head_dim", c_uint32), ("head_rows", c_uint32), ("attention", Multiplier),
        ("out", Narrow), ("column", c_uint32),
    )  # fmt: skip


class NormJob(ctypes.Structure):
    """ftv_norm_job."""

    _fields_ = (
        ("x", c_void_p), ("x_stride", c_uint32), ("rows", c_uint32), ("columns", c_uint32),
        ("norm", c_void_p), ("eps_q32", c_uint32), ("out", Rows),
    )  # fmt: skip


class QuantiseJob(ctypes.Structure):
    """ftv_quantise_job."""

    _fields_ = (
        ("narrow", Narrow), ("rows", c_uint32), ("pieces", c_uint32), ("piece", c_uint32),
        ("piece_stride", c_uint32), ("out", Rows),
    )  # fmt: skip


class PatchesJob(ctypes.Structure):
    """ftv_patches_job."""

    _fields_ = (
        ("pixels", c_void_p), ("line_bytes", c_uint32), ("patches", c_uint32), ("side", c_uint32),
        ("scale", c_void_p), ("offset", c_void_p), ("out", Rows),
    )  # fmt: skip


class EmbedJob(ctypes.Structure):
    """ftv_embed_job."""

    _fields_ = (
        ("x", c_void_p), ("x_stride", c_uint32), ("values", c_void_p), ("rows", c_uint32),
        ("columns", c_uint32), ("shift", c_uint32),
    )  # fmt: skip


def _step(job: type[ctypes.Structure]) -> type[ctypes._CFuncPtr]:  # type: ignore[name-defined]
    return ctypes.CFUNCTYPE(None, ctypes.POINTER(job), c_void_p)


class Kernels(ctypes.Structure):
    """ftv_kernels."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("linear_scratch_bytes", ctypes.CFUNCTYPE(c_size_t, c_uint32)),
        *((name, c_void_p) for name in ("linear_s8t2", "linear_s8t5", "scores_s8s8", "mix_s16s8")),
        ("layer", _step(LayerJob)), ("qkv", _step(QkvPart)), ("parts", c_void_p),
        ("attend", _step(AttendJob)), ("norm", _step(NormJob)), ("quantise", _step(QuantiseJob)),
        ("patches", _step(PatchesJob)), ("embed", _step(EmbedJob)),
        ("scratch_bytes", ctypes.CFUNCTYPE(c_size_t, c_void_p)),
        ("value_bytes", c_uint32), ("tiles", c_uint32),
    )  # fmt: skip


class Parallel(ctypes.Structure):
    """ftv_parallel: run(context, function, argument, tasks)."""

    _fields_ = (
        ("run", ctypes.CFUNCTYPE(None, c_void_p, c_void_p, c_void_p, c_uint32)), ("context", c_void_p),
        ("workers", c_uint32),
    )  # fmt: skip


class DenseJob(ctypes.Structure):
    """ftv_dense_job."""

    _fields_ = (
        ("kind", c_int), ("tokens", c_uint32), ("inputs", c_uint32), ("stride", c_uint32), ("x", c_void_p),
        ("weights", c_void_p), ("sums", c_void_p), ("scratch", c_void_p),
    )  # fmt: skip
