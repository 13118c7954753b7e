"""Quantisation schemes: one object states every rule of a method, so that nothing is implied by code.

The rules are used by training (fake quantisation in PyTorch), by packing (exact trits in NumPy) and by
the sizes of `ftervit schemes`.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from .errors import ConfigError

ABSMEAN_FLOOR = 1e-5
"""Lower bound of a weight scale (BitNet b1.58, arXiv 2402.17764) and of a learned step."""
ABSMAX_FLOOR = 1e-5
"""Lower bound of a row's max|x| before it divides (BitNet b1.58)."""
TWN_THRESHOLD = 0.7
"""Threshold over mean|W| (Ternary Weight Networks, arXiv 1605.04711, section 2.3)."""


@dataclass(frozen=True)
class Weights:
    """How a weight tensor W becomes ``code * scale``, with codes from `low` to `high`.

    Attributes:
        granularity: ``tensor``: one scale s; ``channel``: one per output channel. Means and maxima below
            run over the same extent.
        scale: ``absmean``: s = mean|W|; ``absmax``: s = max|W| / high; with either
            code = clip(round(W / s), low, high), halves to even, s at least ABSMEAN_FLOOR.
            ``twn``: code = sign(W) where |W| > TWN_THRESHOLD * mean|W|, else 0; s = mean of those |W|.
            ``lsq``: s is learned, code = round(clip(W / s, low, high)) (LSQ, arXiv 1902.08153).
        low, high: smallest and largest code: -1 and 1 are ternary.
    """

    granularity: str = "tensor"
    scale: str = "absmean"
    low: int = -1
    high: int = 1

    @property
    def ternary(self) -> bool:
        """True for the codes -1, 0 and 1."""
        return (self.low, self.high) == (-1, 1)

    @property
    def bits(self) -> int:
        """Whole bits of a stored code."""
        return (self.high - self.low).bit_length()

    def __str__(self) -> str:
        width = "ternary" if self.ternary else f"{self.bits} bits"
        words = {"lsq": "learned step", "twn": f"threshold {TWN_THRESHOLD} mean|W|"}
        return f"{width}, {words.get(self.scale, self.scale)} per {self.granularity}"


@dataclass(frozen=True)
class Activations:
    """How activations are rounded to codes from `low` to `high`.

    Attributes:
        low, high: smallest and largest code.
        scale: ``absmax``: of every row by itself, s = max|x| / high with max|x| at least ABSMAX_FLOOR; a
            row is one token, in attention one head of a token. ``lsq``: one learned step s and one
            learned offset z for the layer, x -> s * round(clip((x - z) / s, low, high)) + z (LSQ,
            arXiv 1902.08153; the offset is that of Q-ViT, arXiv 2210.06707).
    """

    low: int = -127
    high: int = 127
    scale: str = "absmax"

    @property
    def bits(self) -> int:
        """Whole bits of a code."""
        return (self.high - self.low).bit_length()

    def __str__(self) -> str:
        how = "learned step and offset" if self.scale == "lsq" else "absmax per token"
        return f"{self.bits} bits, {how}"


@dataclass(frozen=True)
class Scheme:
    """Every quantisation rule of a method. ``None`` means full precision.

    Attributes:
        name: what a user types.
        source: the paper.
        linear: weights of qkv, proj, fc1, fc2.
        patch, head: weights of the patch embedding and of the classifier.
        norm: LayerNorm's gamma and beta, each by itself.
        inputs, patch_inputs, head_inputs: activations that enter those matrices.
        query, key, value: rows of Q, K, V before attention's products.
        attention: attention's weights, after the softmax.
        inner_norm: a LayerNorm of its own (real gamma and beta, epsilon 1e-5) in front of each of the
            encoder's matrices, before its input is rounded (SubLN in BitNet's BitLinear).
        layer_scale: ``fold``: deit3's LayerScale stays real and is folded into the output scale.
        left_out: what of the method as published this package does not do; empty where nothing.
    """

    name: str
    source: str = ""
    linear: Weights | None = Weights()
    patch: Weights | None = Weights("channel")
    head: Weights | None = Weights()
    norm: Weights | None = Weights()
    inputs: Activations | None = Activations()
    patch_inputs: Activations | None = Activations()
    head_inputs: Activations | None = Activations()
    query: Activations | None = None
    key: Activations | None = None
    value: Activations | None = None
    attention: Activations | None = None
    inner_norm: bool = False
    layer_scale: str = "fold"
    left_out: str = ""

    def weights(self) -> dict[str, Weights | None]:
        """The rule of every group of weights, by the words that people read."""
        return {"encoder": self.linear, "patch": self.patch, "head": self.head, "LayerNorm": self.norm}

    def activations(self) -> dict[str, Activations | None]:
        """The rule of every group of activations."""
        return {
            "encoder inputs": self.inputs, "patch inputs": self.patch_inputs, "head inputs": self.head_inputs,
            "Q": self.query, "K": self.key, "V": self.value, "attention": self.attention,
        }  # fmt: skip

    def obstacle(self) -> str:
        """Why the integer engine cannot run a model of this scheme; empty where it can.

        It computes with ternary matrices, ternary LayerNorms of one scale each, and 8-bit rows.
        """
        for group, rule in self.weights().items():
            if rule is None:
                return f"it leaves the {group} weights in full precision, and an image holds ternary ones"
            if not rule.ternary:
                return f"its {group} weights have {rule.bits} bits, and an image holds ternary ones"
        if self.inner_norm:
            return "it has a LayerNorm inside every matrix, which the engine does not compute"
        if self.norm is not None and self.norm.granularity != "tensor":
            return "its LayerNorms have more than one scale, and an image holds one"
        inputs = (self.inputs, self.patch_inputs, self.head_inputs)
        rows = (self.query, self.key, self.value)
        learned = any(rule is not None and rule.scale == "lsq" for rule in rows)
        if learned or self.attention is not None or any(rule not in (None, Activations()) for rule in inputs):
            return "its activations are rounded in another way than the engine's 8-bit rows"
        return ""


_TERNARY = Weights()
_INT8 = Weights("channel", "absmax", -127, 127)
_LSQ2 = Weights("channel", "lsq", -2, 1)
_LSQ8 = Weights("channel", "lsq", -128, 127)
_LSQ8_INPUTS = Activations(-128, 127, "lsq")
_FTERVIT = "FTerViT, arXiv 2605.21171"


def _q_vit(name: str, inputs: Activations, attention: Activations) -> Scheme:
    """Q-ViT's quantiser: all products of the encoder in few bits, patch and head in eight."""
    return Scheme(
        name, "Q-ViT, arXiv 2210.06707, LSQ, arXiv 1902.08153",
        linear=_LSQ2, patch=_LSQ8, head=_LSQ8, norm=None,
        inputs=inputs, patch_inputs=_LSQ8_INPUTS, head_inputs=_LSQ8_INPUTS,
        query=inputs, key=inputs, value=inputs, attention=attention,
        left_out="information rectification of Q and K, distribution-guided distillation, "
        "steps and offsets of activations for every channel, in attention for every head",
    )  # fmt: skip


_ALL = (
    Scheme(
        "fp32", "DeiT, arXiv 2012.12877",
        linear=None, patch=None, head=None, norm=None, inputs=None, patch_inputs=None, head_inputs=None,
    ),
    Scheme(
        "int8", "8 bits after Jacob et al., arXiv 1712.05877",
        linear=_INT8, patch=_INT8, head=_INT8, norm=None,
        left_out="fixed ranges with zero points, integer products in attention",
    ),
    Scheme(  # patch and head: DeiT-S has the published 6.0 MB with 8 bits there, 8.0 MB with 32
        "tervit", "TerViT, arXiv 2201.08050",
        linear=Weights("channel", "twn"), patch=_INT8, head=_INT8, norm=None,
        left_out="training in 8 bits first",
    ),
    Scheme(
        "vit-1.58b", "ViT-1.58b, arXiv 2406.18051",
        linear=_TERNARY, patch=None, head=None, norm=None, patch_inputs=None, head_inputs=None,
        inner_norm=True, left_out="training on labels, without a teacher",
    ),
    _q_vit("q-vit", Activations(-2, 1, "lsq"), Activations(0, 3, "lsq")),
    _q_vit("q-vit-a8", _LSQ8_INPUTS, Activations(0, 255, "lsq")),
    Scheme("ftervit", _FTERVIT),
    Scheme(
        "ftervit-s8", f"{_FTERVIT}, and the rows of c_runtime/NUMERICS.md",
        query=Activations(-63, 63), key=Activations(), value=Activations(),
    ),
    Scheme("ftervit-patch-tensor", f"{_FTERVIT}, ablation", patch=_TERNARY),
    Scheme("ftervit-norm-fp32", f"{_FTERVIT}, ablation", norm=None),
    Scheme(
        "ftervit-absmax", f"{_FTERVIT}, ablation",
        linear=Weights("tensor", "absmax"), patch=Weights("channel", "absmax"),
        head=Weights("tensor", "absmax"), norm=Weights("tensor", "absmax"),
    ),
)  # fmt: skip

SCHEMES: dict[str, Scheme] = {scheme.name: scheme for scheme in _ALL}
"""``ftervit`` is the paper's method; ``ftervit-s8`` also trains with the engine's 8-bit attention rows
(c_runtime/NUMERICS.md, attention); the last three change one rule of the paper each."""


def scheme_named(name: str) -> Scheme:
    """The scheme called `name`.

    Raises:
        ConfigError: there is none; the message names the nearest and lists those that exist.
    """
    try:
        return SCHEMES[name]
    except KeyError:
        near = difflib.get_close_matches(name, SCHEMES, n=1)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        known = ", ".join(SCHEMES)
        raise ConfigError(f"There is no scheme {name!r}.", f"{hint}Known schemes: {known}.") from None


def rules_of(scheme: Scheme) -> tuple[str, ...]:
    """What is quantised how, a phrase per rule: ``encoder, head: ternary, absmean per tensor``."""
    grouped: dict[str, list[str]] = {}
    for group, rule in (*scheme.weights().items(), *scheme.activations().items()):
        if rule is not None:
            grouped.setdefault(str(rule), []).append(group)
    lines = [f"{', '.join(groups)}: {rule}" for rule, groups in grouped.items()]
    if scheme.inner_norm:
        lines.append("a LayerNorm before each encoder matrix")
    return tuple(lines) or ("nothing",)
