"""What a comparison found: rows, and the files results.json and results.md made from them alone."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any

from ..files import write_atomic
from ..jsonfile import Count, Seconds, Share, Within, read_record, record_of
from .findings import BASE_NAME, findings, points
from .log import duration
from .paired import Recognised

RESULTS_NAME, TEXT_NAME = "results.json", "results.md"
METHODS, ABLATIONS, REPEATS = "methods", "ablations", "repeats"
_GROUPS = (METHODS, ABLATIONS, REPEATS)
_Bytes = Annotated[int, Within(1, 1e12)]
HEADINGS = ("scheme", "bytes", "image", "phase 1", "top-1", "engine", "to teacher", "zeros", "time")


@dataclass(frozen=True)
class Row:
    """One model of a comparison.

    Attributes:
        name: of the row, and of its folder.
        group: METHODS, ABLATIONS or REPEATS.
        scheme: a name in SCHEMES.
        change: how it was trained differently from the others; empty where it was not.
        rules: what is quantised how.
        source: the paper.
        left_out: what of the method as published was not done.
        bytes: by `image.scheme_bytes`.
        image_bytes: of the packed `.ftv`; None where the engine cannot run it.
        obstacle: why not.
        phase1_top1, recovery_top1: best top-1 on the validation photos, 0 to 1; None without that phase.
        top1: that of the last phase.
        teacher_top1: of the model it learned from, on the same photos.
        recognised: which of the photos that judge it recognises: the test photos, which have chosen nothing,
            or, where the data have none, the validation photos.
        phase1_recognised, teacher_recognised: the same before the recovery (None without a phase 1), and of
            the model it learned from.
        engine_top1: of the image in the C engine, on those photos; None where the engine cannot run it.
        zero_fraction: share of zeros among the quantised weights; None for the teacher.
        epochs: trained, by phase.
        seconds: spent in epochs.
        task: fingerprint of what the models have in common, photos and teacher among it.

    Raises:
        ValueError: an unknown group, or other photos for one of those that were judged.
    """

    name: str
    group: str
    scheme: str
    change: str
    rules: tuple[str, ...]
    source: str
    left_out: str
    bytes: _Bytes
    image_bytes: _Bytes | None
    obstacle: str
    phase1_top1: Share | None
    recovery_top1: Share | None
    top1: Share
    teacher_top1: Share
    recognised: Recognised
    phase1_recognised: Recognised | None
    teacher_recognised: Recognised
    engine_top1: Share | None
    zero_fraction: Share | None
    epochs: dict[str, Count]
    seconds: Seconds
    task: str

    def __post_init__(self) -> None:
        if self.group not in _GROUPS:
            raise ValueError(f"group: there is no {self.group!r}")
        judged = (self.recognised, self.phase1_recognised, self.teacher_recognised)
        if len({found.photos for found in judged if found is not None}) != 1:
            raise ValueError("recognised: the model, its teacher and its phase 1 were judged by other photos")

    @property
    def score(self) -> float:
        """Top-1 on the photos that judge, 0 to 1."""
        return self.recognised.top1

    @property
    def phase1_score(self) -> float | None:
        """The same before the recovery."""
        return self.phase1_recognised.top1 if self.phase1_recognised else None

    @staticmethod
    def of(values: Mapping[str, Any]) -> Row:
        """The row whose attributes, as JSON has them, are among `values`.

        Raises:
            ValueError: they are not those of a row.
        """
        return record_of(Row, values)

    @staticmethod
    def read(path: Path) -> Row:
        """The row that `write` left.

        Raises:
            RecordError: it cannot be read.
        """
        return read_record(path, Row, "Delete it, and it is made again without training.")

    def write(self, path: Path) -> None:
        """Keep the row; it is there whole or not at all."""
        write_atomic(path, (json.dumps(asdict(self), indent=2) + "\n").encode())


@dataclass(frozen=True)
class Results:
    """A whole comparison, or as much of it as is done.

    Attributes:
        finished: nothing is left to train.
        commands: that led here, as typed.
        seed: of split, weights, order and augmentation.
        data: name of the folder of photos.
        split: ``random`` or ``groups:N``.
        photos: train, validation, test, and those left out beside validation groups.
        preset: the architecture.
        teacher: where it came from.
        settings: of every phase.
        machine: where it was trained, in words.
        versions: of what decides the numbers.
        rows: the teacher first.
    """

    finished: bool
    commands: tuple[str, ...]
    seed: int
    data: str
    split: str
    photos: dict[str, int]
    preset: str
    teacher: str
    settings: dict[str, dict[str, Any]]
    machine: str
    versions: dict[str, str]
    rows: tuple[Row, ...] = field(default=())

    @staticmethod
    def of(payload: Mapping[str, Any]) -> Results:
        """The results whose JSON is `payload`.

        Raises:
            ValueError, TypeError, KeyError: it is not that of results.
        """
        own = {attribute.name: payload[attribute.name] for attribute in fields(Results)}
        rows = tuple(Row.of(values) for values in own["rows"])
        return Results(**{**own, "commands": tuple(own["commands"]), "rows": rows})

    @property
    def seconds(self) -> float:
        """Of training, all rows."""
        return sum(row.seconds for row in self.rows)

    def payload(self) -> dict[str, Any]:
        """As JSON, with each row's score and its difference to the teacher's with its error, fractions."""
        values = asdict(self)
        values["hours"] = self.seconds / 3600
        for values_of, row in zip(values["rows"], self.rows, strict=True):
            values_of["score"] = row.score
            values_of["phase1_score"] = row.phase1_score
            values_of["difference"] = row.score - self.rows[0].score
            values_of["difference_error"] = row.recognised.error_beside(self.rows[0].recognised)
        return values

    def write(self, folder: Path) -> None:
        """Write results.json and results.md."""
        write_atomic(folder / RESULTS_NAME, (json.dumps(self.payload(), indent=2) + "\n").encode())
        write_atomic(folder / TEXT_NAME, self.markdown().encode("utf-8", "replace"))

    def lines(self, group: str) -> list[list[str]]:
        """The cells of a group's table, under HEADINGS: teacher first, then what changes or repeats."""
        teacher = self.rows[0]
        beside = (teacher.name,) if group == METHODS else (teacher.name, BASE_NAME)
        return [self._cells(row, teacher) for row in self.rows if row.group == group or row.name in beside]

    def _cells(self, row: Row, teacher: Row) -> list[str]:
        return [
            row.name, f"{row.bytes:,}", f"{row.image_bytes:,}" if row.image_bytes else "-",
            _percent(row.phase1_score), _percent(row.score), _percent(row.engine_top1),
            "-" if row is teacher else points(row.recognised, teacher.recognised),
            _percent(row.zero_fraction), duration(row.seconds),
        ]  # fmt: skip

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups that have rows."""
        return tuple(g for g in _GROUPS if any(r.group == g for r in self.rows[1:]))

    def remarks(self) -> list[str]:
        """What a reader must know of the figures."""
        checked, tested = self.photos["validation"], self.photos["test"]
        best = f"best epoch on {checked} others" if tested else "best epoch on them"
        count, kind = (tested, "test") if tested else (checked, "validation")
        share = self.rows[0].score
        error = 100 * math.sqrt(share * (1 - share) / count)
        seeds = f", but shows in the repeats of {BASE_NAME}" if REPEATS in self.groups else ""
        lines = [
            f"Top-1 on {count} {kind} photos, {best}: one photo is {100 / count:.2f} points, "
            f"one standard error about {error:.2f}; ±: one of the difference, on the same photos.",
            f"Each row is one training: what another seed would change is not in ±{seeds}.",
            f"{self.photos['train']} training photos of {self.data}, split {self.split}, seed {self.seed}, "
            f"preset {self.preset}, teacher {self.teacher}.",
            "Bytes: codes in whole bits, all else 32 bits each. Image: the .ftv that the engine runs. "
            "Engine: its top-1 in the C engine, as on a board. Time: of the training steps.",
            f"{duration(self.seconds)} of training in all, on {self.machine}.",
        ]
        if not self.finished:
            lines.append("Not finished: the same command continues.")
        return lines

    def findings(self) -> list[str]:
        """See `findings.findings`."""
        return list(findings({row.name: row for row in self.rows}))

    def markdown(self) -> str:
        """The text of results.md."""
        parts = ["# Schemes compared", *self.remarks()]
        for group in self.groups:
            parts += [f"## {group.capitalize()}", _markdown_table(HEADINGS, self.lines(group))]
        if said := self.findings():
            parts += ["## What that says", "\n".join(f"- {sentence}" for sentence in said)]
        parts += ["## What is quantised how", *(_rules(row) for row in self.rows)]
        parts += ["## How it was made", *(f"    {command}" for command in self.commands)]
        parts += [_markdown_table(("phase", "settings"), [[n, _flat(s)] for n, s in self.settings.items()])]
        parts += [", ".join(f"{name} {version}" for name, version in self.versions.items()) + "."]
        return "\n\n".join(parts) + "\n"


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{100 * fraction:.2f} %"


def _markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    ruled = [headings, ["---", *["---:" for _ in headings[1:]]], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in ruled)


def _flat(settings: dict[str, Any]) -> str:
    texts = {
        name: " ".join(map(str, v)) if isinstance(v, list | tuple) else v for name, v in settings.items()
    }
    return ", ".join(f"{name} {text}" for name, text in texts.items() if name != "phase" and text != "")


def _rules(row: Row) -> str:
    lines = [f"**{row.name}** ({row.source})", *(f"- {rule}" for rule in row.rules)]
    if row.change:
        lines.append(f"- trained with a difference: {row.change}")
    if row.left_out:
        lines.append(f"- left out of the published method: {row.left_out}")
    if row.obstacle and row.name != "fp32":
        lines.append(f"- not packed: {row.obstacle}")
    return "\n".join(lines)
