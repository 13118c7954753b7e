"""Every answer of `ftervit doctor` about Python, the engine, the hub, tools and space, on every system."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NoReturn

import pytest
from machines import WSL2, Make, make_fixture  # noqa: F401

from ftervit_deploy.checkpoint.hub import HubAnswer
from ftervit_deploy.doctor import Target, examine, nothing_required_is_missing
from ftervit_deploy.doctor.commands import family, pip_install
from ftervit_deploy.doctor.hub import check_hub, check_token
from ftervit_deploy.doctor.machine import SelfRun
from ftervit_deploy.doctor.python import (
    MINIMUM_ACCELERATE,
    MINIMUM_BOKEH,
    MINIMUM_PYTHON,
    MINIMUM_TORCH,
    check_accelerate,
    check_bokeh,
    check_engine,
    check_python,
    check_torch,
)
from ftervit_deploy.doctor.space import check_build_space, check_space
from ftervit_deploy.doctor.tools import check_cmake, check_compiler, check_esptool, check_pyserial
from ftervit_deploy.doctor.versions import parsed, shown
from ftervit_deploy.errors import DataError, EngineError, HubError

TARGET = Target()
PYPROJECT = (Path(__file__).parents[1] / "pyproject.toml").read_text()
SYSTEMS = [
    ("linux", "debian", "sudo apt-get install -y"),
    ("linux", "fedora", "sudo dnf install -y"),
    ("linux", "arch", "sudo pacman -S --needed"),
    ("linux", "alpine", "Install "),
    ("macos", "debian", "brew install"),
    ("windows", "debian", "winget install"),
]


@pytest.mark.parametrize(
    ("distribution", "expected"),
    [("debian", "debian"), ("ubuntu", "debian"), ("mint", "debian"), ("fedora", "fedora"),
     ("rocky", "fedora"), ("arch", "arch"), ("alpine", "other")],
)  # fmt: skip
def test_a_distribution_is_known_by_its_package_manager(make: Make, distribution: str, expected: str) -> None:
    assert family(make(distribution=distribution)) == expected


def test_versions_are_read_from_what_people_write() -> None:
    assert parsed("v5.3.1-dirty") == (5, 3, 1)
    assert parsed("2.13.0+cpu") == (2, 13, 0)
    assert parsed("nonsense") is None
    assert shown((5, 1)) == "5.1"


def test_the_least_versions_are_those_of_the_package() -> None:
    assert f'requires-python = ">={shown(MINIMUM_PYTHON)}"' in PYPROJECT
    assert f'"torch>={shown(MINIMUM_TORCH)}"' in PYPROJECT
    assert f'"accelerate>={shown(MINIMUM_ACCELERATE)}"' in PYPROJECT
    assert f'"bokeh>={shown(MINIMUM_BOKEH)},' in PYPROJECT


def test_pip_is_that_of_the_interpreter_that_runs(make: Make) -> None:
    assert pip_install(make(), "esptool>=5") == "/venv/bin/python -m pip install 'esptool>=5'"
    spaced = make(executable="/my venv/python")
    assert pip_install(spaced, "torch") == "'/my venv/python' -m pip install torch"
    windows = make("windows")
    assert pip_install(windows, "esptool>=5") == r'C:\venv\python.exe -m pip install "esptool>=5"'
    assert pip_install(make("windows", executable=r"C:\My Files\python.exe"), "a").startswith("python -m")


def test_a_python_that_serves_is_ok(make: Make) -> None:
    check = check_python(make(), TARGET)
    assert (check.status, check.required, check.fix) == ("ok", True, None)


@pytest.mark.parametrize(("system", "distribution", "command"), SYSTEMS)
def test_an_old_python_gets_the_systems_command(
    make: Make, system: str, distribution: str, command: str
) -> None:
    check = check_python(make(system, distribution=distribution, python=(3, 9, 18)), TARGET)
    assert check.status == "wrong"
    assert "3.9.18" in check.what
    assert str(check.fix).startswith(command)


def test_an_engine_that_equals_its_definition_is_ok(make: Make) -> None:
    assert check_engine(make(), TARGET).status == "ok"


def test_an_engine_that_differs_in_one_bit_is_wrong(make: Make) -> None:
    check = check_engine(make(self_run=lambda: SelfRun((1, 2, 3), (1, 2, 4))), TARGET)
    assert check.status == "wrong"
    assert "1 of 3 logits" in check.what
    assert check.fix == "/venv/bin/python -m pip install ftervit --force-reinstall --no-deps"


@pytest.mark.parametrize(
    ("error", "status", "ending"),
    [
        (EngineError("The C engine is not built."), "missing", "--no-deps"),
        (DataError("photo.jpg is no photo."), "wrong", "--no-deps"),
        (OSError("disk"), "wrong", "--no-deps"),
        (ImportError("No module named 'numpy'"), "missing", "install ftervit"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_engine_that_does_not_run_says_why(make: Make, error: Exception, status: str, ending: str) -> None:
    def fail() -> NoReturn:
        raise error

    check = check_engine(make(self_run=fail), TARGET)
    assert (check.status, check.required) == (status, True)
    assert str(error).rstrip(".") in check.what
    assert str(check.fix).endswith(ending)


def _no_engine() -> NoReturn:
    raise EngineError("There is no library.")


def test_an_engine_of_a_checkout_is_built_from_the_checkout(make: Make) -> None:
    check = check_engine(make(self_run=_no_engine, sources="/src/ftervit"), TARGET)
    assert check.fix == (
        "/venv/bin/python -m pip install --editable /src/ftervit --force-reinstall --no-deps"
    )


@pytest.mark.parametrize(("system", "fix"), [("linux", "unset "), ("windows", "Remove-Item Env:")])
def test_an_engine_that_a_variable_names_is_not_reinstalled(make: Make, system: str, fix: str) -> None:
    named = make(system, self_run=_no_engine, environment={"FTERVIT_LIBRARY": "/gone.so"})
    assert check_engine(named, TARGET).fix == f"{fix}FTERVIT_LIBRARY"


@pytest.mark.parametrize(
    ("check", "distribution", "good", "old"),
    [
        (check_torch, "torch", "2.4.0+cpu", "2.3.1"),
        (check_accelerate, "accelerate", "1.15.0", "1.1.1"),
        (check_bokeh, "bokeh", "3.9.2", "3.5.0"),
        (check_esptool, "esptool", "5.1.0", "4.8.1"),
        (check_pyserial, "pyserial", "3.5", None),
    ],
)
def test_optional_packages_are_ok_missing_or_old(make: Make, check, distribution, good, old) -> None:
    fine = check(make(packages={distribution: good}), TARGET)
    missing = check(make(), TARGET)
    assert (fine.status, fine.required, fine.fix) == ("ok", False, None)
    assert good in fine.what
    assert (missing.status, missing.required) == ("missing", False)
    assert distribution in missing.fix
    if old:
        wrong = check(make(packages={distribution: old}), TARGET)
        assert wrong.status == "wrong"
        assert old in wrong.what
        assert wrong.fix == missing.fix


def test_esptool_is_for_flash(make: Make) -> None:
    for packages in ({}, {"esptool": "4.8"}, {"esptool": "5.0"}):
        assert "needed by `ftervit flash`" in check_esptool(make(packages=packages), TARGET).what


def test_pyserial_is_for_the_commands_of_boards(make: Make) -> None:
    for packages in ({}, {"pyserial": "3.5"}):
        assert (
            "`ftervit flash`, `verify` and `monitor`" in check_pyserial(make(packages=packages), TARGET).what
        )


@pytest.mark.parametrize(("system", "distribution", "command"), SYSTEMS)
def test_missing_build_tools_get_the_systems_command(
    make: Make, system: str, distribution: str, command: str
) -> None:
    bare = make(system, distribution=distribution)
    compiler, cmake = check_compiler(bare, TARGET), check_cmake(bare, TARGET)
    assert (compiler.status, cmake.status) == ("missing", "missing")
    assert not compiler.required
    assert not cmake.required
    assert str(cmake.fix).startswith(command)
    assert str(compiler.fix).startswith("xcode-select" if system == "macos" else command)


def test_build_tools_are_found_on_the_path(make: Make) -> None:
    files = {"/usr/bin/gcc": "", "/opt/cmake/bin/cmake": ""}
    linux = make(files=files, environment={"PATH": "/usr/bin::/opt/cmake/bin"})
    assert check_compiler(linux, TARGET).what.endswith("/usr/bin/gcc.")
    assert check_cmake(linux, TARGET).what.endswith("/opt/cmake/bin/cmake.")
    windows = make("windows", files={r"C:\b\clang.exe": ""}, environment={"PATH": r"C:\a;C:\b"})
    assert check_compiler(windows, TARGET).what.endswith(r"C:\b\clang.exe.")


def test_apples_cc_counts_only_with_the_tools_behind_it(make: Make) -> None:
    shim = {"/usr/bin/cc": ""}
    assert check_compiler(make("macos", files=shim, environment={"PATH": "/usr/bin"}), TARGET).status != "ok"
    tools = {"/Library/Developer/CommandLineTools/usr/bin/cc": ""}
    assert check_compiler(make("macos", files=tools), TARGET).status == "ok"


def test_room_on_the_disk(make: Make) -> None:
    full, tight, unknown = make(free_bytes=10_000_000), make(free_bytes=10**9), make(free_bytes=None)
    assert check_space(unknown, TARGET) is None
    assert [check_space(m, TARGET).status for m in (full, tight)] == ["wrong", "ok"]
    assert check_space(full, TARGET).fix
    assert [check_build_space(m, TARGET).status for m in (tight, make())] == ["wrong", "ok"]
    assert check_space(full, TARGET).required
    assert not check_build_space(tight, TARGET).required


def _hub(status: int | None, token: bool = False):
    return lambda: HubAnswer("https://hub.example", status, token)


@pytest.mark.parametrize(
    ("status", "expected"),
    [(200, "ok"), (401, "ok"), (404, "ok"), (503, "wrong"), (429, "wrong"), (None, "missing")],
)
def test_the_hub_is_reached_or_not(make: Make, status: int | None, expected: str) -> None:
    check = check_hub(make(ask_hub=_hub(status)), TARGET)
    assert (check.status, check.required) == (expected, False)
    assert "https://hub.example" in check.what
    assert (check.fix is None) == (expected == "ok")


def test_without_the_hub_there_is_offline_mode(make: Make) -> None:
    assert check_hub(make(ask_hub=_hub(None)), TARGET).fix == "export HF_HUB_OFFLINE=1"
    assert check_hub(make("windows", ask_hub=_hub(None)), TARGET).fix == '$Env:HF_HUB_OFFLINE = "1"'


@pytest.mark.parametrize("ask", [None, lambda: None], ids=["--offline", "HF_HUB_OFFLINE"])
def test_offline_nothing_is_wrong_with_the_hub(make: Make, ask) -> None:
    offline = make(ask_hub=ask)
    assert check_hub(offline, TARGET).status == "ok"
    assert "not checked" in check_token(offline, TARGET).what


@pytest.mark.parametrize(
    ("status", "token", "expected", "words"),
    [
        (401, False, "ok", "No token"),
        (200, True, "ok", "accepts the token"),
        (401, True, "wrong", "does not accept"),
        (404, True, "ok", "not checked"),
        (None, True, "ok", "not checked"),
    ],
)
def test_the_token_is_valid_or_absent_or_wrong(
    make: Make, status: int | None, token: bool, expected: str, words: str
) -> None:
    check = check_token(make(ask_hub=_hub(status, token)), TARGET)
    assert (check.status, check.required) == (expected, True)
    assert words in check.what


def test_a_wrong_token_is_taken_from_where_it_is(make: Make) -> None:
    refused = _hub(401, token=True)
    assert check_token(make(ask_hub=refused), TARGET).fix == "hf auth login"
    named = {"HF_TOKEN": "hf_old"}
    assert check_token(make(ask_hub=refused, environment=named), TARGET).fix == "unset HF_TOKEN"
    windows = make("windows", ask_hub=refused, environment=named)
    assert check_token(windows, TARGET).fix == "Remove-Item Env:HF_TOKEN"


def test_an_impossible_hub_variable_is_named(make: Make) -> None:
    def fail() -> NoReturn:
        raise HubError("A variable of huggingface-hub has an impossible value: x.")

    broken = make(ask_hub=fail)
    assert (check_hub(broken, TARGET).status, check_hub(broken, TARGET).fix) == ("wrong", "unset HF_ENDPOINT")
    assert check_token(broken, TARGET).status == "ok"


def test_a_hub_client_that_is_gone_is_installed_again(make: Make) -> None:
    def fail() -> NoReturn:
        raise ImportError("No module named 'huggingface_hub'")

    checks = [check(make(ask_hub=fail), TARGET) for check in (check_hub, check_token)]
    assert [(check.status, check.required) for check in checks] == [("missing", False), ("missing", True)]
    assert {check.fix for check in checks} == {"/venv/bin/python -m pip install ftervit"}


@pytest.mark.parametrize("system", ["linux", "macos", "windows"])
def test_every_check_answers_in_one_sentence_with_a_fix_unless_all_is_well(make: Make, system: str) -> None:
    checks = examine(make(system), TARGET)
    assert nothing_required_is_missing(checks)
    assert len({check.name for check in checks}) == len(checks)
    for check in checks:
        assert re.fullmatch(r"[^\n]+\.", check.what)
        assert (check.fix is None) == (check.status == "ok")


def test_only_what_is_required_makes_a_machine_unready(make: Make) -> None:
    assert nothing_required_is_missing(examine(make(files=WSL2, ask_hub=_hub(None)), TARGET))
    assert not nothing_required_is_missing(examine(make(self_run=_no_engine), TARGET))
