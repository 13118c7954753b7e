"""Made-up operands of ordinary size for every step."""

from __future__ import annotations

import ctypes
from typing import Protocol

import numpy as np
import numpy.typing as npt

from .. import cstructs as c
from ..image.layout import TILE, round_up
from .kernels import ChipKernels


class Memory(Protocol):
    """Where operands lie."""

    def put(self, array: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        """A copy of the array."""

    def room(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[np.generic]:
        """An array of zeros."""


class MadeUpModel:
    """Operands of ordinary size for every kind of step.

    Args:
        chip: the memory that they lie in, of a chip or of this computer.
        inputs: K, or the width of rows.
        channels: a multiple of 16.
        tokens: rows.
    """

    scratch_bytes = 256 << 10
    """More than any step needs."""

    def __init__(
        self, chip: Memory, inputs: int, channels: int, tokens: int, encoding: str, per_channel: bool
    ) -> None:
        self._chip, self._tokens, self._inputs, self._channels = chip, tokens, inputs, channels
        self._encoding = encoding
        self._random = np.random.default_rng(inputs * 31 + channels)
        self._keep: list[object] = []
        self._codes = self._rows_of(inputs, tokens)
        self._linear = self._matrix(per_channel)

    def layer_job(self, output: str) -> c.LayerJob:
        """All tiles."""
        out = self._chip.put(self._values((self._tokens, self._channels), 18))
        return c.LayerJob(
            layer=self._address(self._linear), encoding=c.ENCODINGS[self._encoding],
            tiles=self._channels // TILE, x=self._codes, tokens=self._tokens, output=c.OUTPUTS[output],
            out=out.ctypes.data, out_stride=self._channels, narrow=self._narrow(self._channels, self._tokens),
        )  # fmt: skip

    def qkv_part(self, part: str, head_dim: int) -> c.QkvPart:
        """All tokens."""
        codes = self._chip.room((2 * round_up(self._tokens, TILE) * self._channels,), np.int8)
        absmax = self._chip.room((round_up(self._tokens, TILE),), np.int32)
        return c.QkvPart(
            part=c.PARTS[part], layer=self._address(self._linear), encoding=c.ENCODINGS[self._encoding],
            x=self._codes, tokens=self._tokens, count=self._tokens, head_dim=head_dim,
            head_rows=self._channels, levels=63 if part == "q" else 127, codes=codes.ctypes.data,
            absmax=absmax.ctypes.data,
        )  # fmt: skip

    def attend_job(self, chip: ChipKernels, head_dim: int, rows: int) -> c.AttendJob:
        """The first rows, on parts that the set's own qkv() made."""
        job = c.AttendJob(
            tokens=self._tokens, count=rows, head_dim=head_dim, head_rows=self._channels,
            attention=c.Multiplier(20_000, 31), out=self._narrow(self._channels, self._tokens),
        )  # fmt: skip
        for part, index in c.PARTS.items():
            made = self.qkv_part(part, head_dim)
            made.count = rows if part == "q" else self._tokens
            chip.run("qkv", made, self.scratch_bytes)
            job.codes[index], job.absmax[index] = made.codes, made.absmax
        return job

    def norm_job(self) -> c.NormJob:
        """All rows."""
        trits = [self._chip.put(self._trit_codes(self._inputs)) for _ in range(2)]
        norm = c.Norm(trits[0].ctypes.data, trits[1].ctypes.data, c.Multiplier(20_000, 20))
        x = self._chip.put(self._values((self._tokens, self._inputs), 18))
        return c.NormJob(
            x=x.ctypes.data, x_stride=self._inputs, rows=self._tokens, columns=self._inputs,
            norm=self._address(norm), eps_q32=4295, out=self._codes,
        )  # fmt: skip

    def quantise_job(self) -> c.QuantiseJob:
        """All rows, `channels` columns."""
        columns, rows = self._channels, self._tokens
        return c.QuantiseJob(
            narrow=self._narrow(columns, rows), rows=rows, pieces=1, piece=columns, piece_stride=columns,
            out=self._rows_of(columns, rows),
        )  # fmt: skip

    def patches_job(self, side: int) -> c.PatchesJob:
        """All rows, as patches of one line of pixels."""
        line = 3 * side * self._tokens
        pixels = self._chip.put(self._random.integers(0, 256, (side, line), np.uint8))
        constants = self._chip.put(np.array([[65_000, 67_000, 66_000], [-31_000] * 3], np.int32))
        return c.PatchesJob(
            pixels=pixels.ctypes.data, line_bytes=line, patches=self._tokens, side=side,
            scale=constants.ctypes.data, offset=constants[1:].ctypes.data, out=self._codes,
        )  # fmt: skip

    def embed_job(self) -> c.EmbedJob:
        """All rows."""
        x = self._chip.put(self._values((self._tokens, self._inputs), 18))
        drawn = self._random.integers(-(2**15), 2**15, self._tokens * self._inputs + 10, np.int16)
        values = self._chip.put(drawn)[2:]  # four bytes behind a multiple of 16, as in an image
        return c.EmbedJob(
            x=x.ctypes.data, x_stride=self._inputs, values=values.ctypes.data,
            rows=self._tokens, columns=self._inputs, shift=2,
        )  # fmt: skip

    def _address(self, struct: ctypes.Structure) -> int:
        self._keep.append(struct)
        return ctypes.addressof(struct)

    def _rows_of(self, columns: int, rows: int) -> c.Rows:
        stride = round_up(columns, TILE)
        codes = np.zeros((rows + 1, stride), np.int8)
        codes[:rows, :columns] = np.clip(self._random.normal(0, 18, (rows, columns)), -127, 127).astype(
            np.int8
        )
        scales = np.zeros((rows, 2), np.int16)
        scales[:] = (20_000, -3)
        return c.Rows(self._chip.put(codes).ctypes.data, self._chip.put(scales).ctypes.data, stride)

    def _values(self, shape: tuple[int, ...], bits: int) -> npt.NDArray[np.int32]:
        return self._random.integers(-(1 << bits), 1 << bits, shape, np.int32)

    def _narrow(self, columns: int, rows: int) -> c.Narrow:
        values = self._random.integers(-(2**15), 2**15, (rows, columns), np.int16)
        absmax = np.full((rows, columns // TILE), (1 << 18) - 1, np.int32)
        return c.Narrow(self._chip.put(values).ctypes.data, self._chip.put(absmax).ctypes.data, columns)

    def _trit_codes(self, count: int) -> npt.NDArray[np.uint8]:
        trits = self._random.integers(0, 3, (-(-count // 4), 4), np.uint8)
        packed: npt.NDArray[np.uint8] = (trits << np.array([0, 2, 4, 6], np.uint8)).sum(1).astype(np.uint8)
        return packed

    def _matrix(self, per_channel: bool) -> c.Linear:
        tiles, blocks = self._channels // TILE, -(-self._inputs // 16)
        size = 64 * blocks if self._encoding == "t2" else 16 * -(-self._inputs // 5)
        if self._encoding == "t2":
            packed = self._trit_codes(4 * tiles * size)
        else:
            digits = self._random.integers(0, 243, tiles * size)
            packed = ((256 * digits + 242) // 243).astype(np.uint8)
        mantissas = self._random.integers(1 << 14, 1 << 15, self._channels if per_channel else 1).astype(
            np.uint16
        )
        bias = self._random.integers(-2000, 2000, self._channels).astype(np.int16)
        return c.Linear(
            tiles=self._chip.put(packed).ctypes.data, mantissas=self._chip.put(mantissas).ctypes.data,
            bias=self._chip.put(bias).ctypes.data, stored_rows=self._channels, rows=self._channels,
            inputs=self._inputs, tile_bytes=size, exponent=24, bias_shift=6, per_channel=per_channel,
        )  # fmt: skip
