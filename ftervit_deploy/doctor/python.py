"""The interpreter, the C engine, PyTorch, Accelerate, Bokeh."""

from __future__ import annotations

from ..errors import EngineError, FtervitError
from .commands import install, install_ftervit, pip_install
from .machine import Check, Machine, Target
from .versions import parsed, shown

MINIMUM_PYTHON = (3, 10)
MINIMUM_TORCH = (2, 4)
MINIMUM_ACCELERATE = (1, 2)
MINIMUM_BOKEH = (3, 6)
_PYTHON_PACKAGES = {
    "debian": "python3 python3-venv",
    "fedora": "python3",
    "arch": "python",
    "macos": "python",
    "windows": "Python.Python.3.13",
}


def check_python(machine: Machine, target: Target) -> Check:
    """Python itself."""
    version = shown(machine.python)
    if machine.python < MINIMUM_PYTHON:
        what = f"Python {version} is too old: ftervit needs {shown(MINIMUM_PYTHON)} or newer."
        return Check("python", "wrong", True, what, install(machine, _PYTHON_PACKAGES, "a newer Python"))
    return Check("python", "ok", True, f"Python {version}.")


def check_engine(machine: Machine, target: Target) -> Check:
    """Loads the C engine, runs the bundled model on a bundled photo, compares every bit with NumPy."""
    again = _again(machine)
    try:
        run = machine.self_run()
    except EngineError as error:
        return Check("engine", "missing", True, error.what, again)
    except FtervitError as error:
        return Check("engine", "wrong", True, f"The bundled model does not run: {error.what}", again)
    except ImportError as error:
        what = f"A package that ftervit needs does not load: {error}."
        return Check("engine", "missing", True, what, install_ftervit(machine))
    except OSError as error:
        return Check("engine", "wrong", True, f"The bundled model does not run: {error}.", again)
    differing = sum(ours != theirs for ours, theirs in zip(run.engine, run.definition, strict=True))
    if differing:
        what = f"The C engine differs from its definition in {differing} of {len(run.engine)} logits."
        return Check("engine", "wrong", True, what, again)
    what = "The C engine gives the logits of its definition for a bundled photo, bit for bit."
    return Check("engine", "ok", True, what)


def _again(machine: Machine) -> str:
    """How to get the engine's library that belongs to this version."""
    if machine.environment.get("FTERVIT_LIBRARY"):
        return "Remove-Item Env:FTERVIT_LIBRARY" if machine.system == "windows" else "unset FTERVIT_LIBRARY"
    return f"{install_ftervit(machine)} --force-reinstall --no-deps"


def check_torch(machine: Machine, target: Target) -> Check:
    """PyTorch, which only training needs."""
    users = "`ftervit train` and `eval --against` need it"
    return _package(machine, "pytorch", "PyTorch", "torch", MINIMUM_TORCH, users, "training")


def check_accelerate(machine: Machine, target: Target) -> Check:
    """Accelerate, through which training runs on one device or many."""
    users = "`ftervit train` and `compare` need it"
    return _package(machine, "accelerate", "Accelerate", "accelerate", MINIMUM_ACCELERATE, users, "training")


def check_bokeh(machine: Machine, target: Target) -> Check:
    """Bokeh, which draws the charts of a report."""
    users = "`ftervit report` and `publish` need it"
    return _package(machine, "bokeh", "Bokeh", "bokeh", MINIMUM_BOKEH, users, "reports")


def _package(
    machine: Machine, check: str, title: str, distribution: str, minimum: tuple[int, ...], users: str,
    purpose: str,
) -> Check:  # fmt: skip
    """A package that only some commands need, known by its metadata alone."""
    fix = pip_install(machine, f"{distribution}>={shown(minimum)}")
    version = machine.version_of(distribution)
    if version is None:
        return Check(check, "missing", False, f"{title} is not installed; {users}.", fix)
    if (parsed(version) or ()) < minimum:
        what = f"{title} {version} is too old for {purpose}: {shown(minimum)} or newer is needed."
        return Check(check, "wrong", False, what, fix)
    return Check(check, "ok", False, f"{title} {version}, for {purpose}.")
