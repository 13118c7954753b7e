"""What a run left may be damaged: one sentence names the file and the way out, whatever is in it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import TINY

torch = pytest.importorskip("torch", reason='install PyTorch: pip install "ftervit[train]"')

from safetensors import safe_open  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

from ftervit_deploy.architecture import Preprocessing  # noqa: E402
from ftervit_deploy.cli import main  # noqa: E402
from ftervit_deploy.errors import ConfigError, FtervitError, RecordError, TrainError  # noqa: E402
from ftervit_deploy.train.data import SplitRule, split_photos  # noqa: E402
from ftervit_deploy.train.distill import check_same_photos  # noqa: E402
from ftervit_deploy.train.log import epochs_logged, photos_logged  # noqa: E402
from ftervit_deploy.train.settings import RunMemory, recall  # noqa: E402
from ftervit_deploy.train.sharing import new_accelerator, process_count  # noqa: E402
from ftervit_deploy.train.state import Description, read_run_checkpoint  # noqa: E402

Run = Callable[..., Any]
DEEP = "[" * 100_000
MEMORY = asdict(RunMemory("/photos", "tiny", "random", 0.25, 3, "ftervit-s8", True))


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"data": 5}, "data: 5 is not text"),
        ({"preset": 5}, "preset: 5 is not text"),
        ({"split": 5}, "split: 5 is not text"),
        ({"scheme": []}, r"scheme: \[\] is not text"),
        ({"seed": "x"}, 'seed: "x" is not a whole number'),
        ({"seed": 10**24}, "seed: 1000000000000000000000000 is not from 0"),
        ({"val_fraction": float("nan")}, "val_fraction: nan is not from 0 to 1"),
        ({"flip": "x"}, 'flip: "x" is not true or false'),
        ({"unlabelled": 5}, "unlabelled: 5 is not text"),
        ({"epoch_photos": "y"}, 'epoch_photos: "y" is not a whole number'),
    ],
)
def test_a_damaged_memory_is_named(wrong: dict[str, Any], reason: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({**MEMORY, **wrong}))
    with pytest.raises(RecordError, match=rf"run\.json cannot be read \({reason}.*\)\. Choose another --out"):
        recall(tmp_path)


def test_a_memory_of_an_older_version_has_the_defaults(tmp_path: Path) -> None:
    older = {
        name: MEMORY[name] for name in ("data", "preset", "split", "val_fraction", "seed", "scheme", "flip")
    }
    (tmp_path / "run.json").write_text(json.dumps(older))
    assert recall(tmp_path) == MEMORY


@pytest.mark.parametrize(("content", "reason"), [("{}", "it lacks data"), (DEEP, "it is nested too deeply")])
def test_a_memory_that_says_nothing_is_no_new_folder(
    content: str, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.json").write_text(content)
    assert main(["train", "--phase", "teacher", "--out", str(tmp_path)]) == 2
    assert f"run.json cannot be read ({reason})" in capsys.readouterr().err


@pytest.mark.parametrize(
    "content", ["", "5", '{"train": [{}]}', '{"train": [1, "a"]}', '{"test": [null]}', DEEP]
)
def test_a_damaged_split_is_named(content: str, photo_folder: Path, tmp_path: Path) -> None:
    """Nobody could tell any more whether photos that judge have taught."""
    split = split_photos(photo_folder, SplitRule(0, 0.25, 3))
    check_same_photos(tmp_path, split, str(photo_folder))
    (tmp_path / "split.json").write_text(content)
    with pytest.raises(
        RecordError, match=r"split\.json cannot be read \(.*\)\. Begin a new run with another"
    ):
        check_same_photos(tmp_path, split, str(photo_folder))


NONSENSE = [
    b"5", b"[]", b'"x"', b"\xff", DEEP.encode(), b'{"kind": "epoch"}', b'{"kind": "epoch", "epoch": "x"}',
    b'{"kind": "epoch", "epoch": 1e999}', b'{"kind": "epoch", "epoch": ' + b"9" * 400 + b"}",
    b'{"kind": "progress"}', b'{"kind": "progress", "step": "x"}', b'{"kind": "result", "tested": 5}',
]  # fmt: skip


def test_nonsense_in_a_log_is_left_out(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason='install Matplotlib: pip install "ftervit[plot]"')
    run("teacher", epochs=2)
    log = tmp_path / "run" / "teacher" / "log.jsonl"
    sound = log.read_bytes()
    impossible = b'{"kind": "epoch", "epoch": 1, "loss": "x", "val_top1": 50, "seconds": null}'
    log.write_bytes(sound + b"\n".join([*NONSENSE, impossible]) + b"\n")
    *epochs, last = epochs_logged(log.parent)
    assert [line["epoch"] for line in epochs] == [1, 2]
    assert (last["epoch"], last["loss"], last["val_top1"], last["seconds"]) == (1, None, None, None)
    picture = tmp_path / "curves.svg"
    run("training", epochs=1, options={"plot": picture})
    assert picture.exists(), "a damaged log of the teacher stops no student"
    log.write_bytes(b"\n".join(NONSENSE) + b"\n" + sound)
    run("teacher", out=tmp_path / "run", epochs=2, resume=True)
    kinds = [json.loads(line)["kind"] for line in log.read_text().splitlines()]
    assert kinds == ["configuration", "epoch", "epoch", "result"]


@pytest.mark.parametrize("line", [{}, {"train_photos": "x", "validation_photos": 3, "guarded_photos": 0}])
def test_a_log_that_does_not_count_its_photos_is_named(line: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text(json.dumps({"kind": "configuration", **line}))
    with pytest.raises(RecordError, match=r"log\.jsonl does not say how many photos there were"):
        photos_logged(tmp_path)


PROGRESS: list[tuple[dict[str, Any], str]] = [
    ({"epoch": "x"}, 'epoch: "x" is not a whole number'),
    ({"epoch": -5}, "epoch: -5 is not from 0"),
    ({"step": None}, "step: null is not a whole number"),
    ({"step": 1e30}, r"step: 1e\+30 is not a whole number"),
    ({"best_top1": "x"}, 'best_top1: "x" is not a number'),
    ({"seconds": float("nan")}, "seconds: nan is not from 0"),
    ({"finished": "no"}, 'finished: "no" is not true or false'),
    ({"tally": {"steps": -3}}, "tally: steps: -3 is not from 0"),
    ({"tally": {"steps": 10**9}}, "an epoch has 5 steps, not 1000000000"),
]
_STATE: list[tuple[dict[str, str], str]] = [
    *(({"ftervit.progress": json.dumps(wrong)}, reason) for wrong, reason in PROGRESS),
    ({"ftervit.progress": DEEP}, "it is nested too deeply"),
    ({"ftervit.progress": "[]"}, r"it holds \[\], no object"),
    ({"ftervit.configuration": "[]"}, r"it holds \[\], no object"),
    ({"ftervit.weights": "[]"}, r"it holds \[\], no object"),
]


def test_a_damaged_state_is_named(run: Run, tmp_path: Path) -> None:
    run("teacher", epochs=1)
    path = tmp_path / "run" / "teacher" / "state.safetensors"
    tensors, metadata = _content(path)

    def refused(
        reason: str, tensors: Mapping[str, Any] = tensors, said: Mapping[str, str] = metadata
    ) -> None:
        save_file(dict(tensors), path, dict(said))
        with pytest.raises(
            TrainError, match=rf"state\.safetensors .*{reason}.* Start again with --overwrite"
        ):
            run("teacher", epochs=1, resume=True)

    for wrong, reason in _STATE:
        refused(reason, said={**metadata, **wrong})
    refused("it lacks ftervit.configuration, ftervit.progress", said={"a": "b"})
    for dtype, name in ((torch.bfloat16, "BF16"), (torch.float8_e5m2, "F8_E5M2"), (torch.int8, "I8")):
        refused(f"is {name}, not F32", {key: value.to(dtype) for key, value in tensors.items()})
    refused("not finite", {key: value * np.nan for key, value in tensors.items()})


def _content(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118


_DESCRIPTION = Description(TINY, ("a", "b", "c"), Preprocessing(), "fp32", "teacher", 3, 0.5)
_SAID = asdict(Preprocessing())


def _stating(**values: object) -> dict[str, str]:
    return {f"ftervit.{name}": v if isinstance(v, str) else json.dumps(v) for name, v in values.items()}


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (_stating(labels=["a", "b"]), "2 labels for 3 classes"),
        (_stating(labels=5), "ftervit.labels"),
        (_stating(architecture=DEEP), "ftervit.architecture"),
        (_stating(architecture={**asdict(TINY), "width": 10**30}), "ftervit.architecture"),
        (_stating(preprocessing={**_SAID, "mean": [1]}), "ftervit.preprocessing"),
        (_stating(preprocessing={**_SAID, "std": [0, 0, 0]}), "ftervit.preprocessing"),
        (_stating(preprocessing={**_SAID, "crop_fraction": float("nan")}), "ftervit.preprocessing"),
        (_stating(preprocessing={**_SAID, "interpolation": []}), "ftervit.preprocessing"),
        (_stating(scheme="zzz"), "scheme: there is no 'zzz'"),
        (_stating(epoch="x"), "invalid literal"),
        (_stating(epoch="-3"), "epoch: -3 is not from 0"),
        (_stating(accuracy="nan"), "accuracy: nan is not from 0 to 1"),
    ],
)  # fmt: skip
def test_a_checkpoint_that_describes_nothing_possible_is_named(
    said: dict[str, str], reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "best.safetensors"
    save_file({"a": torch.zeros(2)}, path, _DESCRIPTION.metadata("latent-float-1"))
    assert read_run_checkpoint(path)[1] == _DESCRIPTION
    save_file({"a": torch.zeros(2)}, path, {**_DESCRIPTION.metadata("latent-float-1"), **said})
    with pytest.raises(TrainError, match=rf"best\.safetensors.*{reason}.* Train that phase again"):
        read_run_checkpoint(path)


def test_weights_that_cannot_serve_are_named_with_their_file(run: Run, tmp_path: Path) -> None:
    run("teacher", epochs=1)
    path = tmp_path / "run" / "teacher" / "best.safetensors"
    tensors, metadata = _content(path)

    def refused(reason: str, changed: Mapping[str, Any], said: Mapping[str, str] = metadata) -> None:
        save_file(dict(changed), path, dict(said))
        with pytest.raises(FtervitError, match=rf"teacher/best\.safetensors.*{reason}") as told:
            run("training", epochs=1)
        assert told.value.hint

    refused("is BF16, not F32", {name: value.bfloat16() for name, value in tensors.items()})
    refused("head.bias holds values that are not finite", {**tensors, "head.bias": torch.full((3,), np.nan)})
    refused("has shape", {**tensors, "head.bias": torch.zeros(2)})
    refused("lacks tensor head.bias", {k: v for k, v in tensors.items() if k != "head.bias"})
    refused("has an unexpected tensor more", {**tensors, "more": torch.zeros(2)})
    refused("has classes 2", tensors, {**metadata, **_stating(
        architecture={**asdict(TINY), "classes": 2}, labels=["a", "b"])})  # fmt: skip
    refused(
        "is a student of scheme int8 and can be no teacher", tensors, {**metadata, **_stating(scheme="int8")}
    )


@pytest.mark.parametrize("name", ["WORLD_SIZE", "RANK", "LOCAL_RANK"])
def test_variables_of_a_launcher_are_numbers(name: str) -> None:
    assert process_count({}) == process_count({"WORLD_SIZE": "", "LOCAL_RANK": "-1"}) == 1
    assert process_count({"WORLD_SIZE": "2"}) == 2
    with pytest.raises(ConfigError, match=f"{name} in the environment is 'x', which is no number. Unset it"):
        process_count({name: "x"})


def test_processes_that_cannot_meet_are_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def alone(**how: Any) -> None:
        raise ValueError("`MASTER_ADDR` env was not set")

    monkeypatch.setattr("accelerate.Accelerator", alone)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(
        ConfigError, match=r"WORLD_SIZE .* is 2, and the processes cannot find each other \(`M"
    ):
        new_accelerator()
