"""Frames to and from a board, byte by byte."""

from __future__ import annotations

import time

from line_board import Board

from ftervit_deploy.link import ErrorCode, Event, Frame, Parser, SerialStream, encode_frame, open_stream


class Talk:
    """Frames to and from a board, without the link's retries."""

    def __init__(self, board: Board) -> None:
        self.stream: SerialStream = open_stream(board.url)
        self._parser = Parser()
        hello = self.ask(0, 1, bytes((1, 1, 0, 0)), session=0)
        self.session = hello.session

    def send(self, *frames: Frame) -> None:
        self.stream.write(b"".join(map(encode_frame, frames)))

    def hear(self, count: int, timeout_s: float = 10.0) -> list[Frame]:
        heard: list[Frame] = []
        deadline = time.monotonic() + timeout_s
        while len(heard) < count and time.monotonic() < deadline:
            heard += [e for e in self._parser.feed(self.stream.read(0.1)) if isinstance(e, Frame)]
        return heard

    def ask(self, version: int, kind: int, payload: bytes = b"", session: int | None = None) -> Frame:
        self.send(Frame(version, kind, 99, self.session if session is None else session, payload))
        (reply,) = self.hear(1)
        assert reply.id == 99
        return reply

    def refused(self, version: int, kind: int, payload: bytes = b"", session: int | None = None) -> ErrorCode:
        reply = self.ask(version, kind, payload, session)
        assert (reply.version, reply.type, reply.payload[2]) == (0, 0xFF, kind)
        assert reply.payload[8:].decode("ascii").strip(), "a sentence"
        return ErrorCode(reply.payload[0])

    def events(self, timeout_s: float) -> list[Event]:
        """What arrives next, of all kinds, as soon as there is something."""
        deadline = time.monotonic() + timeout_s
        heard: list[Event] = []
        while not heard and time.monotonic() < deadline:
            heard = list(self._parser.feed(self.stream.read(0.1)))
        return heard
