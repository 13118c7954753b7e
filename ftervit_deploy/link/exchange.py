"""Several requests at once over a line that loses some: sent again until each has its reply."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..errors import LinkError
from .errors import BoardError
from .frames import Frame
from .messages import REPLY, Type, malformed, read_error

Send = Callable[[int, int, bytes], None]
"""(type, id, payload) -> nothing."""
Receive = Callable[[float], list[Frame]]
"""Timeout in seconds -> frames from the board, without those that are nobody's reply."""


@dataclass(frozen=True)
class Request:
    """Type, payload, and how long the board may be silent about it (seconds) before it is sent again."""

    type: Type
    payload: bytes
    patience_s: float


@dataclass
class _Waiting:
    index: int
    request: Request
    sent: int = 0


class Exchange:
    """Sends requests, at most `window` ahead of their replies.

    The board serves requests in the order in which they arrive. So a reply tells that requests sent before
    its own were lost, or their replies were; they are sent again at once. After silence all that wait are
    sent again.

    Args:
        tries: how often a request is sent before the board counts as mute.
    """

    def __init__(self, send: Send, receive: Receive, window: int, tries: int) -> None:
        self._send, self._receive = send, receive
        self._window, self._tries = window, tries
        self._waiting: dict[int, _Waiting] = {}
        self._replies: dict[int, Frame] = {}

    def run(self, requests: Sequence[Request], ids: Callable[[], int]) -> list[Frame]:
        """The replies, in the order of the requests.

        Raises:
            BoardError: the board refused one.
            LinkError: it does not answer.
        """
        todo = deque(enumerate(requests))
        heard = time.monotonic()
        while todo or self._waiting:
            while todo and len(self._waiting) < self._window:
                index, request = todo.popleft()
                self._transmit(ids(), _Waiting(index, request))
            patience = max(item.request.patience_s for item in self._waiting.values())
            taken = [self._take(f) for f in self._receive(max(heard + patience - time.monotonic(), 0))]
            if any(taken):
                heard = time.monotonic()
            elif time.monotonic() >= heard + patience:
                self._again(list(self._waiting))
                heard = time.monotonic()
        return [self._replies[index] for index in range(len(requests))]

    def _transmit(self, number: int, item: _Waiting) -> None:
        if item.sent == self._tries:
            raise LinkError(
                "The board does not answer.",
                "Reset it; look at the cable, and whether another program holds the port.",
            )
        item.sent += 1
        self._waiting.pop(number, None)
        self._waiting[number] = item  # at the end: the order of sending
        self._send(item.request.type, number, item.request.payload)

    def _again(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            self._transmit(number, self._waiting[number])

    def _take(self, frame: Frame) -> bool:
        """True if it is a sign of life about one of the requests."""
        item = self._waiting.get(frame.id)
        if item is None:
            return False
        if frame.type == Type.WORKING:
            return True
        if frame.type == Type.ERROR:
            raise BoardError(*read_error(frame.payload))
        if frame.type != item.request.type | REPLY:
            raise malformed("reply")
        self._replies[item.index] = frame
        order = list(self._waiting)
        del self._waiting[frame.id]
        self._again(order[: order.index(frame.id)])
        return True
