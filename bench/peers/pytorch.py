"""PyTorch on the CPU: eager and compiled, float32 and bfloat16; INT8 by the old tools and the new."""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("TORCHINDUCTOR_FREEZING", "1")

import torch
from torch import Tensor, nn

from ..serve import Candidate, Run
from . import files
from .model import random_deit

Classifier = Callable[[Tensor], Tensor]
MakeClassifier = Callable[[Tensor], Classifier]
"""From an example of its input."""


class PyTorch:
    """`variants` are classifiers, made for a batch size."""

    def __init__(
        self,
        model: str,
        threads: int,
        folder: Path,
        variants: Sequence[tuple[str, MakeClassifier]],
        dtype: torch.dtype = torch.float32,
    ) -> None:
        warnings.simplefilter("ignore")
        torch.set_num_threads(threads)
        torch.set_flush_denormal(True)
        self._model, self._folder, self._variants, self._dtype = model, folder, variants, dtype
        self.versions = {"torch": torch.__version__}

    def candidates(self, batch: int) -> Iterator[Candidate]:
        """One for each variant."""
        for name, make in self._variants:
            yield Candidate(name, "", partial(self._run, make, batch))

    def agreement(self, logits: Tensor) -> float:
        """See bench.serve."""
        return files.correlation(logits.float().numpy(), files.reference_logits(self._model, self._folder))

    def _run(self, make: MakeClassifier, batch: int) -> Run:
        torch._dynamo.reset()
        pixels = torch.from_numpy(files.images(batch)).to(self._dtype)
        classify = make(pixels)

        def run() -> Any:
            with torch.inference_mode():
                return classify(pixels)

        return run


def float32(model: str, threads: int, folder: Path) -> PyTorch:
    """Eager and compiled."""
    return PyTorch(model, threads, folder, _eager_and_compiled(random_deit(model)))


def bfloat16(model: str, threads: int, folder: Path) -> PyTorch:
    """Weights and activations in bfloat16, eager and compiled."""
    variants = _eager_and_compiled(random_deit(model).bfloat16())
    return PyTorch(model, threads, folder, variants, torch.bfloat16)


def int8(model: str, threads: int, folder: Path) -> PyTorch:
    """Dynamic quantisation of the linear layers, eager; static and dynamic for Inductor, compiled."""
    network = random_deit(model)
    variants: list[tuple[str, MakeClassifier]] = [
        ("eager, dynamic", lambda _: _dynamic(network)),
        ("compiled, static", lambda pixels: _for_inductor(network, pixels, is_dynamic=False)),
        ("compiled, dynamic", lambda pixels: _for_inductor(network, pixels, is_dynamic=True)),
    ]
    found = PyTorch(model, threads, folder, variants)
    found.versions["torchao"] = _torchao_version()
    return found


def _eager_and_compiled(network: nn.Module) -> list[tuple[str, MakeClassifier]]:
    return [
        ("eager", lambda _: network),
        ("compiled", lambda _: torch.compile(network)),
        ("compiled, tuned", lambda _: torch.compile(network, mode="max-autotune")),
    ]


def _dynamic(network: nn.Module) -> Classifier:
    from torch.ao.quantization import quantize_dynamic

    torch.backends.quantized.engine = "onednn"
    return quantize_dynamic(copy.deepcopy(network), {nn.Linear}, dtype=torch.qint8)


def _for_inductor(network: nn.Module, pixels: Tensor, is_dynamic: bool) -> Classifier:
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
    from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86

    quantizer = x86.X86InductorQuantizer()
    quantizer.set_global(x86.get_default_x86_inductor_quantization_config(is_dynamic=is_dynamic))
    prepared = prepare_pt2e(torch.export.export(network, (pixels,)).module(), quantizer)
    with torch.no_grad():
        for image in files.calibration_images():
            prepared(torch.from_numpy(image).expand_as(pixels))
    return torch.compile(convert_pt2e(prepared))


def _torchao_version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("torchao")
    except PackageNotFoundError:
        return "missing"
