"""Building a rendered project: ESP-IDF found and driven, what it makes, and what its failures become."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from elf_files import write_elf
from fake_espidf import TOTALS, FakeEspIdf, write_project

from ftervit_deploy.errors import ProjectError
from ftervit_deploy.firmware import BuildError, Listener, build_firmware
from ftervit_deploy.firmware.outcome import psram_of_elf

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="hardware: the stand-in for ESP-IDF needs sh")


class Heard(Listener):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, int]] = []
        self.lines: list[str] = []
        self.notes: list[str] = []

    def progress(self, done: int, total: int) -> None:
        self.steps.append((done, total))

    def line(self, text: str) -> None:
        self.lines.append(text)

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def espidf(tmp_path: Path) -> FakeEspIdf:
    return FakeEspIdf(tmp_path / "machine")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_project(tmp_path / "firmware")


def _log(project: Path) -> str:
    return (project / "build/ftervit-build.log").read_text()


def test_a_build_tells_what_it_made(espidf: FakeEspIdf, project: Path) -> None:
    build = build_firmware(project, espidf.machine())
    assert (build.chip, build.espidf_version) == ("esp32s3", "5.3.1")
    assert (build.app_bytes, build.app_partition_bytes) == (300_000, 1 << 20)
    assert (build.iram_bytes, build.dram_bytes, build.psram_bytes) == (56_384, 30_000, 5_000)
    assert build.elf == project / "build/app.elf"
    assert build.flasher_args == project / "build/flasher_args.json"
    assert "Project build complete." in _log(project)


def test_the_sizes_of_esp_idf_5_1_are_read_too(espidf: FakeEspIdf, project: Path) -> None:
    espidf.sizes("json", TOTALS)
    build = build_firmware(project, espidf.machine())
    assert (build.iram_bytes, build.dram_bytes, build.psram_bytes) == (56_384, 30_000, None)


def test_external_memory_is_counted_in_the_elf_file_where_esp_idf_size_leaves_it_out(tmp_path: Path) -> None:
    names = [".text", ".ext_ram.dummy", ".ext_ram.bss", ".ext_ram_noinit"]
    sizes = dict(zip(names, (10, 1000, 300, 4), strict=True))
    write_elf(tmp_path / "app.elf", sizes)
    assert psram_of_elf(tmp_path / "app.elf") == 304
    assert psram_of_elf(tmp_path / "gone.elf") is None


@pytest.mark.parametrize("said", [{}, {"layout": [{}]}, {"layout": 3}, {"used_iram": "x"}, []])
def test_sizes_that_nobody_can_read_are_not_known_and_the_build_counts(
    espidf: FakeEspIdf, project: Path, said: object
) -> None:
    espidf.sizes("json2", said)
    build = build_firmware(project, espidf.machine())
    assert (build.iram_bytes, build.dram_bytes, build.psram_bytes) == (None, None, None)


def test_progress_is_that_of_the_application_not_of_the_bootloader(espidf: FakeEspIdf, project: Path) -> None:
    heard = Heard()
    build_firmware(project, espidf.machine(), heard)
    assert heard.steps == [(1, 200), (50, 200), (199, 201), (201, 201)]
    assert "[90/90] Building C object a.c.obj" in heard.lines


def test_a_firmware_whose_heap_has_no_room_for_the_arena_is_told(espidf: FakeEspIdf, project: Path) -> None:
    fits = 0x3FCE_9710 - (24 << 10) - 200_000
    write_elf(espidf.path / "tools/app.elf", {".dram0.heap_start": 0}, fits)
    build_firmware(project, espidf.machine())
    write_elf(espidf.path / "tools/app.elf", {".dram0.heap_start": 0}, fits + 1000)
    with pytest.raises(BuildError, match=r"leaves the engine 199,000 bytes .* planned for 200,000") as caught:
        build_firmware(project, espidf.machine())
    assert "arena_bytes in the board's [memory] to 199,000" in caught.value.hint


# ---- the environment ----


def test_nothing_need_be_exported(espidf: FakeEspIdf, project: Path) -> None:
    build_firmware(project, espidf.machine(PYTHONPATH="/ours", VIRTUAL_ENV="/ours"))
    seen = espidf.seen()
    assert seen["IDF_PATH"] == str(espidf.path)
    assert seen["IDF_TARGET"] == "esp32s3"
    assert seen["PATH"] == f"{espidf.path}/compiler:/usr/bin:/bin"
    assert seen["IDF_PYTHON_ENV_PATH"] == str(espidf.python.parent.parent)
    assert "/ours" not in seen["PYTHONPATH"]
    assert not Path((espidf.path / "tools/note").read_text()).exists()


def test_an_environment_that_was_exported_is_used_as_it_is(espidf: FakeEspIdf, project: Path) -> None:
    (espidf.path / "tools/idf_tools.py").write_text("raise SystemExit('not to be asked')")
    path = f"{espidf.path}/compiler:{espidf.path}/tools:/usr/bin:/bin:/mine"
    python = str(espidf.python.parent.parent)
    exported = espidf.machine(IDF_PATH=str(espidf.path), IDF_PYTHON_ENV_PATH=python, PATH=path)
    build_firmware(project, exported)
    assert espidf.seen()["PATH"] == path


def test_what_espressifs_installer_activates_is_used(espidf: FakeEspIdf, project: Path) -> None:
    (espidf.path / "tools/idf_tools.py").write_text("raise SystemExit('not to be asked')")
    script = espidf.root / "activate_idf_v5.3.1.sh"
    script.write_text(
        '[ "$1" = -e ] || exit 1\necho PATH=/eim/bin\necho SYSTEM_PATH=/x\necho IDF_TOOLS_PATH=/eim\n'
    )
    entry = {"path": str(espidf.path), "idfToolsPath": "/eim", "python": str(espidf.python),
             "activationScript": str(script)}  # fmt: skip
    record = espidf.root / "home/mira/.espressif/tools/eim_idf.json"
    record.write_text(json.dumps({"idfInstalled": [entry]}))
    build_firmware(project, espidf.machine())
    assert espidf.seen()["PATH"] == "/eim/bin:/usr/bin:/bin"


def test_another_chip_in_the_environment_does_not_count_and_is_told(
    espidf: FakeEspIdf, project: Path
) -> None:
    heard = Heard()
    build_firmware(project, espidf.machine(IDF_TARGET="esp32c3"), heard)
    assert espidf.seen()["IDF_TARGET"] == "esp32s3"
    assert any("IDF_TARGET says esp32c3" in note for note in heard.notes)


@pytest.mark.parametrize(
    ("spoil", "what", "hint"),
    [
        ("tools/cmake/project.cmake", "no ESP-IDF", "git clone"),
        ("version.txt", "does not say which version", "install.sh esp32s3"),
    ],
)
def test_without_a_whole_esp_idf_the_hint_installs_one(
    espidf: FakeEspIdf, project: Path, spoil: str, what: str, hint: str
) -> None:
    (espidf.path / spoil).unlink()
    with pytest.raises(ProjectError) as caught:
        build_firmware(project, espidf.machine())
    assert what in caught.value.what
    assert hint in caught.value.hint


def test_an_old_esp_idf_is_refused(tmp_path: Path, project: Path) -> None:
    espidf = FakeEspIdf(tmp_path / "old", "v5.0.4")
    with pytest.raises(ProjectError, match="too old"):
        build_firmware(project, espidf.machine())


def test_a_missing_compiler_is_installed_by_install_sh(espidf: FakeEspIdf, project: Path) -> None:
    shutil.rmtree(espidf.root / "home/mira/.espressif/tools/xtensa-esp-elf")
    with pytest.raises(ProjectError, match="no compiler") as caught:
        build_firmware(project, espidf.machine())
    assert caught.value.hint == f"{espidf.path}/install.sh esp32s3"


def test_a_missing_python_is_installed_by_install_sh(espidf: FakeEspIdf, project: Path) -> None:
    espidf.python.unlink()
    with pytest.raises(ProjectError, match="has no Python") as caught:
        build_firmware(project, espidf.machine())
    assert caught.value.hint == f"{espidf.path}/install.sh esp32s3"


def test_tools_that_idf_tools_does_not_find_are_told_in_its_words(espidf: FakeEspIdf, project: Path) -> None:
    program = "import sys; sys.exit('ERROR: tool cmake has no installed versions.')"
    (espidf.path / "tools/idf_tools.py").write_text(program)
    with pytest.raises(ProjectError, match="tool cmake has no installed versions") as caught:
        build_firmware(project, espidf.machine())
    assert "install.sh" in caught.value.hint


def test_a_folder_without_a_manifest_is_no_project(espidf: FakeEspIdf, tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="no project of ftervit's"):
        build_firmware(tmp_path, espidf.machine())


# ---- rendered again ----


def test_an_unchanged_project_is_built_on(espidf: FakeEspIdf, project: Path) -> None:
    build_firmware(project, espidf.machine())
    (project / "sdkconfig").write_text("CONFIG_SPIRAM=n # by menuconfig\n")
    (project / "build/object").touch()
    heard = Heard()
    build_firmware(project, espidf.machine(), heard)
    assert "menuconfig" in (project / "sdkconfig").read_text()
    assert (project / "build/object").exists()
    assert len(heard.notes) == 1


def test_changed_defaults_take_effect_and_nothing_is_lost(espidf: FakeEspIdf, project: Path) -> None:
    build_firmware(project, espidf.machine())
    (project / "sdkconfig").write_text("# by menuconfig\n")
    (project / "sdkconfig.defaults").write_text("CONFIG_SPIRAM=n\n")
    heard = Heard()
    build_firmware(project, espidf.machine(), heard)
    assert (project / "sdkconfig").read_text() == "CONFIG_SPIRAM=n\n"
    assert (project / "sdkconfig.old").read_text() == "# by menuconfig\n"
    assert any("sdkconfig.old" in note for note in heard.notes)


@pytest.mark.parametrize(
    ("text", "kept"), [("CONFIG_SPIRAM=y\n", True), ("# CONFIG_SPIRAM is not set\n", False)]
)
def test_an_sdkconfig_of_unknown_origin_stays_unless_it_contradicts(
    espidf: FakeEspIdf, project: Path, text: str, kept: bool
) -> None:
    (project / "sdkconfig").write_text(text)
    build_firmware(project, espidf.machine())
    assert (project / "sdkconfig").read_text().startswith(text) == kept
    assert (project / "sdkconfig.old").exists() != kept


def test_a_build_folder_of_another_esp_idf_or_place_is_made_anew(
    espidf: FakeEspIdf, project: Path, tmp_path: Path
) -> None:
    build_firmware(project, espidf.machine())
    (project / "build/object").touch()
    moved = project.rename(tmp_path / "elsewhere")
    build_firmware(moved, espidf.machine())
    assert not (moved / "build/object").exists()
    (moved / "build/object").touch()
    (espidf.path / "version.txt").write_text("v5.4")
    espidf.python.parent.parent.rename(espidf.python.parents[2] / "idf5.4_py3.11_env")
    assert build_firmware(moved, espidf.machine()).espidf_version == "5.4"
    assert not (moved / "build/object").exists()


# ---- failures ----

COMPILER = """[12/987] Building C object esp-idf/main/CMakeFiles/__idf_main.dir/app_main.c.obj
FAILED: esp-idf/main/CMakeFiles/__idf_main.dir/app_main.c.obj
/opt/xtensa-esp-elf-gcc -DESP_PLATFORM -c {project}/main/app_main.c
{project}/main/app_main.c: In function 'app_main':
{project}/main/app_main.c:12:5: error: 'foo' undeclared (first use in this function)
   12 |     foo = 3;
      |     ^~~
{project}/main/app_main.c:13:5: error: 'bar' undeclared
[13/987] Building C object b.c.obj
ninja: build stopped: subcommand failed."""
LINKER = """[986/987] Linking CXX executable app.elf
FAILED: app.elf
/opt/bin/ld: esp-idf/main/libmain.a(app_main.c.obj): in function `app_main':
{project}/main/app_main.c:12: undefined reference to `foo'
collect2: error: ld returned 1 exit status
ninja: build stopped: subcommand failed."""
REGION = """/opt/bin/../lib/gcc/bin/ld: app.elf section `.dram0.bss' will not fit in region `dram0_0_seg'
/opt/bin/../lib/gcc/bin/ld: region `dram0_0_seg' overflowed by 4711 bytes
collect2: error: ld returned 1 exit status"""
CMAKE = """-- Building ESP-IDF components for target esp32s3
CMake Error at /idf/tools/cmake/build.cmake:268 (message):
-- Configuring incomplete, errors occurred!
  Failed to resolve component 'esp32-camera' required by component
  'main': unknown name.

Call Stack (most recent call first):
  /idf/tools/cmake/build.cmake:310 (__build_resolve_and_add_req)"""
NESTED = """CMake Error at /idf/tools/cmake/component.cmake:224 (message):
  CMake Warning (dev) at build_properties.temp.cmake:8:

  fatal: not a git repository

  CMake Error at {project}/main/CMakeLists.txt:1:

    Parse error.  Expected "(", got identifier with text "is".

Call Stack (most recent call first):"""
KILLED = "xtensa-esp-elf-gcc: fatal error: Killed signal terminated program cc1\ncompilation terminated."
REGISTRY = "ERROR: Cannot establish a connection to the component registry."
STEP = "FAILED: gen.c\npython gen.py\nThe generator\ndoes not like it\nninja: build stopped: x"
FAILURES = {
    "compiler": (COMPILER, "main/app_main.c:12: 'foo' undeclared (first use in this function)", 4),
    "linker": (LINKER, "main/app_main.c:12: undefined reference to `foo'", 2),
    "region": (REGION, "app.elf section `.dram0.bss' will not fit in region `dram0_0_seg'", 1),
    "cmake": (
        CMAKE,
        "/idf/tools/cmake/build.cmake:268: "
        "Failed to resolve component 'esp32-camera' required by component 'main'",
        3,
    ),
    "nested": (NESTED, "main/CMakeLists.txt:1: Parse error.", 2),
    "memory": (KILLED, "Killed signal terminated program cc1", 1),
    "registry": (REGISTRY, "Cannot establish a connection to the component registry", 1),
    "disk": ("cp: error writing 'x': No space left on device", "No space left on device", 1),
    "ninja": ("ninja: error: loading 'build.ninja': No such file", "loading 'build.ninja'", 1),
    "silence": ("something odd", "something odd", 4),
    "step": (STEP, "does not like it", 2),
}


@pytest.mark.parametrize("kind", FAILURES)
def test_the_first_error_is_one_sentence_with_its_lines(espidf: FakeEspIdf, project: Path, kind: str) -> None:
    log, what, lines = FAILURES[kind]
    (project / "main").mkdir()
    for name in ("app_main.c", "CMakeLists.txt"):
        (project / "main" / name).touch()
    espidf.fails_with(log.format(project=project))
    with pytest.raises(BuildError) as caught:
        build_firmware(project, espidf.machine())
    assert what in caught.value.what
    assert caught.value.what.startswith("The firmware does not build: ")
    assert len(caught.value.lines) == lines
    assert str(project / "build/ftervit-build.log") in caught.value.hint
    assert log.splitlines()[-1] in _log(project)


def test_an_application_that_is_too_large_is_told_with_the_arithmetic(
    espidf: FakeEspIdf, project: Path
) -> None:
    espidf.app_bytes((1 << 20) + 1234)
    with pytest.raises(BuildError, match="1,049,810 bytes, and its partition 1,048,576: 1,234 too few"):
        build_firmware(project, espidf.machine())


def test_an_old_application_is_not_blamed_for_a_new_failure(espidf: FakeEspIdf, project: Path) -> None:
    build_firmware(project, espidf.machine())
    large = project / "build/app.bin"
    large.write_bytes(bytes(2 << 20))
    os.utime(large, (1e9, 1e9))
    espidf.fails_with(LINKER)
    with pytest.raises(BuildError, match="undefined reference"):
        build_firmware(project, espidf.machine())


def test_a_build_that_leaves_nothing_readable_did_not_succeed(espidf: FakeEspIdf, project: Path) -> None:
    espidf.script("sys.exit(0)")
    with pytest.raises(ProjectError, match="flasher_args"):
        build_firmware(project, espidf.machine())


def test_terminal_colours_do_not_hide_an_error(espidf: FakeEspIdf, project: Path) -> None:
    espidf.fails_with("\x1b[1mmain/x.c:1:2: \x1b[31merror: \x1b[0mbad")
    with pytest.raises(BuildError, match=r"main/x\.c:1: bad"):
        build_firmware(project, espidf.machine())


def test_whoever_stops_listening_ends_the_build_with_all_its_children(
    espidf: FakeEspIdf, project: Path, tmp_path: Path
) -> None:
    child = tmp_path / "child"
    espidf.script(
        "import subprocess\n"
        f"p = subprocess.Popen(['sleep', '60']); pathlib.Path({str(child)!r}).write_text(str(p.pid))\n"
        "print('waiting', flush=True); time.sleep(60)\n"
    )

    class Impatient(Listener):
        def line(self, text: str) -> None:
            if text == "waiting":
                raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        build_firmware(project, espidf.machine(), Impatient())
    assert time.monotonic() - started < 10
    assert not _lives(int(child.read_text()))
    assert "waiting" in _log(project)


def _lives(pid: int) -> bool:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        done = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
        if not done.stdout.strip() or done.stdout.startswith("Z"):
            return False
        time.sleep(0.05)
    return True
