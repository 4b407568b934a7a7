"""One hostile conversation over a raw socket: sends bytes and does unkind things, then reads to the end."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from raw_serving import RawClient, RawResponse

Step = bytes | str | tuple[bytes, int, float]
"""Bytes to send; a word of ``_act``; or (piece, times, seconds between) for what drips."""

CLOSE_TIMEOUT = 60.0
"""Seconds in which the server must have closed the connection."""


@dataclass
class Outcome:
    """What came back before the connection ended."""

    responses: list[RawResponse] = field(default_factory=list)
    rest: bytes = b""
    """Bytes that are no response."""
    hung: bool = False
    """The server left the connection open."""

    def __str__(self) -> str:
        words = [str(response.status) for response in self.responses]
        return " ".join(words + ["truncated"] * bool(self.rest) + (["hung"] if self.hung else ["close"] * (not words)))


def converse(port: int, steps: tuple[Step, ...]) -> Outcome:
    """Do ``steps`` on a new connection; a step may fail, for the server may have ended it."""
    outcome = Outcome()
    with RawClient(port, CLOSE_TIMEOUT) as client:
        with contextlib.suppress(OSError):
            for step in steps:
                _do(client.sock, step)
        if client.sock.fileno() < 0:
            return outcome
        outcome.responses = list(_responses(client, outcome))
        outcome.rest = client.buffer
    return outcome


def _do(sock: socket.socket, step: Step) -> None:
    if isinstance(step, bytes):
        sock.sendall(step)
    elif isinstance(step, str):
        _act(sock, step)
    else:
        piece, times, pause = step
        for _ in range(times):
            sock.sendall(piece)
            time.sleep(pause)


def _act(sock: socket.socket, word: str) -> None:
    if word == "half-close":
        sock.shutdown(socket.SHUT_WR)
    elif word == "reset":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
    elif word == "read-a-bit":
        sock.recv(10)
    elif word == "vanish":
        sock.close()
    else:
        raise ValueError(word)


def _responses(client: RawClient, outcome: Outcome) -> Iterator[RawResponse]:
    with contextlib.suppress(EOFError, ValueError, IndexError):  # the end, or no status line
        try:
            while True:
                yield client.response()
        except TimeoutError:
            outcome.hung = True
