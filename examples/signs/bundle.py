"""Bundles a trained run of the hand signs: checkpoint, image, sample photos, logs, accuracy of the engine.

usage: python examples/signs/bundle.py RUN START PHOTOS

RUN is the folder of `ftervit train --out`, START that of the run whose teacher it began with, PHOTOS the
folder that both were trained on (README.md beside this file has the commands). Everything goes to
ftervit_deploy/data/signs. The sample photos are not picked by result: the first validation photo of every
class, and the second of the first two classes.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from ftervit_deploy.photos import find_photos

TARGET = Path(__file__).resolve().parents[2] / "ftervit_deploy" / "data" / "signs"
PHASES = ("guide", "teacher", "training", "recovery")
EXTRA_PHOTOS = 2
STUDENT_PHOTOS = 10
"""Consecutive photos of one student, mostly."""


def bundle(run: Path, start: Path, photos: Path) -> None:
    """Replace the bundled demonstration by that of `run`."""
    for name in ("photos", "log"):
        shutil.rmtree(TARGET / name, ignore_errors=True)
        (TARGET / name).mkdir(parents=True)
    shutil.copyfile(run / "recovery" / "student.safetensors", TARGET / "student.safetensors")
    for phase in PHASES:
        (TARGET / "log" / f"{phase}.jsonl").write_text(_without_path(run / phase / "log.jsonl"))
    (TARGET / "log" / "start.jsonl").write_text(_without_path(start / "teacher" / "log.jsonl"))
    shutil.copyfile(run / "split.json", TARGET / "log" / "split.json")
    split = json.loads((run / "split.json").read_text())
    (TARGET / "log" / "apart.json").write_text(
        json.dumps({"validation": _apart(split, photos)}, indent=1) + "\n"
    )
    _copy_photos(split["validation"], photos)
    _ftervit("pack", "signs", "-o", TARGET / "signs.ftv")
    for name, record in (("split", "eval"), ("apart", "eval-apart")):
        (TARGET / "log" / f"{record}.json").write_text(_ftervit(
            "eval", TARGET / "signs.ftv", photos, "--split", TARGET / "log" / f"{name}.json",
            "--against", "signs", "--json",
        ))  # fmt: skip


def _apart(split: dict[str, list[str]], photos: Path) -> list[str]:
    """Validation photos at least STUDENT_PHOTOS names away from every training photo."""
    names = [path.relative_to(photos).as_posix() for path in find_photos(photos)]
    place = {name: index for index, name in enumerate(names)}
    trained = {place[name] for name in split["train"]}
    return [name for name in split["validation"] if not trained & _same_student(place[name])]


def _same_student(place: int) -> set[int]:
    return set(range(place - STUDENT_PHOTOS + 1, place + STUDENT_PHOTOS))


def _without_path(log: Path) -> str:
    """The log with the folder's name in place of its path."""
    first, *rest = log.read_text().splitlines()
    configuration = json.loads(first)
    configuration["data"] = Path(configuration["data"]).name
    return "\n".join([json.dumps(configuration), *rest, ""])


def _copy_photos(validation: list[str], photos: Path) -> None:
    by_class: dict[str, list[str]] = {}
    for name in validation:
        by_class.setdefault(name.split("/")[0], []).append(name)
    classes = sorted(by_class)
    chosen = [by_class[label][0] for label in classes]
    chosen += [by_class[label][1] for label in classes[:EXTRA_PHOTOS]]
    for name in chosen:
        target = TARGET / "photos" / name
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(photos / name, target.with_suffix(".jpg"))


def _ftervit(*arguments: object) -> str:
    command = [sys.executable, "-m", "ftervit_deploy", *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    bundle(*map(Path, sys.argv[1:]))
