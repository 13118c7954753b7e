"""Three ways to show what a monitor hears: JSON lines, plain lines, a live picture."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Protocol

from ..backtrace import Place
from ..link import Prediction
from ..monitor import View, log_level, plain_text
from ..plaintext import printable
from .output import Output, colour_depth, dim

REDRAW_S = 0.1
LABEL_CELLS, BAR_CELLS = 24, 30
_COLOURS = {"I": "32", "W": "33", "E": "31", "D": "2", "V": "2"}
"""SGR codes of ESP-IDF's log levels."""


class Screen(Protocol):
    """Where a monitor shows what it hears.

    Attributes:
        timestamps: show the time before each line.
        muted: show nothing that arrives.
    """

    timestamps: bool
    muted: bool

    def log(self, line: str) -> None:
        """A line of text from the board."""

    def places(self, places: Sequence[Place]) -> None:
        """Where in the source the addresses of the line before are."""

    def prediction(self, prediction: Prediction) -> None:
        """What the board saw."""

    def happened(self, event: str, words: str, **facts: object) -> None:
        """Something about the line or the board; `words` for people, `facts` for programs."""

    def say(self, lines: list[str]) -> None:
        """An answer to a key."""

    def update(self, view: View) -> None:
        """The state of now."""

    def close(self, view: View) -> None:
        """The end; the state of the end."""


def make_screen(output: Output) -> Screen:
    """The screen that suits this run: --json, a terminal, or neither."""
    if output.json:
        return JsonScreen()
    return LiveScreen() if _redraws() else PlainScreen(output)


def _redraws() -> bool:
    if not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
        return False
    return sys.platform != "win32" or "WT_SESSION" in os.environ


class JsonScreen:
    """One JSON object per event on stdout; what a person would read goes nowhere."""

    def __init__(self) -> None:
        self.timestamps = self.muted = False

    def log(self, line: str) -> None:
        """As Screen.log."""
        text = plain_text(line)
        self._print({"event": "log", "level": log_level(text) or None, "text": text})

    def places(self, places: Sequence[Place]) -> None:
        """As Screen.places."""
        self._print({"event": "backtrace", "places": [asdict(place) for place in places]})

    def prediction(self, prediction: Prediction) -> None:
        """As Screen.prediction."""
        top = [{"index": g.index, "label": g.label, "probability": g.probability} for g in prediction.top]
        self._print(
            {
                "event": "prediction",
                "frame": prediction.frame,
                "microseconds": prediction.microseconds,
                "top": top,
            }
        )

    def happened(self, event: str, words: str, **facts: object) -> None:
        """As Screen.happened."""
        self._print({"event": event, "message": words, **facts})

    def say(self, lines: list[str]) -> None:
        """As Screen.say; on stderr."""
        print("\n".join(lines), file=sys.stderr)

    def update(self, view: View) -> None:
        """As Screen.update: nothing."""

    def close(self, view: View) -> None:
        """As Screen.close: a summary."""
        self._print(
            {
                "event": "summary",
                "predictions": view.predictions,
                "frames_per_second": view.frames_per_second,
                "latency_us": dict(zip(("p50", "p90", "p99"), view.latency_us, strict=False)),
                "damaged": view.damaged,
                "resets": view.resets,
                "losses": view.losses,
            }
        )

    def _print(self, record: dict[str, object]) -> None:
        if not self.muted or record["event"] == "summary":
            print(json.dumps(record), flush=True)


class PlainScreen:
    """Line after line, for files, pipes and simple terminals; what is not from the board goes to stderr."""

    def __init__(self, output: Output) -> None:
        self.timestamps = self.muted = False
        self._output = output

    def log(self, line: str) -> None:
        """As Screen.log."""
        self._print(coloured(line))

    def places(self, places: Sequence[Place]) -> None:
        """As Screen.places."""
        for place in places:
            self._print(place_line(place))

    def prediction(self, prediction: Prediction) -> None:
        """As Screen.prediction."""
        self._print(prediction_line(prediction))

    def happened(self, event: str, words: str, **facts: object) -> None:
        """As Screen.happened."""
        self._output.note(printable(words))

    def say(self, lines: list[str]) -> None:
        """As Screen.say."""
        print("\n".join(lines), file=sys.stderr)

    def update(self, view: View) -> None:
        """As Screen.update: nothing."""

    def close(self, view: View) -> None:
        """As Screen.close."""
        self._output.note(status_line(view))

    def _print(self, text: str) -> None:
        if not self.muted:
            print(_stamp(self.timestamps) + text, flush=True)


class LiveScreen:
    """The log scrolls; below it stand the newest classes with bars, and the numbers."""

    def __init__(self) -> None:
        self.timestamps = self.muted = False
        self._drawn = 0
        self._last_at = 0.0
        self._block: list[str] = []
        self._stale = False

    def log(self, line: str) -> None:
        """As Screen.log."""
        if not self.muted:
            self._scroll(_stamp(self.timestamps) + coloured(line))

    def places(self, places: Sequence[Place]) -> None:
        """As Screen.places."""
        for place in places:
            if not self.muted:
                self._scroll(place_line(place))

    def prediction(self, prediction: Prediction) -> None:
        """As Screen.prediction: the block shows it."""

    def happened(self, event: str, words: str, **facts: object) -> None:
        """As Screen.happened."""
        self._scroll(f"--- {printable(words)}")

    def say(self, lines: list[str]) -> None:
        """As Screen.say."""
        for line in lines:
            self._scroll(f"--- {line}")

    def update(self, view: View) -> None:
        """As Screen.update; at most ten times a second."""
        if time.monotonic() < self._last_at + REDRAW_S and not self._stale:
            return
        if self.muted:
            self._draw([_cut("--- muted; Ctrl-T Y shows again")])
        else:
            self._draw(block(view))

    def close(self, view: View) -> None:
        """As Screen.close: the last block stays."""
        self._draw(block(view))

    def _scroll(self, line: str) -> None:
        self._write(self._erased() + line + "\n")
        self._stale = True

    def _draw(self, lines: list[str]) -> None:
        if lines != self._block or self._stale:
            self._write(self._erased() + "".join(f"{line}\n" for line in lines))
            self._drawn, self._block = len(lines), lines
        self._stale, self._last_at = False, time.monotonic()

    def _erased(self) -> str:
        drawn, self._drawn = self._drawn, 0
        return f"\x1b[{drawn}A\r\x1b[J" if drawn else ""

    def _write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


def coloured(line: str) -> str:
    """A log line in its level's colour where stdout shows colours, without what would move the cursor."""
    text = printable(plain_text(line).replace("\t", "    "))
    code = _COLOURS.get(log_level(text))
    return f"\x1b[{code}m{text}\x1b[0m" if code and colour_depth() else text


def place_line(place: Place) -> str:
    """A place in the source, below the line that it explains."""
    return dim(printable(f"  {place}"))


def prediction_line(prediction: Prediction) -> str:
    """A prediction in one line."""
    classes = ", ".join(f"{printable(g.label)} {100 * g.probability:.1f} %" for g in prediction.top)
    return f"frame {prediction.frame}: {classes} ({prediction.microseconds / 1000:.1f} ms)"


def status_line(view: View) -> str:
    """The numbers in one line."""
    return f"{speed(view)}; {mishaps(view)}"


def speed(view: View) -> str:
    """How many and how fast."""
    rate = "-" if view.frames_per_second is None else f"{view.frames_per_second:.1f}"
    parts = [f"{view.predictions} predictions", f"{rate} frames/s"]
    if view.latency_us:
        p50, p90, p99 = (value / 1000 for value in view.latency_us)
        parts.append(f"p50 {p50:.1f}, p90 {p90:.1f}, p99 {p99:.1f} ms")
    return "; ".join(parts)


def mishaps(view: View) -> str:
    """What went wrong on the line."""
    return f"{view.damaged} damaged, {view.resets} resets, {view.losses} losses"


def block(view: View) -> list[str]:
    """The newest classes with bars, and the numbers; each line fits the terminal."""
    from rich.cells import set_cell_size

    lines = [
        f"{set_cell_size(printable(g.label), LABEL_CELLS)} {100 * g.probability:5.1f} %  {bar(g.probability)}"
        for g in view.top
    ]
    state = "" if view.connected else "no port; "
    return [_cut(line) for line in [*lines, speed(view), f"{state}{mishaps(view)}; Ctrl-T H: keys"]]


def bar(fraction: float) -> str:
    """A bar of BAR_CELLS for 1."""
    return "█" * round(BAR_CELLS * min(max(fraction, 0.0), 1.0))


def _cut(line: str) -> str:
    from rich.cells import cell_len, set_cell_size

    width = shutil.get_terminal_size().columns - 1
    return line if cell_len(line) <= width else set_cell_size(line, width)


def _stamp(wanted: bool) -> str:
    if not wanted:
        return ""
    now = time.time()
    return f"{time.strftime('%H:%M:%S', time.localtime(now))}.{int(now * 1000) % 1000:03d} "
