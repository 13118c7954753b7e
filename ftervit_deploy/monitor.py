"""What a person sees of a board at work: predictions, rates and latencies, resets and damage.

Nothing here waits, opens a port or looks at a clock: events and times (seconds, of any steady clock) go in,
views and bytes to send come out.
"""

from __future__ import annotations

import enum
import math
import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from .errors import LinkError
from .link import BoardError, ErrorCode, Frame, Guess, Prediction, Text, encode_frame
from .link.messages import REPLY, VERSION, Hello, Type, read_error, read_hello

RATE_WINDOW_S = 10.0
LATENCIES_KEPT = 1000
HELLO_EVERY_S, HELLO_TRIES = 0.5, 12
"""LINE_PROTOCOL.md, section 7: HELLO goes on for six seconds; a board mute till then is not of ftervit."""
REQUEST_EVERY_S = 1.0
QUIET_S = 2.0
"""After so long without a prediction the board is asked again to look; its answer also tells of a reset."""
PERCENTILES = (50, 90, 99)

_CSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_LEVEL = re.compile(r"([EWIDV]) \([0-9:.]+\) ")
_BOOTS = re.compile(r"rst:0x[0-9a-f]+ |ESP-ROM:|[EWIDV] \(\d+\) boot: ")
_CUT_PREDICTION = "@ftv "


# ---- log lines ----


def plain_text(line: str) -> str:
    """A log line without the terminal's control sequences, such as ESP-IDF's colours."""
    return _CSI.sub("", line)


def log_level(line: str) -> str:
    """ESP-IDF's level of a line without colours: E, W, I, D, V, or nothing where it has none."""
    found = _LEVEL.match(line)
    return found[1] if found else ""


# ---- numbers ----


def percentile(values: Sequence[int], percent: int) -> int:
    """The nearest rank: the smallest value that at least `percent` of all values do not exceed."""
    return sorted(values)[max(math.ceil(len(values) * percent / 100), 1) - 1]


@dataclass(frozen=True)
class View:
    """What there is to show.

    Attributes:
        connected: the port is open.
        prediction: the newest since the last reset.
        predictions: how many there were in all.
        frames_per_second: over the last ten seconds; None before the second prediction.
        latency_us: p50, p90, p99 of the last 1000 predictions since the reset; empty before the first.
        damaged: frames and predictions that did not arrive whole.
        resets: how often the board was another session than before.
        losses: how often the port went away.
    """

    connected: bool
    prediction: Prediction | None
    predictions: int
    frames_per_second: float | None
    latency_us: tuple[int, ...]
    damaged: int
    resets: int
    losses: int

    @property
    def top(self) -> tuple[Guess, ...]:
        """Classes of the newest prediction, best first."""
        return self.prediction.top if self.prediction else ()


class Watch:
    """Counts what comes over a line."""

    def __init__(self) -> None:
        self._arrivals: deque[float] = deque()
        self._latencies: deque[int] = deque(maxlen=LATENCIES_KEPT)
        self._newest: Prediction | None = None
        self._connected = False
        self._predictions = self._damaged = self._resets = self._losses = 0

    def connected(self) -> None:
        """The port is open (again)."""
        self._connected = True

    def lost(self) -> None:
        """The port is gone."""
        self._losses += self._connected
        self._connected = False
        self._arrivals.clear()

    def reset(self) -> None:
        """The board began anew: what was measured before is not about it."""
        self._resets += 1
        self._arrivals.clear()
        self._latencies.clear()
        self._newest = None

    def damage(self, frames: int) -> None:
        """So many more frames did not arrive whole."""
        self._damaged += frames

    def text(self, text: Text) -> None:
        """A line of the log; a damaged prediction is one."""
        self._damaged += _CUT_PREDICTION in text.line

    def prediction(self, prediction: Prediction, now: float) -> None:
        """What the board saw."""
        self._newest = prediction
        self._predictions += 1
        self._latencies.append(prediction.microseconds)
        self._arrivals.append(now)

    def view(self, now: float) -> View:
        """All of it."""
        while self._arrivals and self._arrivals[0] < now - RATE_WINDOW_S:
            self._arrivals.popleft()
        latencies = tuple(percentile(self._latencies, p) for p in PERCENTILES) if self._latencies else ()
        return View(
            self._connected, self._newest, self._predictions, self._rate(), latencies,
            self._damaged, self._resets, self._losses,
        )  # fmt: skip

    def _rate(self) -> float | None:
        if len(self._arrivals) < 2 or self._arrivals[-1] <= self._arrivals[0]:
            return None
        return (len(self._arrivals) - 1) / (self._arrivals[-1] - self._arrivals[0])


# ---- the board is asked to look ----


class Session:
    """Says HELLO, switches camera and thumbnails on, and does it again after a reset; never waits.

    Args:
        thumbnails: have every camera frame's small picture sent.
    """

    def __init__(self, thumbnails: bool) -> None:
        self._thumbnails = thumbnails
        self._hello: Hello | None = None
        self._known_session = 0
        self._todo: list[Type] = []
        self._looks = False
        self._tries = self._last_id = 0
        self._next_at = self._heard_at = math.inf

    def start(self, now: float) -> None:
        """The port was opened, or the board seems to have begun anew."""
        self._hello, self._todo, self._tries, self._next_at = None, [], 0, now

    def text(self, text: Text, now: float) -> None:
        """A line of the log may tell of a reset."""
        if _BOOTS.search(plain_text(text.line)):
            self.start(now)

    def prediction(self, now: float) -> None:
        """The board looks."""
        self._heard_at = now

    def due(self, now: float) -> bytes:
        """What to send now."""
        if self._hello and self._looks and not self._todo and now > self._heard_at + QUIET_S:
            self._todo, self._next_at = [Type.CAMERA], now
        if now < self._next_at:
            return b""
        if self._hello is None:
            return self._say_hello(now)
        if not self._todo:
            self._next_at = math.inf
            return b""
        self._next_at = now + REQUEST_EVERY_S
        return self._request(self._todo[0], 1)

    def goodbye(self) -> bytes:
        """What to send before the port is closed: nobody reads thumbnails any more."""
        return self._request(Type.THUMBNAILS, 0) if self._hello and self._thumbnails else b""

    def frame(self, frame: Frame, now: float) -> tuple[bool, str]:
        """Take a frame from the board: whether it is another session than before, and a note for people."""
        if not frame.id or frame.type < REPLY:
            return False, ""
        if frame.type == Type.HELLO | REPLY:
            return self._take_hello(frame, now)
        if frame.type == Type.ERROR:
            return False, self._take_error(frame, now)
        if self._todo and frame.type == self._todo[0] | REPLY:
            self._done(now)
        return False, ""

    def _say_hello(self, now: float) -> bytes:
        self._tries += 1
        self._next_at = now + HELLO_EVERY_S if self._tries < HELLO_TRIES else math.inf
        return encode_frame(Frame(0, Type.HELLO, self._next_id(), 0, bytes((VERSION, VERSION, 0, 0))))

    def _request(self, kind: Type, value: int) -> bytes:
        session = self._hello.session if self._hello else 0
        return encode_frame(Frame(VERSION, kind, self._next_id(), session, value.to_bytes(4, "little")))

    def _next_id(self) -> int:
        self._last_id = self._last_id % 0xFFFF + 1
        return self._last_id

    def _take_hello(self, frame: Frame, now: float) -> tuple[bool, str]:
        if self._hello is not None:
            return False, ""
        try:
            self._hello = read_hello(frame)
        except LinkError:
            return False, ""
        wanted = [Type.CAMERA, *([Type.THUMBNAILS] if self._thumbnails else [])]
        self._todo = [kind for kind in wanted if kind in self._hello.features]
        self._looks = Type.CAMERA in self._todo
        self._next_at = self._heard_at = now
        before, self._known_session = self._known_session, self._hello.session
        missing = "" if self._looks else "This board has no camera: it predicts only what it is sent."
        return before not in (0, self._hello.session), missing if before != self._hello.session else ""

    def _take_error(self, frame: Frame, now: float) -> str:
        try:
            error = BoardError(*read_error(frame.payload))
        except LinkError:
            return ""
        if error.code == ErrorCode.SESSION:
            self.start(now)
            return ""
        if error.code == ErrorCode.VERSION:
            self._next_at = math.inf
            return str(error)
        if not self._todo:
            return ""
        if self._todo[0] == Type.CAMERA:
            self._looks = False
        self._done(now)
        return str(error)

    def _done(self, now: float) -> None:
        self._todo.pop(0)
        self._next_at = self._heard_at = now


# ---- keys ----


class Action(enum.Enum):
    """What a key asks for, with the words of the menu."""

    QUIT = "quit"
    HELP = "show the keys"
    RESET = "reset the board"
    MUTE = "stop or continue showing what arrives"
    LOG = "stop or continue writing the log file"
    TIMESTAMPS = "show the time before each line, or not"


QUIT_KEY, MENU_KEY = "\x1d", "\x14"
MENU = {
    "h": Action.HELP,
    "r": Action.RESET,
    "y": Action.MUTE,
    "l": Action.LOG,
    "i": Action.TIMESTAMPS,
    "x": Action.QUIT,
}


class Keys:
    """ESP-IDF's keys: Ctrl-] quits, Ctrl-T opens a menu of one more key.

    Args:
        absent: what this run cannot do; it is not offered.
    """

    def __init__(self, absent: frozenset[Action] = frozenset()) -> None:
        self._menu = {key: action for key, action in MENU.items() if action not in absent}
        self._open = False

    def press(self, key: str) -> Action | None:
        """The action of one key (a character); None if it has none yet, or none at all."""
        if key == QUIT_KEY:
            return Action.QUIT
        if not self._open:
            self._open = key == MENU_KEY
            return None
        self._open = False
        letter = chr(ord(key) + 0x60) if key < " " else key.lower()
        return self._menu.get(letter)

    def help(self) -> list[str]:
        """One line per key."""
        return [
            "Ctrl-]    quit",
            *(f"Ctrl-T {key.upper()}  {action.value}" for key, action in self._menu.items()),
        ]
