"""One request and its response, as ASGI sees them.

::

    NOTHING ──start──▶ HELD ──body──▶ SENT ──last body──▶ COMPLETE
       ▲  └────────────────────────────▲
       └─ withdraw ─┘       (length unknown)

A head of known length is held back until the body comes, so that a whole answer is one write: head and body apart
would cost a second system call and wake the client twice. Until then the response can be withdrawn
(:data:`~drum_litestar.request_state.WITHDRAW`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, Protocol

from drum_litestar.request_state import WITHDRAW
from drum_litestar.server.http.flow import Flow
from drum_litestar.server.http.response_head import STATUS_LINES, render_fields

Message = MutableMapping[str, Any]
App = Callable[
    [MutableMapping[str, Any], Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]

NOTHING, HELD, SENT, COMPLETE = range(4)
"""Stages of a response; plain numbers, since they are compared several times for each request."""

HIGH_WATER: Final = 65536
"""Bytes of a body that may wait for the application; above it reading is paused."""
_MAX_JOINED: Final = 65536
"""Bytes of a response's body; above it a copy would cost more than a write."""
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_CLOSE: Final = b"connection: close\r\n"
_CHUNKED: Final = b"transfer-encoding: chunked\r\n"
_ERROR: Final = b"Internal Server Error"
_ERROR_START: Final = {
    "type": "http.response.start",
    "status": 500,
    "headers": [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(_ERROR)),
        (b"connection", b"close"),
    ],
}

_logger: Final = logging.getLogger(__name__)


class CycleConnection(Protocol):
    """What a cycle needs of its connection."""

    transport: asyncio.Transport
    flow: Flow

    def default_fields(self) -> bytes:
        """Headers of every response, rendered."""

    def cut(self) -> None:
        """Close without completing the response."""

    def on_response_complete(self, *, close: bool) -> None:
        """The response is complete; ``close``: it was the connection's last."""

    def on_run_end(self, cycle: Cycle) -> None:
        """The application has ended."""


class Cycle:
    """The state of one request and its response; ``receive`` and ``send`` are ASGI's."""

    __slots__ = (
        "_chunked",
        "_close",
        "_connection",
        "_held",
        "_left",
        "_pieces",
        "_waiting",
        "disconnected",
        "end_received",
        "expects_continue",
        "keep_alive",
        "more_body",
        "scope",
        "stage",
        "task",
        "unread",
    )

    def __init__(
        self,
        connection: CycleConnection,
        scope: dict[str, Any],
        *,
        keep_alive: bool,
        expects_continue: bool,
    ) -> None:
        self._connection = connection
        self.scope = scope
        self.keep_alive = keep_alive
        """Another response may follow."""
        self.expects_continue = expects_continue
        """The client waits for 100 Continue before it sends the body, and has not got it."""
        self.stage = NOTHING
        self.disconnected = False
        self.more_body = True
        """The request is not complete."""
        self.unread = 0
        """Bytes of the body that the application has not taken."""
        self.end_received = False
        """The application has been given the end of the body."""
        self.task: asyncio.Task[None] | None = None
        self._pieces: list[bytes] = []
        self._waiting: asyncio.Event | None = None  # made by the first ``receive`` that has to wait
        self._held = b""  # the rendered head, in the stage HELD
        self._left: int | None = 0  # bytes of the response's body; None: until the end of the connection
        self._chunked = False
        self._close = False  # the application asked for it

    async def run(self, app: App) -> None:
        """Run ``app``; a response that it does not give, or not completely, is an error that is logged."""
        try:
            await app(self.scope, self.receive, self.send)
        except asyncio.CancelledError:
            self._give_up()
            raise
        except BaseException as error:
            _logger.error("Exception in ASGI application", exc_info=error)
            self._give_up()
        else:
            if self.stage != COMPLETE and not self.disconnected:
                part = "starting" if self.stage == NOTHING else "completing"
                _logger.error("ASGI callable returned without %s response.", part)
                self._give_up()
        finally:
            self._connection.on_run_end(self)

    def _give_up(self) -> None:
        if self.stage != NOTHING:
            self._connection.cut()
        elif not self.disconnected:
            self._start(_ERROR_START)
            self._send_body(_ERROR, more_body=False)

    # the request

    def feed(self, data: bytes) -> None:
        """Keep a piece of the body for the application."""
        if self.stage == COMPLETE:
            return
        self._pieces.append(data)
        self.unread += len(data)
        self.wake()

    def feed_end(self) -> None:
        """The body is complete."""
        self.more_body = False
        self.wake()

    def disconnect(self) -> None:
        """Nobody will read the response."""
        self.disconnected = True
        self.wake()

    def wake(self) -> None:
        """Let a waiting ``receive`` look again."""
        if self._waiting is not None:
            self._waiting.set()

    async def receive(self) -> Message:
        """ASGI's ``receive``."""
        connection = self._connection
        if self.expects_continue and self.stage == NOTHING and not self.disconnected:
            self.expects_continue = False
            if not connection.transport.is_closing():
                connection.transport.write(_CONTINUE)
        while not self.disconnected and self.stage != COMPLETE:
            connection.flow.resume_reading()
            if self._pieces:
                pieces, self._pieces, self.unread = self._pieces, [], 0
                body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
                self.end_received = not self.more_body
                return {"type": "http.request", "body": body, "more_body": self.more_body}
            if not self.more_body and not self.end_received:
                self.end_received = True
                return {"type": "http.request", "body": b"", "more_body": False}
            if self._waiting is None:
                self._waiting = asyncio.Event()
            self._waiting.clear()
            await self._waiting.wait()
        return {"type": "http.disconnect"}

    # the response

    async def send(self, message: Message) -> None:
        """ASGI's ``send``. Raises RuntimeError for a message that cannot be sent."""
        flow = self._connection.flow
        if flow.write_paused and not self.disconnected:
            await flow.drain()
        if self.disconnected:
            return
        kind = message["type"]
        if kind == "http.response.body" and self.stage in (HELD, SENT):
            self._send_body(message.get("body", b""), more_body=message.get("more_body", False))
        elif kind == "http.response.start" and self.stage == NOTHING:
            self._start(message)
        elif kind == WITHDRAW and self.stage in (NOTHING, HELD):
            self.stage = NOTHING
            self._held = b""
        else:
            raise RuntimeError(f"Unexpected ASGI message {kind!r}")

    def _start(self, message: Message) -> None:
        status = message["status"]
        line = STATUS_LINES.get(status)
        if line is None:
            raise RuntimeError(f"Invalid HTTP status {status!r}")
        fields = render_fields(message.get("headers", ()))
        bodiless = status in (204, 304) or self.scope["method"] == "HEAD"
        head = line + self._connection.default_fields() + fields.lines
        if not self.keep_alive and not fields.close:
            head += _CLOSE
        self._close = fields.close
        self._chunked = False
        if bodiless:
            self._left = 0  # Content-Length is that of another response (RFC 9110, 8.6)
        elif fields.length is not None:
            self._left = fields.length
        elif self.scope["http_version"] == "1.0":
            self._left = None
        else:
            self._chunked = True
            head += _CHUNKED
        head += b"\r\n"
        if self._chunked or self._left is None:
            self.stage = SENT
            self._connection.transport.write(head)
        else:
            self.stage = HELD
            self._held = head

    def _send_body(self, body: bytes, *, more_body: bool) -> None:
        transport = self._connection.transport
        if self.scope["method"] == "HEAD":
            body = b""
        if self._chunked:
            data = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            transport.write(data if more_body else data + b"0\r\n\r\n")
        elif self._left is None:
            transport.write(body)
        else:
            left = self._left - len(body)
            if left < 0:
                raise RuntimeError("Response content longer than Content-Length")
            if left and not more_body:
                raise RuntimeError("Response content shorter than Content-Length")
            self._left = left
            if self.stage == HELD:
                head, self._held = self._held, b""
                self.stage = SENT
                if len(body) <= _MAX_JOINED:
                    body = head + body
                else:
                    transport.write(head)
            transport.write(body)
        if not more_body:
            self.stage = COMPLETE
            self._pieces = []
            self.unread = 0
            self.wake()
            self._connection.on_response_complete(close=self._close or not self.keep_alive)
