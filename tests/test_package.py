"""The sdist, the wheel built from it, and an installation of that wheel hold everything."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

from ftervit_deploy import __version__, resources

ROOT = Path(__file__).parent.parent
SHIPPED = (
    "templates/README.md",
    "boards/host.toml",
    "c_runtime/include/ftv.h",
    "c_runtime/IMAGE_FORMAT.md",
    "c_runtime/LINE_PROTOCOL.md",
    "c_runtime/line/ftv_line.h",
)


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and with the wheel built from the sdist."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return folder


def _wheel(folder: Path) -> Path:
    return next(folder.glob("*.whl"))


@pytest.mark.slow
def test_the_sdist_holds_the_sources(distributions: Path) -> None:
    with tarfile.open(next(distributions.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {*SHIPPED, "LICENSE", "CMakeLists.txt", "pyproject.toml", "ftervit_deploy/cli/app.py"} <= names
    assert not any(name.startswith((".venv", "build/", "runs/")) for name in names)


@pytest.mark.slow
def test_the_wheel_holds_engine_templates_runtime_and_boards(distributions: Path) -> None:
    wheel = _wheel(distributions)
    assert wheel.name.startswith(f"ftervit-{__version__}-py3-none-")
    names = zipfile.ZipFile(wheel).namelist()
    assert {f"ftervit_deploy/_resources/{name}" for name in SHIPPED} <= set(names)
    assert any(name.startswith("ftervit_deploy/_native/") for name in names)
    assert "ftervit_deploy/_native/ftv-board" in names or sys.platform == "win32"
    assert not any(name.startswith(("tests/", "bench/")) for name in names)


@pytest.mark.slow
def test_the_wheel_holds_every_data_file_of_the_package(distributions: Path) -> None:
    names = set(zipfile.ZipFile(_wheel(distributions)).namelist())
    data = (path for path in (ROOT / "ftervit_deploy" / "data").rglob("*") if path.is_file())
    assert {path.relative_to(ROOT).as_posix() for path in data} <= names


@pytest.fixture(scope="module")
def installed(distributions: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of a fresh virtual environment with the wheel; dependencies are borrowed from this one."""
    folder = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    query = "import sysconfig; print(sysconfig.get_path('purelib'))"
    found = subprocess.run([str(python), "-c", query], capture_output=True, text=True, check=True).stdout
    site = Path(found.strip())
    _install(zipfile.ZipFile(_wheel(distributions)), site)
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def _install(wheel: zipfile.ZipFile, site: Path) -> None:
    """As pip does: what may be executed in the wheel may be so in the installation."""
    wheel.extractall(site)
    for member in wheel.infolist():
        if member.external_attr >> 16 & 0o111 and not member.is_dir():
            (site / member.filename).chmod(0o755)


def _run_installed(python: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(python), *arguments], cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_an_installation_finds_its_files(installed: Path, tmp_path: Path) -> None:
    program = (
        "from ftervit_deploy import resources as r; "
        "print(r.boards_folder(), r.templates_folder(), r.c_runtime_folder(), r.native_library())"
    )
    done = _run_installed(installed, tmp_path, "-c", program)
    assert done.returncode == 0, done.stderr
    assert all(Path(path).exists() for path in done.stdout.split())
    assert all(str(installed.parent.parent) in path for path in done.stdout.split())


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="hardware: the virtual board needs POSIX")
def test_an_installation_runs_the_virtual_board(installed: Path) -> None:
    program = (
        "from ftervit_deploy.resources import board_program, signs_folder; "
        "from ftervit_deploy.virtual import Camera, choose_photos, virtual_board; "
        "photos = choose_photos(signs_folder() / 'photos'); "
        "context = virtual_board(signs_folder() / 'signs.ftv', Camera(photos), tcp=0); "
        "print(board_program(), context.__enter__().port); context.__exit__(None, None, None)"
    )
    done = _run_installed(installed, installed.parent, "-c", program)
    assert done.returncode == 0, done.stderr
    assert str(installed.parent.parent) in done.stdout
    assert "socket://127.0.0.1:" in done.stdout


@pytest.mark.slow
def test_an_installation_runs_the_demonstration(installed: Path, tmp_path: Path) -> None:
    done = _run_installed(installed, tmp_path, "-m", "ftervit_deploy", "demo")
    assert done.returncode == 0, done.stderr
    assert "ftervit inspect" in done.stdout
    assert (tmp_path / "signs.ftv").is_file()


def test_this_installation_finds_its_files() -> None:
    assert (resources.boards_folder() / "host.toml").is_file()
    assert (resources.c_runtime_folder() / "include" / "ftv.h").is_file()
    assert (resources.templates_folder() / "README.md").is_file()
    assert resources.native_library().is_file()


def test_a_library_that_the_environment_names_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = tmp_path / "libftv.so"
    library.touch()
    monkeypatch.setenv("FTERVIT_LIBRARY", str(library))
    assert resources.native_library() == library
