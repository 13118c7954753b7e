"""A bad cable between a host and a virtual board: a TCP proxy that damages what passes."""

from __future__ import annotations

import random
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Damage = Callable[[bytes, random.Random], bytes]
LOG = b"\r\nI (4711) wifi: a log line of another task with ~ and | in it\r\n"


def flips(rate: float) -> Damage:
    """Changes each byte with the probability `rate`."""

    def damage(data: bytes, draw: random.Random) -> bytes:
        return bytes(draw.randrange(256) if draw.random() < rate else byte for byte in data)

    return damage


def losses(rate: float) -> Damage:
    """Loses each byte with the probability `rate`."""

    def damage(data: bytes, draw: random.Random) -> bytes:
        return bytes(byte for byte in data if draw.random() >= rate)

    return damage


def log_lines(rate: float) -> Damage:
    """Puts a log line before each byte with the probability `rate`."""

    def damage(data: bytes, draw: random.Random) -> bytes:
        return b"".join(LOG + bytes((byte,)) if draw.random() < rate else bytes((byte,)) for byte in data)

    return damage


def repeats(rate: float) -> Damage:
    """Sends each piece twice with the probability `rate`."""

    def damage(data: bytes, draw: random.Random) -> bytes:
        return data + data if draw.random() < rate else data

    return damage


@contextmanager
def proxy(url: str, damage: Damage, seed: int = 1) -> Iterator[str]:
    """A URL that leads, through damage in both directions, to the socket:// URL of a board."""
    host, port = url.removeprefix("socket://").split(":")
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_carry, args=(server, (host, int(port)), damage, seed), daemon=True)
        thread.start()
        yield f"socket://127.0.0.1:{server.getsockname()[1]}"
    thread.join(10)


def _carry(server: socket.socket, board: tuple[str, int], damage: Damage, seed: int) -> None:
    draw = random.Random(seed)
    try:
        client, _ = server.accept()
    except OSError:
        return
    with client, socket.create_connection(board) as other:
        peers = {client: other, other: client}
        while True:
            for source in select.select(list(peers), [], [], 1)[0]:
                data = source.recv(700)
                if not data:
                    return
                peers[source].sendall(damage(data, draw))
