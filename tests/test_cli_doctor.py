"""`ftervit doctor` on this machine: exit status, JSON, and the hub asked once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hub_server import Hub, serve

from ftervit_deploy.cli import main
from ftervit_deploy.doctor import probe
from ftervit_deploy.errors import EngineError


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _answers(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    """Exit status and what --json prints, the checks by name."""
    status = main(["doctor", "--offline", "--json", *arguments])
    content = json.loads(capsys.readouterr().out)
    assert set(content) == {"checks", "ok"}
    assert all(set(check) == {"name", "status", "required", "what", "fix"} for check in content["checks"])
    return status, {"ok": content["ok"], **{check["name"]: check for check in content["checks"]}}


def test_a_machine_that_runs_the_tests_is_ready(capsys: pytest.CaptureFixture[str]) -> None:
    status, answers = _answers(capsys)
    assert (status, answers["ok"]) == (0, True)
    assert answers["engine"]["status"] == "ok"


def test_the_table_says_what_is_needed_and_what_is_optional(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--offline"]) == 0
    out = capsys.readouterr().out
    needed, optional, verdict = out.split("\n\n")
    assert needed.startswith("Needed\n")
    assert optional.startswith("Optional\n")
    assert verdict == "Ready: nothing is missing that is needed.\n"


def test_a_missing_engine_exits_2_with_the_command_that_mends_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise EngineError("The C engine is not built.")

    monkeypatch.setattr(probe, "run_bundled_model", fail)
    assert main(["doctor", "--offline"]) == 2
    out, err = capsys.readouterr()
    assert out.endswith("Not ready: engine.\n")
    assert "  -> " in out
    assert err == ""


def test_a_wrong_project_file_is_a_finding_and_no_crash(capsys: pytest.CaptureFixture[str]) -> None:
    Path("ftervit.toml").write_text('bord = "host"\n')
    status, answers = _answers(capsys)
    assert status == 2
    assert answers["settings"]["status"] == "wrong"
    assert "'bord'" in answers["settings"]["what"]
    assert answers["settings"]["fix"]


def test_a_right_project_file_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    Path("ftervit.toml").write_text('board = "esp32s3-eye"\n')
    status, answers = _answers(capsys)
    assert status == 0
    assert "ftervit.toml is valid" in answers["settings"]["what"]


@pytest.mark.parametrize("board", ["esp32s3-eye", "host"])
def test_any_board_can_be_named(board: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _answers(capsys, "--board", board)[0] == 0


def test_a_board_that_there_is_not_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--offline", "--board", "esp32s3-eyes"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "esp32s3-eye" in err


def _doctor_with_hub(endpoint: str, home: Path, **environment: str) -> dict[str, Any]:
    """In a process of its own, because the hub's client reads its variables once."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGING"))}
    done = subprocess.run(
        [sys.executable, "-m", "ftervit_deploy", "doctor", "--json"],
        env={**kept, "HF_ENDPOINT": endpoint, "HF_HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path),
             "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", **environment},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    return {check["name"]: check for check in json.loads(done.stdout)["checks"]}


def test_the_hub_is_asked_once_and_a_refused_token_is_told(tmp_path: Path) -> None:
    with serve(Hub()) as hub:
        reached = _doctor_with_hub(hub.endpoint, tmp_path)
        assert [path for _, path, _ in hub.requests] == ["/api/whoami-v2"]
        assert reached["hub"]["status"] == "ok"
        assert "No token" in reached["hub-token"]["what"]
        hub.status = 401
        refused = _doctor_with_hub(hub.endpoint, tmp_path, HF_TOKEN="hf_old")
        assert refused["hub-token"]["status"] == "wrong"
        hub.status = 503
        assert _doctor_with_hub(hub.endpoint, tmp_path)["hub"]["status"] == "wrong"
    assert _doctor_with_hub(hub.endpoint, tmp_path)["hub"]["status"] == "missing"


def test_offline_mode_asks_nothing(tmp_path: Path) -> None:
    with serve(Hub()) as hub:
        answers = _doctor_with_hub(hub.endpoint, tmp_path, HF_HUB_OFFLINE="1")
    assert hub.requests == []
    assert "offline" in answers["hub"]["what"]


def test_nothing_heavy_is_imported_to_look_for_it() -> None:
    program = (
        "import sys; from ftervit_deploy.cli import main; main(['doctor', '--offline', '--quiet']);"
        "sys.exit(bool({'torch', 'serial', 'esptool'} & set(sys.modules)))"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", program], env=env, capture_output=True).returncode == 0
