"""`python -m bench.host`: the engine beside ONNX Runtime, OpenVINO and PyTorch, on this machine.

All contestants run models of one shape with random weights, each in a process of its own, in turns: a round
is one turn of each, its ratios compare like with like, and the median of the ratios counts. The peers live in
build/peers-venv (`make peers`). Of each peer the fastest of several settings runs.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ftervit_deploy.machine import usable_cores

from .contest import Asked, Contest
from .rounds import Round, Standing, fastest_peer, quietest, standings
from .table import Group, Row, report
from .worker import Worker

ROOT = Path(__file__).parent.parent
BUILD = ROOT / "build"
PEERS_PYTHON = BUILD / "peers-venv" / "bin" / "python"
MODELS = {"deit_small_224": "DeiT-S 224", "deit_tiny_224": "DeiT-Tiny 224"}
AIM = 1.5
"""How many times faster than the fastest peer."""

ROUNDS = 30
"""Of which the quieter half counts."""
DISTURBED = 0.2
"""Share of the machine that other work may take in the rounds that count."""
RUNS, BATCH_RUNS = 3, 1
"""In a turn, after one that is not counted: of one image, of a batch."""
BATCHES, FEW_BATCHES = (4, 8, 16, 32), (16,)
"""Sizes tried; few where each would be compiled for half a minute."""


@dataclass(frozen=True)
class Contestant:
    """Name in the table, entry of bench.serve, batch sizes to try, interpreter."""

    name: str
    entry: str
    batches: Sequence[int] = BATCHES
    python: Path = PEERS_PYTHON


OURS = "ftervit"
CONTESTANTS = (
    Contestant(OURS, "bench.ours:Ours", python=Path(sys.executable)),
    Contestant("OpenVINO INT8", "bench.peers.ov:int8"),
    Contestant("OpenVINO default", "bench.peers.ov:default"),
    Contestant("ONNX Runtime INT8 dynamic", "bench.peers.ort:dynamic"),
    Contestant("ONNX Runtime INT8 static", "bench.peers.ort:static"),
    Contestant("ONNX Runtime FP32", "bench.peers.ort:float32"),
    Contestant("PyTorch INT8", "bench.peers.pytorch:int8", FEW_BATCHES),
    Contestant("PyTorch BF16", "bench.peers.pytorch:bfloat16", FEW_BATCHES),
    Contestant("PyTorch FP32", "bench.peers.pytorch:float32", FEW_BATCHES),
)


@dataclass(frozen=True)
class Outcome:
    """What a contest found: rounds of one image, rounds of a batch, each contestant's best batch size."""

    single: Sequence[Round]
    batched: Sequence[Round]
    batches: Mapping[str, int]


def groups(
    models: Sequence[str] = tuple(MODELS),
    threads: Sequence[int] = (),
    rounds: int = ROUNDS,
    contestants: Sequence[Contestant] = CONTESTANTS,
) -> Iterator[Group]:
    """A table for each model and number of threads, by default one for each core that may be used."""
    for model in models:
        for count in threads or [usable_cores()]:
            with Contest({c.name: _starter(c, model, count) for c in contestants}) as contest:
                yield table(f"{MODELS[model]}, {count} threads", contest, play(contest, rounds))


def play(contest: Contest, rounds: int) -> Outcome | None:
    """The quieter half of the rounds; None without ours, for there is nothing to compare with."""
    if OURS not in contest.names():
        return None
    single = contest.rounds(dict.fromkeys(contest.names(), 1), rounds, RUNS)
    sizes = {contestant.name: contestant.batches for contestant in CONTESTANTS}
    batches = contest.best_batches({name: sizes.get(name, BATCHES) for name in contest.names()})
    batched = contest.rounds(batches, rounds, BATCH_RUNS)
    return Outcome(quietest(single), quietest(batched), batches) if OURS in contest.names() else None


def table(title: str, contest: Contest, outcome: Outcome | None) -> Group:
    """A row for each contestant, ours against the fastest, why some are missing, what each ran as."""
    missing = [Row(name, {"ms": "not run"}) for name in contest.failed]
    why = [f"{name}: not run: {reason}" for name, reason in contest.failed.items()]
    if outcome is None:
        return Group(title, [*missing, Row("nothing to compare with", {}, missed=True)], why)
    single, batched = standings(outcome.single, OURS), standings(outcome.batched, OURS)
    rows = [_row(name, single[name], batched[name], outcome.batches[name]) for name in contest.names()]
    notes = [_quiet(outcome), *why, *(_as_run(name, contest, outcome) for name in contest.names())]
    return Group(title, [*rows, *missing, _verdict(single, batched)], notes)


def _row(name: str, single: Standing, batched: Standing, batch: int) -> Row:
    return Row(
        name,
        {
            "ms": single.seconds * 1e3,
            "ours faster": single.ratio,
            "quartiles": _span(single),
            "images/s": 1 / batched.seconds,
            "at batch": batch,
            "ours faster, batch": batched.ratio,
            "quartiles, batch": _span(batched),
        },
    )


def _span(standing: Standing) -> str:
    return "{:.2f}-{:.2f}".format(*standing.quartiles)


def _verdict(single: Mapping[str, Standing], batched: Mapping[str, Standing]) -> Row:
    """The least ratio of any peer, and whether it reaches the aim."""
    peers = [fastest_peer(found, OURS) for found in (single, batched)]
    if None in peers:
        return Row("no peer to compare with", {}, missed=True)
    ratios = [found[str(name)].ratio for name, found in zip(peers, (single, batched), strict=True)]
    figures = {"ours faster": ratios[0], "ours faster, batch": ratios[1]}
    return Row(f"the fastest peer, aim {AIM:g}", figures, missed=min(ratios) < AIM)


def _quiet(outcome: Outcome) -> str:
    others = max(round_.others for round_ in [*outcome.single, *outcome.batched])
    disturbed = ": too much to trust, measure again" if others > DISTURBED else ""
    counted = len(outcome.single)
    return f"Other work took at most {others:.0%} of the machine in the {counted} rounds counted{disturbed}."


def _as_run(name: str, contest: Contest, outcome: Outcome) -> str:
    batch = outcome.batches[name]
    one, many = contest.answers[name, 1], contest.answers[name, batch]
    versions = " ".join(f"{key} {value}" for key, value in one["versions"].items())
    parts = [f"{name}: {versions}", one["as"], f"batch {batch}: {many['as']}"]
    if one["agreement"] is not None:
        parts.append(f"logits correlate {one['agreement']:.3f} with FP32")
    parts += [f"without {label} ({why})" for label, why in many["failed"].items()]
    return "; ".join(parts)


def _starter(contestant: Contestant, model: str, threads: int) -> Callable[[], Asked]:
    def start() -> Worker:
        print(f"{model}, {threads} threads: {contestant.name} ...", file=sys.stderr, flush=True)
        folder = _models_folder()
        environment = {
            "OMP_NUM_THREADS": str(threads),
            "TORCHINDUCTOR_CACHE_DIR": str(BUILD / "inductor"),
            "NNCF_CI": "1",  # no telemetry
        }
        log = folder / f"{contestant.entry.rpartition('.')[2].replace(':', '-')}.log"
        arguments = [contestant.entry, model, str(threads), str(folder)]
        return Worker(contestant.python, arguments, environment, log)

    return start


def _models_folder() -> Path:
    """Of the peers' models, which are made again when what makes them changes."""
    text = b"".join(
        path.read_bytes() for path in sorted((ROOT / "bench" / "peers").iterdir()) if path.is_file()
    )
    folder = BUILD / "peers" / hashlib.sha256(text).hexdigest()[:12]
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def main() -> int:
    """Measure, print, return 1 if an aim is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.host", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--threads", nargs="+", type=int, default=[], help="default: one for each core")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="default: %(default)s")
    parser.add_argument("--against", nargs="+", default=[""], help="peers whose names contain this")
    options = parser.parse_args()
    chosen = [c for c in CONTESTANTS if c.name == OURS or any(part in c.name for part in options.against)]
    return report(groups(options.models, options.threads, options.rounds, chosen), options.json)


if __name__ == "__main__":
    sys.exit(main())
