"""The packed layout, bit by bit."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason='install PyTorch: pip install "ftervit[train]"')

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from ftervit_deploy.architecture import PRESETS, Architecture  # noqa: E402
from ftervit_deploy.schemes import SCHEMES  # noqa: E402
from ftervit_deploy.ternary import pack_rows  # noqa: E402
from ftervit_deploy.train.export import packed_arrays  # noqa: E402
from ftervit_deploy.train.initialise import build_student  # noqa: E402
from ftervit_deploy.train.model import ternary_layers, ternary_parameter_rules  # noqa: E402

ARCH = Architecture(16, 4, 18, 1, 2, 30, 5)


def test_four_rows_share_a_byte_lowest_bits_first() -> None:
    codes = np.array([[-1], [0], [1], [1], [1]], np.int8)
    assert pack_rows(codes).tolist() == [[0b10_10_01_00], [0b01_01_01_10]]


@given(st.integers(1, 9), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_packing_loses_nothing(count: int, inputs: int, seed: int) -> None:
    codes = np.random.default_rng(seed).integers(-1, 2, (count, inputs)).astype(np.int8)
    packed = pack_rows(codes)
    parts = np.stack([packed >> shift & 3 for shift in (0, 2, 4, 6)], axis=1).reshape(-1, inputs)
    assert packed.dtype == np.uint8
    assert (parts[:count].astype(int) - 1 == codes).all()
    assert (parts[count:] == 1).all()


@pytest.mark.parametrize("scheme", ["ftervit", "ftervit-absmax"])
def test_every_ternary_tensor_is_packed_with_its_scale_and_others_are_float(scheme: str) -> None:
    student = build_student(ARCH, SCHEMES[scheme], seed=2)
    arrays = packed_arrays(student)
    names = ternary_parameter_rules(student)
    assert arrays["patch_embed.proj.weight_scale"].shape == (18,)
    assert arrays["patch_embed.proj.weight"].shape == (5, 48)
    assert arrays["norm.bias"].shape == (5, 1)
    assert arrays["head.bias"].dtype == np.float32
    assert arrays.keys() == {name for name, _ in student.named_parameters()} | {f"{n}_scale" for n in names}
    for layer_name, layer in ternary_layers(student):
        for name, rule in layer.ternary_parameters():
            full = f"{layer_name}.{name}"
            values = layer.quantised(name, rule).detach().numpy()
            rows = values.reshape(len(values), -1)
            stored = np.stack([arrays[full] >> shift & 3 for shift in (0, 2, 4, 6)], axis=1)
            codes = stored.reshape(-1, rows.shape[1])[: len(values)].astype(np.float32) - 1
            np.testing.assert_array_equal(codes * arrays[f"{full}_scale"].reshape(-1, 1), rows)


def test_a_packed_microcontroller_model_is_a_few_hundred_kilobytes() -> None:
    arrays = packed_arrays(build_student(PRESETS["mcu_micro_64"], SCHEMES["ftervit-s8"]))
    assert sum(array.nbytes for array in arrays.values()) < 250_000
