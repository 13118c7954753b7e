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
    fix = pip_install(machine, f"torch>={shown(MINIMUM_TORCH)}")
    version = machine.version_of("torch")
    if version is None:
        what = "PyTorch is not installed; `ftervit train` and `eval --against` need it."
        return Check("pytorch", "missing", False, what, fix)
    if (parsed(version) or ()) < MINIMUM_TORCH:
        what = f"PyTorch {version} is too old: training needs {shown(MINIMUM_TORCH)} or newer."
        return Check("pytorch", "wrong", False, what, fix)
    return Check("pytorch", "ok", False, f"PyTorch {version}, for training.")


def check_accelerate(machine: Machine, target: Target) -> Check:
    """Accelerate, through which training runs on one device or many."""
    fix = pip_install(machine, f"accelerate>={shown(MINIMUM_ACCELERATE)}")
    version = machine.version_of("accelerate")
    if version is None:
        what = "Accelerate is not installed; `ftervit train` and `compare` need it."
        return Check("accelerate", "missing", False, what, fix)
    if (parsed(version) or ()) < MINIMUM_ACCELERATE:
        what = f"Accelerate {version} is too old: training needs {shown(MINIMUM_ACCELERATE)} or newer."
        return Check("accelerate", "wrong", False, what, fix)
    return Check("accelerate", "ok", False, f"Accelerate {version}, for training.")


def check_bokeh(machine: Machine, target: Target) -> Check:
    """Bokeh, which draws the charts of a report."""
    fix = pip_install(machine, f"bokeh>={shown(MINIMUM_BOKEH)}")
    version = machine.version_of("bokeh")
    if version is None:
        what = "Bokeh is not installed; `ftervit report` and `publish` need it."
        return Check("bokeh", "missing", False, what, fix)
    if (parsed(version) or ()) < MINIMUM_BOKEH:
        what = f"Bokeh {version} is too old: reports need {shown(MINIMUM_BOKEH)} or newer."
        return Check("bokeh", "wrong", False, what, fix)
    return Check("bokeh", "ok", False, f"Bokeh {version}, for reports.")
