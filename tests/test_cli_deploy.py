"""`ftervit deploy` chains the stages, makes nothing again that is there, and hands on what each needs."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ftervit_deploy.cli import build as build_module
from ftervit_deploy.cli import deploy as deploy_module
from ftervit_deploy.cli import flash as flash_module
from ftervit_deploy.cli import main
from ftervit_deploy.cli import monitor as monitor_module
from ftervit_deploy.config import Settings, resolve
from ftervit_deploy.errors import ProjectError
from ftervit_deploy.resources import signs_folder


@dataclass
class Record:
    """What a stage says of itself."""

    content: dict[str, Any]

    def payload(self) -> dict[str, Any]:
        return self.content

    def text(self) -> str:
        return f"text of {sorted(self.content)}"


class Stages:
    """Building, flashing and watching, as they are called."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Settings, Any]] = []
        self.failure: Exception | None = None

    def build(self, settings: Settings, output: object, **options: Any) -> Record:
        self.calls.append(("build", settings, options))
        if self.failure:
            raise self.failure
        return Record({"project": settings.project})

    def flash(self, output: object, settings: Settings) -> Record:
        self.calls.append(("flash", settings, None))
        return Record({"port": "/dev/ttyACM3"})

    def watch(self, settings: Settings, output: object, wishes: Any) -> None:
        self.calls.append(("watch", settings, wishes))

    @property
    def names(self) -> list[str]:
        return [name for name, _, _ in self.calls]


@pytest.fixture
def stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stages:
    """Stages that do nothing; an empty current folder."""
    stages = Stages()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(build_module, "build_project", stages.build)
    monkeypatch.setattr(flash_module, "flash_project", stages.flash)
    monkeypatch.setattr(monitor_module, "watch", stages.watch)
    return stages


EYE = ("--board", "esp32s3-eye", "--port", "/dev/ttyACM3")


def test_one_command_goes_from_a_checkpoint_to_a_board(
    stages: Stages, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["deploy", "signs", *EYE, "--project", "fw", "--force"]) == 0
    assert stages.names == ["build", "flash", "watch"]
    assert Path("model.ftv").read_bytes()[:4] == b"FTVI"
    for _, settings, _ in stages.calls:
        assert (settings.board, settings.port) == ("esp32s3-eye", "/dev/ttyACM3")
        assert settings.project == "fw"
    assert [settings.model for _, settings, _ in stages.calls[:2]] == ["model.ftv"] * 2
    assert stages.calls[0][2] == {"force": True}
    assert stages.calls[2][2].patience_s > 1, "the board's USB goes away for a moment"
    out, err = capsys.readouterr()
    assert out == "text of ['project']\ntext of ['port']\n"
    steps = [line.split()[0] for line in err.splitlines()]
    assert steps == ["Packing", "model.ftv:", "Building", "Flashing", "Watching"]


def test_after_init_it_works_bare(stages: Stages) -> None:
    arguments = ["init", "--board", "esp32s3-eye", "--source", "signs", "--port", "socket://127.0.0.1:1"]
    assert main(arguments) == 0
    assert main(["deploy", "--no-monitor"]) == 0
    assert stages.names == ["build", "flash"]
    assert stages.calls[1][1].port == "socket://127.0.0.1:1"


def test_json_is_one_object_and_ends_after_flashing(
    stages: Stages, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["deploy", "signs", *EYE, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["pack"]["packed"] is True
    assert record["pack"]["bytes"] == Path("model.ftv").stat().st_size
    assert (record["build"], record["flash"]) == ({"project": "firmware"}, {"port": "/dev/ttyACM3"})
    assert stages.names == ["build", "flash"]


def test_a_packed_image_is_not_packed(stages: Stages, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(signs_folder() / "signs.ftv", "mine.ftv")
    assert main(["deploy", "mine.ftv", *EYE, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pack"]["packed"] is False
    assert stages.calls[0][1].model == "mine.ftv"


def test_an_image_that_is_there_counts_where_no_checkpoint_is_named(stages: Stages) -> None:
    shutil.copy(signs_folder() / "signs.ftv", "model.ftv")
    assert main(["deploy", *EYE, "--no-monitor"]) == 0
    assert stages.calls[0][1].model == "model.ftv"


@pytest.mark.parametrize("source", ["signs", str(signs_folder() / "student.safetensors")])
def test_an_image_of_the_same_checkpoint_is_left_alone(stages: Stages, source: str) -> None:
    assert main(["deploy", source, *EYE, "--no-monitor"]) == 0
    before = Path("model.ftv").stat().st_mtime_ns
    assert main(["deploy", source, *EYE, "--no-monitor"]) == 0
    assert Path("model.ftv").stat().st_mtime_ns == before


def test_another_checkpoint_or_another_wish_is_packed_anew(
    stages: Stages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(signs_folder() / "signs.ftv", "model.ftv")
    image, labels = Path("model.ftv"), tmp_path / "labels.txt"
    labels.write_text("\n".join("abcdefghij"))
    other = tmp_path / "other.safetensors"
    other.write_bytes((signs_folder() / "student.safetensors").read_bytes()[:-1] + b"\x00")

    def current(**flags: object) -> bool:
        return deploy_module.is_current(image, resolve({"source": "signs", **flags}, {}, tmp_path))

    assert current()
    assert current(scheme="ftervit-s8", heads=3)
    assert not current(encoding="t5")
    assert not current(scheme="ftervit")
    assert not current(heads=6)
    assert not current(labels=str(labels))
    assert not current(source=str(other))
    assert not current(source="user/repo")
    monkeypatch.setattr("ftervit_deploy.image.text.TOOL", "ftervit 99")
    assert not current()
    image.write_bytes(b"damaged")
    assert not current()


def test_a_hub_checkpoint_is_known_by_its_name_and_revision(
    stages: Stages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from ftervit_deploy.checkpoint.contents import Provenance
    from ftervit_deploy.image import read_image, write_image

    model = read_image((signs_folder() / "signs.ftv").read_bytes())
    provenance = Provenance("user/repo", "user/repo", "x.pth", "abc", "0" * 64)
    image = tmp_path / "model.ftv"
    image.write_bytes(write_image(replace(model, provenance=provenance), "t2"))

    def current(source: str, revision: str | None = None) -> bool:
        flags = {"source": source, "revision": revision}
        return deploy_module.is_current(image, resolve(flags, {}, tmp_path))

    assert current("user/repo")
    assert current("user/repo", "abc")
    assert not current("user/repo", "main")
    assert not current("user/other")


def test_a_board_without_a_chip_is_refused_before_anything_is_made(
    stages: Stages, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["deploy", "signs", "--port", "x"]) == 2
    assert "no microcontroller" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_no_port_is_told_before_anything_is_made(
    stages: Stages, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serial.tools.list_ports.comports", list)
    assert main(["deploy", "signs", "--board", "esp32s3-eye"]) == 2
    assert "no serial port" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_stage_that_fails_ends_it(stages: Stages, capsys: pytest.CaptureFixture[str]) -> None:
    stages.failure = ProjectError("The firmware does not build: x.")
    assert main(["deploy", "signs", *EYE]) == 2
    assert stages.names == ["build"]
    assert "does not build" in capsys.readouterr().err


def test_an_image_named_twice_is_a_mistake(stages: Stages, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["deploy", "a.ftv", "--model", "b.ftv", *EYE]) == 2
    assert "both name an image" in capsys.readouterr().err


def test_an_image_that_is_not_there_is_named(stages: Stages, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["deploy", "a.ftv", *EYE]) == 2
    assert "a.ftv" in capsys.readouterr().err
    assert stages.names == []
