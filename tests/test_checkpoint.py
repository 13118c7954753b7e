"""What can be read, what it is taken for, and the sentence for what cannot."""

from __future__ import annotations

import hashlib
import json
import os
from collections import OrderedDict
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoint_files import (
    LABELS,
    TINY,
    TINY3,
    metadata,
    save_packed,
    save_pth,
    save_tiny,
    tensors,
    tiny_graph,
)
from safetensors.numpy import save_file

from ftervit_deploy.architecture import PRESETS, Architecture, Preprocessing
from ftervit_deploy.checkpoint import Checkpoint, read_checkpoint
from ftervit_deploy.errors import CheckpointError, ConfigError
from ftervit_deploy.graph import build_graph, dequantised
from ftervit_deploy.models import DEFAULT_MODEL, MODELS
from ftervit_deploy.ternary import Floats
from synthetic import random_checkpoint_arrays

torch = pytest.importorskip("torch", reason="pip install 'ftervit[train]'")

ARRAYS = random_checkpoint_arrays(TINY, 3)


def _assert_holds(checkpoint: Checkpoint, arrays: dict[str, Floats]) -> None:
    assert set(checkpoint.arrays) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(checkpoint.arrays[name], array, err_msg=name)
        assert checkpoint.arrays[name].dtype == np.float32


def _read(path: Path, heads: int | None = 2) -> Checkpoint:
    return read_checkpoint(str(path), heads=heads)


WRAPPINGS: dict[str, Any] = {
    "bare": lambda sd: sd,
    "ordered": OrderedDict,
    "model": lambda sd: {"model": sd, "epoch": 3, "best": 0.5},
    "state_dict": lambda sd: {"state_dict": sd, "arch": "deit"},
    "model_state_dict": lambda sd: {"model_state_dict": sd, "loss": torch.tensor(1.0)},
    "nested": lambda sd: {"model": {"state_dict": sd}},
    "name beside weights": lambda sd: {"model": "deit_tiny", "state_dict": sd},
    "ema alone": lambda sd: {"model_ema": sd},
    "model before ema": lambda sd: {
        "ema": {k: v + 1 for k, v in sd.items()},
        "model": sd,
        "optimizer": {"state": {0: {"step": torch.tensor(2.0), "exp_avg": torch.ones(3)}}},
    },
    "module.": lambda sd: {f"module.{k}": v for k, v in sd.items()},
    "stacked prefixes": lambda sd: {f"_orig_mod.module.model.{k}": v for k, v in sd.items()},
    "student beside teacher": lambda sd: {
        **{f"student.{k}": v for k, v in sd.items()},
        **{f"teacher.{k}": v * 2 for k, v in sd.items()},
    },
    "parameters": lambda sd: {k: torch.nn.Parameter(v) for k, v in sd.items()},
    "numpy scalars": lambda sd: {"model": sd, "best": np.float64(0.5)},
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_wrappers_and_prefixes_come_off(tmp_path: Path, wrapping: str) -> None:
    path = save_pth(tmp_path / "w.pth", WRAPPINGS[wrapping](tensors(ARRAYS)))
    _assert_holds(_read(path), ARRAYS)


def test_a_namespace_beside_the_weights_is_data(tmp_path: Path) -> None:
    import argparse

    arguments = argparse.Namespace(heads=4, lr=1e-3, tags=["a"])
    path = save_pth(tmp_path / "w.pth", {"model": tensors(ARRAYS), "args": arguments})
    assert _read(path, heads=None).architecture.heads == 4


def test_old_layer_scale_names_are_understood(tmp_path: Path) -> None:
    arrays = random_checkpoint_arrays(TINY3)
    old = {k.replace("ls1.gamma", "gamma_1").replace("ls2.gamma", "gamma_2"): v for k, v in arrays.items()}
    assert "blocks.0.gamma_1" in old
    found = _read(save_pth(tmp_path / "w.pth", tensors(old)))
    _assert_holds(found, arrays)
    assert found.architecture == TINY3


@pytest.mark.parametrize(
    "architecture",
    [
        TINY,
        TINY3,
        replace(TINY, layer_scale=True),
        Architecture(24, 12, 12, 1, 3, 20, 7),
        Architecture(8, 8, 4, 1, 1, 4, 1, layer_scale=True, position_on_class_token=False),
        PRESETS["mcu_nano_64"],
    ],
    ids=str,
)
def test_architectures_are_recognised(tmp_path: Path, architecture: Architecture) -> None:
    save_file(random_checkpoint_arrays(architecture), tmp_path / "m.safetensors")
    assert _read(tmp_path / "m.safetensors", architecture.heads).architecture == architecture


def test_heads_come_from_the_flag_the_file_or_64_channels_each(tmp_path: Path) -> None:
    path = save_tiny(tmp_path / "m.safetensors")
    with pytest.raises(CheckpointError, match=r"how many attention heads its 8 channels have.*--heads"):
        read_checkpoint(str(path))
    with pytest.raises(CheckpointError, match="3 heads do not divide 8 channels"):
        read_checkpoint(str(path), heads=3)
    wide = Architecture(8, 8, 128, 1, 2, 8, 2)
    save_file(random_checkpoint_arrays(wide), tmp_path / "wide.safetensors")
    assert _read(tmp_path / "wide.safetensors", None).architecture.heads == 2
    stated = save_pth(tmp_path / "m.pth", {"model": tensors(ARRAYS), "num_heads": 4})
    assert _read(stated, None).architecture.heads == 4
    assert _read(stated, 2).architecture.heads == 2


@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16"])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_other_precisions_are_widened(tmp_path: Path, dtype: str, suffix: str) -> None:
    from safetensors.torch import save_file as save_torch_file

    stored = {name: tensor.to(getattr(torch, dtype)) for name, tensor in tensors(ARRAYS).items()}
    path = tmp_path / f"m{suffix}"
    if suffix == ".pth":
        torch.save(stored, path)
    else:
        save_torch_file(stored, path)
    _assert_holds(_read(path), {name: tensor.float().numpy() for name, tensor in stored.items()})


def test_our_metadata_count(tmp_path: Path) -> None:
    stated = metadata(TINY, **{"ftervit.format": "latent-1"})
    save_file(ARRAYS, tmp_path / "m.safetensors", stated)
    found = read_checkpoint(str(tmp_path / "m.safetensors"))
    assert found.architecture == TINY
    assert found.labels == LABELS
    assert found.preprocessing.crop_fraction == 0.875
    assert found.scheme == "ftervit-s8"
    assert not found.ternary


def test_where_it_came_from_is_recorded(tmp_path: Path) -> None:
    path = save_tiny(tmp_path / "m.safetensors")
    provenance = _read(path).provenance
    assert provenance.source == "m.safetensors"
    assert provenance.file == "m.safetensors"
    assert provenance.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert provenance.repo == provenance.revision == ""


def test_ternary_floats_and_packed_weights_give_the_same_graph(tmp_path: Path) -> None:
    graph = tiny_graph()
    save_file(dequantised(graph), tmp_path / "floats.safetensors", metadata(TINY))
    save_packed(tmp_path / "packed.safetensors")
    floats, packed = (read_checkpoint(str(tmp_path / f"{n}.safetensors")) for n in ("floats", "packed"))
    assert floats.ternary
    assert packed.ternary
    expected = dequantised(graph)
    for found in (floats, packed):
        again = dequantised(build_graph(found))
        for name, array in expected.items():
            np.testing.assert_array_equal(again[name], array, err_msg=name)
            np.testing.assert_array_equal(found.dense()[name], array, err_msg=name)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"head.weight": np.full((1, 8), 0xFF, np.uint8)}, "head.weight: .*none of -1, 0, 1"),
        ({"head.weight": np.zeros((1, 8), np.uint8)}, "head.weight: .*only pad"),
        ({"head.weight": np.zeros((2, 8), np.uint8)}, r"shape \(2, 8\); \(1, 8\) is needed"),
        ({"head.weight": np.zeros((1, 8), np.int8)}, "stored as U8"),
        ({"head.weight_scale": None}, "'head.weight' has no scale"),
        ({"head.weight_scale": np.ones(2, np.float32)}, "'head.weight' has no scale"),
        ({"head.weight_scale": np.array([np.nan], np.float32)}, "not positive and finite"),
        ({"head.weight_scale": np.array([0], np.float32)}, "not positive and finite"),
        ({"head.weight": None}, "lacks the tensor 'head.weight'"),
        ({"spare_scale": np.ones(1, np.float32)}, "has the tensor 'spare_scale'"),
    ],
)
def test_wrong_packed_tensors_are_named(tmp_path: Path, change: dict[str, Any], what: str) -> None:
    path = save_packed(tmp_path / "m.safetensors", **change)
    with pytest.raises(CheckpointError, match=what):
        read_checkpoint(str(path))


def _preprocessing(**changes: Any) -> str:
    return json.dumps({**asdict(Preprocessing()), **changes})


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"ftervit.format": "packed-ternary-9"}, "format 'packed-ternary-9'.*Update"),
        ({"ftervit.architecture": "{"}, "'ftervit.architecture' are not"),
        ({"ftervit.architecture": "[" * 100_000}, "'ftervit.architecture' are not"),
        ({"ftervit.architecture": '{"width": 8}'}, "'ftervit.architecture' are not"),
        ({"ftervit.architecture": '{"heads": true}'}, "'ftervit.architecture' are not"),
        ({"ftervit.architecture": json.dumps({**asdict(TINY), "depth": 10**8})}, "blocks; the engine"),
        ({"ftervit.architecture": json.dumps({**asdict(TINY), "classes": 4})}, r"shape \(3,\); \(4,\) is"),
        ({"ftervit.labels": '["a", "b"]'}, "2 labels for 3 classes"),
        ({"ftervit.labels": '["a", "b", 3]'}, "'ftervit.labels' are not"),
        ({"ftervit.labels": '["a", "b", "\\n"]'}, r"'\\n' has a character that does not print, U\+000A.*Ren"),
        ({"ftervit.labels": json.dumps(["a", "b", 201 * "x"])}, "'x{60}…' is longer than 200 char.*Rename"),
        ({"ftervit.labels": '["a", "b", ""]'}, "an empty name.*Rename"),
        ({"ftervit.preprocessing": "{}"}, "'ftervit.preprocessing' are not"),
        ({"ftervit.preprocessing": _preprocessing(std=[0, 1, 1])}, "'ftervit.preprocessing' are not"),
        ({"ftervit.preprocessing": _preprocessing(mean=[0, "x", 1])}, "'ftervit.preprocessing' are not"),
        ({"ftervit.preprocessing": _preprocessing(crop_fraction=1.5)}, "'ftervit.preprocessing' are not"),
        ({"ftervit.preprocessing": _preprocessing(crop_fraction=0.001)}, "is 0.001, and not 0.25 to 1"),
        ({"ftervit.preprocessing": _preprocessing(crop_fraction=1e-9)}, "is 1e-09, and not 0.25 to 1"),
        ({"ftervit.preprocessing": _preprocessing(interpolation="box")}, "'ftervit.preprocessing' are not"),
    ],
)  # fmt: skip
def test_wrong_metadata_are_named(tmp_path: Path, change: dict[str, str], what: str) -> None:
    path = save_packed(tmp_path / "m.safetensors", change)
    with pytest.raises(CheckpointError, match=what):
        read_checkpoint(str(path))


def test_an_unknown_scheme_is_named(tmp_path: Path) -> None:
    path = save_packed(tmp_path / "m.safetensors", {"ftervit.scheme": "mine"})
    with pytest.raises(ConfigError, match="no scheme 'mine'"):
        read_checkpoint(str(path))


def _poisoned(value: float) -> Floats:
    array = ARRAYS["norm.weight"].copy()
    array[3] = value
    return array


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"norm.bias": None}, "lacks the tensor 'norm.bias'"),
        ({"norm.weight": None, "head.bias": None}, "lacks the tensors 'norm.weight', 'head.bias'"),
        ({"extra.weight": np.ones(3, np.float32)}, "has the tensor 'extra.weight', which"),
        ({"norm.weight": np.ones(9, np.float32)}, r"'norm.weight' has shape \(9,\); \(8,\) is needed"),
        ({"head.bias": np.ones((3, 1), np.float32)}, r"'head.bias' has shape \(3, 1\); \(3,\)"),
        ({"norm.weight": _poisoned(np.nan)}, "'norm.weight' holds values that are not finite"),
        ({"norm.weight": _poisoned(-np.inf)}, "'norm.weight' holds values that are not finite"),
        ({"norm.weight": np.full(8, 1e300)}, "'norm.weight' holds values that are not finite"),
        ({"dist_token": np.ones((1, 1, 8), np.float32)}, "distilled DeiT.*not supported"),
        ({"head_dist.weight": np.ones((3, 8), np.float32)}, "distilled DeiT.*not supported"),
        ({"pos_embed": np.ones((1, 7, 8), np.float32)}, "7 rows, which no square image gives"),
        ({"patch_embed.proj.weight": np.ones((8, 1, 8, 8), np.float32)}, "RGB and square"),
        ({"patch_embed.proj.weight": np.ones((8, 192), np.float32)}, "4 axes are needed"),
        ({"cls_token": None, "pos_embed": None}, "no tensor 'pos_embed', so it is no deit"),
        ({"blocks.99999.norm1.weight": np.ones(8, np.float32)}, "names a block 99999"),
        ({"blocks.x.norm1.weight": np.ones(8, np.float32)}, "has the tensor 'blocks.x.norm1.weight'"),
        ({"model.norm.weight": np.ones(8, np.float32)}, "holds the tensor 'norm.weight' twice"),
        ({"norm.weight": np.ones(8, np.complex64)}, "complex|C64"),
    ],
)  # fmt: skip
def test_wrong_tensors_are_named(tmp_path: Path, change: dict[str, Any], what: str) -> None:
    path = save_tiny(tmp_path / "m.safetensors", **change)
    with pytest.raises(CheckpointError, match=what) as caught:
        _read(path)
    assert str(caught.value).startswith("m.safetensors: ")


def test_a_missing_qkv_bias_is_forgiven(tmp_path: Path) -> None:
    gone = {f"blocks.{index}.attn.qkv.bias": None for index in range(2)}
    assert "blocks.0.attn.qkv.bias" not in _read(save_tiny(tmp_path / "m.safetensors", **gone)).arrays


@pytest.mark.parametrize(
    ("architecture", "what"),
    [
        (Architecture(8, 8, 264, 1, 1, 8, 2), "264 channels per head; the engine runs at most 256"),
        (Architecture(8, 8, 2056, 1, 257, 8, 2), "2056 channels per token"),
        (Architecture(8, 8, 8, 1, 1, 4129, 2), "4129 hidden channels"),
        (Architecture(40, 40, 8, 1, 1, 8, 2), "4800 values per patch"),
        (Architecture(46, 1, 8, 1, 1, 8, 2), "2117 tokens"),
    ],
    ids=["head", "width", "hidden", "patch", "tokens"],
)
def test_what_the_engine_cannot_run_is_refused(tmp_path: Path, architecture: Architecture, what: str) -> None:
    save_file(random_checkpoint_arrays(architecture), tmp_path / "m.safetensors")
    with pytest.raises(CheckpointError, match=what):
        _read(tmp_path / "m.safetensors", architecture.heads)


@pytest.mark.parametrize("contents", [{}, [1, 2], 7, None, {"model": {}}, {"epoch": 3}, {1: 2}], ids=str)
def test_a_file_without_weights_is_refused(tmp_path: Path, contents: Any) -> None:
    with pytest.raises(CheckpointError, match="holds no model weights"):
        _read(save_pth(tmp_path / "w.pth", contents))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"hello, world" * 9, b"\x80\x02\x8a\x0a", bytes(64)])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"w\.pth: The (file|checkpoint)"):
        _read(tmp_path / "w.pth")


def test_labels_default_to_what_the_data_set_is_known_for(tmp_path: Path) -> None:
    def labels(classes: int, name: str) -> tuple[str, ...]:
        path = tmp_path / name
        save_file(random_checkpoint_arrays(TINY.with_classes(classes)), path)
        return _read(path).labels

    imagenet = labels(1000, "m.safetensors")
    assert (imagenet[0], imagenet[999], len(set(imagenet))) == ("tench", "toilet paper", 1000)
    assert labels(10, "cifar10.safetensors")[3] == "cat"
    cifar100 = labels(100, "CIFAR100.safetensors")
    assert (cifar100[1], cifar100[99]) == ("aquarium fish", "worm")
    assert labels(10, "m10.safetensors")[3] == "3"
    named = save_pth(tmp_path / "n.pth", {"model": tensors(ARRAYS), "class_names": list(LABELS)})
    assert _read(named).labels == LABELS
    unfit = save_pth(tmp_path / "u.pth", {"model": tensors(ARRAYS), "classes": ["a", "b"]})
    assert _read(unfit).labels == ("0", "1", "2")


def test_preprocessing_defaults_are_timm_s(tmp_path: Path) -> None:
    def crop(architecture: Architecture) -> float:
        save_file(random_checkpoint_arrays(architecture), tmp_path / "m.safetensors")
        return _read(tmp_path / "m.safetensors").preprocessing.crop_fraction

    assert crop(TINY) == 0.9
    assert crop(TINY3) == 0.9
    assert crop(replace(TINY3, image_size=384, patch_size=32)) == 1.0


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("./nowhere.pth", "There is no file ./nowhere.pth"),
        ("runs/nowhere.safetensors", "There is no file runs/nowhere.safetensors"),
        ("/nowhere/model", "There is no file /nowhere/model"),
        ("a/b/c", "There is no file a/b/c"),
        ("sings", "no model called 'sings'. Did you mean 'signs'"),
        ("", "no model called ''"),
        ("nul\0byte", "no model called"),
    ],
)
def test_a_source_that_names_nothing_gets_a_sentence(source: str, what: str) -> None:
    with pytest.raises(CheckpointError, match=what):
        read_checkpoint(source)


def test_a_folder_is_told_from_its_files(tmp_path: Path) -> None:
    save_tiny(tmp_path / "m.safetensors")
    with pytest.raises(CheckpointError, match=r"is a folder.*m\.safetensors"):
        _read(tmp_path)


def test_a_local_file_comes_before_an_alias(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_tiny(tmp_path / DEFAULT_MODEL)
    monkeypatch.chdir(tmp_path)
    assert read_checkpoint(DEFAULT_MODEL, heads=2).provenance.repo == ""


@pytest.mark.skipif(os.name != "posix", reason="hardware: needs a POSIX system")
def test_an_unreadable_file_gets_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_tiny(tmp_path / "m.safetensors")

    def refuse(*_args: object, **_options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(CheckpointError, match=r"m\.safetensors cannot be read: Permission denied"):
        _read(path)
    os.mkfifo(tmp_path / "pipe.pth")
    with pytest.raises(CheckpointError, match="is not a regular file"):
        _read(tmp_path / "pipe.pth")


def test_aliases_point_at_presets_and_sources() -> None:
    assert next(iter(MODELS)) == DEFAULT_MODEL
    for alias, model in MODELS.items():
        assert model.alias == alias
        assert model.architecture in PRESETS
        assert bool(model.source) != bool(model.bundled)
    best = MODELS[DEFAULT_MODEL]
    assert best.source == "szymonrucinski/FTerViT:imagenet1k/phase2_ep010_acc79.64_deit3_small_224.pth"
    assert best.published_accuracy == 0.7964
    assert not best.inferred
