"""Downloads by the hub's real client from a small server on loopback."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from checkpoint_files import save_packed
from hub_server import COMMIT, TOKEN, Hub, serve
from safetensors.numpy import save_file

from ftervit_deploy.architecture import PRESETS
from synthetic import random_checkpoint_arrays

READ = """
import json, sys
from ftervit_deploy.checkpoint import read_checkpoint
from ftervit_deploy.errors import FtervitError
answers = []
for source, options in json.loads(sys.argv[1]):
    try:
        found = read_checkpoint(source, **options)
        p = found.provenance
        crop = found.preprocessing.crop_fraction
        answers.append({**vars(p), "scheme": found.scheme, "labels": found.labels, "crop": crop})
    except FtervitError as error:
        answers.append({"error": type(error).__name__, "what": str(error)})
print(json.dumps(answers))
"""


@dataclass
class Client:
    """Runs the reader in a process of its own, with its own cache."""

    hub: Hub
    home: Path

    def read(self, *sources: str | tuple[str, dict[str, Any]], **environment: str) -> list[dict[str, Any]]:
        calls = [source if isinstance(source, tuple) else (source, {}) for source in sources]
        env = self.hub.environment(self.home, **environment)
        command = [sys.executable, "-c", READ, json.dumps(calls)]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=True)
        answers: list[dict[str, Any]] = json.loads(done.stdout)
        return answers


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    content = save_packed(tmp_path / "m.safetensors").read_bytes()
    latent = tmp_path / "latent.safetensors"
    save_file(random_checkpoint_arrays(PRESETS["mcu_nano_64"]), latent)
    hub = Hub(
        files={
            ("ann/one", "model.safetensors"): content,
            ("ann/one", "README.md"): b"hello",
            ("ann/twins", "model.safetensors"): content,
            ("ann/twins", "pytorch_model.bin"): b"",
            ("ann/many", "a.pth"): b"",
            ("ann/many", "sub/b.pth"): content,
            ("ann/none", "README.md"): b"hello",
            ("ann/shut", "model.safetensors"): content,
            ("ann/gate", "model.safetensors"): content,
            ("timm/deit_tiny_patch16_224.fb_in1k", "model.safetensors"): latent.read_bytes(),
        },
        private={"ann/shut"},
        gated={"ann/gate"},
    )
    with serve(hub):
        yield Client(hub, tmp_path / "home")


def test_a_published_teacher_does_not_pass_for_a_ternary_model(client: Client) -> None:
    assert client.read("teacher-deit-tiny-224")[0]["scheme"] == "fp32"


def test_a_download_records_repository_file_revision_and_hash(client: Client) -> None:
    named, alone, tagged, nested = client.read(
        "ann/one:model.safetensors", "ann/one", "ann/one@v1", "ann/many:sub/b.pth@main"
    )
    content = client.hub.files["ann/one", "model.safetensors"]
    for found in (named, alone, tagged):
        assert found["repo"] == "ann/one"
        assert found["file"] == "model.safetensors"
        assert found["revision"] == COMMIT
        assert found["sha256"] == hashlib.sha256(content).hexdigest()
    assert tagged["source"] == "ann/one@v1"
    assert nested["file"] == "sub/b.pth"
    assert nested["revision"] == COMMIT
    assert any("/resolve/v1/" in path for _, path, _ in client.hub.requests)


def test_the_revision_option_counts_where_the_source_names_none(client: Client) -> None:
    (wrong,) = client.read(("ann/one", {"revision": "v9"}))
    assert "has no revision 'v9'" in wrong["what"]
    (right,) = client.read(("ann/one@v1", {"revision": "v9"}))
    assert right["revision"] == COMMIT


def test_a_repository_alone_gives_its_only_checkpoint_or_a_list(client: Client) -> None:
    twins, many, none = client.read("ann/twins", "ann/many", "ann/none")
    assert twins["file"] == "model.safetensors"
    assert "several checkpoints. Add one, as in ann/many:FILE: a.pth, sub/b.pth." in many["what"]
    assert "ann/none holds no checkpoint" in none["what"]
    assert {many["error"], none["error"]} == {"HubError"}


def test_what_the_hub_does_not_have_gets_a_sentence(client: Client) -> None:
    repo, alone, file, revision, private, gated = client.read(
        "ann/nope:x.pth", "ann/nope", "ann/one:nope.pth", "ann/one:model.safetensors@v9",
        "ann/shut:model.safetensors", "ann/gate:model.safetensors",
    )  # fmt: skip
    for answer in (repo, alone):
        assert "no model repository ann/nope, or it is private" in answer["what"]
    assert "ann/one has no file nope.pth" in file["what"]
    assert "ann/one has no revision 'v9'" in revision["what"]
    assert "no model repository ann/shut, or it is private" in private["what"]
    assert "ann/gate is gated" in gated["what"]
    assert "HF_TOKEN" in gated["what"]


def test_a_token_opens_what_is_private_and_a_wrong_one_is_named(client: Client) -> None:
    private, gated = client.read("ann/shut", "ann/gate:model.safetensors", HF_TOKEN=TOKEN)
    assert private["file"] == gated["file"] == "model.safetensors"
    for answer in client.read("ann/shut", "ann/shut:model.safetensors", "ann/one", HF_TOKEN="hf_wrong"):
        assert "does not accept the token" in answer["what"]


def test_an_interrupted_download_is_resumed(client: Client, tmp_path: Path) -> None:
    content = _pth_of_24_megabytes(tmp_path)
    client.hub.files["ann/big", "w.pth"] = content
    client.hub.cut_after = len(content) - 100_000
    (found,) = client.read(("ann/big:w.pth", {"heads": 2}))
    assert found["sha256"] == hashlib.sha256(content).hexdigest()
    ranges = [asked for method, _, asked in client.hub.requests if method == "GET"]
    assert len(ranges) == 2
    assert ranges[0] == ""
    assert ranges[1].startswith("bytes=20971520-"), "the client takes chunks of 10 MiB"


def _pth_of_24_megabytes(folder: Path) -> bytes:
    torch = pytest.importorskip("torch", reason="pip install 'ftervit[train]'")
    from checkpoint_files import TINY, save_pth, tensors

    from synthetic import random_checkpoint_arrays

    contents = {
        "model": tensors(random_checkpoint_arrays(TINY)),
        "optimizer": {"exp_avg": torch.ones(6_000_000)},
    }
    return save_pth(folder / "big.pth", contents).read_bytes()


def test_offline_the_cache_serves(client: Client) -> None:
    (online,) = client.read("ann/one:model.safetensors")
    before = len(client.hub.requests)
    named, alone = client.read("ann/one:model.safetensors", "ann/one", HF_HUB_OFFLINE="1")
    flagged, missing = client.read(
        ("ann/one:model.safetensors", {"offline": True}), ("ann/many:a.pth", {"offline": True})
    )
    assert len(client.hub.requests) == before
    assert named == flagged == online
    assert alone["sha256"] == online["sha256"]
    assert "ann/many:a.pth is not in the cache, and offline mode is on" in missing["what"]


def test_without_a_network_the_cache_serves_or_a_sentence_says_so(client: Client) -> None:
    (online,) = client.read("ann/one:model.safetensors")
    nowhere = "http://127.0.0.1:9"
    cached, missing, alone = client.read(
        "ann/one:model.safetensors", "ann/many:a.pth", "ann/many", HF_ENDPOINT=nowhere
    )
    assert cached == online
    for answer in (missing, alone):
        assert answer["error"] == "HubError"
        assert "cannot be reached" in answer["what"]


def test_a_file_that_is_not_what_the_hub_states_is_refused(client: Client) -> None:
    client.hub.corrupt.add("model.safetensors")
    (answer,) = client.read("ann/one:model.safetensors")
    assert "not the one that the hub published" in answer["what"]


def test_a_hub_in_trouble_gets_a_sentence(client: Client) -> None:
    client.hub.status = 503
    named, alone = client.read("ann/one:model.safetensors", "ann/one")
    for answer in (named, alone):
        assert "answered with status 503 for ann/one. Try again later" in answer["what"]
    client.hub.status = 200
    (online,) = client.read("ann/one:model.safetensors")
    client.hub.status = 503
    assert client.read("ann/one:model.safetensors", "ann/one")[0] == online


def test_names_that_cannot_be_on_the_hub_get_a_sentence(client: Client) -> None:
    for answer in client.read("ann/a--b", "ann/one..two:m.pth", f"ann/{'x' * 99}:m.pth"):
        assert "cannot be the name of a hub repository" in answer["what"]


def test_an_alias_knows_its_preprocessing_and_labels(client: Client, tmp_path: Path) -> None:
    from ftervit_deploy.models import MODELS

    model = MODELS["ftervit-deit3-small-224"]
    client.hub.files[model.repo, model.file] = _imagenet_pth(tmp_path)
    alias, spelled = client.read(("ftervit-deit3-small-224", {"heads": 2}), (model.source, {"heads": 2}))
    assert alias["source"] == "ftervit-deit3-small-224"
    for found in (alias, spelled):
        assert (found["repo"], found["file"]) == (model.repo, model.file)
        assert found["crop"] == 1.0
        assert found["labels"][0] == "tench"


def _imagenet_pth(folder: Path) -> bytes:
    from checkpoint_files import TINY3, save_pth, tensors

    from synthetic import random_checkpoint_arrays

    pytest.importorskip("torch", reason="pip install 'ftervit[train]'")
    arrays = random_checkpoint_arrays(TINY3.with_classes(1000))
    return save_pth(folder / "d.pth", {"model": tensors(arrays)}).read_bytes()


def test_a_read_only_cache_gets_a_sentence(client: Client, tmp_path: Path) -> None:
    client.home.write_text("a file where the cache should be")
    (answer,) = client.read("ann/one:model.safetensors")
    assert answer["error"] == "HubError"
    assert "HF_HOME" in answer["what"]
    shutil.rmtree(client.home, ignore_errors=True)
