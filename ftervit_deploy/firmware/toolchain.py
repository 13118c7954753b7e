"""The ESP-IDF to build with, its Python, and the environment in which its tools run."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from ..doctor.eim import installations
from ..doctor.espidf import EspIdf, check_espidf, find_espidf, install_tools
from ..doctor.machine import Machine, Target
from ..doctor.versions import shown
from ..errors import ProjectError

EXPORT_S = 120
_PYTHON_VARIABLES = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
"""Of ftervit's own Python; ESP-IDF's is another."""
_COMPILERS = ("xtensa-esp-elf-gcc", "xtensa-{chip}-elf-gcc")


@dataclass(frozen=True)
class Toolchain:
    """What it takes to run `idf.py`.

    Attributes:
        espidf: the ESP-IDF; its version is known.
        python: the interpreter that has what ESP-IDF needs.
        environment: variables of its tools, PATH among them.
    """

    espidf: EspIdf
    python: Path
    environment: Mapping[str, str]

    @property
    def version(self) -> str:
        """As people write it."""
        return shown(self.espidf.version or ())

    def idf_py(self, *arguments: str) -> list[str]:
        """The command line of idf.py."""
        return [str(self.python), str(Path(self.espidf.path) / "tools" / "idf.py"), *arguments]


def find_toolchain(machine: Machine, chip: str) -> Toolchain:
    """The ESP-IDF of this machine, ready to build for `chip`; nothing need be exported.

    Raises:
        ProjectError: there is none, it is too old, or its compiler or its Python is missing; the hint is
            the command that mends it.
    """
    check = check_espidf(machine, Target(chip))
    espidf = find_espidf(machine)
    if espidf is None or check.status != "ok":
        raise ProjectError(check.what, check.fix or "")
    found = _exported(machine, espidf, chip) or _of_installer(machine, espidf)
    found = found or _of_idf_tools(machine, espidf, chip)
    return replace(found, environment={**found.environment, "IDF_TARGET": chip, "PYTHONUNBUFFERED": "1"})


def _exported(machine: Machine, espidf: EspIdf, chip: str) -> Toolchain | None:
    """The environment as it is, if export.sh or the like was sourced for this ESP-IDF."""
    environment = machine.environment
    python = _python_of(machine, machine.path(environment.get("IDF_PYTHON_ENV_PATH") or "/nowhere"))
    same = espidf.found == "IDF_PATH" or machine.path(environment.get("IDF_PATH", "")) == espidf.path
    if python is None or not same or not machine.find_program(*_compilers(chip)):
        return None
    return Toolchain(espidf, python, environment)


def _of_installer(machine: Machine, espidf: EspIdf) -> Toolchain | None:
    """As the activation script of Espressif's installer says, if that installed this ESP-IDF."""
    for installation in installations(machine):
        if installation.path == espidf.path and machine.is_file(installation.script):
            said = _said(_shell(installation.script), _bare(machine, espidf))
            variables = _variables(said.stdout)
            environment = {**_bare(machine, espidf), **variables}
            if "PATH" in variables:
                environment["PATH"] = _joined(machine, variables["PATH"], machine.environment.get("PATH", ""))
            return Toolchain(espidf, machine.local(installation.python), environment)
    return None


def _shell(script: PurePath) -> list[str]:
    if script.suffix == ".ps1":
        return ["powershell", "-ExecutionPolicy", "Bypass", "-File", str(script), "-e"]
    return ["sh", str(script), "-e"]


def _of_idf_tools(machine: Machine, espidf: EspIdf, chip: str) -> Toolchain:
    """As idf_tools.py, which export.sh asks as well, says.

    Raises:
        ProjectError: ESP-IDF has no Python of its own, or the compiler is not among its tools.
    """
    mend = install_tools(machine, espidf, chip)
    python = _installed_python(machine, espidf)
    if python is None:
        raise ProjectError(f"ESP-IDF {shown(espidf.version or ())} at {espidf.path} has no Python.", mend)
    environment = _bare(machine, espidf)
    environment["IDF_PYTHON_ENV_PATH"] = str(python.parent.parent)
    tool = str(Path(espidf.path) / "tools" / "idf_tools.py")
    said = _said([str(python), tool, "export", "--format", "key-value"], environment)
    environment |= _variables(said.stdout, environment)
    toolchain = Toolchain(espidf, python, environment)
    if not replace(machine, environment=environment).find_program(*_compilers(chip)):
        why = next((line for line in said.stderr.splitlines() if "ERROR" in line), "its compiler is missing")
        raise ProjectError(f"The tools of {espidf.path} cannot be used: {why.strip()}", mend)
    return toolchain


def _installed_python(machine: Machine, espidf: EspIdf) -> Path | None:
    """The newest Python that install.sh made for this version of ESP-IDF."""
    version = shown((espidf.version or ())[:2])
    for tools in (machine.environment.get("IDF_TOOLS_PATH"), "~/.espressif", "/opt/esp"):
        if not tools:
            continue
        folder = machine.path(tools) / "python_env"
        names = [name for name in machine.names(folder) if name.startswith(f"idf{version}_py")]
        found = [_python_of(machine, folder / name) for name in sorted(names, key=_minor, reverse=True)]
        python = next((path for path in found if path), None)
        if python is not None:
            return python
    return None


def _minor(name: str) -> int:
    """The minor version of Python in ``idf5.1_py3.11_env``."""
    digits = name.partition("_py3.")[2].partition("_")[0]
    return int(digits) if digits.isdecimal() else 0


def _python_of(machine: Machine, folder: PurePath) -> Path | None:
    names = ("Scripts/python.exe",) if machine.system == "windows" else ("bin/python", "bin/python3")
    return next((machine.local(folder / name) for name in names if machine.is_file(folder / name)), None)


def _compilers(chip: str) -> tuple[str, ...]:
    return tuple(name.format(chip=chip) for name in _COMPILERS)


def _bare(machine: Machine, espidf: EspIdf) -> dict[str, str]:
    """The environment without what another Python or another ESP-IDF left in it."""
    dropped = {*_PYTHON_VARIABLES, "IDF_PYTHON_ENV_PATH", "ESP_IDF_VERSION", "IDF_DEACTIVATE_FILE_PATH"}
    kept = {key: value for key, value in machine.environment.items() if key not in dropped}
    return {**kept, "IDF_PATH": str(espidf.path)}


def _said(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, env=dict(environment), stdin=subprocess.DEVNULL, capture_output=True,
            encoding="utf-8", errors="replace", timeout=EXPORT_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ProjectError(f"{command[0]} does not run: {error}.", "Install ESP-IDF again.") from error


def _variables(text: str, before: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables of KEY=VALUE lines; $PATH in them is that of `before`."""
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    found = {key.strip(): value for key, _, value in pairs if key.strip().isidentifier()}
    for name in ("$PATH", "%PATH%"):
        found = {key: value.replace(name, (before or {}).get("PATH", "")) for key, value in found.items()}
    return found


def _joined(machine: Machine, *paths: str) -> str:
    return (";" if machine.system == "windows" else os.pathsep).join(path for path in paths if path)
