"""Every method computes what its paper says, learns, and comes back from its checkpoint the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason='install PyTorch: pip install "ftervit[train]"')

from scheme_statement import METHODS, Forward  # noqa: E402

from ftervit_deploy.architecture import Architecture, Preprocessing  # noqa: E402
from ftervit_deploy.checkpoint import Checkpoint, read_checkpoint  # noqa: E402
from ftervit_deploy.checkpoint.shapes import parameter_shapes, scheme_shapes  # noqa: E402
from ftervit_deploy.errors import CheckpointError  # noqa: E402
from ftervit_deploy.graph import build_graph, dequantised  # noqa: E402
from ftervit_deploy.schemes import SCHEMES, Activations  # noqa: E402
from ftervit_deploy.train.evaluate import student_of  # noqa: E402
from ftervit_deploy.train.initialise import build_student  # noqa: E402
from ftervit_deploy.train.layers import Rounding  # noqa: E402
from ftervit_deploy.train.model import (  # noqa: E402
    DeiT,
    logits,
    quantised_layers,
    start_student,
    zero_fraction,
)
from ftervit_deploy.train.starts import latent_arrays  # noqa: E402
from ftervit_deploy.train.state import Description, arrays_of, write_checkpoint  # noqa: E402

ARCH = Architecture(16, 4, 16, 2, 2, 32, 5)
OTHERS = [name for name in SCHEMES if name != "fp32"]


def _images(count: int = 3) -> Any:
    return torch.randn(count, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def _teacher() -> dict[str, np.ndarray]:
    arrays = arrays_of(build_student(ARCH, SCHEMES["fp32"], seed=4))
    generator = np.random.default_rng(5)
    noise = {name: generator.normal(0, 0.1, a.shape).astype(np.float32) for name, a in arrays.items()}
    return {name: array + noise[name] for name, array in arrays.items()}


def _student(scheme: str) -> DeiT:
    """A student that has taken over the teacher's weights and seen a batch."""
    model = DeiT(ARCH, SCHEMES[scheme])
    start_student(model, _teacher())
    model.train()(_images(8))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("offset", "qkv.norm.weight")):
                parameter += 0.05
    return model


def test_every_scheme_has_a_statement_of_its_own() -> None:
    assert METHODS.keys() == SCHEMES.keys()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_model_of_the_scheme_is_what_the_paper_says(scheme: str) -> None:
    model = _student(scheme)
    parameters = {name: array.astype(np.float64) for name, array in arrays_of(model).items()}
    stated = Forward(METHODS[scheme], parameters, ARCH)
    expected = np.array([stated.logits(image.astype(np.float64)) for image in _images().numpy()])
    found = logits(model, _images()).numpy()
    difference = np.abs(found - expected)
    if scheme.startswith(("fp32", "int8", "tervit", "vit", "ftervit")):
        np.testing.assert_allclose(found, expected, 1e-3, 5e-3)
    assert np.median(difference) < 1e-3, "a code that falls on the other side moves few logits, not most"


@pytest.mark.parametrize("scheme", SCHEMES)
def test_parameters_are_timm_s_and_the_scheme_s(scheme: str) -> None:
    found = {name: tuple(p.shape) for name, p in DeiT(ARCH, SCHEMES[scheme]).named_parameters()}
    assert found == {**parameter_shapes(ARCH), **scheme_shapes(ARCH, SCHEMES[scheme])}


@pytest.mark.parametrize("scheme", OTHERS)
def test_every_parameter_learns(scheme: str) -> None:
    model = _student(scheme)
    model.train()(_images(8)).square().sum().backward()
    idle = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    of_clipped_values = ".offset"  # an offset learns from values beyond the last code, if there are any
    assert [name for name in idle if not name.endswith(of_clipped_values)] == []


@pytest.mark.parametrize("scheme", OTHERS)
def test_a_checkpoint_comes_back_the_same(scheme: str, tmp_path: Path) -> None:
    model, path = _student(scheme), tmp_path / "best.safetensors"
    description = Description(ARCH, tuple("abcde"), Preprocessing(), scheme, "training", 1, 0.5)
    write_checkpoint(path, arrays_of(model), description)
    assert torch.equal(logits(student_of(read_checkpoint(str(path))), _images()), logits(model, _images()))


@pytest.mark.parametrize("scheme", OTHERS)
def test_what_the_engine_cannot_run_is_refused_and_the_rest_is_packed_exactly(
    scheme: str, tmp_path: Path
) -> None:
    model, path = _student(scheme), tmp_path / "best.safetensors"
    description = Description(ARCH, tuple("abcde"), Preprocessing(), scheme, "training", 1, 0.5)
    write_checkpoint(path, arrays_of(model), description)
    checkpoint = read_checkpoint(str(path))
    if SCHEMES[scheme].obstacle():
        with pytest.raises(CheckpointError, match=f"'{scheme}' cannot be packed: it"):
            build_graph(checkpoint)
        return
    graph = build_graph(checkpoint)
    fixed = DeiT(ARCH, SCHEMES[scheme])
    start_student(fixed, dequantised(graph))
    for layer in fixed.modules():
        layer.fixed = True
    assert torch.equal(logits(fixed, _images()), logits(model, _images()))
    assert graph.zero_fraction == pytest.approx(zero_fraction(model))


def test_the_engine_runs_the_fully_ternary_schemes() -> None:
    runs = {name for name, scheme in SCHEMES.items() if not scheme.obstacle()}
    assert runs == {"ftervit", "ftervit-s8", "ftervit-patch-tensor", "ftervit-absmax"}


def test_another_method_s_parameters_are_not_dropped_in_silence(tmp_path: Path) -> None:
    path = tmp_path / "best.safetensors"
    description = Description(ARCH, tuple("abcde"), Preprocessing(), "vit-1.58b", "training", 1, 0.5)
    write_checkpoint(path, arrays_of(_student("vit-1.58b")), description)
    with pytest.raises(CheckpointError, match=r"'vit-1.58b' and has 'blocks.0.attn.proj.norm.bias'"):
        build_graph(read_checkpoint(str(path)), SCHEMES["ftervit"])


def test_a_student_keeps_learned_steps_and_starts_missing_ones() -> None:
    model = _student("q-vit")
    again = DeiT(ARCH, SCHEMES["q-vit"])
    start_student(again, arrays_of(model))
    assert torch.equal(logits(again, _images()), logits(model, _images()))
    weight = again.blocks[0].mlp.fc1.weight
    start_student(again, _teacher())
    expected = 2 * weight.abs().mean(dim=1)
    torch.testing.assert_close(again.blocks[0].mlp.fc1.weight_step.data, expected.data)


def test_activation_steps_start_with_the_first_batch_of_training() -> None:
    rounding = Rounding(Activations(-2, 1, "lsq"))
    values = torch.randn(4, 3, 10)
    assert rounding.eval()(values) is values
    rounding.train()(values)
    assert rounding.step.item() == pytest.approx(2 * values.abs().mean().item(), rel=1e-6)
    rounding(10 * values)
    assert rounding.step.item() == pytest.approx(2 * values.abs().mean().item(), rel=1e-6)


@pytest.mark.slow
def test_several_processes_start_with_one_step(tmp_path: Path) -> None:
    store = f"file://{tmp_path / 'store'}"
    context = torch.multiprocessing.get_context("spawn")
    steps = context.Queue()
    processes = [context.Process(target=_start_in_a_group, args=(rank, store, steps)) for rank in (0, 1)]
    for process in processes:
        process.start()
    found = [steps.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert found == pytest.approx([10 / 3, 10 / 3]), "2 (1 + 2 + 2) / 3, as of all three rows at once"


def _start_in_a_group(rank: int, store: str, steps: Any) -> None:
    torch.distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=2)
    rounding = Rounding(Activations(-2, 1, "lsq")).train()
    rounding(torch.full((1 + rank, 4), float(rank + 1)))
    steps.put(rounding.step.item())
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize("scheme", ["int8", "tervit", "vit-1.58b", "q-vit", "q-vit-a8", "ftervit-norm-fp32"])
def test_other_methods_train_and_recover(scheme: str, run: Callable[..., Any], tmp_path: Path) -> None:
    teacher = run("teacher", epochs=10, augment="light", ema_decay=0.9)
    result = run("training", scheme=scheme, epochs=5, augment="light")
    recovered = run("recovery", scheme=scheme, epochs=1, lr=1e-5, augment="light")
    assert teacher.top1 > 0.9
    assert result.top1 > 0.6
    assert recovered.packed is None
    assert 0 < recovered.zero_fraction < 0.9


@pytest.mark.parametrize("scheme", ["ftervit", "ftervit-s8", "ftervit-patch-tensor", "ftervit-absmax"])
def test_recovery_from_packed_weights_starts_with_their_codes(scheme: str) -> None:
    packed = dequantised(build_graph(_latent(scheme)))
    again = DeiT(ARCH, SCHEMES[scheme])
    start_student(again, latent_arrays(again, packed))
    for name, layer in quantised_layers(again):
        for parameter, rule in layer.quantised_parameters():
            found = layer.quantised(parameter, rule).detach().numpy()
            np.testing.assert_allclose(found, packed[f"{name}.{parameter}"], 1e-5, 1e-7)


def _latent(scheme: str) -> Checkpoint:
    return Checkpoint(arrays_of(_student(scheme)), ARCH, Preprocessing(), tuple("abcde"), scheme)
