"""`ftervit publish` by the hub's real client against a small server on loopback."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hub_server import COMMIT, TOKEN, Hub, serve
from report_cases import HOSTILE, bundled, hostile

from ftervit_deploy.checkpoint import read_checkpoint
from ftervit_deploy.cli import main
from ftervit_deploy.errors import ConfigError
from ftervit_deploy.image import read_image
from ftervit_deploy.publish import publication
from ftervit_deploy.publish.contents import plain
from ftervit_deploy.report import Missing, Subject, open_subject
from ftervit_deploy.resources import signs_folder

SIGNS = signs_folder()
FILES = {
    "README.md", "log/guide.jsonl", "log/recovery.jsonl", "log/teacher.jsonl", "log/training.jsonl",
    "report.html", "signs.ftv", "student.safetensors",
}  # fmt: skip


PUSH = """
import sys, traceback
from ftervit_deploy.errors import FtervitError
from ftervit_deploy.publish import push
try:
    files = {"a.ftv": b"a" * 1000, "README.md": b"new"}
    print("pushed", push(sys.argv[1], files, "message", bool(sys.argv[2])))
except FtervitError as error:
    print(error)
    traceback.print_exc()
"""


@dataclass
class Publisher:
    """Runs the command in a process of its own, with its own settings of the hub."""

    hub: Hub
    home: Path

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """The command."""
        options = ["--license", "apache-2.0", "--board", "esp32s3-eye"]
        return self._python(["-m", "ftervit_deploy", "publish", *arguments, *options], environment)

    def push(self, repo: str, private: bool = False, **environment: str) -> subprocess.CompletedProcess[str]:
        """Two small files, pushed as the command pushes; the error's sentence comes back on stdout."""
        return self._python(["-c", PUSH, repo, "private" if private else ""], environment)

    def _python(self, arguments: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        env = self.hub.environment(self.home, **{"HF_TOKEN": TOKEN, **environment})
        command = [sys.executable, *arguments]
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def publisher(tmp_path: Path) -> Iterator[Publisher]:
    with serve(Hub()) as hub:
        yield Publisher(hub, tmp_path / "home")


IMAGE = str(SIGNS / "signs.ftv")
"""An image alone: quick to report on."""


@pytest.mark.slow
def test_a_model_is_pushed_in_one_commit(publisher: Publisher) -> None:
    done = publisher.run("signs", "ann/signs", "--photos", str(SIGNS / "photos" / "8"), "--json")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert (record["commit"], record["url"]) == (COMMIT, f"{publisher.hub.endpoint}/ann/signs")
    [(repo, message, paths)] = publisher.hub.commits
    assert (repo, message, set(paths)) == ("ann/signs", "ftervit publish: signs.ftv", FILES)
    assert publisher.hub.files["ann/signs", "signs.ftv"] == (SIGNS / "signs.ftv").read_bytes()
    assert (
        publisher.hub.files["ann/signs", "student.safetensors"]
        == (SIGNS / "student.safetensors").read_bytes()
    )
    assert len(publisher.hub.stored) == 2, "image and checkpoint went as large files"
    assert TOKEN not in done.stdout + done.stderr


def test_what_is_published_can_be_packed_again(tmp_path: Path) -> None:
    path = tmp_path / "student.safetensors"
    path.write_bytes(publication(open_subject(IMAGE), bundled(), b"", "ann/x", "mit").files[path.name])
    ours, theirs = read_checkpoint(str(path)), read_image((SIGNS / "signs.ftv").read_bytes())
    assert (ours.architecture, ours.labels, ours.scheme) == (
        theirs.architecture,
        theirs.labels,
        theirs.scheme,
    )


@pytest.mark.parametrize(
    ("step", "status", "sentence"),
    [
        ("create", 400, "refused the request for ann/old (status 400)"),
        ("preupload", 403, "may not write to ann/old"),
        ("batch", 403, "may not write to ann/old"),
        ("upload", 403, "may not write to ann/old"),
        ("commit", 403, "may not write to ann/old"),
        ("commit", 412, "refused the request for ann/old (status 412)"),
    ],
)
def test_a_push_that_fails_anywhere_leaves_nothing(
    publisher: Publisher, step: str, status: int, sentence: str
) -> None:
    publisher.hub.files["ann/old", "README.md"] = b"as it was"
    publisher.hub.failing[step] = status
    done = publisher.push("ann/old")
    assert sentence in done.stdout
    assert "Nothing was published." in done.stdout
    assert publisher.hub.files == {("ann/old", "README.md"): b"as it was"}
    assert TOKEN not in done.stdout + done.stderr


def test_a_wrong_token_is_refused_in_a_sentence_that_does_not_show_it(publisher: Publisher) -> None:
    done = publisher.push("ann/one", HF_TOKEN="hf_wrongsecret")
    assert "does not accept the token" in done.stdout
    assert "wrongsecret" not in done.stdout + done.stderr


def test_without_a_token_nothing_is_begun(publisher: Publisher) -> None:
    done = publisher.run(IMAGE, "ann/one", HF_TOKEN="")
    assert done.returncode == 2
    assert "hf auth login" in done.stderr
    assert publisher.hub.requests == []


def test_a_private_model_never_lands_in_a_public_repository(publisher: Publisher) -> None:
    publisher.hub.files["ann/public", "README.md"] = b"open"
    assert "public" in publisher.push("ann/public", private=True).stdout
    assert publisher.hub.commits == []
    assert publisher.push("ann/secret", private=True).stdout.startswith("pushed")
    assert "ann/secret" in publisher.hub.private


def test_a_dry_run_writes_a_folder_and_asks_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    folder = tmp_path / "new" / "dry"
    options = ["--license", "mit", "--board", "esp32s3-eye", "--dry-run", str(folder), "--json"]
    assert main(["publish", IMAGE, "ann/tiny", *options]) == 0
    record = json.loads(capsys.readouterr().out)
    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert written == {"README.md", "report.html", "student.safetensors", "tiny.ftv"}
    assert {entry["path"] for entry in record["files"]} == written
    assert record["commit"] is None
    assert main(["publish", IMAGE, "ann/tiny", *options]) == 2
    assert "not an empty folder" in capsys.readouterr().err
    assert [path.name for path in folder.parent.iterdir()] == ["dry"], "nothing half-written beside it"


@pytest.mark.parametrize(
    "repo",
    ["signs", "a/b/c", "../b", "ann/", "ann/x y", "-x/y", "ann/x.", "ann/x-", "ann/x.git", "ann/" + 97 * "x"],
)
def test_impossible_repositories_are_refused_at_once(repo: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["publish", IMAGE, "--license", "mit", "--", repo]) == 2
    assert "user/name" in capsys.readouterr().err


def _card(subject: Subject, report: Any) -> str:
    return publication(subject, report, b"page", "ann/signs", "apache-2.0").files["README.md"].decode()


def test_the_card_gives_each_figure_its_evidence() -> None:
    card = _card(open_subject("signs"), bundled())
    front, _, text = card.removeprefix("---\n").partition("\n---\n")
    assert 'license: "apache-2.0"' in front
    assert "value: 0.979167" in front
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ") and "measured" in line]
    assert rows[0][:3] == ["| top-1", "97.92 %", "measured"]
    kept = {name: read_log_best(name) for name in ("guide", "teacher", "training", "recovery")}
    assert kept["recovery"] == 7, "the epoch that its weights are of, not the first of equal top-1"
    assert all(any(f"`log/{n}.jsonl`, epoch {e}," in row[3] for row in rows) for n, e in kept.items())
    assert "ftervit-s8" in text
    assert "2605.21171" in text
    assert "modelled" in text


def read_log_best(phase: str) -> int:
    """The epoch that training kept: best top-1, of equals the least loss."""
    lines = (SIGNS / "log" / f"{phase}.jsonl").read_text().splitlines()
    epochs = [entry for entry in map(json.loads, lines) if entry["kind"] == "epoch"]
    return int(max(epochs, key=lambda entry: (entry["val_top1"], -entry["val_loss"]))["epoch"])


def test_the_card_names_the_photos_that_were_measured_on() -> None:
    report = bundled()
    assert not isinstance(report.accuracy, Missing)
    measured = replace(report, accuracy=replace(report.accuracy, data="others"))
    assert 'dataset: {name: "others"' in _card(open_subject("signs"), measured)


def test_what_is_tested_stands_on_the_card() -> None:
    report = bundled()
    assert not isinstance(report.student_phases, Missing)
    phases = (replace(report.student_phases[-1], tested=(50, 0.875)),)
    card = _card(open_subject("signs"), replace(report, student_phases=phases))
    assert "| top-1 after recovery, in PyTorch, on test photos | 87.50 % | measured |" in card
    assert "on 50 photos that chose nothing" in card


def test_latent_weights_are_published_as_the_ternary_ones_they_become(tmp_path: Path) -> None:
    subject = open_subject("signs")
    latent = tmp_path / "best.safetensors"
    latent.write_bytes(b"floats")
    subject = replace(subject, checkpoint_file=latent, student=replace(subject.student, ternary=False))
    files = publication(subject, bundled(), b"page", "ann/signs", "apache-2.0").files
    (tmp_path / "pushed.safetensors").write_bytes(files["student.safetensors"])
    pushed = read_checkpoint(str(tmp_path / "pushed.safetensors"))
    assert pushed.ternary
    ours = open_subject("signs").student.dense()
    assert all(
        (array == ours[name]).all() for name, array in pushed.dense().items() if name.endswith("qkv.weight")
    )


def test_an_impossible_licence_is_refused_before_the_work(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["publish", "nowhere.ftv", "ann/x", "--license", "my own!", "--dry-run", "x"]) == 2
    assert "cannot be a licence" in capsys.readouterr().err


def test_a_card_without_a_measurement_claims_none() -> None:
    card = _card(
        open_subject(IMAGE),
        replace(bundled(), accuracy=_missing(), student_phases=_missing(), teacher_phases=()),
    )
    assert "model-index" not in card
    assert "top-1" not in card
    assert "not measured here" in card


def _missing() -> Any:
    from ftervit_deploy.report import Missing

    return Missing("not measured here")


def test_hostile_names_stay_text_on_the_card() -> None:
    card = _card(open_subject("signs"), hostile())
    text = card.partition("\n---\n")[2]
    for name in HOSTILE:
        assert name not in text
    assert "<script" not in text
    assert "<img" not in text
    assert plain("a\n# b | c\x1b[0m `d` [e](f)") == "a # b \\| c \\[0m \\`d\\` \\[e\\](f)"


def test_a_licence_must_be_the_name_of_one() -> None:
    with pytest.raises(ConfigError, match="licence"):
        publication(open_subject("signs"), bundled(), b"", "ann/signs", "my own: yes")
