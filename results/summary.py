"""README.md of this folder, and what the project's shows of it, made from the files here and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from inside import inside
from verdicts import CHANCE, aims, claims

from ftervit_deploy.cli.compare import comparison_text
from ftervit_deploy.train.findings import trainings
from ftervit_deploy.train.results import Results

HERE = Path(__file__).parent
FRONT = HERE.parent / "README.md"
SHOWN = HERE / "cifar10"
COST = HERE / "training-cost.json"
AIMED = "cifar10"
"""Comparisons named so are held against the aims."""
_HEAD = """# Results that were run

Every figure below was written by `ftervit compare` or `python -m bench.training` and brought here by
`collect.py` and `summary.py`; none is typed by hand. Each folder holds the table with every rule and setting
(`results.md`, `results.json`: commands, seed, versions, machine, hours), the curves, and the log of every
phase. The scripts beside the folders, by their names, make all of it again. Times are of a machine that did
other things as well: of their differences not all is the methods'.
"""


def write_summary() -> None:
    """Write README.md, and the figures in the project's."""
    (HERE / "README.md").write_text(summary(), encoding="utf-8")
    FRONT.write_text(front_page(FRONT.read_text(encoding="utf-8")), encoding="utf-8")


def summary() -> str:
    """The text of README.md."""
    sections = [part for path in sorted(HERE.glob("*/results.md")) for part in _section(path)]
    if COST.exists():
        sections += _cost(json.loads(COST.read_text(encoding="utf-8")))
    return "\n".join([_HEAD, *sections])


def front_page(text: str) -> str:
    """The project's README.md with what the command that made `SHOWN` printed last.

    Args:
        text: as it is.
    """
    command = f"$ sh results/{SHOWN.name}.sh\n"
    before, _, rest = text.partition(command)
    results = _results(SHOWN / "results.json")
    said = click.unstyle(comparison_text(results, Path("runs", f"{SHOWN.name}-methods")))
    return f"{before}{command}{said}\n```{rest.partition('```')[2]}" if rest else text


def _section(path: Path) -> Iterator[str]:
    """A comparison's tables and findings, and its picture; the rest is in `path`."""
    name = path.parent.name
    text = path.read_text(encoding="utf-8").partition("\n\n")[2]
    yield f"## {name}\n"
    yield text.partition("## What is quantised how")[0].rstrip().replace("\n## ", "\n### ") + "\n"
    rows = {row.name: row for row in _results(path.with_suffix(".json")).rows}
    yield "### What it shows of the paper's claims\n"
    several = len(trainings(rows)) > 1
    seeds = " A verdict is one that all trainings of ftervit give, whatever their seed." if several else ""
    yield (
        f"No difference is seen where chance alone gives one as large in over {100 * CHANCE:.0f} % of cases "
        f"(McNemar's exact test).{seeds}\n"
    )
    yield from claims(rows)
    report = path.with_name("report.json")
    if report.exists():
        yield "\n### Inside\n"
        yield from inside(json.loads(report.read_text(encoding="utf-8")))
    if name.startswith(AIMED):
        yield "\n### The aims\n"
        yield from aims(rows)
    yield ""
    yield f"![Curves, and accuracy against size]({name}/curves.svg)\n"


def _results(path: Path) -> Results:
    return Results.of(json.loads(path.read_text(encoding="utf-8")))


def _cost(measured: dict[str, Any]) -> Iterator[str]:
    """What `bench.training` printed as JSON; ratios of steps taken turn by turn."""
    yield "## training-cost\n"
    yield f"{measured['groups'][0]['title']}; {measured['machine']}.\n"
    rows = [row for group in measured["groups"] for row in group["rows"]]
    columns = ("plain, images/s", "distillation, images/s", "times slower", "quartiles", "aim", "source")
    yield f"| model | {' | '.join(columns)} | |"
    yield f"| --- |{' ---: |' * len(columns)} --- |"
    for row in rows:
        cells = [_cell(row["figures"][column]) for column in columns]
        verdict = "" if not row["figures"]["aim"] else "missed" if row["missed"] else "met"
        yield f"| {row['name']} | {' | '.join(cells)} | {verdict} |"
    yield ""


def _cell(value: float | str) -> str:
    """Three digits that count."""
    if isinstance(value, str):
        return value
    return f"{value:.0f}" if value >= 100 else f"{value:#.3g}"


if __name__ == "__main__":
    write_summary()
