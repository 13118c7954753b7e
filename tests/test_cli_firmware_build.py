"""What a person and a program see of a firmware build."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fake_espidf import FakeEspIdf, write_project

from ftervit_deploy.cli.firmware_build import as_json, as_text, run_build
from ftervit_deploy.cli.output import Output
from ftervit_deploy.doctor import probe
from ftervit_deploy.firmware import BuildError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="hardware: the stand-in for ESP-IDF needs sh")


@pytest.fixture
def espidf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeEspIdf:
    """The ESP-IDF of this machine."""
    espidf = FakeEspIdf(tmp_path / "machine")
    monkeypatch.setattr(probe, "this_machine", lambda offline: espidf.machine())
    return espidf


def test_the_sizes_are_a_table_and_a_record(espidf: FakeEspIdf, tmp_path: Path) -> None:
    build = run_build(write_project(tmp_path / "firmware"), Output())
    text, record = as_text(build), as_json(build)
    assert "300.0 kB, 29 % of its partition (ESP-IDF 5.3.1, " in text
    assert "data in PSRAM" in text
    assert json.loads(json.dumps(record))["iram_bytes"] == 56_384
    assert set(record) >= {"app_bytes", "app_partition_bytes", "dram_bytes", "psram_bytes", "elf", "esp_idf"}


def test_the_lines_of_the_first_error_are_on_stderr(
    espidf: FakeEspIdf, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    espidf.fails_with("main/x.c:1:2: error: bad \x1b]0;title\x07\n    1 | bad")
    with pytest.raises(BuildError):
        run_build(write_project(tmp_path / "firmware"), Output())
    out, err = capsys.readouterr()
    assert out == ""
    assert "  main/x.c:1:2: error: bad" in err
    assert "  1 | bad" in err
    assert "\x1b" not in err
    assert "\x07" not in err


def test_verbose_shows_every_line_and_quiet_none(
    espidf: FakeEspIdf, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project, output = write_project(tmp_path / "firmware"), Output()
    output.verbose = True
    run_build(project, output)
    assert "[50/200] Building C object" in capsys.readouterr().err
    output.verbose, output.quiet = False, True
    run_build(project, output)
    assert capsys.readouterr() == ("", "")


def test_a_signal_ends_the_build_whole(espidf: FakeEspIdf, tmp_path: Path) -> None:
    child, project = tmp_path / "child", write_project(tmp_path / "firmware")
    espidf.script(
        "import subprocess\n"
        f"p = subprocess.Popen(['sleep', '60']); pathlib.Path({str(child)!r}).write_text(str(p.pid))\n"
        "time.sleep(60)\n"
    )
    program = (
        "import sys; from pathlib import Path; from ftervit_deploy.cli.firmware_build import run_build;"
        "from ftervit_deploy.cli.output import Output; run_build(Path(sys.argv[1]), Output())"
    )
    home = str(espidf.root / "home/mira")
    environment = {"HOME": home, "PATH": "/usr/bin:/bin", "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, "-c", program, str(project)], env=environment, stderr=-1)
    deadline = time.monotonic() + 20
    while not (child.exists() and child.read_text()):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    with pytest.raises(ProcessLookupError):
        while time.monotonic() < deadline:
            os.kill(int(child.read_text()), 0)
            stat = Path(f"/proc/{child.read_text()}/stat")
            if stat.exists() and stat.read_text().split()[2] == "Z":
                raise ProcessLookupError
            time.sleep(0.05)
