"""What a checkpoint holds once it has been read: the record that the rest of the package works with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..architecture import Architecture, Preprocessing
from ..ternary import Floats, TernaryMatrix
from .shapes import parameter_shapes

DEFAULT_SCHEME = "ftervit"


@dataclass(frozen=True)
class Provenance:
    """Where the weights came from.

    Attributes:
        source: what the user typed; of a local file the name alone, because the same file gives the
            same image wherever it lies.
        repo: hub repository, ``user/name``; empty for a local file.
        file: path in the repository, or the local file's name.
        revision: commit hash of the repository; empty for a local file.
        sha256: hex digest of the checkpoint file; empty for made-up weights.
    """

    source: str = ""
    repo: str = ""
    file: str = ""
    revision: str = ""
    sha256: str = ""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint under timm's parameter names, checked against its architecture.

    Attributes:
        arrays: float32 arrays in timm's shapes, all finite; without those in `codes`.
        architecture: recognised from names and shapes, or stated by our own metadata.
        preprocessing: stated by metadata, else the default for the architecture.
        labels: one per class.
        scheme: name of the quantisation scheme; ``ftervit`` where the file does not say.
        ternary: True where every weight matrix is ternary already and keeps its codes and scales;
            False for the latent floats of training.
        codes: tensors stored packed, by timm name: int8 codes [N, K] and their scale. A convolution
            has K = 3 * patch * patch in the order channel, row, column; a LayerNorm vector K = 1.
        provenance: where the file came from.
        stated: which of ``labels`` and ``scheme`` the file itself says; the others are defaults.
    """

    arrays: Mapping[str, Floats]
    architecture: Architecture
    preprocessing: Preprocessing
    labels: tuple[str, ...]
    scheme: str = DEFAULT_SCHEME
    ternary: bool = False
    codes: Mapping[str, TernaryMatrix] = field(default_factory=dict)
    provenance: Provenance = Provenance()
    stated: frozenset[str] = frozenset()

    def dense(self) -> dict[str, Floats]:
        """Every parameter as float32 in timm's shape, packed ones dequantised."""
        shapes = parameter_shapes(self.architecture)
        unpacked = {name: m.dequantised().reshape(shapes[name]) for name, m in self.codes.items()}
        return {**self.arrays, **unpacked}
