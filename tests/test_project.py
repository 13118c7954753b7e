"""Rendering is deterministic and complete; writing keeps what a person edited."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import jinja2
import pytest
from c_compiler import ROOT
from projects import board_named, chip_board_names, rendered, scalar, tiny_image

from ftervit_deploy.architecture import PRESETS
from ftervit_deploy.boards.sdkconfig import sdkconfig_options
from ftervit_deploy.cli.app import main
from ftervit_deploy.errors import ProjectError
from ftervit_deploy.image import write_image
from ftervit_deploy.lower import lower
from ftervit_deploy.project import read_manifest, render, write_project
from ftervit_deploy.project.render import PROJECT_TEMPLATES, _environment
from ftervit_deploy.resources import templates_folder
from synthetic import random_graph

GOLDEN = Path(__file__).parent / "golden" / "project"
SCALAR = "-scalar"
"""Marks a board whose vector unit is left alone: a folder with the model's part."""
CASES = {
    "esp32s3-eye": "t2", "m5stack-cores3": "t5", "qemu-esp32s3": "t2", f"esp32s3-eye{SCALAR}": "t2",
    f"m5stack-cores3{SCALAR}": "t5",
}  # fmt: skip


def own_files(board: str, encoding: str) -> dict[str, bytes]:
    """What is rendered, without the runtime and the model."""
    chip_board = board_named(board.removesuffix(SCALAR))
    files = rendered(tiny_image(encoding), scalar(chip_board) if board.endswith(SCALAR) else chip_board).files
    return {name: data for name, data in files.items() if not name.startswith(("components/", "model.ftv"))}


def golden_files(board: str, encoding: str) -> dict[str, bytes]:
    """`own_files`; the model's part, which is the same for every board, once for each encoding."""
    files = own_files(board, encoding)
    first = next(name for name, other in CASES.items() if other == encoding)
    if board.endswith(SCALAR):
        return {name: data for name, data in files.items() if name.startswith("main/model")}
    return {
        name: data for name, data in files.items() if board == first or not name.startswith("main/model_")
    }


@pytest.mark.parametrize(("board", "encoding"), CASES.items())
def test_projects_are_the_golden_ones(
    board: str, encoding: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(render, "__version__", "golden")
    files = golden_files(board, encoding)
    folder = GOLDEN / board
    if request.config.getoption("--regenerate-golden"):
        for name, data in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
    golden = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert files == golden, "the templates changed; if that is meant: pytest --regenerate-golden"


def test_a_board_with_one_core_has_one_worker_and_its_settings() -> None:
    board = board_named("qemu-esp32s3")
    files = rendered(tiny_image(), replace(board, chip=replace(board.chip, cores=1))).files
    settings = files["sdkconfig.defaults"].decode()
    assert "CONFIG_FREERTOS_UNICORE=y" in settings
    assert "CPU1" not in settings
    assert "both cores" not in settings
    assert ".workers = 1," in files["main/board.c"].decode()
    assert re.search(r"MODEL_WORKERS +1U", files["main/model.h"].decode())


def test_rendering_twice_gives_the_same_bytes() -> None:
    image, board = tiny_image(), board_named("esp32s3-eye")
    assert rendered(image, board).files == rendered(image, board).files


def test_an_unknown_name_in_a_template_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.j2").write_text("{{ nothing }}")
    with pytest.raises(jinja2.UndefinedError):
        _environment(tmp_path).get_template("a.j2").render()


@pytest.mark.parametrize("board", chip_board_names())
def test_every_board_has_its_settings_partitions_and_devices(board: str) -> None:
    chip, files = board_named(board), rendered(tiny_image(), board_named(board)).files
    settings = files["sdkconfig.defaults"].decode()
    for key in sdkconfig_options(chip):
        assert re.search(rf"^{key}=", settings, re.MULTILINE), key
    assert b"esp32-camera" in files["main/idf_component.yml"] or not chip.camera
    devices = files["main/board.c"].decode()
    assert ("camera_driver" in devices) == (chip.camera is not None)
    assert ("display_driver" in devices) == (chip.display is not None)
    assert len(re.findall(r"\.register_address", devices)) == len(chip.i2c.writes if chip.i2c else ())


def test_every_template_is_rendered_for_some_board() -> None:
    names = set().union(*(own_files(board, encoding) for board, encoding in CASES.items()))
    root = templates_folder() / PROJECT_TEMPLATES
    assert {p.relative_to(root).as_posix().removesuffix(".j2") for p in root.rglob("*.j2")} <= names


def test_the_runtime_travels_without_what_only_computers_need() -> None:
    names = {name.removeprefix("components/ftv/") for name in rendered(tiny_image()).files}
    assert {"src/ftv_run.c", "line/ftv_line.c", "app/ftv_app.c", "ports/espidf/ftv_espidf.c"} <= names
    assert not [name for name in names if name.startswith(("host/", "ports/posix/"))]


def test_strings_of_a_board_cannot_leave_their_quotes() -> None:
    board = replace(board_named("esp32s3-eye"), name='a"; evil(); // \\ */ ??/')
    files = rendered(tiny_image(), board).files
    for name in ("main/main.c", "main/board.c"):
        assert '\\"; evil(); // \\\\' in files[name].decode()
        assert '"a"; evil()' not in files[name].decode()
        assert "*/ ??/\\n" not in files[name].decode()


def test_the_manifest_says_what_was_rendered(tmp_path: Path) -> None:
    project = rendered(tiny_image(), board_named("esp32s3-eye"))
    write_project(project, tmp_path / "p")
    assert read_manifest(tmp_path / "p") == project.manifest
    assert (tmp_path / "p" / project.manifest.model_file).read_bytes() == tiny_image()


DAMAGED = ["", "[]", "{}", '{"format": 2}', '{"format": 1, "board": 3}', "[" * 100_000]


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_manifest_is_named(content: str, tmp_path: Path) -> None:
    (tmp_path / "ftervit.json").write_text(content)
    with pytest.raises(ProjectError, match=re.escape(str(tmp_path / "ftervit.json"))):
        read_manifest(tmp_path)


def test_what_is_the_same_is_not_touched(tmp_path: Path) -> None:
    project, folder = rendered(tiny_image()), tmp_path / "p"
    assert set(write_project(project, folder).changed) == set(project.files)
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*.c")}
    assert write_project(project, folder).changed == ()
    assert before == {p: p.stat().st_mtime_ns for p in folder.rglob("*.c")}


def test_files_of_an_older_rendering_go(tmp_path: Path) -> None:
    project, folder = rendered(tiny_image()), tmp_path / "p"
    write_project(project, folder)
    name = "components/ftv/README.md"
    fewer = replace(project, files={n: data for n, data in project.files.items() if n != name})
    assert write_project(fewer, folder).removed == (name,)
    assert not (folder / name).exists()


def test_an_edited_file_is_not_replaced_unasked(tmp_path: Path) -> None:
    project, folder = rendered(tiny_image()), tmp_path / "p"
    write_project(project, folder)
    (folder / "main/main.c").write_text("mine")
    with pytest.raises(ProjectError, match=r"main\.c was edited since it was rendered"):
        write_project(rendered(tiny_image(classes=6)), folder)
    assert (folder / "main/main.c").read_text() == "mine"
    write_project(project, folder, replace_edited=True)
    assert (folder / "main/main.c").read_bytes() == project.files["main/main.c"]


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years")
    with pytest.raises(ProjectError, match="holds other files"):
        write_project(rendered(tiny_image()), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(ProjectError, match="is a file"):
        write_project(rendered(tiny_image()), tmp_path / "thesis.txt")


def test_a_hostile_record_removes_nothing_outside(tmp_path: Path) -> None:
    project, folder = rendered(tiny_image()), tmp_path / "p"
    write_project(project, folder)
    outside = tmp_path / "outside.txt"
    outside.write_text("stay")
    names = ["../outside.txt", str(outside), "a/../../outside.txt"]
    (folder / ".ftervit-files.json").write_text(json.dumps(dict.fromkeys(names, "0")))
    write_project(project, folder, replace_edited=True)
    assert outside.read_text() == "stay"


def test_render_only_needs_no_esp_idf(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.ftv").write_bytes(tiny_image())
    assert main(["build", "--board", "esp32s3-eye", "--render-only", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["firmware"] is None
    assert (tmp_path / "firmware" / "main" / "model_kernels.c").is_file()
    assert record["partitions"]["model"]["offset"] == 0x110000


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--board", "host"), "no microcontroller"),
        (("--board", "esp32s3-eyes"), "esp32s3-eye"),
        (("broken.ftv", "--board", "esp32s3-eye"), "broken.ftv"),
        (("nothing.ftv", "--board", "esp32s3-eye"), "nothing.ftv"),
    ],
)
def test_bad_input_of_build_is_named(
    arguments: tuple[str, ...], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.ftv").write_bytes(tiny_image())
    (tmp_path / "broken.ftv").write_bytes(tiny_image()[:-1])
    assert main(["build", "--render-only", *arguments]) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "firmware").exists()


def test_the_components_own_build_file_lists_what_exists() -> None:
    text = (ROOT / "c_runtime" / "CMakeLists.txt").read_text()
    for name in re.findall(r"ports/espidf/\w+\.c", text):
        assert (ROOT / "c_runtime" / name).is_file(), name


def test_pieces_of_the_heap_are_taken_at_boot() -> None:
    board = board_named("esp32s3-eye")
    image = write_image(lower(random_graph(replace(PRESETS["deit_tiny_224"], depth=1), 1)), "t2")
    board = replace(board, memory=replace(board.memory, arena_bytes=120_000, heap_bytes=50_000))
    project = rendered(image, board)
    spare = project.memory.spare_bytes
    assert 0 < spare <= 50_000
    assert f"#define MODEL_SPARE_BYTES  {spare}U" in project.files["main/model.h"].decode()
    assert "FTV_SPARE" in project.files["main/model_plan.c"].decode()
    main_c = project.files["main/main.c"].decode()
    assert "config.arena = config.scratch = take(ARENA_BYTES);" in main_c
    assert "config.options.spare = take(MODEL_SPARE_BYTES);" in main_c
