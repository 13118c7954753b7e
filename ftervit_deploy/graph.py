"""Named arrays -> typed, shaped ternary layers. Pure NumPy; touches no disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .architecture import Architecture, Preprocessing
from .checkpoint.contents import Checkpoint, Provenance
from .checkpoint.shapes import parameter_shapes
from .errors import CheckpointError
from .schemes import Scheme, Weights, scheme_named
from .ternary import Codes, Floats, TernaryMatrix, as_ternary, ternarised

LAYER_NORM_EPS = 1e-6
"""timm's epsilon for every deit and deit3 model."""


@dataclass(frozen=True)
class Linear:
    """y = x W^T + b.

    Attributes:
        weight: N output channels, K inputs; for the patch embedding K runs channel, row, column.
        bias: float32 [N]; zeros where the checkpoint has none.
    """

    weight: TernaryMatrix
    bias: Floats


@dataclass(frozen=True)
class LayerNorm:
    """y = (x - mean) / sqrt(variance + eps) * gamma * gamma_scale + beta * beta_scale.

    Attributes:
        gamma, beta: int8 [C] in {-1, 0, 1}.
        gamma_scale, beta_scale: positive.
        eps: added to the variance.
    """

    gamma: Codes
    gamma_scale: float
    beta: Codes
    beta_scale: float
    eps: float = LAYER_NORM_EPS


@dataclass(frozen=True)
class Block:
    """x + ls1 * proj(attention(qkv(norm1 x))), then x + ls2 * fc2(gelu(fc1(norm2 x))).

    Attributes:
        qkv: N = 3 * width: queries, keys, values, each ordered by head.
        ls1, ls2: LayerScale, float32 [C]; None in a deit.
    """

    norm1: LayerNorm
    qkv: Linear
    proj: Linear
    ls1: Floats | None
    norm2: LayerNorm
    fc1: Linear
    fc2: Linear
    ls2: Floats | None


@dataclass(frozen=True)
class Graph:
    """A fully ternary Vision Transformer.

    Attributes:
        architecture, preprocessing, labels, scheme, provenance: as in the checkpoint.
        patch: patch embedding as a matrix, K = 3 * patch * patch in the order channel, row, column.
        cls_token: float32 [C].
        position: float32 [rows, C]; rows = tokens (deit) or patches (deit3).
        blocks: `architecture.depth` of them.
        norm: before the head.
        head: N = classes.
    """

    architecture: Architecture
    preprocessing: Preprocessing
    labels: tuple[str, ...]
    scheme: str
    provenance: Provenance
    patch: Linear
    cls_token: Floats
    position: Floats
    blocks: tuple[Block, ...]
    norm: LayerNorm
    head: Linear

    def linears(self) -> Iterator[tuple[str, Linear]]:
        """Every linear layer with timm's name, in the order of computation."""
        yield "patch_embed.proj", self.patch
        for index, block in enumerate(self.blocks):
            yield f"blocks.{index}.attn.qkv", block.qkv
            yield f"blocks.{index}.attn.proj", block.proj
            yield f"blocks.{index}.mlp.fc1", block.fc1
            yield f"blocks.{index}.mlp.fc2", block.fc2
        yield "head", self.head

    def norms(self) -> Iterator[tuple[str, LayerNorm]]:
        """Every LayerNorm with timm's name, in the order of computation."""
        for index, block in enumerate(self.blocks):
            yield f"blocks.{index}.norm1", block.norm1
            yield f"blocks.{index}.norm2", block.norm2
        yield "norm", self.norm

    def ternary_tensors(self) -> Iterator[tuple[str, Codes]]:
        """Every ternary tensor's codes with timm's parameter name: int8 [N, K], or [C] of a LayerNorm."""
        for name, linear in self.linears():
            yield f"{name}.weight", linear.weight.codes
        for name, norm in self.norms():
            yield f"{name}.weight", norm.gamma
            yield f"{name}.bias", norm.beta

    def zeros_per_layer(self) -> Iterator[tuple[str, int, int]]:
        """(timm's parameter name, ternary weights, zeros among them) of every ternary tensor."""
        for name, codes in self.ternary_tensors():
            yield name, codes.size, codes.size - int(np.count_nonzero(codes))

    @property
    def ternary_weights(self) -> int:
        """Number of ternary parameters, LayerNorms included."""
        return sum(codes.size for _, codes in self.ternary_tensors())

    @property
    def zero_fraction(self) -> float:
        """Share of zeros among the ternary parameters, 0 to 1."""
        zeros = sum(zeros for _, _, zeros in self.zeros_per_layer())
        return zeros / self.ternary_weights


def build_graph(checkpoint: Checkpoint, scheme: Scheme | None = None) -> Graph:
    """Ternarises a checkpoint by a scheme, or keeps the codes and scales that it has already.

    Args:
        checkpoint: latent floats, ternary floats or packed codes.
        scheme: rules of quantisation; by default those that the checkpoint names.

    Raises:
        CheckpointError: the engine cannot run what the scheme makes, or the checkpoint has parameters
            that the scheme does not know.
        ConfigError: the checkpoint names a scheme that does not exist.
    """
    scheme = scheme or scheme_named(checkpoint.scheme)
    return _Builder(checkpoint, scheme).graph()


class _Builder:
    """One pass over a checkpoint, by timm's names."""

    def __init__(self, checkpoint: Checkpoint, scheme: Scheme) -> None:
        self._checkpoint = checkpoint
        self._scheme = scheme
        self._linear, self._patch, self._head, self._norm = _ternary_rules(scheme)
        _check_no_more_than_timm_s(checkpoint, scheme)

    def graph(self) -> Graph:
        source, arrays = self._checkpoint, self._checkpoint.arrays
        width = source.architecture.width
        return Graph(
            architecture=source.architecture,
            preprocessing=source.preprocessing,
            labels=source.labels,
            scheme=self._scheme.name,
            provenance=source.provenance,
            patch=self._linear_named("patch_embed.proj", self._patch),
            cls_token=arrays["cls_token"].reshape(width),
            position=arrays["pos_embed"].reshape(-1, width),
            blocks=tuple(self._block(index) for index in range(source.architecture.depth)),
            norm=self._norm_named("norm"),
            head=self._linear_named("head", self._head),
        )

    def _block(self, index: int) -> Block:
        prefix, arrays = f"blocks.{index}.", self._checkpoint.arrays
        return Block(
            norm1=self._norm_named(prefix + "norm1"),
            qkv=self._linear_named(prefix + "attn.qkv", self._linear),
            proj=self._linear_named(prefix + "attn.proj", self._linear),
            ls1=arrays.get(prefix + "ls1.gamma"),
            norm2=self._norm_named(prefix + "norm2"),
            fc1=self._linear_named(prefix + "mlp.fc1", self._linear),
            fc2=self._linear_named(prefix + "mlp.fc2", self._linear),
            ls2=arrays.get(prefix + "ls2.gamma"),
        )

    def _linear_named(self, name: str, rule: Weights) -> Linear:
        weight = self._matrix(f"{name}.weight", rule)
        bias = self._checkpoint.arrays.get(f"{name}.bias")
        return Linear(weight, np.zeros(weight.codes.shape[0], np.float32) if bias is None else bias)

    def _matrix(self, name: str, rule: Weights) -> TernaryMatrix:
        """A latent matrix is never ternary by accident, so each one is asked."""
        if name in self._checkpoint.codes:
            return self._checkpoint.codes[name]
        weight = self._checkpoint.arrays[name]
        return as_ternary(weight) or ternarised(weight, rule)

    def _norm_named(self, name: str) -> LayerNorm:
        gamma = self._vector(f"{name}.weight")
        beta = self._vector(f"{name}.bias")
        return LayerNorm(
            gamma.codes.reshape(-1), float(gamma.scale[0]), beta.codes.reshape(-1), float(beta.scale[0])
        )

    def _vector(self, name: str) -> TernaryMatrix:
        """A latent vector can look ternary (all ones, all zeros), so the checkpoint as a whole decides."""
        if name in self._checkpoint.codes:
            return self._checkpoint.codes[name]
        row = self._checkpoint.arrays[name].reshape(1, -1)
        kept = as_ternary(row) if self._checkpoint.ternary else None
        return kept or ternarised(row, self._norm)


def _ternary_rules(scheme: Scheme) -> list[Weights]:
    """Those of the encoder's matrices, the patch embedding, the head and the LayerNorms."""
    obstacle = scheme.obstacle()
    if obstacle:
        raise CheckpointError(
            f"A model of the scheme {scheme.name!r} cannot be packed: {obstacle}.",
            "Train with the scheme 'ftervit', or pack with it.",
        )
    return [rule for rule in scheme.weights().values() if rule is not None]


def _check_no_more_than_timm_s(checkpoint: Checkpoint, scheme: Scheme) -> None:
    """Another method's own parameters, such as learned steps, must not be dropped in silence."""
    more = sorted({*checkpoint.arrays, *checkpoint.codes} - parameter_shapes(checkpoint.architecture).keys())
    if more:
        raise CheckpointError(
            f"The checkpoint was trained with the scheme {checkpoint.scheme!r} and has {more[0]!r}, "
            f"which {scheme.name!r} does not know.",
            "Train with the scheme 'ftervit'.",
        )


def dequantised(graph: Graph) -> dict[str, Floats]:
    """The real weights of a graph: float32 arrays under timm's names and in timm's shapes.

    Packing them again gives the same codes and scales.
    """
    shapes = parameter_shapes(graph.architecture)
    arrays = {"cls_token": graph.cls_token, "pos_embed": graph.position}
    for name, linear in graph.linears():
        arrays[f"{name}.weight"] = linear.weight.dequantised()
        arrays[f"{name}.bias"] = linear.bias
    for name, norm in graph.norms():
        arrays[f"{name}.weight"] = norm.gamma.astype(np.float32) * np.float32(norm.gamma_scale)
        arrays[f"{name}.bias"] = norm.beta.astype(np.float32) * np.float32(norm.beta_scale)
    for index, block in enumerate(graph.blocks):
        if block.ls1 is not None and block.ls2 is not None:
            arrays[f"blocks.{index}.ls1.gamma"] = block.ls1
            arrays[f"blocks.{index}.ls2.gamma"] = block.ls2
    return {name: arrays[name].reshape(shape).astype(np.float32) for name, shape in shapes.items()}
