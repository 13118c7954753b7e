"""OpenVINO on the CPU: as it comes (bfloat16 where the processor has it), and INT8 through NNCF."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import openvino

from ..serve import Candidate, Run
from . import files

OPSETS = (20, 23)
PRESETS = ("MIXED", "PERFORMANCE")


MakeFile = Callable[[], Path]


class OpenVino:
    """Compiled models of `variants`, named files that are made when they are first asked for."""

    def __init__(self, model: str, threads: int, folder: Path, variants: Sequence[tuple[str, MakeFile]]):
        self._model, self._threads, self._folder, self._variants = model, threads, folder, variants
        self._core = openvino.Core()
        self.versions = {"openvino": openvino.__version__.partition("-")[0]}

    def candidates(self, batch: int) -> Iterator[Candidate]:
        """A batch on all threads at once; or cut into pieces for one stream of each thread."""
        for name, make in self._variants:
            yield Candidate(name, "", partial(self._whole, make, batch))
            for piece in (1, 2, 4, 8):
                if batch >= 2 * piece * self._threads > 2:
                    mode = f"{self._threads} streams of {piece}"
                    yield Candidate(name, mode, partial(self._streams, make, batch, piece))

    def agreement(self, logits: Any) -> float:
        """See bench.serve."""
        return files.correlation(logits, files.reference_logits(self._model, self._folder))

    def _whole(self, make: MakeFile, batch: int) -> Run:
        request = self._compiled(make(), batch, "LATENCY", 1).create_infer_request()
        request.set_input_tensor(openvino.Tensor(files.images(batch)))

        def run() -> Any:
            request.infer()
            return request.get_output_tensor().data

        return run

    def _streams(self, make: MakeFile, batch: int, piece: int) -> Run:
        compiled = self._compiled(make(), piece, "THROUGHPUT", self._threads)
        queue = openvino.AsyncInferQueue(compiled, 2 * self._threads)
        pixels, found = files.images(batch), {}
        queue.set_callback(
            lambda request, start: found.update({start: request.get_output_tensor().data.copy()})
        )

        def run() -> Any:
            for start in range(0, batch, piece):
                queue.start_async({0: pixels[start : start + piece]}, start)
            queue.wait_all()
            return found[0]

        return run

    def _compiled(self, path: Path, batch: int, hint: str, streams: int) -> Any:
        model = self._core.read_model(path)
        model.reshape([batch, *model.input().partial_shape[1:]])
        options = {
            "PERFORMANCE_HINT": hint,
            "INFERENCE_NUM_THREADS": self._threads,
            "NUM_STREAMS": streams,
        }
        return self._core.compile_model(model, "CPU", options)


def default(model: str, threads: int, folder: Path) -> OpenVino:
    """Nothing said about precision."""
    variants = [(f"opset {o}", partial(files.onnx_file, model, folder, o)) for o in OPSETS]
    found = OpenVino(model, threads, folder, variants)
    precision = found._core.get_property("CPU", "INFERENCE_PRECISION_HINT")
    found.versions["precision"] = precision.to_string()
    return found


def int8(model: str, threads: int, folder: Path) -> OpenVino:
    """Post-training quantisation for transformers, both presets, of both exports."""
    import nncf

    variants = [
        (f"{preset.lower()}, opset {opset}", partial(_quantised, model, folder, preset, opset))
        for preset in PRESETS
        for opset in OPSETS
    ]
    found = OpenVino(model, threads, folder, variants)
    found.versions["nncf"] = nncf.__version__
    return found


def _quantised(model: str, folder: Path, preset: str, opset: int) -> Path:
    import nncf

    source = files.onnx_file(model, folder, opset)
    target = folder / f"{model}.nncf.{preset}.{opset}.xml"
    if not target.exists():
        quantised = nncf.quantize(
            openvino.Core().read_model(source),
            nncf.Dataset(list(files.calibration_images())),
            model_type=nncf.ModelType.TRANSFORMER,
            preset=nncf.QuantizationPreset[preset],
            subset_size=files.CALIBRATION_IMAGES,
        )
        openvino.save_model(quantised, target, compress_to_fp16=False)
    return target
