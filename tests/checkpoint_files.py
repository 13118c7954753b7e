"""Checkpoint files for tests: honest ones by torch and safetensors, hostile ones byte by byte."""

from __future__ import annotations

import json
import zipfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from ftervit_deploy.architecture import Architecture, Preprocessing
from ftervit_deploy.checkpoint.contents import Checkpoint
from ftervit_deploy.checkpoint.shapes import is_ternary_parameter
from ftervit_deploy.graph import Graph, build_graph, dequantised
from ftervit_deploy.ternary import Floats, pack_rows
from synthetic import random_checkpoint_arrays

TINY = Architecture(16, 8, 8, 2, 2, 16, 3)
TINY3 = replace(TINY, layer_scale=True, position_on_class_token=False)
LABELS = ("cat", "dog", "naïve bird")


def tensors(arrays: dict[str, Floats]) -> dict[str, Any]:
    """As torch tensors."""
    import torch

    return {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}


def save_pth(path: Path, contents: Any, **options: Any) -> Path:
    import torch

    torch.save(contents, path, **options)
    return path


def save_tiny(path: Path, **changes: Any) -> Path:
    """A latent .safetensors of TINY; `changes` replace or add tensors, None removes one."""
    arrays = {**random_checkpoint_arrays(TINY, 3), **changes}
    save_file({name: array for name, array in arrays.items() if array is not None}, path)
    return path


def metadata(architecture: Architecture, **changes: str) -> dict[str, str]:
    return {
        "ftervit.architecture": json.dumps(asdict(architecture)),
        "ftervit.labels": json.dumps(LABELS),
        "ftervit.preprocessing": json.dumps(asdict(Preprocessing(crop_fraction=0.875))),
        "ftervit.scheme": "ftervit-s8",
        **changes,
    }


def tiny_graph() -> Graph:
    arrays = random_checkpoint_arrays(TINY, 3)
    return build_graph(Checkpoint(arrays, TINY, Preprocessing(), LABELS))


def packed_arrays(graph: Graph) -> dict[str, np.ndarray]:
    """The packed-ternary-1 layout of a graph."""
    arrays: dict[str, np.ndarray] = {
        name: array for name, array in dequantised(graph).items() if not is_ternary_parameter(name)
    }
    for name, linear in graph.linears():
        arrays[f"{name}.weight"] = pack_rows(linear.weight.codes)
        arrays[f"{name}.weight_scale"] = linear.weight.scale
    for name, norm in graph.norms():
        pairs = {"weight": (norm.gamma, norm.gamma_scale), "bias": (norm.beta, norm.beta_scale)}
        for kind, (codes, scale) in pairs.items():
            arrays[f"{name}.{kind}"] = pack_rows(codes.reshape(-1, 1))
            arrays[f"{name}.{kind}_scale"] = np.array([scale], np.float32)
    return arrays


def save_packed(path: Path, metadata_changes: dict[str, str] | None = None, **changes: Any) -> Path:
    """A packed .safetensors of TINY."""
    arrays = {**packed_arrays(tiny_graph()), **changes}
    stated = metadata(TINY, **{"ftervit.format": "packed-ternary-1", **(metadata_changes or {})})
    save_file({name: array for name, array in arrays.items() if array is not None}, path, stated)
    return path


def zip_pickle(path: Path, pickle_bytes: bytes, entries: dict[str, bytes] | None = None) -> Path:
    """A file in torch's zip layout with this list of contents."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle_bytes)
        for name, data in (entries or {}).items():
            archive.writestr(f"archive/{name}", data)
    return path
