"""The HTTP/1.1 protocol without sockets: the test decides which bytes arrive together, and when."""

from __future__ import annotations

import asyncio
import logging
import weakref
from types import TracebackType
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from drum_litestar.middleware.asgi import ASGIApp
from drum_litestar.server.http.connection import HttpConnection, make_protocol
from support.clock import LATER, ClockLoop

LIMITS = {"header_timeout": LATER / 2, "body_timeout": LATER / 2, "write_timeout": LATER / 2}


class MemoryTransport(asyncio.Transport):
    """Keeps what is written. As with a socket, the connection is lost in the loop's next turn after ``close``."""

    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: asyncio.Protocol) -> None:
        super().__init__({"peername": ("192.0.2.1", 50000), "sockname": ("192.0.2.2", 80)})
        self.loop = loop
        self.protocol: asyncio.Protocol | None = protocol
        self.writes: list[bytes] = []
        self.ended = False
        """The write side is closed."""
        self._closing = False
        self._reading = True
        self._writing = True
        self._unread: list[bytes] = []
        protocol.connection_made(self)

    @property
    def written(self) -> bytes:
        return b"".join(self.writes)

    def feed(self, data: bytes) -> None:
        """Bytes of the client; those that come while reading is paused are delivered when it goes on."""
        self._unread.append(data)
        self._deliver()

    def _deliver(self) -> None:
        while self._reading and self._unread and not self._closing and self.protocol is not None:
            self.protocol.data_received(self._unread.pop(0))

    def fill(self) -> None:
        """The client reads no more: the write buffer is full."""
        if self._writing and self.protocol is not None:
            self._writing = False
            self.protocol.pause_writing()

    def drain(self) -> None:
        """The client has read everything."""
        if not self._writing and self.protocol is not None:
            self._writing = True
            self.protocol.resume_writing()

    def lose(self, error: Exception | None = None) -> None:
        """The client closes, or resets (``error``), the connection. Also the end of a close by the server."""
        if self.protocol is not None:
            self._closing = True
            protocol, self.protocol = self.protocol, None
            protocol.connection_lost(error)

    def write(self, data: Any) -> None:
        assert not self.ended, "a write after the end"
        if not self._closing:
            self.writes.append(bytes(data))

    def write_eof(self) -> None:
        self.ended = True

    def can_write_eof(self) -> bool:
        return True

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        self._reading = True
        self.loop.call_soon(self._deliver)

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self.loop.call_soon(self.lose)

    def abort(self) -> None:
        self.close()


class MemoryServer(logging.Handler):
    """Connections to ``app``, on a loop whose clock the test puts forward. Collects what went wrong."""

    def __init__(self, app: ASGIApp, **limits: Any) -> None:
        super().__init__(logging.WARNING)
        self.loop = ClockLoop()
        self.state = ServerState()
        self.state.default_headers = [(b"date", b"now")]
        self.problems: list[str] = []
        """Log records of the protocol, and exceptions that nobody handled."""
        protocol: Any = make_protocol(**{**LIMITS, **limits})
        self.protocol: Any = type("Referable", (protocol,), {"__slots__": ("__weakref__",)})
        self.config = uvicorn.Config(
            app,
            http=self.protocol,
            log_config=None,
            interface="asgi3",
            lifespan="off",
            proxy_headers=False,
            timeout_keep_alive=int(LATER / 2),
        )
        self.config.load()
        self.loop.set_exception_handler(lambda _, context: self.problems.append(repr(context)))

    def __enter__(self) -> MemoryServer:
        asyncio.set_event_loop(self.loop)
        logging.getLogger("drum_litestar.server.http").addHandler(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        logging.getLogger("drum_litestar.server.http").removeHandler(self)
        asyncio.set_event_loop(None)
        self.loop.close()

    def emit(self, record: logging.LogRecord) -> None:
        self.problems.append(f"{record.getMessage()} {record.exc_info[1] if record.exc_info else ''}")

    def connect(self) -> tuple[MemoryTransport, weakref.ref[HttpConnection]]:
        """A connection, and a reference that tells whether anything still holds it."""
        protocol = self.protocol(self.config, self.state, {}, _loop=self.loop)
        return MemoryTransport(self.loop, protocol), weakref.ref(protocol)

    def settle(self, transport: MemoryTransport) -> None:
        """Run the loop until nothing moves any more."""

        async def quiet() -> None:
            before, turns = None, 0
            while turns < 4:
                await asyncio.sleep(0)
                now = (len(transport.writes), self.state.total_requests, len(self.state.tasks), transport.is_closing())
                turns = turns + 1 if now == before else 0
                before = now

        self.loop.run_until_complete(quiet())

    def advance(self, transport: MemoryTransport) -> None:
        """Put the clock forward, past each time limit."""
        self.loop.skipped += LATER
        self.settle(transport)

    def say(self, *pieces: bytes) -> bytes:
        """All that the server says to ``pieces`` and the silence after them."""
        transport, _ = self.connect()
        for piece in pieces:
            transport.feed(piece)
            self.settle(transport)
        for _ in range(4):
            self.advance(transport)
        assert transport.protocol is None, "the connection is still open"
        return transport.written
