"""Helpers for tests of middleware and connections: any ASGI app under a real uvicorn on loopback, and a client that
sends raw bytes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import uvicorn

from drum_litestar.middleware.asgi import ASGIApp, Receive, Scope, Send
from drum_litestar.request_state import request_state
from drum_litestar.server.event_loop import run
from drum_litestar.server.http.connection import make_protocol
from drum_litestar.server.http.observers import ConnectionEvents
from drum_litestar.server.shutdown import ServerHandle
from drum_litestar.server.sockets import bind_sockets
from drum_litestar.server.uvicorn_server import DrainingServer
from support import clock


@dataclass
class RawResponse:
    status: int
    headers: dict[str, str]
    body: bytes
    """Decoded if it was chunked; what had arrived if the connection ended early."""


class RawClient:
    """Socket client with just enough HTTP to read responses."""

    def __init__(self, port: int, timeout: float = 60.0) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.buffer = b""

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def _more(self) -> bool:
        try:
            data = self.sock.recv(65536)
        except ConnectionResetError:
            return False
        self.buffer += data
        return bool(data)

    def until(self, mark: bytes) -> bytes:
        while mark not in self.buffer:
            if not self._more():
                raise EOFError(self.buffer)
        found, _, self.buffer = self.buffer.partition(mark)
        return found

    def exactly(self, size: int) -> bytes:
        while len(self.buffer) < size:
            if not self._more():
                raise EOFError(self.buffer)
        found, self.buffer = self.buffer[:size], self.buffer[size:]
        return found

    def response(self, *, head: bool = False) -> RawResponse:
        """Read the next response; ``head``: it answers a HEAD request."""
        first, *lines = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        pairs = [line.partition(":") for line in lines]
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        body = b""
        status = int(first.split()[1])
        if status == 100 or head:
            pass
        elif headers.get("transfer-encoding") == "chunked":
            while size := int(self.until(b"\r\n"), 16):
                body += self.exactly(size)
                self.exactly(2)
            self.until(b"\r\n")
        else:
            body = self.exactly(int(headers.get("content-length", 0)))
        return RawResponse(status, headers, body)

    def closed(self) -> bool:
        """Wait until the server closes the connection; True when no more bytes arrived before."""
        while self._more():
            pass
        return not self.buffer


@dataclass
class Running:
    port: int
    loop: asyncio.AbstractEventLoop
    handle: ServerHandle
    server: DrainingServer
    thread: threading.Thread = field(repr=False)

    def connect(self, timeout: float = 60.0) -> RawClient:
        return RawClient(self.port, timeout)

    def ask(self, data: bytes) -> RawResponse:
        with self.connect() as client:
            client.send(data)
            return client.response()

    def advance(self, seconds: float) -> None:
        """Put the clock of a server of kind "clock" forward, after it has read what has come."""
        for _ in range(2):
            self.on_loop(lambda: None)
        asyncio.run_coroutine_threadsafe(clock.advance(seconds), self.loop).result(60)

    def wait_connected(self) -> None:
        """Return when a connection has been accepted."""
        while not self.on_loop(lambda: len(self.server.server_state.connections)):
            pass

    def on_loop(self, function: Callable[[], Any]) -> Any:
        async def call() -> Any:
            return function()

        return asyncio.run_coroutine_threadsafe(call(), self.loop).result(60)


@contextlib.contextmanager
def serving(
    app: ASGIApp,
    *,
    kind: str = "asyncio",
    grace: float = 5.0,
    events: ConnectionEvents | None = None,
    limits: dict[str, Any] | None = None,
    on_stop: Callable[[float], Awaitable[None]] | None = None,
    **config: Any,
) -> Iterator[Running]:
    """``app`` behind our protocol and server, on a thread of its own; stopped gracefully at the end.

    ``kind``: "asyncio", "uvloop", or "clock": the test puts the loop's clock forward, see :meth:`Running.advance`.
    """
    sockets = bind_sockets("127.0.0.1", 0)
    port = sockets[0].getsockname()[1]
    ready = threading.Event()
    found: dict[str, Any] = {}

    async def started(handle: ServerHandle) -> None:
        found.update(handle=handle, loop=asyncio.get_running_loop())
        ready.set()

    async def serve() -> None:
        settings = uvicorn.Config(
            app,
            http=make_protocol(events=events, **(limits or {})),
            log_config=None,
            access_log=False,
            server_header=False,
            interface="asgi3",
            lifespan="off",
            ws="none",
            **config,
        )
        found["server"] = server = DrainingServer(
            settings, handle=ServerHandle(), graceful_timeout=grace, on_started=started, on_stop=on_stop
        )
        await server.serve(sockets=sockets)

    target, arguments = (clock.run, (serve(),)) if kind == "clock" else (run, (serve(), kind))
    thread = threading.Thread(target=target, args=arguments)
    thread.start()
    try:
        assert ready.wait(60)
        yield Running(port, found["loop"], found["handle"], found["server"], thread)
    finally:
        with contextlib.suppress(RuntimeError):  # the loop has ended already
            found["loop"].call_soon_threadsafe(found["handle"].stop)
        thread.join(60)
        assert not thread.is_alive()


async def read_body(receive: Receive) -> bytes | None:
    """Read the whole request body; None when the client has disconnected."""
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(body)


def on_disconnect(scope: Scope, callback: Callable[[], None]) -> Callable[[], None]:
    """Register ``callback`` for the client's disconnect; returns a function that removes it."""
    register = request_state(scope).on_disconnect
    assert register is not None
    return register(callback)


async def reply(send: Send, body: bytes, status: int = 200, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [length, *headers]})
    await send({"type": "http.response.body", "body": body})


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """ASGI app that answers with method, path and body, so that a test sees which bytes became which request."""
    body = await read_body(receive)
    if body is not None:
        await reply(send, b" ".join([scope["method"].encode(), scope["path"].encode(), body]))
