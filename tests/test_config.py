"""flag > environment > ftervit.toml > board file > default, and each value remembers where it came from."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftervit_deploy.config import KEYS, Settings, find_project_file, resolve
from ftervit_deploy.errors import ConfigError


def _project(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ftervit.toml").write_text(text)
    return folder


def _board(folder: Path, text: str) -> str:
    path = folder / "myboard.toml"
    path.write_text('extends = "host"\n' + text)
    return str(path)


def test_without_anything_every_value_is_the_default(tmp_path: Path) -> None:
    settings = resolve({}, {}, tmp_path)
    assert settings.top == Settings.top
    assert settings.origins["top"] == "default"
    assert set(settings.origins) == set(KEYS)


def test_flag_beats_environment_beats_project_beats_board(tmp_path: Path) -> None:
    board = _board(tmp_path, "[defaults]\ntop = 1\n")
    folder = _project(tmp_path / "a", f'board = "{board}"\ntop = 2\n')
    variables = {"FTERVIT_TOP": "3"}
    assert resolve({"top": 4}, variables, folder).top == 4
    assert resolve({"top": None}, variables, folder).top == 3
    assert resolve({}, {}, folder).top == 2
    assert resolve({"board": board}, {}, tmp_path).top == 1


def test_each_value_remembers_where_it_came_from(tmp_path: Path) -> None:
    board = _board(tmp_path, "[defaults]\nthreads = 2\n")
    folder = _project(tmp_path / "a", f'board = "{board}"\nheads = 2\n')
    origins = resolve({"top": 4}, {"FTERVIT_ENCODING": "t5"}, folder).origins
    assert origins["top"] == "--top"
    assert origins["encoding"] == "FTERVIT_ENCODING"
    assert origins["heads"] == str(folder / "ftervit.toml")
    assert origins["threads"] == board
    assert origins["labels"] == "default"


def test_the_project_file_is_found_upward(tmp_path: Path) -> None:
    folder = _project(tmp_path / "a", "top = 2\n")
    deep = folder / "b" / "c"
    deep.mkdir(parents=True)
    assert find_project_file(deep) == folder / "ftervit.toml"
    assert resolve({}, {}, deep).top == 2


def test_paths_in_a_project_file_are_relative_to_it(tmp_path: Path) -> None:
    folder = _project(tmp_path / "a", 'data = "photos"\nmodel = "m.ftv"\nsource = "student.safetensors"\n')
    (folder / "student.safetensors").touch()
    settings = resolve({}, {}, folder)
    assert settings.data == str(folder / "photos")
    assert settings.model == str(folder / "m.ftv")
    assert settings.source == str(folder / "student.safetensors")


def test_a_source_that_is_no_file_beside_the_project_file_stays_an_alias(tmp_path: Path) -> None:
    assert resolve({}, {}, _project(tmp_path / "a", 'source = "user/repo"\n')).source == "user/repo"


@pytest.mark.parametrize(
    ("text", "named", "suggested"),
    [
        ('encodign = "t5"', "encodign", "encoding"),
        ("thread = 2", "thread", "threads"),
        ("zzz = 1", "zzz", "Known"),
    ],
)
def test_a_wrong_key_is_named_with_the_nearest(tmp_path: Path, text: str, named: str, suggested: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve({}, {}, _project(tmp_path / "a", text))
    assert named in str(caught.value)
    assert suggested in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "top = 0",
        "top = 1.5",
        "top = true",
        'top = "many"',
        'encoding = "t3"',
        "source = 3",
        'source = ""',
        "heads = -1",
    ],
)
def test_an_impossible_value_is_refused_with_its_place(tmp_path: Path, text: str) -> None:
    folder = _project(tmp_path / "a", text)
    with pytest.raises(ConfigError, match=r"ftervit\.toml"):
        resolve({}, {}, folder)


def test_an_impossible_environment_value_names_the_variable(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="FTERVIT_THREADS"):
        resolve({}, {"FTERVIT_THREADS": "all"}, tmp_path)


@pytest.mark.parametrize("content", [b"top = ", b"\xff\xfe", b"[a"])
def test_a_broken_project_file_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "ftervit.toml").write_bytes(content)
    with pytest.raises(ConfigError, match="not valid TOML"):
        resolve({}, {}, tmp_path)


def test_an_unknown_board_is_refused_and_the_known_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="host"):
        resolve({"board": "hosd"}, {}, tmp_path)


def test_a_default_of_an_extended_board_names_the_file_that_has_it(tmp_path: Path) -> None:
    settings = resolve({"board": _board(tmp_path, "[defaults]\ntop = 1\n")}, {}, tmp_path)
    assert settings.origins["top"].endswith("myboard.toml")
    assert settings.origins["encoding"].endswith("host.toml")


def test_a_board_of_the_project_is_found_by_name(tmp_path: Path) -> None:
    folder = _project(tmp_path / "a", 'board = "myboard"\n')
    (folder / "boards").mkdir()
    _board(folder / "boards", "[defaults]\nthreads = 2\n")
    assert resolve({}, {}, folder).threads == 2


def test_a_board_in_the_folder_of_the_environment_comes_before_the_projects(tmp_path: Path) -> None:
    folder = _project(tmp_path / "a", 'board = "myboard"\n')
    for place, threads in ((folder / "boards", 2), (tmp_path / "mine", 3)):
        place.mkdir()
        _board(place, f"[defaults]\nthreads = {threads}\n")
    assert resolve({}, {"FTERVIT_BOARDS": str(tmp_path / "mine")}, folder).threads == 3


def test_a_board_folder_that_is_not_there_names_the_variable(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="FTERVIT_BOARDS"):
        resolve({}, {"FTERVIT_BOARDS": str(tmp_path / "nowhere")}, tmp_path)


@pytest.mark.parametrize(
    ("defaults", "named"),
    [
        ("tpo = 1", "Did you mean 'top'"),
        ("top = 0", "top must be a whole number"),
        ('board = "host"', "board"),
    ],
)
def test_a_wrong_default_of_a_board_is_named_with_its_file(tmp_path: Path, defaults: str, named: str) -> None:
    board = _board(tmp_path, f"[defaults]\n{defaults}\n")
    with pytest.raises(ConfigError) as caught:
        resolve({"board": board}, {}, tmp_path)
    assert named in str(caught.value)
    assert "myboard.toml" in str(caught.value)


def test_a_misspelt_flag_is_a_defect_not_a_user_error() -> None:
    with pytest.raises(KeyError):
        resolve({"tpo": 1}, {})


@pytest.mark.parametrize("content", [f"top = {'9' * 5000}", f"x = {'[' * 5000}"], ids=["number", "nesting"])
def test_a_project_file_beyond_what_python_takes_is_one_sentence(tmp_path: Path, content: str) -> None:
    with pytest.raises(ConfigError, match=r"ftervit\.toml"):
        resolve({}, {}, _project(tmp_path / "a", content))


def test_a_number_of_thousands_of_digits_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="FTERVIT_TOP"):
        resolve({}, {"FTERVIT_TOP": "9" * 5000}, tmp_path)


def test_a_home_folder_is_understood_in_a_flag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path))
    assert resolve({"model": "~/m.ftv"}, {}, tmp_path).model == str(tmp_path / "m.ftv")


def test_a_current_folder_that_is_gone_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> Path:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(Path, "cwd", gone)
    with pytest.raises(ConfigError, match="current folder"):
        resolve({}, {})


def test_the_baud_rate_is_that_of_the_boards_console_unless_something_says_otherwise(tmp_path: Path) -> None:
    console = resolve({"board": "esp32s3-devkitc-n8r8"}, {}, tmp_path)
    assert (console.baud, console.origins["baud"]) == (921_600, "the console of esp32s3-devkitc-n8r8")
    assert not console.chosen("baud")
    assert resolve({"board": "esp32s3-eye"}, {}, tmp_path).baud == Settings.baud
    assert not resolve({}, {}, tmp_path).chosen("baud")
    assert resolve({"baud": 9_600}, {}, tmp_path).chosen("baud")
    said = tmp_path / "mine.toml"
    said.write_text('extends = "esp32s3-devkitc-n8r8"\n[defaults]\nbaud = 57600\n')
    assert resolve({"board": str(said)}, {}, tmp_path).baud == 57_600
    assert resolve({"board": str(said)}, {"ESPBAUD": "9600"}, tmp_path).baud == 9_600
    folder = _project(tmp_path / "a", 'board = "esp32s3-devkitc-n8r8"\nbaud = 38400\n')
    assert resolve({}, {}, folder).baud == 38_400
