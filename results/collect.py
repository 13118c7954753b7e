"""Bring a comparison into this folder: its table, its picture, and the log of every phase; no weights.

`python results/collect.py COMPARISON NAME [--teacher RUN]`, then README.md is made anew from all of them.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

from summary import HERE, write_summary

PHASES = ("guide", "teacher", "training", "recovery")
TABLES = ("results.json", "results.md")
OTHERS = ("curves.svg", "report.json")


def collect(comparison: Path, target: Path, teacher: Path | None) -> None:
    """Copy what a reader may want to look at.

    Args:
        comparison: the folder of `ftervit compare`.
        target: replaced, if it is there.
        teacher: run folder of the teacher, where the comparison did not train it.
    """
    rows = json.loads((comparison / TABLES[0]).read_text(encoding="utf-8"))["rows"]
    shutil.rmtree(target, ignore_errors=True)
    (target / "logs").mkdir(parents=True)
    for name in (*TABLES, *OTHERS):
        if name in TABLES or (comparison / name).exists():
            shutil.copyfile(comparison / name, target / name)
    folders = {row["name"]: comparison / row["name"] for row in rows}
    folders["fp32"] = teacher or comparison / "teacher"
    for name, folder in folders.items():
        for phase in PHASES:
            log = folder / phase / "log.jsonl"
            if log.is_file():
                shutil.copyfile(log, target / "logs" / f"{name}.{phase}.jsonl")


def main() -> None:
    """From the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("comparison", type=Path)
    parser.add_argument("name")
    parser.add_argument("--teacher", type=Path)
    chosen = parser.parse_args()
    collect(chosen.comparison, HERE / chosen.name, chosen.teacher)
    write_summary()


if __name__ == "__main__":
    main()
