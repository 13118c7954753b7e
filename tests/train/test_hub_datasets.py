"""Datasets that the hub's real client, and `datasets`, get from a small server on loopback."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from dataset_files import CLASSES, png, write_dataset, write_rows
from hub_server import COMMIT, TOKEN, Hub, serve

pytest.importorskip("torch", reason='install PyTorch: pip install "ftervit[train]"')
pytest.importorskip("datasets", reason='install datasets: pip install "ftervit[datasets]"')

from ftervit_deploy.errors import DataError
from ftervit_deploy.train.rowfiles import RowFiles
from ftervit_deploy.train.streams import unbroken

OPEN = """
import json, sys
from ftervit_deploy.errors import FtervitError
from ftervit_deploy.train.data import SplitRule
from ftervit_deploy.train.hubdata import HubData, split_dataset
answers = []
for how in json.loads(sys.argv[1]):
    try:
        split = split_dataset(HubData(**how), SplitRule(0, 0.25, 1), lambda: ("a", "b"), 10**8)
        count = len(split.stream) if split.stream else len(split.train)
        read = [photo.load().size for photo in split.validation if not getattr(photo, "problem", "")]
        problems = [getattr(photo, "problem", "") for photo in split.validation]
        answers.append({"labels": split.labels, "train": count, "read": len(read), "problems": problems})
    except FtervitError as error:
        answers.append({"error": str(error)})
print(json.dumps(answers))
"""


@dataclass
class Client:
    """Commands in processes of their own, with their own cache."""

    hub: Hub
    home: Path
    variables: dict[str, str] = field(default_factory=dict)

    def train(self, data: str, *options: str) -> subprocess.CompletedProcess[str]:
        """One epoch of a teacher."""
        budget = ["--preset", "mcu_micro_64", "--epochs", "1", "--batch-size", "8", "--threads", "1"]
        out = ["--out", str(self.home / "run"), "--overwrite"]
        command = ["-m", "ftervit_deploy", "train", data, "--phase", "teacher", *budget, *out, *options]
        return self._python(command)

    def open(self, *datasets: dict[str, Any]) -> list[dict[str, Any]]:
        """What datasets turn out to be, or the sentences that refuse them."""
        done = self._python(["-c", OPEN, json.dumps(datasets)])
        assert done.returncode == 0, done.stderr
        answers: list[dict[str, Any]] = json.loads(done.stdout)
        return answers

    def _python(self, arguments: list[str]) -> subprocess.CompletedProcess[str]:
        env = self.hub.environment(self.home / "cache", **self.variables)
        command = [sys.executable, *arguments]
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)

    def asked(self, name: str) -> list[tuple[str, str, str]]:
        """Requests for files of a dataset whose address ends so."""
        return [request for request in self.hub.requests if "/resolve/" in request[1] and name in request[1]]


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with serve(Hub()) as hub:
        yield Client(hub, tmp_path)


def _put_folders(hub: Hub, repo: str, splits: dict[str, int]) -> None:
    """Photos in class folders, as someone uploads them."""
    for number, (split, count) in enumerate(splits.items()):
        for index in range(count):
            kind = index % len(CLASSES)
            name = f"{split}/{CLASSES[kind]}/photo {index}, 12:30.png"
            hub.files[f"datasets/{repo}", name] = png(kind, 1000 * number + index)


@pytest.mark.parametrize("stream", [False, True], ids=["downloaded", "streamed"])
def test_photos_in_folders_of_the_hub_train(stream: bool, client: Client) -> None:
    _put_folders(client.hub, "ann/photos", {"train": 24, "validation": 6, "test": 3})
    client.hub.files["datasets/ann/photos", "train/pen/photo 5, 12:30.png"] = b"no photo"
    done = client.train("hub:ann/photos", *(("--stream", "--epoch-photos", "24") if stream else ()))
    assert done.returncode == 0, done.stderr
    assert "6 to validate with, 3 classes" in done.stderr
    assert "is not a readable photo" in done.stderr
    assert "Test: " in done.stdout
    asked = client.asked("/train/")
    assert len({address for _, address, _ in asked}) == 24
    assert len([method for method, _, _ in asked if method == "GET"]) == 24, "each came once"
    for _, _, part in asked if stream else ():
        assert part.startswith("bytes=0-")


def test_parquet_of_the_hub_is_streamed(client: Client, tmp_path: Path) -> None:
    for file in write_dataset(tmp_path / "d", {"train": 24, "validation": 6}).iterdir():
        client.hub.files["datasets/ann/table", f"data/{file.name}"] = file.read_bytes()
    (found,) = client.open({"name": "ann/table@v1", "stream": True, "epoch_photos": 12})
    assert found == {"labels": list(CLASSES), "train": 12, "read": 6, "problems": [""] * 6}


def test_a_private_dataset_needs_a_token(client: Client) -> None:
    _put_folders(client.hub, "ann/secret", {"train": 12, "validation": 3})
    client.hub.private.add("datasets/ann/secret")
    how: dict[str, Any] = {"name": "ann/secret", "stream": True, "epoch_photos": 12}
    (refused,) = client.open(how)
    assert "a private one needs HF_TOKEN" in refused["error"]
    client.variables["HF_TOKEN"] = TOKEN
    (opened,) = client.open(how)
    assert opened["read"] == 3


def test_a_stream_of_the_hub_names_files_of_its_own_alone(client: Client, tmp_path: Path) -> None:
    """A row may name any address; what is fetched with the user's token is the dataset's."""
    _put_folders(client.hub, "bob/own", {"train": 3})
    base = f"hf://datasets/ann/rows@{COMMIT}"
    client.hub.files["datasets/ann/rows", "more/own.png"] = png(0, 7)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("in/own.png", png(1, 8))
    client.hub.files["datasets/ann/rows", "more/photos.zip"] = packed.getvalue()
    foreign = [
        f"hf://datasets/bob/own@{COMMIT}/train/cup/photo 0, 12:30.png", f"{base}/../../bob/own/x.png",
        f"{base}evil/x.png", f"zip://x.png::hf://datasets/bob/own@{COMMIT}/x.zip", "/etc/hostname",
    ]  # fmt: skip
    unread = [
        f"{base}/more/none.png", f"zip://x.png::{base}/more/own.png", f"filecache://{base}/more/own.png",
        f"{client.hub.endpoint}/x.png", "file:///etc/hostname",
    ]  # fmt: skip
    bad = [*foreign, *unread]
    own = [f"{base}/more/own.png", f"zip://in/own.png::{base}/more/photos.zip"]
    folder = write_rows(tmp_path / "rows", 15, dict(enumerate([*own, *bad])))
    parquet = (folder / "train-00000-of-00001.parquet").read_bytes()
    client.hub.files["datasets/ann/rows", "data/validation.parquet"] = parquet
    client.hub.files["datasets/ann/rows", "data/train.parquet"] = parquet
    (found,) = client.open({"name": "ann/rows", "stream": True, "epoch_photos": 12})
    assert found["problems"][:2] == ["", ""]
    assert found["read"] == 15 - len(bad)
    for path, problem in zip(bad, found["problems"][2:], strict=False):
        why = "is no file of the dataset." if path in foreign else "cannot be read"
        assert f"is no readable photo: {path} {why}" in problem
    assert not client.asked("bob/own")


def test_a_file_of_the_hub_is_not_read_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    import fsspec

    monkeypatch.setattr("ftervit_deploy.train.rowfiles.MAX_FILE_BYTES", 1_000_000)
    with fsspec.open("memory://large.png", "wb") as file:
        file.write(bytes(1_000_001))
    monkeypatch.setattr(fsspec, "open", lambda path, mode, real=fsspec.open: real("memory://large.png", mode))
    files = RowFiles((Path("/nowhere"),), "hf://datasets/ann/photos@main")
    with pytest.raises(DataError, match=r"x\.png has more than 1 MB"):
        files.read("hf://datasets/ann/photos@main/x.png")


def test_a_dataset_that_cannot_be_made_says_why(client: Client) -> None:
    client.hub.files["datasets/ann/damaged", "data/train.parquet"] = b"PAR1 and no more"
    loaded, streamed, none = client.open(
        {"name": "ann/damaged"}, {"name": "ann/damaged", "stream": True}, {"name": "ann/none"}
    )
    for answer in (loaded, streamed):
        assert answer["error"].startswith(
            ("The dataset ann/damaged cannot be opened: ", "The stream ann/dam")
        )
        assert "Parquet" in answer["error"]
    assert "cannot be opened" in none["error"]


def test_a_stream_that_breaks_off_gets_a_sentence() -> None:
    def rows() -> Iterator[dict[str, Any]]:
        yield {"image": None}
        try:
            raise ConnectionResetError("peer is gone\nfor good")
        except ConnectionResetError as defect:
            raise RuntimeError("while reading") from defect

    stream = unbroken(rows(), "ann/photos train")
    assert next(stream) == {"image": None}
    with pytest.raises(DataError, match=r"^The stream ann/photos train broke off: peer is gone for good Try"):
        next(stream)
