"""The safetensors format: the library validates the header, the values are read where they are needed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from ..errors import CheckpointError
from .tensors import Array, decode, item_bytes

DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16",
    "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8",
    "U64": "uint64", "U32": "uint32", "U16": "uint16", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip
"""Names of the format's dtypes in torch's words; a dtype that is not listed is refused on reading."""


@dataclass(frozen=True, eq=False)
class StoredTensor:
    """A tensor at a known place of a file.

    Attributes:
        offset: of its first byte in the file.
    """

    path: Path
    dtype: str
    shape: tuple[int, ...]
    offset: int

    def array(self) -> Array:
        """The values, bfloat16 widened to float32."""
        size = prod(self.shape) * item_bytes(self.dtype)
        with self.path.open("rb") as file:
            file.seek(self.offset)
            data = file.read(size)
        if len(data) != size:
            raise CheckpointError("The checkpoint was cut short while it was read.")
        return decode(data, self.dtype).reshape(self.shape)


def read_safetensors(path: Path) -> tuple[dict[str, StoredTensor], dict[str, str]]:
    """Tensors by name, and the metadata.

    Raises:
        CheckpointError: the header is damaged or does not fit the file.
        OSError: the file cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as opened:
            metadata = dict(opened.metadata() or {})
        header, start = _header(path)
    except (SafetensorError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"The file is damaged, or neither a safetensors nor a torch checkpoint ({str(error)[:200]}).",
            "Give a .safetensors file, or a .pth written by torch.save.",
        ) from error
    header.pop("__metadata__", None)
    return {name: _tensor(path, entry, start) for name, entry in header.items()}, metadata


def _header(path: Path) -> tuple[dict[str, Any], int]:
    """The header, which the library has found valid, and where the values start."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        return json.loads(file.read(length)), 8 + length


def _tensor(path: Path, entry: dict[str, Any], start: int) -> StoredTensor:
    dtype = DTYPES.get(entry["dtype"], entry["dtype"])
    return StoredTensor(path, dtype, tuple(entry["shape"]), start + entry["data_offsets"][0])
