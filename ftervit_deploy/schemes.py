"""Quantisation schemes: one object states every rule of a method, so that nothing is implied by code.

The rules are used by training (fake quantisation in PyTorch) and by packing (exact trits in NumPy).
Sources: FTerViT, arXiv 2605.21171; BitNet b1.58, arXiv 2402.17764.
"""

from __future__ import annotations

from dataclasses import dataclass

from .errors import ConfigError

ABSMEAN_FLOOR = 1e-5
"""Lower bound of a weight scale mean|W| (BitNet b1.58)."""
ABSMAX_FLOOR = 1e-5
"""Lower bound of a row's max|x| before it divides (BitNet b1.58)."""


@dataclass(frozen=True)
class Scheme:
    """Every quantisation rule of a method. ``None`` means full precision.

    Attributes:
        name: what a user types.
        linear: granularity of qkv, proj, fc1, fc2, head weights: ``tensor`` or ``channel``.
        patch: granularity of the patch embedding's weights.
        norm: granularity of LayerNorm gamma and beta (a scale each).
        weight_scale: ``absmean``: s = mean|W| (floor ABSMEAN_FLOOR), W_t = clip(round(W/s), -1, 1),
            halves to even.
        activation_levels: largest code of an activation row (127: 8 bits); a row is one token,
            scaled by its absmax (floor ABSMAX_FLOOR); applies to the input of every ternary matrix.
        query_levels, key_levels, value_levels: largest code of a (token, head) row of Q, K, V,
            scaled by absmax; None keeps attention products in floating point.
        layer_scale: ``fold``: deit3's LayerScale stays real and is folded into the output scale.
    """

    name: str
    linear: str | None = "tensor"
    patch: str | None = "channel"
    norm: str | None = "tensor"
    weight_scale: str = "absmean"
    activation_levels: int | None = 127
    query_levels: int | None = None
    key_levels: int | None = None
    value_levels: int | None = None
    layer_scale: str = "fold"


SCHEMES: dict[str, Scheme] = {
    "fp32": Scheme("fp32", linear=None, patch=None, norm=None, activation_levels=None),
    "ftervit": Scheme("ftervit"),
    "ftervit-s8": Scheme("ftervit-s8", query_levels=63, key_levels=127, value_levels=127),
}
"""``ftervit`` is the paper's method; ``ftervit-s8`` also trains with the engine's 8-bit attention rows
(c_runtime/NUMERICS.md, attention)."""


def scheme_named(name: str) -> Scheme:
    """The scheme called `name`.

    Raises:
        ConfigError: there is none; the message lists those that exist.
    """
    try:
        return SCHEMES[name]
    except KeyError:
        known = ", ".join(SCHEMES)
        raise ConfigError(f"There is no scheme {name!r}.", f"Known schemes: {known}.") from None
