"""What is inside a student and its teacher, beside what FTerViT publishes, from `ftervit report --json`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

Layer = Mapping[str, Any]


def inside(report: Mapping[str, Any]) -> Iterator[str]:
    """A table of the report's figures; nothing where it has no importance.

    Args:
        report: as the command prints it.
    """
    ranked = report["importance"]
    if ranked is None:
        return
    trace = f"for the trace {ranked['probes']} probes a layer, on {ranked['trace_photos']} of the photos"
    yield f"Importance: of {ranked['model']}, {ranked['loss']}; {trace}.\n"
    yield "| | published, on ImageNet (FTerViT, arXiv 2605.21171) | here |"
    yield "| --- | --- | --- |"
    for row in _rows(report, ranked["layers"]):
        yield f"| {' | '.join(row)} |"


def _rows(report: Mapping[str, Any], layers: Sequence[Layer]) -> Iterator[tuple[str, str, str]]:
    yield "Zeros among the ternary weights", "37 %", _percent(report["zero_fraction"])
    share = _sum(layers, "LayerNorm", "parameter_share")
    yield "LayerNorms, share of the parameters", "under 0.2 %", _percent(share)
    for group, published in (("LayerNorm", "34 to 39 %"), ("patch embedding", "-"), ("head", "under 1.3 %")):
        yield f"{group}, share of importance, Taylor", published, _taylor(layers, group)
    trace, error = _sum(layers, "LayerNorm", "trace_share"), _error(layers, "LayerNorm")
    yield "LayerNorm, share of the Hessian's trace", "-", f"{_percent(trace)} ±{100 * error:.2f}"
    most = (_first(layers, f"{name}_share") for name in ("taylor", "taylor_squared", "trace"))
    said = "by Taylor's sum of \\|g w\\| {}, of (g w)² {}, by the trace {}".format(*most)
    yield "The most important single layer", "DeiT-S: the patch embedding", said
    if report["feature_cosine"] is not None:
        yield "Patch features, cosine to FP32", "0.88", f"{report['feature_cosine']:.3f}"
    if report["attention_cosine"] is not None:
        same, other = report["attention_cosine"], report["other_attention_cosine"]
        found = f"cosine {same:.3f}; of maps of different photos {other:.3f}"
        yield "Attention roll-out, student and teacher", "the same regions", found


def _taylor(layers: Sequence[Layer], group: str) -> str:
    plain, squared = (_sum(layers, group, name) for name in ("taylor_share", "taylor_squared_share"))
    return f"{_percent(plain)} by the sum of \\|g w\\|, {_percent(squared)} by that of (g w)²"


def _sum(layers: Sequence[Layer], group: str, name: str) -> float:
    return float(sum(layer[name] for layer in layers if layer["group"] == group))


def _error(layers: Sequence[Layer], group: str) -> float:
    return float(sum(layer["trace_share_error"] ** 2 for layer in layers if layer["group"] == group) ** 0.5)


def _first(layers: Sequence[Layer], name: str) -> str:
    rank: Callable[[Layer], float] = lambda layer: layer[name]  # noqa: E731
    best = max(layers, key=rank)
    return f"{best['layer']} ({_percent(best[name])})"


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.2f} %"
