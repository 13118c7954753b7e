"""README.md of this folder, made from the results.md files in it and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
_HEAD = """# Results that were run

Every figure below was written by `ftervit compare` and brought here by `collect.py` and `summary.py`; none
is typed by hand. Each folder holds the table with every rule and setting (`results.md`, `results.json`:
commands, seed, versions, machine, hours), the curves, and the log of every phase. `cifar10.sh` and
`signs.sh` make all of it again.
"""


def write_summary() -> None:
    """Write README.md."""
    (HERE / "README.md").write_text(summary(), encoding="utf-8")


def summary() -> str:
    """The text of README.md."""
    if not any(HERE.glob("*/results.md")):
        return f"{_HEAD}\nNothing has been brought here yet.\n"
    return "\n".join(
        [_HEAD, *(part for path in sorted(HERE.glob("*/results.md")) for part in _section(path))]
    )


def _section(path: Path) -> Iterator[str]:
    """A comparison's tables and findings, and its picture; the rest is in `path`."""
    name = path.parent.name
    text = path.read_text(encoding="utf-8").partition("\n\n")[2]
    yield f"## {name}\n"
    yield text.partition("## What is quantised how")[0].replace("\n## ", "\n### ")
    yield f"![Curves, and accuracy against size]({name}/curves.svg)\n"


if __name__ == "__main__":
    write_summary()
