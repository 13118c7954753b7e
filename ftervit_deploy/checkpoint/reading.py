"""The stage's one function: from a source to a checked `Checkpoint`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..architecture import Architecture, Preprocessing
from ..errors import CheckpointError
from ..schemes import scheme_named
from ..ternary import Floats, TernaryMatrix, as_ternary
from .contents import DEFAULT_SCHEME, Checkpoint, Provenance
from .hub import published_sha256
from .labels import default_labels
from .names import find_weights, timm_names
from .packed import packed_matrix, packed_shapes
from .safetensorsfile import read_safetensors
from .shapes import (
    check_limits,
    check_shapes,
    is_norm_parameter,
    is_ternary_parameter,
    recognise,
    refuse_distilled,
)
from .sources import Located, locate
from .statements import Statements, from_extras, from_metadata
from .tensors import Tensor
from .torchfile import TorchFile, is_torch_file

IMAGE_MAGIC = b"FTVI"
"""What a `.ftv` file starts with (c_runtime/IMAGE_FORMAT.md)."""


def read_checkpoint(
    source: str, *, revision: str | None = None, heads: int | None = None, offline: bool = False
) -> Checkpoint:
    """Reads a checkpoint: hub, .pth or .safetensors; it is data, and none of it is executed.

    Args:
        source: an alias of models.py; timm's name of a DeiT; ``user/repo[:file][@revision]`` on the hub;
            or a local path, which comes first where it exists.
        revision: branch, tag or commit on the hub, where the source does not name one.
        heads: number of attention heads, over what the file says; by default width / 64.
        offline: use nothing but the hub's cache.

    Raises:
        CheckpointError: the file cannot be read, wants to run code, or holds no supported model.
        HubError: the hub does not have it or cannot be reached.
        ConfigError: the checkpoint names an unknown scheme.
    """
    located = locate(source, revision, offline)
    try:
        provenance = replace(located.provenance, sha256=_sha256(located.path))
        _check_download(located, provenance)
        with _opened(located.path) as (tensors, statements):
            return _checkpoint(tensors, statements, replace(located, provenance=provenance), heads)
    except CheckpointError as error:
        raise CheckpointError(f"{located.path.name}: {error.what}", error.hint) from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise CheckpointError(f"{source} cannot be read: {reason}.") from error


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _check_download(located: Located, provenance: Provenance) -> None:
    stated = published_sha256(located.path) if provenance.repo else None
    if stated is not None and stated != provenance.sha256:
        raise CheckpointError(
            "The file in the cache is not the one that the hub published.",
            f"Delete {located.path} and try again.",
        )


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Mapping[str, Tensor], Statements]]:
    """Tensors under timm's names, readable while the file is open, and what the file states.

    The content decides the format, not the suffix.
    """
    with path.open("rb") as file:
        start = file.read(8)
    if start.startswith(IMAGE_MAGIC):
        raise CheckpointError(
            "This is a packed image, not a checkpoint.", "`ftervit unpack` writes its weights as one."
        )
    if is_torch_file(start):
        with TorchFile(path) as torch_file:
            weights, extras = find_weights(torch_file.contents)
            yield timm_names(weights), from_extras(extras)
    else:
        stored, metadata = read_safetensors(path)
        yield timm_names(dict(stored)), from_metadata(metadata)


def _checkpoint(
    tensors: Mapping[str, Tensor], statements: Statements, located: Located, heads: int | None
) -> Checkpoint:
    architecture = _architecture(tensors, statements, heads)
    arrays, codes = _values(tensors, architecture, statements.packed)
    labels = _labels(architecture, statements, located)
    stated = {"labels": labels is statements.labels, "scheme": bool(statements.scheme)}
    return Checkpoint(
        arrays=arrays,
        architecture=architecture,
        preprocessing=statements.preprocessing or _preprocessing(architecture, located),
        labels=labels,
        scheme=_scheme(statements, located),
        ternary=statements.packed or _all_ternary(arrays),
        codes=codes,
        provenance=located.provenance,
        stated=frozenset(name for name, said in stated.items() if said),
    )


def _architecture(tensors: Mapping[str, Tensor], statements: Statements, heads: int | None) -> Architecture:
    """Stated or recognised, and then every tensor's shape is checked against it."""
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    refuse_distilled(shapes)
    stated = statements.architecture
    architecture = stated or recognise(shapes, heads or statements.heads)
    if heads is not None:
        architecture = replace(architecture, heads=heads)
    check_limits(architecture)
    if statements.packed:
        check_shapes(packed_shapes(tensors, architecture), architecture)
    else:
        check_shapes(shapes, architecture, scheme_named(statements.scheme) if statements.scheme else None)
    return architecture


def _values(
    tensors: Mapping[str, Tensor], architecture: Architecture, packed: bool
) -> tuple[dict[str, Floats], dict[str, TernaryMatrix]]:
    """Reads tensor by tensor, so that no more than one is held twice."""
    arrays: dict[str, Floats] = {}
    codes: dict[str, TernaryMatrix] = {}
    for name, tensor in tensors.items():
        if not packed:
            arrays[name] = _finite(name, tensor)
        elif is_ternary_parameter(name):
            codes[name] = packed_matrix(name, tensors, architecture)
        elif not name.endswith("_scale"):
            arrays[name] = _finite(name, tensor)
    return arrays, codes


def _finite(name: str, tensor: Tensor) -> Floats:
    """A copy as float32, C order."""
    try:
        stored = tensor.array()
    except CheckpointError as error:
        raise CheckpointError(f"{name}: {error.what}", error.hint) from error
    if np.iscomplexobj(stored):
        raise CheckpointError(f"The tensor {name!r} holds complex numbers.")
    with np.errstate(over="ignore", invalid="ignore"):
        values = np.array(stored, np.float32, order="C")
    if not bool(np.isfinite(values).all()):
        raise CheckpointError(
            f"The tensor {name!r} holds values that are not finite (NaN or infinite).",
            "Its training diverged.",
        )
    return values


def _all_ternary(arrays: Mapping[str, Floats]) -> bool:
    """True where every matrix is; LayerNorm vectors follow, because a latent one can look ternary."""
    matrices = [n for n in arrays if is_ternary_parameter(n) and not is_norm_parameter(n)]
    return all(as_ternary(arrays[name]) is not None for name in matrices)


def _scheme(statements: Statements, located: Located) -> str:
    """What the file states; a published full-precision teacher must not pass for a ternary model."""
    published = located.model is not None and not located.model.ternary
    teacher = published or (located.model is None and located.provenance.repo.startswith("timm/"))
    return scheme_named(statements.scheme or ("fp32" if teacher else DEFAULT_SCHEME)).name


def _preprocessing(architecture: Architecture, located: Located) -> Preprocessing:
    """That of the published model, else timm's defaults.

    Crop 0.9, and 1.0 for deit3 from 384 pixels on or pretrained on ImageNet-22k.
    """
    if located.model is not None:
        return located.model.preprocessing
    uncropped = architecture.image_size >= 384 or "in22k" in located.provenance.repo
    return Preprocessing(crop_fraction=1.0 if architecture.layer_scale and uncropped else 0.9)


def _labels(architecture: Architecture, statements: Statements, located: Located) -> tuple[str, ...]:
    """Stated ones must fit; a .pth's hints count only where they do."""
    fits = statements.labels is not None and len(statements.labels) == architecture.classes
    if statements.labels is None or (statements.architecture is None and not fits):
        dataset = located.model.labels if located.model else f"{located.provenance.repo}/{located.path}"
        return default_labels(architecture.classes, dataset)
    if not fits:
        raise CheckpointError(
            f"The checkpoint names {len(statements.labels)} labels for {architecture.classes} classes."
        )
    return statements.labels
