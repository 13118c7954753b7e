"""The parameters of an architecture by timm's names and shapes; an architecture by its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from math import isqrt

from ..architecture import Architecture
from ..errors import CheckpointError
from ..schemes import Activations, Scheme, Weights

Shape = tuple[int, ...]

OPTIONAL_SUFFIX = "attn.qkv.bias"
"""Models trained without it (timm: qkv_bias=False) get zeros."""

HEAD_DIM = 64
"""Channels of a head in every model of the DeiT family (arXiv 2012.12877, table 1)."""

MAX_WIDTH, MAX_HEAD_DIM, MAX_INPUTS, MAX_TOKENS = 2048, 256, 4128, 2064
"""What the engine's accumulators hold: see c_runtime/NUMERICS.md."""

MAX_DEPTH = 1024
MAX_PARAMETERS = 400_000_000
MAX_NAMED = 5
"""How many tensors an error lists."""


def parameter_shapes(architecture: Architecture) -> dict[str, Shape]:
    """Every parameter's shape by timm's name, in the order of computation."""
    a = architecture
    shapes: dict[str, Shape] = {
        "cls_token": (1, 1, a.width),
        "pos_embed": (1, a.position_rows, a.width),
        **_pair("patch_embed.proj", (a.width, 3, a.patch_size, a.patch_size)),
    }
    for index in range(a.depth):
        shapes.update({f"blocks.{index}.{name}": shape for name, shape in _block_shapes(a).items()})
    return {**shapes, **_pair("norm", (a.width,)), **_pair("head", (a.classes, a.width))}


def _block_shapes(a: Architecture) -> dict[str, Shape]:
    scales: list[dict[str, Shape]] = [
        {f"ls{number}.gamma": (a.width,)} if a.layer_scale else {} for number in (1, 2)
    ]
    return {
        **_pair("norm1", (a.width,)),
        **_pair("attn.qkv", (3 * a.width, a.width)),
        **_pair("attn.proj", (a.width, a.width)),
        **scales[0],
        **_pair("norm2", (a.width,)),
        **_pair("mlp.fc1", (a.hidden, a.width)),
        **_pair("mlp.fc2", (a.width, a.hidden)),
        **scales[1],
    }


def _pair(layer: str, weight: Shape) -> dict[str, Shape]:
    """A layer's weight, and its bias of one value per output channel."""
    return {f"{layer}.weight": weight, f"{layer}.bias": weight[:1]}


def scheme_shapes(architecture: Architecture, scheme: Scheme) -> dict[str, Shape]:
    """The parameters that a scheme has beside timm's: inner LayerNorms, learned steps and offsets."""
    a, shapes = architecture, dict[str, Shape]()
    timm = parameter_shapes(a)
    for name in timm:
        layer = name.removesuffix(".weight")
        if layer == name or is_norm_parameter(name):
            continue
        weights, inputs = _rules(layer, scheme)
        if scheme.inner_norm and layer.startswith("blocks."):
            shapes.update(_pair(f"{layer}.norm", timm[name][1:]))
        if weights is not None and weights.scale == "lsq":
            shapes[f"{layer}.weight_step"] = timm[name][:1] if weights.granularity == "channel" else (1,)
        shapes.update(_learned(f"{layer}.inputs", inputs))
    for index in range(a.depth):
        for part in ("query", "key", "value", "attention"):
            shapes.update(_learned(f"blocks.{index}.attn.{part}", getattr(scheme, part)))
    return shapes


def _rules(layer: str, scheme: Scheme) -> tuple[Weights | None, Activations | None]:
    if layer == "head":
        return scheme.head, scheme.head_inputs
    if layer.startswith("patch_embed"):
        return scheme.patch, scheme.patch_inputs
    return scheme.linear, scheme.inputs


def _learned(name: str, rule: Activations | None) -> dict[str, Shape]:
    learned = rule is not None and rule.scale == "lsq"
    return {f"{name}.step": (1,), f"{name}.offset": (1,)} if learned else {}


def is_ternary_parameter(name: str) -> bool:
    """True for the tensors that a fully ternary model quantises: every matrix, every LayerNorm vector."""
    return is_norm_parameter(name) or name.endswith(".weight")


def is_norm_parameter(name: str) -> bool:
    """True for gamma and beta of a LayerNorm."""
    layer, _, kind = name.rpartition(".")
    return layer.rpartition(".")[2] in ("norm", "norm1", "norm2") and kind in ("weight", "bias")


def recognise(shapes: Mapping[str, Shape], heads: int | None = None) -> Architecture:
    """The architecture of tensors under timm's names.

    Args:
        shapes: every tensor's shape.
        heads: number of attention heads, which no shape tells; by default 64 channels each.

    Raises:
        CheckpointError: no deit or deit3, or the number of heads cannot be known.
    """
    refuse_distilled(shapes)
    patch_shape = _shape(shapes, "patch_embed.proj.weight", 4)
    if patch_shape[1] != 3 or patch_shape[2] != patch_shape[3]:
        raise CheckpointError(
            f"The patch embedding has shape {patch_shape}; RGB and square patches are needed."
        )
    width, patch = patch_shape[0], patch_shape[2]
    rows = _shape(shapes, "pos_embed", 3)[1]
    side, on_class_token = _patch_grid(rows)
    return Architecture(
        image_size=side * patch,
        patch_size=patch,
        width=width,
        depth=_depth(shapes),
        heads=heads or _default_heads(width),
        hidden=_shape(shapes, "blocks.0.mlp.fc1.weight", 2)[0],
        classes=_shape(shapes, "head.weight", 2)[0],
        layer_scale=any(name.endswith("ls1.gamma") for name in shapes),
        position_on_class_token=on_class_token,
    )


def refuse_distilled(names: Mapping[str, object]) -> None:
    """Raises CheckpointError for a DeiT with a distillation token."""
    if "dist_token" in names or "head_dist.weight" in names:
        raise CheckpointError(
            "The checkpoint is a distilled DeiT (it has dist_token or head_dist), which is not supported.",
            "Use the plain variant of the same size, without '_distilled' in its name.",
        )


def _shape(shapes: Mapping[str, Shape], name: str, rank: int) -> Shape:
    if name not in shapes:
        raise CheckpointError(
            f"The checkpoint has no tensor {name!r}, so it is no deit or deit3.",
            f"It begins with: {', '.join(sorted(shapes)[:MAX_NAMED])[:300]}.",
        )
    if len(shapes[name]) != rank or 0 in shapes[name]:
        raise CheckpointError(f"The tensor {name!r} has shape {shapes[name]}; {rank} axes are needed.")
    return shapes[name]


def _patch_grid(rows: int) -> tuple[int, bool]:
    """Patches per side, and whether the class token has a row."""
    for on_class_token in (False, True):
        side = isqrt(rows - on_class_token)
        if side > 0 and side * side == rows - on_class_token:
            return side, on_class_token
    raise CheckpointError(f"The position embedding has {rows} rows, which no square image gives.")


def _depth(shapes: Mapping[str, Shape]) -> int:
    """One more than the last block's number, which is less than the number of tensors."""
    parts = [name.split(".")[1] for name in shapes if name.startswith("blocks.")]
    numbers = [int(part) for part in parts if part.isascii() and part.isdigit() and len(part) < 6]
    depth = 1 + max(numbers, default=0)
    if depth > len(shapes):
        raise CheckpointError(f"The checkpoint lacks tensors: it names a block {depth - 1}.")
    return depth


def _default_heads(width: int) -> int:
    if width % HEAD_DIM:
        raise CheckpointError(
            f"The checkpoint does not say how many attention heads its {width} channels have.",
            "Give --heads.",
        )
    return width // HEAD_DIM


def check_limits(a: Architecture) -> None:
    """Refuses, in a sentence, what the engine cannot run.

    Raises:
        CheckpointError: which size is beyond which limit.
    """
    sizes = (a.image_size, a.patch_size, a.width, a.depth, a.heads, a.hidden, a.classes)
    if min(sizes) < 1 or a.image_size % a.patch_size:
        raise CheckpointError(f"The checkpoint states an impossible architecture: {a}.")
    if a.width % a.heads:
        raise CheckpointError(f"{a.heads} heads do not divide {a.width} channels.", "Give another --heads.")
    for what, size, limit in (
        ("channels per token", a.width, MAX_WIDTH),
        ("channels per head", a.head_dim, MAX_HEAD_DIM),
        ("hidden channels", a.hidden, MAX_INPUTS),
        ("values per patch", a.patch_values, MAX_INPUTS),
        ("tokens", a.tokens, MAX_TOKENS),
        ("blocks", a.depth, MAX_DEPTH),
    ):
        if size > limit:
            raise CheckpointError(f"The model has {size} {what}; the engine runs at most {limit}.")
    weights = a.depth * (4 * a.width**2 + 2 * a.width * a.hidden) + a.classes * a.width
    if weights > MAX_PARAMETERS:
        raise CheckpointError(f"The model has {weights} weights; at most {MAX_PARAMETERS} are supported.")


def check_shapes(
    shapes: Mapping[str, Shape], architecture: Architecture, scheme: Scheme | None = None
) -> None:
    """Refuses missing, unexpected and misshapen tensors by name.

    Args:
        shapes: what the checkpoint has; the missing bias of a qkv layer is forgiven.
        architecture: what it should have.
        scheme: whose own parameters it should have as well.
    """
    expected = parameter_shapes(architecture)
    if scheme is not None:
        expected |= scheme_shapes(architecture, scheme)
    missing = [n for n in expected if n not in shapes and not n.endswith(OPTIONAL_SUFFIX)]
    if missing:
        raise CheckpointError(
            f"The checkpoint lacks {_some(missing)}.", "Is it complete, and a deit or deit3?"
        )
    extra = [name for name in shapes if name not in expected]
    if extra:
        raise CheckpointError(
            f"The checkpoint has {_some(extra)}, which a deit or deit3 does not have.",
            "Remove what does not belong to the model, and save it again.",
        )
    wrong = [name for name in shapes if shapes[name] != expected[name]]
    if wrong:
        name = wrong[0]
        raise CheckpointError(
            f"The tensor {name!r} has shape {shapes[name]}; {expected[name]} is needed for {architecture}."
        )


def _some(names: list[str]) -> str:
    """The first few names, and how many more there are."""
    shown = ", ".join(repr(name[:100]) for name in names[:MAX_NAMED])
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return f"the tensor{'s' if len(names) > 1 else ''} {shown}{more}"
