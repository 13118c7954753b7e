"""What a user waits for at a shell: seconds and peak memory of commands."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from .measure import FTERVIT, PYTHON, command_output, measure
from .table import Group, Row, Value

ROOT = Path(__file__).parent.parent
SIGNS = ROOT / "ftervit_deploy" / "data" / "signs"


def groups() -> list[Group]:
    """Every figure, in the README's order."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command_output([PYTHON, "-m", "bench.inputs", str(folder)], ROOT)
        return [Group("Commands", [_help(), *_pack(folder), *_run(), _engine(folder)])]


def _row(name: str, value: float, unit: str, aim: float, repeats: int) -> Row:
    """Lower is better."""
    figures: dict[str, Value] = {"median": value, "unit": unit, "under": aim, "repeats": repeats}
    return Row(name, figures, missed=value > aim)


def _help() -> Row:
    taken = measure([FTERVIT, "--help"], repeats=11)
    return _row("ftervit --help", taken.seconds, "s", 0.3, taken.repeats)


def _pack(folder: Path) -> list[Row]:
    source, target = folder / "deit3_small_224.safetensors", folder / "packed.ftv"
    taken = measure([FTERVIT, "pack", str(source), "-o", str(target)], repeats=5)
    name = f"pack a deit3_small ({source.stat().st_size / 1e6:.0f} MB)"
    return [
        _row(name, taken.seconds, "s", 5.0, taken.repeats),
        _row("  its peak memory", taken.peak_bytes / 1e6, "MB", 600.0, taken.repeats),
    ]


def _run() -> list[Row]:
    photos = sorted((SIGNS / "photos").rglob("*.jpg"))[:1]
    if not photos:
        return []
    taken = measure([FTERVIT, "run", str(SIGNS / "signs.ftv"), *map(str, photos)], repeats=11)
    return [_row("ftervit run, bundled model, one photo", taken.seconds, "s", 1.0, taken.repeats)]


def _engine(folder: Path) -> Row:
    command = [PYTHON, "-m", "bench.engine", str(folder / "deit_small_224.ftv")]
    found = json.loads(command_output(command, ROOT))
    name = f"one deit_small image, engine alone, {found['threads']} threads"
    return _row(name, found["seconds"], "s", 0.5, found["repeats"])
