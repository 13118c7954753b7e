"""`python -m bench.chip`: what the ESP32-S3's kernels take, modelled; nothing ran on a chip.

The kernels' own assembly runs in the LX7 model; `ftervit_deploy.estimate` adds memories at published rates.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .measure import PYTHON, command_output
from .table import Group, Row, figure, report

if TYPE_CHECKING:
    from ftervit_deploy.boards import ChipBoard
    from ftervit_deploy.estimate import Estimate
    from ftervit_deploy.plan import KernelCycles

ROOT = Path(__file__).parent.parent
BOARD = "esp32s3-eye"
ENCODING = "t2"
MODEL, ESTIMATE = "LX7 model, operands in SRAM", "ftervit estimate"
FC1_MS = (11.0, 5.5)
"""Aims on one core and on two; published: 804 ms on one."""
MACS_PER_CYCLE = 13.5
IMAGE_S = {"deit3_small_224": 1.1, "deit_tiny_224": 0.33}
SIGNS_PER_S = 30.0


def groups() -> list[Group]:
    """By a process of its own, for NumPy would make this one large."""
    found = json.loads(command_output([PYTHON, "-m", "bench.chip", "--rows"], ROOT))
    return [Group(f"{BOARD}, modelled", [Row(**row) for row in found["rows"]], found["notes"])]


def _as_json() -> dict[str, Any]:
    """The rows; a sentence where this build of the engine cannot model the chip."""
    from ftervit_deploy.errors import EngineError

    try:
        return {"rows": [vars(row) for row in rows()], "notes": []}
    except EngineError as error:
        return {"rows": [], "notes": [f"Not modelled: {error}"]}


def rows() -> Iterator[Row]:
    """Every figure."""
    from ftervit_deploy.architecture import PRESETS
    from ftervit_deploy.boards import chip_board, load_board
    from ftervit_deploy.chip import chip_cycles
    from ftervit_deploy.config import folders_of_boards

    board = chip_board(load_board(BOARD, folders_of_boards()))
    cycles = chip_cycles(board, PRESETS["deit_tiny_224"], ENCODING)
    yield from _fc1(board, cycles)
    yield from _linear(cycles)
    yield from _images(board, cycles)


def _fc1(board: ChipBoard, cycles: KernelCycles) -> Iterator[Row]:
    """The paper's layer, decoded, multiplied and requantised; then as the engine runs it, with GELU."""
    from ftervit_deploy.bench import DEFAULT_CASE, cases_of
    from ftervit_deploy.plan import LayerCall

    (case,) = cases_of([DEFAULT_CASE])
    for cores, aim in enumerate(FC1_MS, 1):
        tiles = -(-case.tiles // cores)
        what = "one core" if cores == 1 else f"{cores} cores"
        for name, output, most in (
            (f"DeiT-Tiny FC1, {what} (published: 804 ms on one)", "store", aim),
            ("  with GELU", "activate", None),
        ):
            call = LayerCall(tiles, case.inputs, case.tokens, output, case.per_channel)  # type: ignore[arg-type]
            seconds = cycles.of(call) / board.chip.clock_hz
            yield figure(name, 1e3 * seconds, "ms", at_most=most, kind="modelled", source=MODEL)


def _linear(cycles: KernelCycles) -> Iterator[Row]:
    """DeiT-S's six matrices with decoding and read-out, blocks counted."""
    from ftervit_deploy.bench import cases_of
    from ftervit_deploy.plan import LayerCall

    macs, plain, activated = 0, 0.0, 0.0
    for case in cases_of(["deit_small_224"]):
        times = 1 if case.layer in ("patch", "head") else case.architecture.depth
        shape = (case.tiles, case.inputs, case.tokens)
        output = "store" if case.output == "activate" else case.output
        macs += times * case.macs
        plain += times * cycles.of(LayerCall(*shape, output, case.per_channel))
        activated += times * cycles.of(LayerCall(*shape, case.output, case.per_channel))
    name, kind = "DeiT-S linear layers, decoded and read out", "modelled"
    yield figure(name, macs / plain, "MAC/cycle", at_least=MACS_PER_CYCLE, kind=kind, source=MODEL)
    yield figure("  with GELU", macs / activated, "MAC/cycle", kind=kind, source=MODEL)


def _images(board: ChipBoard, cycles: KernelCycles) -> Iterator[Row]:
    from ftervit_deploy.architecture import PRESETS
    from ftervit_deploy.estimate import subject_of_preset

    for preset, aim in IMAGE_S.items():
        found = _estimate(subject_of_preset(preset, PRESETS[preset], ENCODING), board, cycles)
        name = f"{preset}, an image, memory traffic included"
        yield figure(name, found.seconds, "s", at_most=aim, kind="modelled", source=ESTIMATE)
        yield from _parts(found)
    seconds = _estimate(_signs(), board, cycles).seconds
    name = "bundled model of hand signs"
    yield figure(name, 1 / seconds, "images/s", at_least=SIGNS_PER_S, kind="modelled", source=ESTIMATE)


def _parts(found: Estimate) -> Iterator[Row]:
    """What an image's time is made of."""
    prices = found.prices
    fetched = sum(price.weights_s + price.copies_s - price.hidden_s for price in prices)
    parts = {
        "  kernels compute": sum(price.compute_s for price in prices),
        "  weights and copies that nothing hides": fetched,
        "  cores read and write PSRAM, move rows": sum(price.waits_s for price in prices),
        "  work is shared out, copies are started": sum(price.dispatch_s for price in prices),
    }
    for name, seconds in parts.items():
        yield figure(name, seconds, "s", kind="modelled", source=ESTIMATE)


def _estimate(subject: Any, board: ChipBoard, cycles: KernelCycles) -> Estimate:
    from ftervit_deploy.estimate import estimate

    found = estimate(subject, board, cycles)
    if not found.fits:
        raise SystemExit(f"{subject.name} does not fit {board.name}: {found.problem}")
    return found


def _signs() -> Any:
    import numpy as np

    from ftervit_deploy.estimate import subject_of_image
    from ftervit_deploy.image import read_info
    from ftervit_deploy.resources import signs_folder

    path = signs_folder() / "signs.ftv"
    return subject_of_image(path.name, read_info(np.fromfile(path, np.uint8)))


def main() -> int:
    """Model, print, return 1 if an aim is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.chip", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--rows", action="store_true", help="print the rows alone, as JSON")
    options = parser.parse_args()
    if options.rows:
        print(json.dumps(_as_json()))
        return 0
    return report(groups(), options.json)


if __name__ == "__main__":
    sys.exit(main())
