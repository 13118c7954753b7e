"""Several processes that Accelerate starts train as one does with the same batches."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason='install PyTorch: pip install "ftervit[train]"')

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from ftervit_deploy.train.augment import STRENGTHS, augment, mix  # noqa: E402
from ftervit_deploy.train.sharing import Share, generator_of  # noqa: E402

PROGRAM = Path(__file__).parent / "two_processes.py"


def _shares(processes: int) -> list[Share]:
    return [Share(rank, processes) for rank in range(processes)]


@given(count=st.integers(1, 300), processes=st.integers(1, 9))
def test_processes_share_a_batch_in_whole_pairs_and_weigh_as_one(count: int, processes: int) -> None:
    rows = [share.rows(count) for share in _shares(processes)]
    assert [index for part in rows for index in range(count)[part]] == list(range(count))
    assert all(part.start % 2 == 0 or part.start == count for part in rows)
    parts = [share.part(count) for share in _shares(processes)]
    assert all(len(range(count)[part.rows]) for part in parts), "all of them must take the step"
    assert sum(part.weight for part in parts) == pytest.approx(processes)


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize("step", range(4))
def test_a_part_of_a_batch_is_changed_as_in_the_whole(strength: str, step: int) -> None:
    images = torch.randint(0, 256, (10, 3, 20, 20), dtype=torch.uint8, generator=generator_of("images"))
    setting = STRENGTHS[strength]
    parts = [None, *(share.part(len(images)) for share in _shares(2))]
    changed = []
    for part in parts:
        generator = generator_of("step", step)
        own = images if part is None else images[part.rows]
        changed.append(mix(augment(own, 16, setting, 0.9, generator, part), None, setting, generator)[0])
    torch.testing.assert_close(torch.cat(changed[1:]), changed[0])


def _lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def _run(launcher: list[str], *arguments: Path | str) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    command = [*launcher, str(PROGRAM), *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["ftervit-s8", "q-vit-a8"])
def test_two_processes_give_the_losses_of_one(
    run: Callable[..., Any], photo_folder: Path, tmp_path: Path, scheme: str
) -> None:
    teacher = run("teacher", epochs=2).checkpoint
    data = tmp_path / "photos"
    shutil.copytree(photo_folder, data)
    for damaged in sorted(data.rglob("*.png"))[::9]:
        damaged.write_bytes(damaged.read_bytes()[:60])
    launcher = [
        sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2",
        "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no",
        "--main_process_port", str(_free_port()),
    ]  # fmt: skip
    _run([sys.executable], data, tmp_path / "one", teacher, scheme)
    _run(launcher, data, tmp_path / "two", teacher, scheme)
    for phase in ("teacher", "training"):
        (alone, *one, _), (both, *two, _) = (_lines(tmp_path / name / phase) for name in ("one", "two"))
        assert (alone["processes"], both["processes"]) == (1, 2)
        assert 0 < one[-1]["skipped_photos"] == two[-1]["skipped_photos"], "whichever of them met them"
        assert len(one) == len(two) == 6, "a line after every step, and one after every epoch"
        _check_same(one[:1], two[:1], 1e-4)
        # Sums in another order turn a rounding of a ternary model now and then; a teacher has no roundings.
        _check_same(one, two, 1e-4 if phase == "teacher" else 3e-2)
    packed = tmp_path / "two" / "training" / "student.safetensors"
    assert packed.exists() == (scheme == "ftervit-s8")


def _check_same(one: list[dict[str, Any]], two: list[dict[str, Any]], tolerance: float) -> None:
    for first, second in zip(one, two, strict=True):
        assert (first["kind"], first["epoch"], first["step"]) == (
            second["kind"], second["epoch"], second["step"],
        )  # fmt: skip
        for name in ("loss", "val_loss", "val_divergence", "zero_fraction", "lr", "skipped_photos"):
            if first.get(name) is not None:
                assert second[name] == pytest.approx(first[name], rel=tolerance), name
