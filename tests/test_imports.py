"""Imports point left only: checkpoint -> graph -> lower -> image -> engine; the CLI alone sees everything."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import ftervit_deploy

PACKAGE = Path(ftervit_deploy.__file__).parent

FOUNDATIONS = ["errors", "architecture", "resources", "schemes", "ternary"]
HELPERS = [
    "plaintext",
    "machine",
    "models",
    "files",
    "tomlfile",
    "jsonfile",
    "boards",
    "config",
    "photos",
    "backtrace",
    "lx7",
]
ENGINES = [
    "checkpoint",
    "graph",
    "folding",
    "lower",
    "raising",
    "image",
    "reference",
    "engine",
    "evaluate",
    "classify",
]
STAGES = [
    *ENGINES,
    "lx7",
    "cstructs",
    "plan",
    "chip",
    "project",
    "estimate",
    "charts",
    "link",
    "monitor",
    "verify",
    "doctor",
    "firmware",
    "flash",
    "virtual",
    "ppk2",
    "bench",
]
RANK = {
    name: rank
    for rank, name in enumerate([*FOUNDATIONS, *HELPERS, *STAGES, "train", "report", "publish", "cli"])
}
ENTRY_POINTS = {"__init__", "__main__"}
MODULES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))
HEAVY = {"torch", "numpy", "PIL", "rich", "huggingface_hub", "safetensors", "jinja2"}
HEAVY |= {"serial", "esptool", "elftools", "ppk2_api", "accelerate", "datasets", "tensorboard", "matplotlib"}
HEAVY |= {"bokeh"}


def _stage(path: Path) -> str:
    return path.parts[0].removesuffix(".py")


def _imported_stages(path: Path) -> Iterator[str]:
    """First-level modules of the package that the file at `path` (relative to it) imports anywhere."""
    depth = len(path.parts)
    for node in ast.walk(ast.parse((PACKAGE / path).read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            if node.level == depth:
                names = [node.module] if node.module else [alias.name for alias in node.names]
                yield from (name.split(".")[0] for name in names)
            elif not node.level and (node.module or "").startswith("ftervit_deploy."):
                yield str(node.module).split(".")[1]


def _imported_packages(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_imports_point_left(path: Path) -> None:
    stage = _stage(path)
    if stage in ENTRY_POINTS:
        return
    assert stage in RANK, f"give the new module {stage} its place in this test"
    for other in _imported_stages(path):
        if other in RANK and other != stage:
            assert RANK[other] < RANK[stage], f"{path} imports {other}, which stands to its right"


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_torch_lives_in_train_alone(path: Path) -> None:
    if _stage(path) != "train":
        assert "torch" not in set(_imported_packages(ast.parse((PACKAGE / path).read_text("utf-8"))))


def _heavy_modules_after(arguments: list[str]) -> set[str]:
    program = (
        "import sys; from ftervit_deploy.cli import main; main(sys.argv[1:]); "
        "print('\\n' + ' '.join(m for m in sys.modules if '.' not in m))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True
    )
    return HEAVY & set(done.stdout.splitlines()[-1].split())


def _commands() -> list[str]:
    from ftervit_deploy.cli.app import COMMANDS

    return list(COMMANDS)


def test_help_imports_nothing_heavy() -> None:
    assert _heavy_modules_after(["--help"]) == set()


@pytest.mark.parametrize("command", _commands())
def test_help_of_a_command_imports_nothing_heavy(command: str) -> None:
    assert _heavy_modules_after([command, "--help"]) == set()
