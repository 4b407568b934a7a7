"""Any bytes as a conversation with the HTTP/1.1 protocol, and what must hold at the end of each.

For hypothesis (``tests/unit/server/http/test_fuzz.py``) and a coverage-guided fuzzer
(``scripts/fuzz_connection.py``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from support.hostile.exchanges import app
from support.hostile.in_memory import MemoryServer, MemoryTransport

WORDS: Final = (
    b"GET / HTTP/1.1\r\n",
    b"POST /echo HTTP/1.1\r\n",
    b"HEAD /stream HTTP/1.1\r\n",
    b"GET /stream HTTP/1.1\r\n",
    b"POST /early HTTP/1.1\r\n",
    b"POST /early-close HTTP/1.1\r\n",
    b"POST /stream-first HTTP/1.1\r\n",
    b"GET /fail HTTP/1.1\r\n",
    b"GET /cut HTTP/1.1\r\n",
    b"GET /nothing HTTP/1.1\r\n",
    b"GET /seen?a=b HTTP/1.0\r\n",
    b"OPTIONS * HTTP/1.1\r\n",
    b"Host: a\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Expect: 100-continue\r\n",
    b"Connection: close\r\n",
    b"Connection: keep-alive\r\n",
    b"Connection: Upgrade\r\nUpgrade: h2c\r\n",
    b"X-A: " + b"a" * 400 + b"\r\n",
    b"\r\n",
    b"5\r\nabcde\r\n",
    b"5;x=y\r\nabcde\r\n",
    b"11170\r\n" + b"b" * 70_000 + b"\r\n",
    b"Content-Length: 140000\r\n",
    b"c" * 70_000,
    b"0\r\n\r\n",
    b"0\r\nX-T: 1\r\n\r\n",
    b"abcde",
    b"\r",
    b"\n",
    b"\x00",
)
REQUESTS: Final = (
    b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /2 HTTP/1.1\r\nContent-Length: 5\r\n\r\nabcde",
    b"POST /3 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n",
)
ACTIONS: Final = (
    "arrive",
    "arrive-and-settle",
    "settle",
    "advance",
    "fill",
    "drain",
    "shutdown",
    "lose",
    "reset",
    "raw",
)
MAX_HEAD: Final = 2000


def steps(data: bytes) -> Iterator[bytes | str]:
    """Read ``data`` as words and actions; every value means something."""
    count = len(WORDS) + len(REQUESTS)
    position = 0
    while position < len(data):
        value = data[position] % (count + len(ACTIONS))
        position += 1
        if value < len(WORDS):
            yield WORDS[value]
        elif value < count:
            yield REQUESTS[value - len(WORDS)]
        elif (action := ACTIONS[value - count]) == "raw":
            yield data[position : position + 3]
            position += 3
        else:
            yield action


def play(server: MemoryServer, data: bytes) -> None:
    """Have the conversation ``data``; raises AssertionError when the server does what it must not."""
    server.problems.clear()
    transport, held = server.connect()
    arriving = b""
    for step in steps(data):
        if isinstance(step, bytes):
            arriving += step
        elif step.startswith("arrive"):
            transport.feed(arriving)
            arriving = b""
        if step in ("arrive-and-settle", "settle"):
            server.settle(transport)
        elif step == "advance":
            server.advance(transport)
        elif step == "fill":
            transport.fill()
        elif step == "drain":
            transport.drain()
        elif step == "shutdown" and transport.protocol is not None:
            transport.protocol.shutdown()  # type: ignore[attr-defined]
        elif step in ("lose", "reset"):
            transport.lose(ConnectionResetError() if step == "reset" else None)
    transport.feed(arriving)
    server.settle(transport)
    _end(server, transport)
    assert held() is None, "the connection is still referred to"


def _end(server: MemoryServer, transport: MemoryTransport) -> None:
    for _ in range(8):
        server.advance(transport)
    if transport.protocol is not None:  # only an application that still answers may hold it
        assert b"first\r\n" in transport.written, "stuck"
        transport.lose()
        server.settle(transport)
    assert not server.state.connections
    assert not server.state.tasks
    for problem in server.problems:
        assert "on purpose" in problem or problem.startswith("ASGI callable returned without"), problem
    check_answers(transport.written)


def check_answers(data: bytes) -> None:
    """``data`` is whole responses one after the other; the last one may be cut."""
    while data:
        head, end, rest = data.partition(b"\r\n\r\n")
        assert re.match(rb"HTTP/1\.1 \d{3} [ -~]+\r\n|HTTP/1\.1 100 Continue$", head), head
        if not end:
            return
        if head.endswith(b"100 Continue"):
            data = rest
        elif b"\r\ntransfer-encoding: chunked" in head:
            data = _after_chunks(rest)
        elif (length := re.search(rb"\r\ncontent-length: (\d+)", head)) is not None:
            data = rest[int(length[1]) :]
        elif b"\r\nconnection: close" in head:
            return
        else:  # the answer to HEAD
            data = rest


def _after_chunks(data: bytes) -> bytes:
    while True:
        size, end, data = data.partition(b"\r\n")
        if not end:
            return b""
        if int(size, 16) == 0:
            assert data.startswith(b"\r\n") or not data
            return data[2:]
        chunk, data = data[: int(size, 16) + 2], data[int(size, 16) + 2 :]
        assert chunk.endswith(b"\r\n") or not data


def new_server() -> MemoryServer:
    return MemoryServer(app, max_head_size=MAX_HEAD)
