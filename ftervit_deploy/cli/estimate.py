"""`ftervit estimate`: what a model would take on a board, before anything is bought or flashed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..config import Settings
from .options import IMAGE_SUFFIX, board_option, chosen_image, model_option, naming, settle
from .output import Output, bold, dim, output_options, table

if TYPE_CHECKING:
    from ..estimate import Estimate, Subject
    from ..plan import Price, Rate


@click.command()
@click.argument("model_or_preset", metavar="[MODEL.ftv|PRESET]", required=False)
@board_option
@model_option
@click.option("--encoding", type=click.Choice(["t2", "t5"]), help="Of a preset. [default: t2]")
@click.option("--classes", type=click.IntRange(1, 65535), metavar="N", help="Of a preset.")
@click.option("--steps", is_flag=True, help="Every step of every block, not their sums.")
@click.option("--plot", metavar="FILE", help="Also draw it: .png, .svg or .pdf.")
@output_options
@click.pass_obj
def estimate(
    output: Output, /, model_or_preset: str | None, encoding: str | None, classes: int | None, steps: bool,
    plot: str | None, **flags: Any,
) -> None:  # fmt: skip
    """Say whether a model fits a board, and how fast it would be there.

    MODEL.ftv is an image; a PRESET (see `ftervit models`) is a model that does not exist yet. Times
    are modelled: the kernels' own assembly in a model of the processor, memories at published rates.
    """
    image = model_or_preset if (model_or_preset or "").endswith(IMAGE_SUFFIX) else None
    preset = model_or_preset if image is None else None
    settings = settle(output, **{**flags, "model": image or flags["model"]})
    if plot is not None:
        _check_plot(Path(plot))
    found = _estimated(settings, preset, encoding, classes, output)
    if plot is not None:
        _draw(found, Path(plot), output)
    output.result(as_json(found), lambda: as_text(found, steps=steps))


def _estimated(
    settings: Settings, preset: str | None, encoding: str | None, classes: int | None, output: Output
) -> Estimate:
    from ..boards import chip_board, load_board
    from ..chip import chip_cycles
    from ..config import folders_of_boards
    from ..estimate import estimate as estimated

    board = chip_board(load_board(settings.board, folders_of_boards()))
    subject = _preset(preset, encoding, classes) if preset else _image(settings, encoding, classes, output)
    with output.step(f"Running the kernels of {subject.name} in the model of the processor"):
        return estimated(subject, board, chip_cycles(board, subject.architecture, subject.matrices.encoding))


def _image(settings: Settings, encoding: str | None, classes: int | None, output: Output) -> Subject:
    import numpy as np

    from ..errors import ConfigError
    from ..estimate import subject_of_image
    from ..files import read_file
    from ..image import read_info

    if encoding is not None or classes is not None:
        raise ConfigError("--encoding and --classes are for presets.", "An image has both already.")
    path = chosen_image(settings, output)
    with naming(path):
        info = read_info(np.frombuffer(read_file(path, "image"), np.uint8))
    return subject_of_image(path.name, info)


def _preset(name: str, encoding: str | None, classes: int | None) -> Subject:
    from ..architecture import architecture_named
    from ..estimate import subject_of_preset

    architecture = architecture_named(name)
    architecture = architecture.with_classes(classes) if classes else architecture
    return subject_of_preset(name, architecture, encoding or "t2")


def _check_plot(path: Path) -> None:
    from ..charts import check_chart

    check_chart(path)


def _draw(found: Estimate, path: Path, output: Output) -> None:
    from ..charts import draw_estimate

    draw_estimate(found, path)
    output.note(f"Drawn to {path}.")


# ---- as text ----


def as_text(found: Estimate, *, steps: bool = False) -> str:
    """What a person reads."""
    a = found.subject.architecture
    head = f"{found.subject.name} on {found.board.name}: {_verdict(found)}"
    parts = [
        bold(head),
        f"{a.tokens} tokens of {a.width} channels, {a.depth} blocks, {found.subject.matrices.encoding}",
    ]
    parts += ["", table(_memory_rows(found), ("memory", "used", "free", "of"), left=1)]
    if found.prices:
        rows = _step_rows(found.prices) if steps else _sum_rows(found.prices)
        parts += ["", table([*rows, _total_row(found)], _STEP_HEADINGS, left=1), "", *_closing(found)]
    return "\n".join(parts)


_STEP_HEADINGS = ("ms", "in all", "compute", "weights", "copies", "hidden", "waits", "MAC/cycle")


def _verdict(found: Estimate) -> str:
    return "fits" if found.fits else f"does not fit. {found.problem}"


def _memory_rows(found: Estimate) -> list[list[str]]:
    board, image = found.board, found.subject.image_bytes
    rows = []
    if found.flash is not None:
        room = found.flash.model.size
        rows.append(["flash, model", f"{image:,}", f"{room - image:,}", f"{room:,}"])
    if found.memory is not None:
        arena = board.memory.arena_bytes
        near = found.memory.near_bytes
        rows.append(["SRAM, arena", f"{near:,}", f"{arena - near:,}", f"{arena:,}"])
        if board.memory.heap_bytes:
            heap, spare = board.memory.heap_bytes, found.memory.spare_bytes
            rows.append(["SRAM, heap", f"{spare:,}", f"{heap - spare:,}", f"{heap:,}"])
        if board.psram is not None:
            size = board.psram.size_bytes
            rows.append(["PSRAM", f"{found.far_bytes:,}", f"{size - found.far_bytes:,}", f"{size:,}"])
    return rows


def _step_rows(prices: Sequence[Price]) -> list[list[str]]:
    rows = []
    for price in prices:
        where = "" if price.step.block < 0 else f"block {price.step.block} "
        rows.append(_row(where + price.step.name, [price]))
    return rows


def _sum_rows(prices: Sequence[Price]) -> list[list[str]]:
    """One row for each kind of step, in the order in which they first come."""
    kinds: dict[str, list[Price]] = {}
    for price in prices:
        kinds.setdefault(price.step.name, []).append(price)
    return [_row(name, group) for name, group in kinds.items()]


def _row(name: str, prices: Sequence[Price]) -> list[str]:
    macs = sum(price.step.macs for price in prices)
    cycles = sum(price.cycles for price in prices)
    times = (
        sum(price.seconds for price in prices),
        sum(price.compute_s for price in prices),
        sum(price.weights_s for price in prices),
        sum(price.copies_s for price in prices),
        sum(price.hidden_s for price in prices),
        sum(price.waits_s for price in prices),
    )
    return [name, *(_ms(time) for time in times), f"{macs / cycles:.1f}" if macs and cycles else ""]


def _total_row(found: Estimate) -> list[str]:
    return _row("all", found.prices)


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.2f}" if seconds else ""


def _closing(found: Estimate) -> list[str]:
    from ..plan.scalar import SCALAR

    weights = "from PSRAM, where the firmware copies them at boot" if found.weights_in_psram else "from flash"
    assert found.memory is not None
    tiling, a = found.memory.tiling, found.subject.architecture
    lines = [
        f"{1 / found.seconds:.2f} images a second (modelled; camera and display not counted).",
        f"Weights stream {weights}; {tiling.group} of {a.tokens} tokens go through the MLP together, "
        f"{tiling.wave} of {a.heads} heads through attention.",
    ]
    if found.energy is not None:
        energy = found.energy
        lines.append(
            f"{energy.least_mj:.0f} to {energy.most_mj:.0f} mJ an image at the board's power (published: "
            f"{energy.source})."
        )
    copies = ", and copied by DMA" if any(price.copies_s for price in found.prices) else ""
    lines += map(dim, (
        f"MAC/cycle: on the busier core, while it computes. hidden: fetched{copies} while kernels compute.",
        "waits: cores read and write PSRAM, or move rows within SRAM.",
    ))  # fmt: skip
    if found.kernels == SCALAR.name:  # no assembly that could be modelled
        lines.append(dim("Cycles are rough: instructions that an emulator counted, one a cycle."))
    for what, rate in _rates(found):
        lines.append(dim(f"{what}: {rate.bytes_per_s / 1e6:.1f} MB/s, {rate.kind}: {rate.source}."))
    return lines


def _rates(found: Estimate) -> list[tuple[str, Rate]]:
    """The rates that this estimate rests on."""
    rates = found.rates
    named = [
        ("PSRAM, read", rates.far_read),
        ("PSRAM, written", rates.far_write),
        ("flash", rates.flash_read),
    ]
    if any(price.copies_s for price in found.prices):
        named += [("copies from PSRAM", rates.copy_read), ("copies to PSRAM", rates.copy_write)]
    if any(price.step.moved_bytes for price in found.prices):
        named.append(("SRAM, each core", rates.move))
    return named


# ---- as JSON ----


def as_json(found: Estimate) -> dict[str, Any]:
    """What `--json` prints."""
    memory = found.memory
    return {
        "model": found.subject.name,
        "board": found.board.name,
        "fits": found.fits,
        "problem": found.problem or None,
        "encoding": found.subject.matrices.encoding,
        "kernels": found.kernels,
        "flash": None if found.flash is None else {
            "image_bytes": found.subject.image_bytes, "model_partition_bytes": found.flash.model.size,
        },
        "sram": None if memory is None else {
            "arena_bytes": memory.near_bytes, "available_bytes": found.board.memory.arena_bytes,
            "heap_bytes": memory.spare_bytes, "available_heap_bytes": found.board.memory.heap_bytes,
        },
        "psram": None if memory is None else {
            "used_bytes": found.far_bytes, "weights": found.weights_in_psram,
            "available_bytes": found.board.psram.size_bytes if found.board.psram else 0,
        },
        "tiling": None if memory is None else {
            "group_tokens": memory.tiling.group, "wave_heads": memory.tiling.wave,
            "window": memory.tiling.window, "cores": memory.tiling.workers,
        },
        "modelled": None if not found.prices else {
            "milliseconds": 1000 * found.seconds,
            "images_per_second": 1 / found.seconds,
            "steps": [_step_json(price) for price in found.prices],
        },
        "millijoules": None if found.energy is None else {
            "least": found.energy.least_mj, "most": found.energy.most_mj, "power_source": found.energy.source,
        },
        "rates": [
            {"what": what, "bytes_per_s": rate.bytes_per_s, "kind": rate.kind, "source": rate.source}
            for what, rate in _rates(found)
        ],
    }  # fmt: skip


def _step_json(price: Price) -> dict[str, Any]:
    return {
        "name": price.step.name,
        "block": price.step.block if price.step.block >= 0 else None,
        "milliseconds": 1000 * price.seconds,
        "compute_ms": 1000 * price.compute_s,
        "compute_cycles": price.cycles,
        "macs_per_core": price.step.macs,
        "weights_ms": 1000 * price.weights_s,
        "weights_bytes": price.step.weights_bytes,
        "copies_ms": 1000 * price.copies_s,
        "hidden_ms": 1000 * price.hidden_s,
        "waits_ms": 1000 * price.waits_s,
        "psram_read_bytes": price.far_read_bytes,
        "psram_written_bytes": price.far_written_bytes,
        "dispatch_ms": 1000 * price.dispatch_s,
    }
