"""`ftervit monitor`: what a board predicts and logs, live."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import LinkError
from .numbers import POSITIVE
from .options import baud_option, port_option, project_option, settle
from .output import Output, output_options

if TYPE_CHECKING:
    from ..backtrace import Backtraces, Decoded
    from ..config import Settings
    from ..link import Event, SerialStream, Thumbnail
    from ..monitor import Action
    from .ending import Ending
    from .keyboard import Keyboard
    from .screen import Screen

READ_S = 0.05
REOPEN_S = 0.1
"""A port that went away is looked for this often."""
SETTLE_S = 0.3
"""A port that opens again counts after its first byte, or after so long; some open only to close again."""


@click.command()
@port_option
@baud_option
@click.option("--log", metavar="FILE", help="Append every byte that the board sends to FILE.")
@click.option("--save-frames", metavar="DIR", help="Save the board's small pictures as PNG in DIR.")
@click.option(
    "--elf", metavar="FILE", help="Decode backtraces with FILE. [default: that of the project's build]"
)
@project_option
@click.option("--seconds", type=POSITIVE, metavar="N", help="Stop after N seconds.")
@output_options
@click.pass_context
def monitor(
    context: click.Context, /, log: str | None, save_frames: str | None, elf: str | None,
    seconds: float | None, **flags: Any,
) -> None:  # fmt: skip
    """Watch a board: its predictions live, frame rate, latency, and its log.

    Switches the board's camera on, again after every reset, and waits for a port that goes away.
    Backtraces are decoded if the board runs the application whose symbols are there.
    Ctrl-] quits, Ctrl-T H shows the other keys. With --json one object per event.
    """
    output = context.ensure_object(Output)
    watch(settle(output, **flags), output, Wishes(log, save_frames, elf, seconds))


@dataclass(frozen=True)
class Wishes:
    """What a run of the monitor is asked for.

    Attributes:
        log: file to append every byte to.
        save_frames: folder for the board's small pictures.
        elf: symbols for backtraces; None: the project's.
        seconds: after which it stops; None: never.
        patience_s: how long to wait for a port that is not there yet, as after flashing.
    """

    log: str | None = None
    save_frames: str | None = None
    elf: str | None = None
    seconds: float | None = None
    patience_s: float = 0.0


def watch(settings: Settings, output: Output, wishes: Wishes) -> None:
    """Watch the board that `settings` name until the user quits.

    Raises:
        FtervitError: no port, or a file or folder that cannot be used.
    """
    from ..link import choose_port
    from .ending import ending_in_order
    from .keyboard import keyboard
    from .screen import make_screen
    from .symbols import backtraces_for

    name, baud, log = choose_port(settings.port), settings.baud, wishes.log
    backtraces = backtraces_for(wishes.elf, settings.project, output)
    output.detail(f"Opening {name} at {baud} baud")
    with ExitStack() as stack:
        ending = stack.enter_context(ending_in_order())
        stream = _opened(name, baud, wishes.patience_s)
        stack.callback(stream.close)
        record = Recording(stack.enter_context(_appending(log)) if log else None, log or "")
        album = Album(_folder(wishes.save_frames)) if wishes.save_frames else None
        keys = stack.enter_context(keyboard())
        watching = Watching((name, baud), stream, make_screen(output), record, album, backtraces)
        stack.callback(watching.close)
        watching.run(keys, wishes.seconds, ending)


def _opened(name: str, baud: int, patience_s: float) -> SerialStream:
    from ..link import open_stream

    end = time.monotonic() + patience_s
    while True:
        try:
            return open_stream(name, baud)
        except LinkError:
            if time.monotonic() >= end:
                raise
            time.sleep(REOPEN_S)


class Watching:
    """The loop between a board, a screen and a keyboard.

    Args:
        port: name and baud rate, to open it again.
        stream: the port, open.
        record: where the bytes go.
        album: where the pictures go; None if they are not wanted.
        backtraces: decodes them; None if nothing can.
    """

    def __init__(
        self, port: tuple[str, int], stream: SerialStream, screen: Screen, record: Recording,
        album: Album | None, backtraces: Backtraces | None = None,
    ) -> None:  # fmt: skip
        from ..monitor import Action, Keys, Session, Watch

        absent = {Action.LOG} if not record.possible else set()
        if not stream.has_reset_line:
            absent.add(Action.RESET)
        self._port, self._screen, self._record, self._album = port, screen, record, album
        self._backtraces = backtraces
        self._keys, self._watch = Keys(frozenset(absent)), Watch()
        self._session = Session(thumbnails=album is not None)
        self._stream: SerialStream | None = None
        self._reopen_at = self._settles_at = 0.0
        self._take_up(stream)
        self._settle()

    def run(self, keys: Keyboard | None, seconds: float | None, ending: Ending) -> None:
        """Until the user quits or `seconds` have passed.

        Raises:
            KeyboardInterrupt: Ctrl-C or another of the signals of `ending`.
        """
        end = None if seconds is None else time.monotonic() + seconds
        while end is None or time.monotonic() < end:
            ending.check()
            self._hear()
            if self._backtraces is not None:
                self._show(self._backtraces.due(time.monotonic()))
            self._screen.update(self._watch.view(time.monotonic()))
            if keys is not None and not self._obey(keys.pressed()):
                return

    def close(self) -> None:
        """Let go of the port; the last numbers are shown."""
        if self._stream is not None:
            with suppress(LinkError):
                self._stream.write(self._session.goodbye())
            self._stream.close()
        self._screen.close(self._watch.view(time.monotonic()))

    # ---- the line ----

    def _take_up(self, stream: SerialStream) -> None:
        from ..link import Parser
        from ..link.messages import Pictures

        self._stream, self._parser, self._pictures = stream, Parser(), Pictures()
        now = time.monotonic()
        self._session.start(now)
        self._settled, self._settles_at = False, now + SETTLE_S

    def _settle(self) -> None:
        """The port is there to stay: say so once."""
        if not self._settled:
            self._settled = True
            self._watch.connected()
            self._screen.happened("connected", f"Watching {self._port[0]}.", port=self._port[0])

    def _hear(self) -> None:
        if self._stream is None:
            self._reopen()
            return
        try:
            asked = self._session.due(time.monotonic())
            if asked:
                self._stream.write(asked)
            data = self._stream.read(READ_S)
        except LinkError:
            self._lose(self._stream)
            return
        if data or time.monotonic() >= self._settles_at:
            self._settle()
        self._record.add(data)
        self._feed(data)

    def _feed(self, data: bytes) -> None:
        damaged = self._parser.damaged
        for event in self._parser.feed(data):
            self._take(event)
        self._watch.damage(self._parser.damaged - damaged)

    def _lose(self, stream: SerialStream) -> None:
        stream.close()
        self._stream = None
        self._feed(b"\n")
        if not self._settled:
            return
        if self._backtraces is not None:
            self._backtraces.lost()
        self._watch.lost()
        self._screen.happened("lost", f"{self._port[0]} is gone; waiting for it.", port=self._port[0])

    def _reopen(self) -> None:
        from ..link import open_stream

        now = time.monotonic()
        if now < self._reopen_at:
            time.sleep(min(self._reopen_at - now, READ_S))
            return
        self._reopen_at = now + REOPEN_S
        with suppress(LinkError):
            self._take_up(open_stream(*self._port))

    def _take(self, event: Event) -> None:
        from ..link import Prediction, Text
        from ..monitor import plain_text

        now = time.monotonic()
        if isinstance(event, Text):
            self._watch.text(event)
            self._session.text(event, now)
            self._screen.log(event.line)
            if self._backtraces is not None:
                self._show(self._backtraces.line(plain_text(event.line), now))
        elif isinstance(event, Prediction):
            self._watch.prediction(event, now)
            self._session.prediction(now)
            self._screen.prediction(event)
        else:
            self._take_frame(event, now)

    def _show(self, decoded: list[Decoded]) -> None:
        for one in decoded:
            if one.note:
                self._screen.happened("note", one.note)
            else:
                self._screen.places(one.places)

    def _take_frame(self, frame: object, now: float) -> None:
        from ..link import Frame
        from ..link.messages import Type

        assert isinstance(frame, Frame)
        if frame.type == Type.THUMBNAIL:
            picture = self._pictures.add(frame.payload)
            if picture is not None and picture.pixels.size and self._album is not None:
                path = self._album.add(picture)
                if self._shows_files:
                    self._screen.happened("thumbnail", f"{path}", frame=picture.frame, path=str(path))
            return
        another, note = self._session.frame(frame, now)
        if another:
            self._watch.reset()
            self._screen.happened("reset", "The board was reset.")
        if note:
            self._screen.happened("note", note)

    @property
    def _shows_files(self) -> bool:
        from .screen import JsonScreen

        return isinstance(self._screen, JsonScreen)

    # ---- the keys ----

    def _obey(self, pressed: str) -> bool:
        """False if one of the keys quits."""
        from ..monitor import Action

        for key in pressed:
            action = self._keys.press(key)
            if action is Action.QUIT:
                return False
            if action is not None:
                self._do(action)
        return True

    def _do(self, action: Action) -> None:
        from ..monitor import Action

        screen = self._screen
        if action is Action.HELP:
            screen.say(self._keys.help())
        elif action is Action.RESET:
            self._reset()
        elif action is Action.MUTE:
            screen.muted = not screen.muted
        elif action is Action.TIMESTAMPS:
            screen.timestamps = not screen.timestamps
        elif action is Action.LOG:
            screen.say([self._record.toggle()])

    def _reset(self) -> None:
        if self._stream is None:
            return
        try:
            self._stream.hard_reset()
        except LinkError:
            self._lose(self._stream)


class Recording:
    """Appends what arrives to a file, byte by byte as it came.

    Args:
        file: open for appending; None if there is none.
    """

    def __init__(self, file: FileIO | None, name: str) -> None:
        self._file, self._name, self._on = file, name, True

    @property
    def possible(self) -> bool:
        """There is a file."""
        return self._file is not None

    def add(self, data: bytes) -> None:
        """Write what arrived, at once.

        Raises:
            FileError: the disk is full or gone.
        """
        from ..files import FileError

        if self._file is None or not self._on or not data:
            return
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise FileError(
                f"{self._name} cannot be written: {error.strerror or error}.", "Name another file."
            ) from error

    def toggle(self) -> str:
        """Stop or go on; says which."""
        self._on = not self._on
        return f"{'Writing' if self._on else 'Not writing'} {self._name}."


class Album:
    """Pictures as PNG, named by their frames; one that exists is never replaced."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, picture: Thumbnail) -> Path:
        """Save one; frame numbers that come again, after a reset, get another name.

        Raises:
            FileError: the folder cannot be written.
        """
        from PIL import Image

        from ..files import replacing

        path, again = self._folder / f"frame-{picture.frame:06d}.png", 1
        while path.exists():
            again += 1
            path = self._folder / f"frame-{picture.frame:06d}-{again}.png"
        with replacing(path) as temporary:
            Image.fromarray(picture.pixels).save(temporary, "PNG")
        return path


@contextmanager
def _appending(name: str) -> Iterator[FileIO]:
    from ..files import FileError, user_path

    path = user_path(name)
    try:
        file = path.open("ab", buffering=0)
    except OSError as error:
        raise FileError(f"{path} cannot be written: {error.strerror}.", "Name another file.") from error
    with file:
        yield file


def _folder(name: str) -> Path:
    from ..files import FileError, user_path

    folder = user_path(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"{folder} is no folder to write to: {error.strerror}.", "Name another.") from error
    return folder
