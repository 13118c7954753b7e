"""ONNX Runtime on the CPU: float32, and INT8 by its own tools, dynamic and static."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import onnxruntime

from ..serve import Candidate, Run
from . import files
from .model import SHAPES

OPSET, ATTENTION_OPSET = 20, 23

MakeFile = Callable[[], Path]


class OnnxRuntime:
    """Sessions of `variants`, named files that are made when they are first asked for."""

    def __init__(self, model: str, threads: int, folder: Path, variants: Sequence[tuple[str, MakeFile]]):
        logging.disable(logging.WARNING)
        onnxruntime.set_default_logger_severity(3)
        self._model, self._threads, self._folder, self._variants = model, threads, folder, variants
        self.versions = {"onnxruntime": onnxruntime.__version__}

    def candidates(self, batch: int) -> Iterator[Candidate]:
        """One session for each variant."""
        for name, make in self._variants:
            yield Candidate(name, "", partial(self._session, make, batch))

    def agreement(self, logits: Any) -> float:
        """See bench.serve."""
        return files.correlation(logits, files.reference_logits(self._model, self._folder))

    def _session(self, make: MakeFile, batch: int) -> Run:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.intra_op_num_threads, options.inter_op_num_threads = self._threads, 1
        options.add_free_dimension_override_by_name("batch", batch)
        options.add_session_config_entry("session.intra_op.allow_spinning", "1")
        options.add_session_config_entry("session.set_denormal_as_zero", "1")
        session = onnxruntime.InferenceSession(make(), options, providers=["CPUExecutionProvider"])
        feed = {"images": files.images(batch)}
        return lambda: session.run(None, feed)[0]


def float32(model: str, threads: int, folder: Path) -> OnnxRuntime:
    """As exported, and after the transformer optimiser."""
    exported = [
        (f"opset {opset}", partial(files.onnx_file, model, folder, opset))
        for opset in (OPSET, ATTENTION_OPSET)
    ]
    return OnnxRuntime(model, threads, folder, [*exported, ("optimised", partial(_optimised, model, folder))])


def dynamic(model: str, threads: int, folder: Path) -> OnnxRuntime:
    """Weights signed or unsigned, a scale for each tensor or channel; with and without the optimiser."""
    variants = [
        (
            _label(weights, ("per channel", per_channel), ("optimised", optimised)),
            partial(_dynamic, model, folder, weights, per_channel, optimised),
        )
        for optimised in (False, True)
        for weights in ("QInt8", "QUInt8")
        for per_channel in (False, True)
    ]
    return OnnxRuntime(model, threads, folder, variants)


def static(model: str, threads: int, folder: Path) -> OnnxRuntime:
    """QDQ, weights QInt8 per channel; activations signed or unsigned; every operator or products alone."""
    variants = [
        (
            _label(activations, ("products alone", products)),
            partial(_static, model, folder, activations, products),
        )
        for products in (False, True)
        for activations in ("QInt8", "QUInt8")
    ]
    return OnnxRuntime(model, threads, folder, variants)


def _label(integers: str, *traits: tuple[str, bool]) -> str:
    return ", ".join([integers, *(name for name, present in traits if present)])


def _source(model: str, folder: Path, optimised: bool) -> Path:
    return _optimised(model, folder) if optimised else files.onnx_file(model, folder, OPSET)


def _optimised(model: str, folder: Path) -> Path:
    def make(path: Path) -> None:
        from onnxruntime.transformers import optimizer

        shape, source = SHAPES[model], files.onnx_file(model, folder, OPSET)
        optimizer.optimize_model(
            str(source), "vit", num_heads=shape.heads, hidden_size=shape.width, opt_level=0
        ).save_model_to_file(str(path))

    return files.made(folder / f"{model}.optimised.onnx", make)


def _dynamic(model: str, folder: Path, weights: str, per_channel: bool, optimised: bool) -> Path:
    def make(path: Path) -> None:
        from onnxruntime.quantization import QuantType, quantize_dynamic

        source = _source(model, folder, optimised)
        quantize_dynamic(source, path, per_channel=per_channel, weight_type=QuantType[weights])

    return files.made(folder / f"{model}.dynamic.{weights}.{per_channel:d}{optimised:d}.onnx", make)


def _static(model: str, folder: Path, activations: str, products: bool) -> Path:
    def make(path: Path) -> None:
        from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

        quantize_static(
            files.onnx_file(model, folder, OPSET),
            path,
            _calibration(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType[activations],
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["MatMul", "Gemm", "Conv"] if products else None,
            extra_options={"ActivationSymmetric": activations == "QInt8"},
        )

    return files.made(folder / f"{model}.static.{activations}.{products:d}.onnx", make)


def _calibration() -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self._images = files.calibration_images()

        def get_next(self) -> dict[str, files.Floats] | None:
            found = next(self._images, None)
            return None if found is None else {"images": found}

    return Reader()
