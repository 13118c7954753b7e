"""`ftervit bench`: FP32, INT8 and ternary kernels side by side."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from ..config import Settings
from .options import baud_option, board_option, port_option, settle
from .output import Output, bold, dim, output_options, table

if TYPE_CHECKING:
    from ..bench import Case, EnergyWatch, Row
    from ..boards import Board
    from ..ppk2 import Energy

MODEL_BOARD = "esp32s3-eye"
"""Whose clock and cores the model has where the settings name no board with a chip: the paper's."""
MISMATCH = 1
"""Exit status where a board's results are not the host's: a defect of ours, as in `verify`."""
HOST, MODEL, BOARD = "host", "model", "board"
ANY_PPK2 = ""
NUMPY_THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
"""One of them says how many threads NumPy's product has, if it is set before NumPy is loaded."""


@dataclass
class Found:
    """All that a run found.

    Attributes:
        layers: rows of each case.
        place: where, in words.
        watch: what measured energy.
        image: energy of a whole inference.
    """

    on: str
    encoding: str
    place: str
    layers: list[tuple[Case, list[Row]]] = field(default_factory=list)
    watch: EnergyWatch | None = None
    image: Energy | None = None


@click.command()
@click.argument("layers", metavar="[PRESET[:LAYER]...]", nargs=-1)
@click.option(
    "--on", type=click.Choice([HOST, MODEL, BOARD]),
    help="This computer, the model of the ESP32-S3's processor, or a connected board. [default: host; "
    "board with --port or --ppk2]",
)  # fmt: skip
@click.option("--encoding", type=click.Choice(["t2", "t5"]), help="Of ternary weights. [default: t2]")
@port_option
@baud_option
@board_option
@click.option(
    "--threads", type=click.IntRange(0, 64), metavar="N",
    help="Threads of this computer that share a layer; 0 is one per core. [default: 1]",
)  # fmt: skip
@click.option(
    "--ppk2", is_flag=False, flag_value=ANY_PPK2, metavar="[PORT]",
    help="Measure the board's energy with a Nordic PPK2, which supplies it with 3.3 V.",
)  # fmt: skip
@click.option(
    "--channel", type=click.IntRange(0, 7), default=0, show_default=True, metavar="N",
    help="Input DN of the PPK2, to which the board's trigger pin is connected.",
)  # fmt: skip
@output_options
@click.pass_context
def bench(
    context: click.Context, /, layers: tuple[str, ...], on: str | None, ppk2: str | None, channel: int,
    **flags: Any,
) -> None:  # fmt: skip
    """Time FP32, INT8 and ternary kernels side by side on one layer.

    A layer is PRESET:LAYER, LAYER being patch, qkv, proj, fc1, fc2 or head; a PRESET alone is all of
    them. Default is the paper's, deit_tiny_224:fc1: 197 tokens x 192 inputs x 768 channels.
    """
    output = context.ensure_object(Output)
    if on in (HOST, MODEL) and (ppk2 is not None or flags["port"]):
        raise click.UsageError(f"--port and --ppk2 need a board: leave out --on {on}.", context)
    place = on or (BOARD if ppk2 is not None or flags["port"] else HOST)
    settings = settle(output, **flags)
    found = _found(settings, place, layers, (ppk2, channel), output)
    output.result(as_json(found), lambda: as_text(found))
    right = all(row.right for _, rows in found.layers for row in rows)
    context.exit(0 if right else MISMATCH)


def _found(
    settings: Settings, place: str, layers: tuple[str, ...], meter: tuple[str | None, int], output: Output
) -> Found:
    threads = _threads(settings) if place == HOST else 1
    from ..bench import DEFAULT_CASE, cases_of

    cases = cases_of(layers or [DEFAULT_CASE])
    if place == HOST:
        return _on_host(cases, settings.encoding, threads, output)
    if place == MODEL:
        return _in_model(cases, settings, output)
    return _on_board(cases, settings, meter, output)


def _threads(settings: Settings) -> int:
    """Threads to use, 1 by default; NumPy's product is told, if it has not been loaded yet."""
    chosen = settings.threads if settings.chosen("threads") else 1
    threads = chosen or _cores()
    if "numpy" not in sys.modules:
        os.environ.update(dict.fromkeys(NUMPY_THREADS, str(threads)))
    return threads


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# ---- places ----


def _on_host(cases: list[Case], encoding: str, threads: int, output: Output) -> Found:
    from ..bench import bench_host

    found = Found(HOST, encoding, f"this computer, {threads} {'thread' if threads == 1 else 'threads'}")
    for case in output.track(cases, "Timing"):
        output.detail(f"Timing {case.name}")
        found.layers.append((case, bench_host(case, encoding, threads)))  # type: ignore[arg-type]
    return found


def _in_model(cases: list[Case], settings: Settings, output: Output) -> Found:
    from ..bench import bench_model, published
    from ..boards import chip_board
    from ..chip import chip_cycles

    board = chip_board(_board(settings if settings.chosen("board") else None))
    megahertz = board.chip.clock_hz / 1e6
    found = Found(MODEL, settings.encoding, f"{board.name}, modelled at {megahertz:.0f} MHz")
    with output.step("Running the kernels in the model of the processor"):
        cycles = chip_cycles(board, cases[0].architecture, settings.encoding)
        for case in cases:
            rows = bench_model(case, board, settings.encoding, cycles)  # type: ignore[arg-type]
            found.layers.append((case, [*published(case), *rows]))
    return found


def _board(settings: Settings | None) -> Board:
    from ..boards import load_board
    from ..config import folders_of_boards

    return load_board(settings.board if settings else MODEL_BOARD, folders_of_boards())


def _on_board(cases: list[Case], settings: Settings, meter: tuple[str | None, int], output: Output) -> Found:
    from ..bench import bench_board, published
    from ..link import Link, choose_port, open_stream

    with ExitStack() as open_things:
        instrument = _instrument(settings, meter[0], open_things)
        port = choose_port(settings.port)
        output.detail(f"Opening {port} at {settings.baud} baud")
        link = open_things.enter_context(Link(open_stream(port, settings.baud)))
        watch = None
        if instrument is not None:
            from ..bench import start_watch

            watch = start_watch(link, instrument, meter[1])
        info = link.info()
        found = Found(BOARD, settings.encoding, f"{info.board}: {info.app} {info.version}", watch=watch)
        for case in output.track(cases, "Timing"):
            turn = watch.turn if watch else None
            rows = bench_board(link, case, settings.encoding, watch=turn)  # type: ignore[arg-type]
            found.layers.append((case, [*published(case), *rows]))
        if watch is not None and info.model is not None:
            found.image = watch.inferences(info.model.image_size)
    return found


def _instrument(settings: Settings, port: str | None, open_things: ExitStack) -> Any:
    """The PPK2; None if none is asked for. What is missing is said before the board gets power."""
    if port is None:
        return None
    from ..bench import trigger_pin
    from ..ppk2 import Ppk2, check_package

    check_package()
    trigger_pin(_board(settings))
    return open_things.enter_context(Ppk2(port or None))


# ---- as text ----

_AFTER = {"store": "requantised", "add": "requantised, added", "activate": "requantised, GELU"}


def as_text(found: Found) -> str:
    """What a person reads."""
    parts = [bold(f"On {found.place}")]
    for case, rows in found.layers:
        parts += [
            "",
            f"{case.name}: {case.tokens} x {case.inputs} x {case.channels}, {case.macs / 1e6:.1f} M MAC",
        ]
        parts.append(table([_text_row(case, row, rows) for row in rows], _headings(rows), left=2))
        if found.watch is not None:
            parts += ["", _energy_table(found.watch, case, rows)]
    if found.image is not None:
        parts += ["", _image_text(found.image)]
    return "\n".join([*parts, "", *map(dim, _notes(found))])


def _counts(rows: Sequence[Row]) -> bool:
    """Whether cycles are known of what was not published."""
    return any(row.cycles for row in rows if row.kind != "published")


def _headings(rows: Sequence[Row]) -> list[str]:
    return ["kernel", "does", "cores", "ms", "MAC/cycle" if _counts(rows) else "GMAC/s", "x FP32", ""]


def _text_row(case: Case, row: Row, rows: Sequence[Row]) -> list[str]:
    from ..bench import ratio_of

    per_cycle, ratio = row.macs_per_cycle(case.macs), ratio_of(row, rows)
    rate = per_cycle if _counts(rows) else case.macs / row.seconds / 1e9
    marks: list[str] = [row.kind] if row.kind != "measured" else []
    marks += [f"{row.tokens} tokens fit"] if row.tokens < case.tokens else []
    marks += [] if row.right else ["WRONG RESULTS"]
    does = row.does if row.does == "product" else _AFTER[case.output]
    numbers = [_three(number) for number in (1e3 * row.seconds, rate, ratio)]
    return [row.kernel, does, str(row.cores), *numbers, ", ".join(marks)]


def _three(number: float | None) -> str:
    """Three digits that count."""
    if number is None:
        return ""
    return f"{number:.0f}" if number >= 100 else f"{number:#.3g}"


def _energy_table(watch: EnergyWatch, case: Case, rows: Sequence[Row]) -> str:
    from ..bench import published_millijoules

    lines = [
        [kernel, "", f"{millijoules:.2f}", "", "", "", "published"]
        for kernel, millijoules in published_millijoules(case).items()
    ]
    for row in rows:
        if row.name:
            energy = watch.of_layer(case, row.name)
            lines.append([
                f"{row.kernel}, {row.does}", f"{energy.millijoules:.2f}", f"{energy.above_idle_mj:.2f}",
                f"{energy.deviation_mj:.3f}", f"{energy.turns.milliwatts:.0f}", f"{energy.turns.samples}", "",
            ])  # fmt: skip
    return table(lines, ("energy of the layer", "mJ", "above idle", "deviation", "mW", "samples", ""), left=1)


def _image_text(energy: Energy) -> str:
    return (
        f"An image: {energy.millijoules:.2f} mJ, {energy.above_idle_mj:.2f} mJ above idle, in "
        f"{1e3 * energy.seconds:.1f} ms at {energy.milliwatts:.0f} mW ({energy.count} images, standard "
        f"deviation {energy.deviation_mj:.3f} mJ, {energy.samples} samples)."
    )


def _notes(found: Found) -> list[str]:
    from ..bench import published

    notes = {
        HOST: "Medians of rounds in which all have their turn. x FP32: times faster than NumPy's product.",
        MODEL: "Modelled: the chip's own assembly, operands in SRAM; C around it as counted in an emulator. "
        "No chip ran it.",
        BOARD: "Medians; one tile of 16 channels on one core, times the layer's tiles.",
    }
    lines = [notes[found.on]]
    if found.watch is not None:
        lines.append(f"Idle: {found.watch.idle:.0f} mW, camera off.")
    lines += dict.fromkeys(f"Published: {row.source}." for case, _ in found.layers for row in published(case))
    if found.on == HOST:
        lines += [
            f"Published for {case.name} there: {1e3 * row.seconds:.0f} ms, {row.kernel}."
            for case, _ in found.layers
            for row in published(case)
        ]
    return lines


# ---- as JSON ----


def as_json(found: Found) -> dict[str, Any]:
    """What `--json` prints."""
    return {
        "on": found.on,
        "place": found.place,
        "encoding": found.encoding,
        "layers": [_case_json(found, case, rows) for case, rows in found.layers],
        "idle_milliwatts": found.watch.idle if found.watch else None,
        "image": None if found.image is None else _energy_json(found.image),
    }


def _case_json(found: Found, case: Case, rows: Sequence[Row]) -> dict[str, Any]:
    from ..bench import published

    return {
        "layer": case.name, "tokens": case.tokens, "inputs": case.inputs, "channels": case.channels,
        "macs": case.macs, "output": case.output,
        "kernels": [_row_json(found, case, row, rows) for row in rows if row.kind != "published"],
        "published": [
            {"kernel": row.kernel, "arithmetic": row.arithmetic, "milliseconds": 1e3 * row.seconds,
             "source": row.source} for row in published(case)
        ],
    }  # fmt: skip


def _row_json(found: Found, case: Case, row: Row, rows: Sequence[Row]) -> dict[str, Any]:
    from ..bench import ratio_of

    record = {
        "kernel": row.kernel, "arithmetic": row.arithmetic, "does": row.does, "kind": row.kind,
        "cores": row.cores, "milliseconds": 1e3 * row.seconds, "cycles": row.cycles,
        "macs_per_cycle": row.macs_per_cycle(case.macs), "gmacs_per_s": case.macs / row.seconds / 1e9,
        "times_fp32": ratio_of(row, rows), "tokens": row.tokens, "right": row.right,
    }  # fmt: skip
    if found.watch is not None and row.name:
        energy = found.watch.of_layer(case, row.name)
        record["energy"] = {
            "millijoules": energy.millijoules, "above_idle_millijoules": energy.above_idle_mj,
            "deviation_millijoules": energy.deviation_mj, "milliwatts": energy.turns.milliwatts,
            "samples": energy.turns.samples,
        }  # fmt: skip
    return record


def _energy_json(energy: Energy) -> dict[str, Any]:
    return {
        "millijoules": energy.millijoules, "above_idle_millijoules": energy.above_idle_mj,
        "deviation_millijoules": energy.deviation_mj, "milliwatts": energy.milliwatts,
        "milliseconds": 1e3 * energy.seconds, "images": energy.count, "samples": energy.samples,
    }  # fmt: skip
