"""A board at the other end of a stream: questions to it, and what it says of its own accord."""

from __future__ import annotations

import binascii
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from ..errors import LinkError
from . import messages
from .errors import BoardError, ErrorCode
from .exchange import Exchange, Request
from .frames import MAX_PAYLOAD_BYTES, Event, Frame, Parser, Prediction, Text, encode_frame, text_bytes
from .messages import (
    DIGESTS,
    GET_HEADER,
    GET_REQUEST,
    PUT_HEADER,
    REPLY,
    RUN_REQUEST,
    TIMES,
    VERSION,
    BenchResult,
    BoardInfo,
    Hello,
    Inference,
    Kind,
    Pictures,
    Thumbnail,
    Type,
)
from .stream import Stream

EVENTS_KEPT = 4096
"""Events that wait for `events`; older ones are dropped."""
MOST_BYTES = 1 << 22
"""That are read at once: labels may have as many (IMAGE_FORMAT.md)."""
RESTARTS = 3
"""How often an inference begins anew after resets or damaged pixels."""
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Timing:
    """How patient the host is; section 7 of LINE_PROTOCOL.md.

    Attributes:
        reply_s: silence after which requests are sent again, beside the time that bytes take on the wire.
        run_s: the same for RUN and BENCH; a board at work says so more often.
        hello_s: the same for HELLO, which a board that boots does not hear.
        tries: how often a request is sent.
        hello_tries: how often HELLO is sent.
    """

    reply_s: float = 1.0
    run_s: float = 10.0
    hello_s: float = 0.5
    tries: int = 12
    hello_tries: int = 12


class Link:
    """Not for several threads. Use it as a context manager, or call `close`.

    Args:
        stream: open line to the board.
    """

    def __init__(self, stream: Stream, timing: Timing | None = None) -> None:
        self._stream, self._timing = stream, timing or Timing()
        self._parser, self._pictures = Parser(), Pictures()
        self._events: deque[Text | Prediction | Thumbnail] = deque(maxlen=EVENTS_KEPT)
        self._hello: Hello | None = None
        self._last_id = 0
        self._bytes_heard = 0

    # ---- questions ----

    def connect(self) -> Hello:
        """Begin a session; what the board says of itself in it.

        Raises:
            LinkError: nothing or nothing sensible is there.
            BoardError: it speaks another version of the protocol.
        """
        self._hello = None
        heard = self._bytes_heard
        request = Request(
            Type.HELLO, bytes((VERSION, VERSION, 0, 0)), self._patience(self._timing.hello_s, 1)
        )
        exchange = Exchange(self._transmit, self._replies, 1, self._timing.hello_tries)
        try:
            (frame,) = exchange.run([request], self._next_id)
        except BoardError:
            raise
        except LinkError as error:
            raise self._mute(self._bytes_heard - heard) or error from None
        self._hello = messages.read_hello(frame)
        return self._hello

    @property
    def hello(self) -> Hello:
        """What the board said of itself; connects first if that was not done."""
        return self._hello or self.connect()

    def info(self) -> BoardInfo:
        """The board's description."""
        return self._persist(lambda: messages.read_info(self._read(Kind.INFO)))

    def labels(self) -> tuple[str, ...]:
        """The model's class names."""
        text = self._persist(lambda: self._read(Kind.LABELS))
        return tuple(text.decode("utf-8", "replace").splitlines())

    def infer(self, pixels: npt.NDArray[np.uint8], digests: bool = False, times: bool = False) -> Inference:
        """Run the model on the board.

        Args:
            pixels: uint8 [image_size, image_size, 3], RGB.
            digests: also a CRC-32 of all values at each site.
            times: also the microseconds up to each site.
        """
        flags = DIGESTS * digests | TIMES * times
        data = np.ascontiguousarray(pixels, np.uint8).tobytes()
        return self._persist(lambda: self._infer(data, flags))

    def camera(self, on: bool) -> None:
        """Let the board look, or stop."""
        self._persist(lambda: self._ask(Type.CAMERA, bytes((on, 0, 0, 0))))

    def thumbnails(self, every: int) -> None:
        """Have every n-th camera frame sent as a Thumbnail; 0 for none."""
        self._persist(lambda: self._ask(Type.THUMBNAILS, every.to_bytes(4, "little")))

    def bench(self, kernel: str, tokens: int, inputs: int, repetitions: int = 1) -> BenchResult:
        """Time one kernel on the numbers of section 5."""
        numbers = np.array([tokens, inputs, repetitions], "<u4").tobytes()
        payload = numbers + kernel.encode()
        return messages.read_bench(self._persist(lambda: self._ask(Type.BENCH, payload, self._timing.run_s)))

    # ---- what the board says of its own accord ----

    def events(self, timeout_s: float) -> Iterator[Text | Prediction | Thumbnail]:
        """Lines, predictions and thumbnails as they come, until `timeout_s` have passed.

        Raises:
            LinkError: the line is gone.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            while self._events:
                yield self._events.popleft()
            left = deadline - time.monotonic()
            if left <= 0:
                return
            self._replies(left)

    def close(self) -> None:
        """Let go of the line."""
        self._stream.close()

    def __enter__(self) -> Link:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ---- frames ----

    def _next_id(self) -> int:
        self._last_id = self._last_id % 0xFFFF + 1
        return self._last_id

    def _transmit(self, kind: int, number: int, payload: bytes) -> None:
        version = 0 if kind == Type.HELLO else VERSION
        session = self._hello.session if self._hello else 0
        self._stream.write(encode_frame(Frame(version, kind, number, session, payload)))

    def _replies(self, timeout_s: float) -> list[Frame]:
        """Frames that answer; everything else becomes an event. Requests are echoes of ours."""
        data = self._stream.read(timeout_s)
        self._bytes_heard += len(data)
        frames = []
        for event in self._parser.feed(data):
            if isinstance(event, Frame) and event.type >= REPLY and event.id:
                frames.append(event)
            self._keep(event)
        return frames

    def _keep(self, event: Event) -> None:
        if not isinstance(event, Frame):
            self._events.append(event)
        elif event.type == Type.THUMBNAIL:
            picture = self._pictures.add(event.payload)
            if picture is not None:
                self._events.append(picture)

    def _mute(self, bytes_heard: int) -> LinkError | None:
        """What a line that carries no reply looks like."""
        name = self._stream.name
        if not bytes_heard:
            return LinkError(
                f"The board at {name} says nothing.", "Look whether it is flashed, powered, and at this port."
            )
        return LinkError(
            f"{name} carries {bytes_heard} bytes, but no reply of a board.",
            "Check the baud rate, and that the board runs an app of ftervit.",
        )

    # ---- requests ----

    def _patience(self, silence_s: float, frames: int) -> float:
        """Silence, and the time of `frames` of the largest frames each way."""
        payload = self._hello.max_payload_bytes if self._hello else MAX_PAYLOAD_BYTES
        return silence_s + 2 * frames * text_bytes(payload) * self._stream.seconds_per_byte

    def _exchange(self, requests: list[tuple[Type, bytes]], silence_s: float) -> list[Frame]:
        patience = self._patience(silence_s, self.hello.window)
        exchange = Exchange(self._transmit, self._replies, self.hello.window, self._timing.tries)
        return exchange.run([Request(kind, payload, patience) for kind, payload in requests], self._next_id)

    def _ask(self, kind: Type, payload: bytes, silence_s: float | None = None) -> bytes:
        return self._exchange([(kind, payload)], silence_s or self._timing.reply_s)[0].payload

    def _persist(self, action: Callable[[], _Result]) -> _Result:
        """Does it again where a reset or damaged pixels came between."""
        for restart in range(RESTARTS + 1):
            try:
                return action()
            except BoardError as error:
                mendable = error.code in (ErrorCode.SESSION, ErrorCode.CHECKSUM, ErrorCode.NO_RESULT)
                if not mendable or restart == RESTARTS:
                    raise
                self.connect()
        raise AssertionError("the loop returns or raises")

    def _infer(self, data: bytes, flags: int) -> Inference:
        hello = self.hello
        if hello.pixels_bytes and len(data) != hello.pixels_bytes:
            raise LinkError(
                f"{len(data)} bytes of pixels were given; the model on the board takes {hello.pixels_bytes}.",
                "Use the model that is on the board.",
            )
        room = hello.max_payload_bytes - PUT_HEADER.size
        pieces = [PUT_HEADER.pack(Kind.PIXELS, at) + data[at : at + room] for at in range(0, len(data), room)]
        self._exchange([(Type.PUT, piece) for piece in pieces], self._timing.reply_s)
        run = (Type.RUN, RUN_REQUEST.pack(flags, binascii.crc32(data)))
        (frame,) = self._exchange([run], self._timing.run_s)
        return self._results(frame.id, messages.read_run(frame.payload))

    def _results(self, run_id: int, reply: messages.RunReply) -> Inference:
        raw = self._read(Kind.LOGITS, run_id, 4 * reply.classes)
        if binascii.crc32(raw) != reply.logits_crc32:
            raise messages.malformed("set of logits")
        sites = self._read(Kind.SITES, run_id, 16 * reply.sites)
        logits = np.frombuffer(raw, "<i4").astype(np.int32)
        return Inference(logits, reply.microseconds, reply.top, messages.read_sites(sites))

    def _read(self, kind: Kind, run_id: int = 0, total: int | None = None) -> bytes:
        """All of a kind, `total` bytes; None: as many as the first piece says."""
        room = (self.hello.max_payload_bytes - GET_HEADER.size) // 4 * 4
        data = b""
        if total is None:
            ((total, data),) = self._pieces(kind, run_id, [0])
        if total > MOST_BYTES:
            raise messages.malformed(kind.name)
        offsets = list(range(len(data), total, room))
        data += b"".join(piece for _, piece in self._pieces(kind, run_id, offsets))
        if len(data) != total:
            raise messages.malformed(kind.name)
        return data

    def _pieces(self, kind: Kind, run_id: int, offsets: list[int]) -> Iterator[tuple[int, bytes]]:
        """(size of the whole, bytes) from each offset."""
        requests = [(Type.GET, GET_REQUEST.pack(kind, run_id, offset)) for offset in offsets]
        for offset, frame in zip(offsets, self._exchange(requests, self._timing.reply_s), strict=True):
            if len(frame.payload) < GET_HEADER.size:
                raise messages.malformed(kind.name)
            *head, total = GET_HEADER.unpack_from(frame.payload)
            if head != [kind, run_id, offset]:
                raise messages.malformed(kind.name)
            yield total, frame.payload[GET_HEADER.size :]
