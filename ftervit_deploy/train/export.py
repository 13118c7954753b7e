"""The packed ternary checkpoint: two bits a weight, a few hundred kilobytes, the same model exactly.

Layout (`ftervit.format` = ``packed-ternary-1``), one safetensors file. For a ternary tensor NAME of N
output channels with K values each (convolution: K in the order channel, y, x; LayerNorm: K = 1):
``NAME`` is U8 [ceil(N / 4), K], bits 2i and 2i+1 of a byte hold w + 1 of channel 4 r + i, channels past
N hold 1 (the weight 0); ``NAME_scale`` is F32 [1] or [N]. Every other tensor is F32 under its own name.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save

from ..files import write_atomic
from ..ternary import pack_rows
from .model import DeiT, ternary_parameter_rules
from .quantizers import codes_and_scale
from .state import Description, arrays_of

PACKED_FORMAT = "packed-ternary-1"


def packed_arrays(model: DeiT) -> dict[str, np.ndarray]:
    """All tensors of the packed layout for a student with latent weights, all of them ternary."""
    rules = ternary_parameter_rules(model)
    arrays: dict[str, np.ndarray] = {}
    for name, latent in arrays_of(model).items():
        if name not in rules:
            arrays[name] = latent
            continue
        codes, scale = codes_and_scale(torch.from_numpy(latent), rules[name])
        arrays[name] = pack_rows(codes.reshape(len(codes), -1).numpy().astype(np.int8))
        arrays[f"{name}_scale"] = scale.numpy().reshape(-1)
    return arrays


def export_packed(path: Path, model: DeiT, description: Description) -> int:
    """Write the packed checkpoint of a student; the file is there whole or not at all.

    Returns:
        Size of the file, bytes.
    """
    content = save(packed_arrays(model), description.metadata(PACKED_FORMAT))
    write_atomic(path, content)
    return len(content)
