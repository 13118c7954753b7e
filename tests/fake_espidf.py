"""A folder that looks like an ESP-IDF and does in milliseconds what one does in minutes, or fails as one."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

from machines import machine, write_files

from ftervit_deploy.doctor.machine import Machine
from ftervit_deploy.project import MANIFEST_FILE, Manifest, Shape, manifest_text

IDF = "/home/mira/esp/esp-idf"
PYTHON_ENV = "/home/mira/.espressif/python_env/idf5.3_py3.11_env"
TOOLS = "/home/mira/.espressif/tools"

IDF_PY = """
import json, os, pathlib, sys, time
here = pathlib.Path(__file__).parent
arguments = sys.argv[1:]
assert arguments[0] == "-C" and arguments[2] == "build", arguments
project = pathlib.Path(arguments[1])
build = project / "build"
said = {k: os.environ.get(k) for k in ("IDF_PATH", "IDF_TARGET", "PATH", "PYTHONPATH", "IDF_PYTHON_ENV_PATH")}
(here / "seen.json").write_text(json.dumps(said))
runs = here / "runs"
runs.write_text(runs.read_text() + "x" if runs.exists() else "x")
script = here / "script.py"
print("Executing action: all (aliases: build)")
if not (project / "sdkconfig").exists():
    (project / "sdkconfig").write_text((project / "sdkconfig.defaults").read_text())
size = int((here / "app_bytes").read_text())
description = {"app_elf": "app.elf", "app_bin": "app.bin", "target": said["IDF_TARGET"]}
(build / "project_description.json").write_text(json.dumps(description))
for done, total in ((1, 200), (50, 200), (1, 90), (90, 90), (199, 201), (201, 201)):
    print(f"[{done}/{total}] Building C object a.c.obj", flush=True)
    if script.exists() and done == 50:
        exec(script.read_text())
elf = here / "app.elf"
(build / "app.elf").write_bytes(elf.read_bytes() if elf.exists() else b"elf")
(build / "app.map").write_text("map")
(build / "app.bin").write_bytes(bytes(size))
if size > 1 << 20:
    print("Error: app partition is too small for binary app.bin")
    sys.exit(2)
(build / "flasher_args.json").write_text(json.dumps({"flash_files": {"0x10000": "app.bin"}}))
print("Project build complete.")
"""

IDF_TOOLS_PY = """
import os, pathlib, sys, tempfile
assert sys.argv[1:] == ["export", "--format", "key-value"], sys.argv
print("PATH=" + str(pathlib.Path(__file__).parents[1] / "compiler") + ":$PATH")
print("ESP_IDF_VERSION=5.3")
handle, name = tempfile.mkstemp("idf_1")
print("IDF_DEACTIVATE_FILE_PATH=" + name)
(pathlib.Path(__file__).parent / "note").write_text(name)
print("PYTHONPATH=" + str(pathlib.Path(__file__).parents[1]))
"""

LAYOUT = {
    "version": "1.1",
    "layout": [
        {"name": "Flash Code", "used": 90000, "parts": {".text": {"size": 90000}}},
        {"name": "DIRAM", "used": 70000, "parts": {
            ".text": {"size": 40000}, ".bss": {"size": 20000}, ".data": {"size": 10000}}},
        {"name": "IRAM", "used": 16384, "parts": {".text": {"size": 15356}, ".vectors": {"size": 1028}}},
        {"name": "External RAM", "used": 5000, "parts": {".ext_ram.bss": {"size": 5000}}},
    ],
}  # fmt: skip
TOTALS = {
    "used_iram": 16384, "diram_text": 40000, "diram_vectors": 0, "used_dram": 0, "used_diram": 70000,
    "used_diram_ratio": 0.2,
}  # fmt: skip
"""The same firmware as esp_idf_size of ESP-IDF 5.1 tells it."""


def manifest(**given: object) -> Manifest:
    """Of a project for 8 MB of flash, of which the application may take one mebibyte."""
    facts: dict[str, object] = {
        "ftervit": "0.1.0", "board": "esp32s3-eye", "chip": "esp32s3", "cores": 2, "flash_bytes": 8 << 20,
        "flash_mode": "qio", "psram_bytes": 8 << 20, "psram_mode": "octal", "model_file": "model.ftv",
        "model_sha256": "0" * 64, "model_bytes": 1000, "model_offset": 0x11_0000,
        "model_partition_bytes": 1 << 20, "app_offset": 0x1_0000, "app_partition_bytes": 1 << 20, "arena_bytes": 200_000,
        "shape": Shape("t2", 64, 8, 96, 6, 3, 384, 10),
    }  # fmt: skip
    return Manifest(**{**facts, **given})  # type: ignore[arg-type]


def write_project(folder: Path, **given: object) -> Path:
    """A rendered project, as far as building it needs."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST_FILE).write_text(manifest_text(manifest(**given)))
    (folder / "sdkconfig.defaults").write_text('CONFIG_IDF_TARGET="esp32s3"\nCONFIG_SPIRAM=y\n')
    return folder


class FakeEspIdf:
    """One on a made-up machine below `root`; its Python is this process's."""

    def __init__(self, root: Path, version: str = "v5.3.1") -> None:
        self.root = root
        self.path = root / IDF.lstrip("/")
        files = {"tools/idf.py": IDF_PY, "tools/idf_tools.py": IDF_TOOLS_PY, "tools/cmake/project.cmake": ""}
        write_files(root, {f"{IDF}/{name}": text for name, text in files.items()})
        write_files(root, {f"{IDF}/version.txt": version, f"{TOOLS}/xtensa-esp-elf/x": ""})
        write_files(root, {f"{IDF}/compiler/xtensa-esp-elf-gcc": "", f"{IDF}/tools/app_bytes": "300000"})
        self.python = root / PYTHON_ENV.lstrip("/") / "bin/python"
        self.python.parent.mkdir(parents=True)
        self.python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        self.python.chmod(0o755)
        self.sizes("json2", LAYOUT)

    def sizes(self, form: str, said: object) -> None:
        """What esp_idf_size says, where it is asked for `form`; for others it fails."""
        program = f"import sys\nif {form!r} not in sys.argv: sys.exit(2)\nprint({json.dumps(said)!r})\n"
        (self.path / "esp_idf_size.py").write_text(program)

    def script(self, program: str) -> None:
        """Python to run in the middle of a build."""
        (self.path / "tools/script.py").write_text(program)

    def fails_with(self, log: str) -> None:
        """The build prints `log` and fails."""
        self.script(f"print({log!r}); sys.exit(2)")

    def app_bytes(self, size: int) -> None:
        """How large the application becomes."""
        (self.path / "tools/app_bytes").write_text(str(size))

    def seen(self) -> dict[str, str]:
        """Some of the last build's environment."""
        content: dict[str, str] = json.loads((self.path / "tools/seen.json").read_text())
        return content

    def machine(self, **environment: str) -> Machine:
        """The machine it is on. Real paths, so that its programs can run."""
        home = str(self.root / "home/mira")
        path = environment.pop("PATH", "/usr/bin:/bin")
        variables = {"PATH": path, "HOME": home, **environment}
        made = machine(self.root / "nowhere", home=home, environment=variables)
        return _on_this_file_system(made)


def _on_this_file_system(made: Machine) -> Machine:
    from dataclasses import replace

    return replace(made, root=None)


Make = Callable[..., FakeEspIdf]
