"""`python -m bench`: measures what the README promises and prints it with the machine stated.

This process stays small and imports nothing heavy: a child's peak memory starts at its parent's.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from .machine import describe_machine
from .measure import FTERVIT, PYTHON, Measurement, command_output, measure

ROOT = Path(__file__).parent.parent
SIGNS = ROOT / "ftervit_deploy" / "data" / "signs"


@dataclass(frozen=True)
class Figure:
    """One measured number beside its aim; lower is better."""

    name: str
    value: float
    unit: str
    aim: float
    repeats: int


def main() -> int:
    """Measure, print, return 1 if an aim is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    as_json = parser.parse_args().json
    figures = all_figures()
    machine = describe_machine()
    if as_json:
        print(json.dumps({"machine": machine, "figures": [asdict(figure) for figure in figures]}))
    else:
        print(f"Machine: {machine}\n")
        print("\n".join(map(_line, figures)))
    return int(any(figure.value > figure.aim for figure in figures))


def all_figures() -> list[Figure]:
    """Every figure, in the README's order."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command_output([PYTHON, "-m", "bench.inputs", str(folder)], ROOT)
        return [_help(), *_pack(folder), *_run(), _engine(folder)]


def _help() -> Figure:
    taken = measure([FTERVIT, "--help"], repeats=11)
    return Figure("ftervit --help", taken.seconds, "s", 0.3, taken.repeats)


def _pack(folder: Path) -> list[Figure]:
    source, target = folder / "deit3_small_224.safetensors", folder / "packed.ftv"
    taken: Measurement = measure([FTERVIT, "pack", str(source), "-o", str(target)], repeats=5)
    name = f"pack a deit3_small ({source.stat().st_size / 1e6:.0f} MB)"
    return [
        Figure(name, taken.seconds, "s", 5.0, taken.repeats),
        Figure("  its peak memory", taken.peak_bytes / 1e6, "MB", 600.0, taken.repeats),
    ]


def _run() -> list[Figure]:
    photos = sorted((SIGNS / "photos").rglob("*.jpg"))[:1]
    if not photos:
        return []
    taken = measure([FTERVIT, "run", str(SIGNS / "signs.ftv"), *map(str, photos)], repeats=11)
    return [Figure("ftervit run, bundled model, one photo", taken.seconds, "s", 1.0, taken.repeats)]


def _engine(folder: Path) -> Figure:
    command = [PYTHON, "-m", "bench.engine", str(folder / "deit_small_224.ftv")]
    found = json.loads(command_output(command, ROOT))
    name = f"one deit_small image, engine alone, {found['threads']} threads"
    return Figure(name, found["seconds"], "s", 0.5, found["repeats"])


def _line(figure: Figure) -> str:
    mark = "" if figure.value <= figure.aim else "   MISSED"
    number = f"{figure.value:8.3f}" if figure.unit == "s" else f"{figure.value:8.0f}"
    aim = f"aim: under {figure.aim:g} {figure.unit}, median of {figure.repeats}"
    return f"{figure.name:<46} {number} {figure.unit:<3} ({aim}){mark}"


if __name__ == "__main__":
    sys.exit(main())
