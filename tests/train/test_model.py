"""The DeiT has timm's names and counts, computes what the papers say, and quantises as its scheme says."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason='install PyTorch: pip install "ftervit[train]"')

from ftervit_deploy.architecture import PRESETS, Architecture  # noqa: E402
from ftervit_deploy.checkpoint.shapes import parameter_shapes  # noqa: E402
from ftervit_deploy.errors import CheckpointError  # noqa: E402
from ftervit_deploy.schemes import SCHEMES, Weights  # noqa: E402
from ftervit_deploy.train.initialise import build_student  # noqa: E402
from ftervit_deploy.train.model import (  # noqa: E402
    DeiT,
    load_arrays,
    logits,
    quantised_once,
    ternary_layers,
    ternary_parameter_rules,
    zero_fraction,
)
from ftervit_deploy.train.state import arrays_of  # noqa: E402

DEIT = Architecture(16, 4, 16, 2, 2, 32, 5)
DEIT3 = Architecture(16, 4, 16, 2, 2, 32, 5, layer_scale=True, position_on_class_token=False)
COUNTS = {  # total, matrices, biases, LayerNorm, LayerScale, position
    "deit_tiny_224": (5_717_416, 5_647_872, 21_928, 9_600, 0, 37_824),
    "deit_small_224": (22_050_664, 21_912_576, 42_856, 19_200, 0, 75_648),
    "deit3_small_224": (22_059_496, 21_912_576, 42_856, 19_200, 9_216, 75_264),
    "deit3_small_384": (22_205_416, 21_912_576, 42_856, 19_200, 9_216, 221_184),
}


def _kind(name: str) -> str:
    if name in ("cls_token", "pos_embed"):
        return name
    if "norm" in name:
        return "norm"
    if ".ls" in name:
        return "layer_scale"
    return name.rsplit(".", 1)[1]


@pytest.mark.parametrize("preset", COUNTS)
@pytest.mark.parametrize("scheme", ["fp32", "ftervit"])
def test_parameter_counts_are_the_published_ones(preset: str, scheme: str) -> None:
    with torch.device("meta"):
        model = DeiT(PRESETS[preset], SCHEMES[scheme])
    counts: dict[str, int] = {}
    for name, parameter in model.named_parameters():
        counts[_kind(name)] = counts.get(_kind(name), 0) + parameter.numel()
    found = [counts.get(kind, 0) for kind in ("weight", "bias", "norm", "layer_scale", "pos_embed")]
    assert (sum(counts.values()), *found) == COUNTS[preset]


@pytest.mark.parametrize("preset", PRESETS)
def test_names_and_shapes_are_timm_s(preset: str) -> None:
    with torch.device("meta"):
        model = DeiT(PRESETS[preset], SCHEMES["fp32"])
    found = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    assert found == parameter_shapes(PRESETS[preset])


def _layer_norm(x: np.ndarray, p: dict[str, np.ndarray], name: str) -> np.ndarray:
    centred = x - x.mean(-1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-6)
    return centred / deviation * p[f"{name}.weight"] + p[f"{name}.bias"]


def _linear(x: np.ndarray, p: dict[str, np.ndarray], name: str) -> np.ndarray:
    return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]


def _attention(x: np.ndarray, p: dict[str, np.ndarray], name: str, heads: int) -> np.ndarray:
    tokens, width = x.shape
    q, k, v = _linear(x, p, f"{name}.qkv").reshape(tokens, 3, heads, -1).transpose(1, 2, 0, 3)
    scores = q @ k.transpose(0, 2, 1) / math.sqrt(width // heads)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    mixed = weights / weights.sum(-1, keepdims=True) @ v
    return _linear(mixed.transpose(1, 0, 2).reshape(tokens, width), p, f"{name}.proj")


def _gelu(x: np.ndarray) -> np.ndarray:
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def _forward_in_numpy(p: dict[str, np.ndarray], image: np.ndarray, arch: Architecture) -> np.ndarray:
    side, size = arch.image_size // arch.patch_size, arch.patch_size
    patches = image.reshape(3, side, size, side, size).transpose(1, 3, 0, 2, 4).reshape(side * side, -1)
    x = patches @ p["patch_embed.proj.weight"].reshape(arch.width, -1).T + p["patch_embed.proj.bias"]
    if not arch.position_on_class_token:
        x = x + p["pos_embed"][0]
    x = np.concatenate([p["cls_token"][0], x])
    if arch.position_on_class_token:
        x = x + p["pos_embed"][0]
    for n in range(arch.depth):
        ls1, ls2 = (p.get(f"blocks.{n}.ls{i}.gamma", 1.0) for i in (1, 2))
        x = x + ls1 * _attention(_layer_norm(x, p, f"blocks.{n}.norm1"), p, f"blocks.{n}.attn", arch.heads)
        hidden = _linear(_layer_norm(x, p, f"blocks.{n}.norm2"), p, f"blocks.{n}.mlp.fc1")
        x = x + ls2 * _linear(_gelu(hidden), p, f"blocks.{n}.mlp.fc2")
    return _linear(_layer_norm(x, p, "norm")[0], p, "head")


def _random_arrays(arch: Architecture) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(5)
    return {
        name: generator.normal(0, 0.3, shape).astype(np.float32)
        for name, shape in parameter_shapes(arch).items()
    }


@pytest.mark.parametrize("arch", [DEIT, DEIT3], ids=["deit", "deit3"])
def test_the_float_model_is_the_vision_transformer_of_the_papers(arch: Architecture) -> None:
    arrays = _random_arrays(arch)
    model = DeiT(arch, SCHEMES["fp32"])
    load_arrays(model, arrays, ternary=False)
    images = np.random.default_rng(2).normal(0, 1, (2, 3, 16, 16)).astype(np.float32)
    doubles = {name: array.astype(np.float64) for name, array in arrays.items()}
    expected = [_forward_in_numpy(doubles, image, arch) for image in images]
    np.testing.assert_allclose(
        logits(model, torch.from_numpy(images)).numpy(), expected, rtol=1e-3, atol=1e-4
    )


def _ternary_arrays(model: DeiT) -> dict[str, np.ndarray]:
    arrays = arrays_of(model)
    for layer_name, layer in ternary_layers(model):
        for name, rule in layer.ternary_parameters():
            arrays[f"{layer_name}.{name}"] = layer.quantised(name, rule).detach().numpy().copy()
    return arrays


@pytest.mark.parametrize("arch", [DEIT, DEIT3], ids=["deit", "deit3"])
def test_fixed_ternary_weights_give_the_latent_model_s_logits(arch: Architecture) -> None:
    latent = build_student(arch, SCHEMES["ftervit-s8"], seed=4)
    fixed = DeiT(arch, SCHEMES["ftervit-s8"])
    load_arrays(fixed, _ternary_arrays(latent), ternary=True)
    images = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    assert torch.equal(logits(latent, images), logits(fixed, images))


def test_every_weight_and_every_normalisation_parameter_is_ternary() -> None:
    names = ternary_parameter_rules(DeiT(DEIT3, SCHEMES["ftervit"]))
    expected = {
        name
        for name in parameter_shapes(DEIT3)
        if "norm" in name or (name.endswith(".weight") and ".ls" not in name)
    }
    assert names.keys() == expected
    assert names["patch_embed.proj.weight"] == Weights("channel", "absmean")
    assert {rule for name, rule in names.items() if "patch" not in name} == {Weights("tensor", "absmean")}


def test_attention_rows_are_rounded_where_the_scheme_says_so() -> None:
    arrays = arrays_of(build_student(DEIT, SCHEMES["ftervit"], seed=4))
    images = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    outputs = []
    for scheme in ("ftervit", "ftervit-s8"):
        model = DeiT(DEIT, SCHEMES[scheme])
        load_arrays(model, arrays, ternary=False)
        outputs.append(logits(model, images))
    assert not torch.equal(*outputs)
    torch.testing.assert_close(*outputs, rtol=0.2, atol=0.2)


def test_all_patches_kept_is_the_same_as_no_choice() -> None:
    model = build_student(DEIT, SCHEMES["fp32"])
    images = torch.randn(2, 3, 16, 16)
    everything = torch.arange(DEIT.patches).expand(2, -1)
    torch.testing.assert_close(model(images, everything), model(images))


def test_each_weight_is_quantised_once_while_held(monkeypatch: pytest.MonkeyPatch) -> None:
    from ftervit_deploy.train import layers

    calls: list[Weights] = []
    quantise = layers.fake_quantise_weight
    monkeypatch.setattr(layers, "fake_quantise_weight", lambda w, r: calls.append(r) or quantise(w, r))
    student = build_student(DEIT, SCHEMES["ftervit"])
    images = torch.randn(2, 3, 16, 16)
    with torch.no_grad(), quantised_once(student):
        student(images)
        student(images)
    assert len(calls) == len(ternary_parameter_rules(student))
    with torch.no_grad():
        student.head.weight.zero_()
        assert student(images).abs().sum() == student(images).abs().sum()
        assert torch.equal(student(images)[0], student.head.bias)


def test_every_parameter_of_a_student_learns() -> None:
    student = build_student(DEIT3, SCHEMES["ftervit-s8"])
    student(torch.randn(2, 3, 16, 16)).square().sum().backward()
    assert [name for name, p in student.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_zero_fraction_counts_ternary_zeros() -> None:
    student = build_student(DEIT, SCHEMES["ftervit"])
    arrays = _ternary_arrays(student)
    names = ternary_parameter_rules(student)
    zeros = sum(int((arrays[name] == 0).sum()) for name in names)
    assert zero_fraction(student) == pytest.approx(zeros / sum(arrays[name].size for name in names))
    assert zero_fraction(DeiT(DEIT, SCHEMES["fp32"])) == 0


def test_defective_arrays_are_refused_by_name() -> None:
    model = DeiT(DEIT, SCHEMES["ftervit"])
    arrays = _random_arrays(DEIT)
    lacking = {name: array for name, array in arrays.items() if name != "norm.bias"}
    spoiled = {**arrays, "head.bias": np.full(5, np.nan, np.float32)}
    for wrong, sentence in (
        (lacking, "lacks tensor norm.bias"),
        ({**arrays, "dist_token": np.zeros(3, np.float32)}, "unexpected tensor dist_token"),
        ({**arrays, "head.bias": np.zeros(4, np.float32)}, r"head.bias has shape \[4\]"),
        (spoiled, "head.bias holds values that are not finite"),
    ):
        with pytest.raises(CheckpointError, match=sentence):
            load_arrays(model, wrong, ternary=False)


def test_a_seed_decides_the_fresh_weights() -> None:
    first, again, other = (arrays_of(build_student(DEIT, SCHEMES["fp32"], seed)) for seed in (1, 1, 2))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["head.weight"], other["head.weight"])
