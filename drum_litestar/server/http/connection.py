"""An HTTP/1.1 connection: one state machine, from the first byte to the last.

What arrives moves the state; each has a limit of time, and all share one timer::

                       head complete          request complete
    connected ─▶ HEAD ───────────────▶ BODY ─────────────────▶ WAIT
                  │ ▲ header_timeout    │ body_timeout          │ keep-alive, once all is answered
                  │ └───────────────────┼────── first byte ─────┤
                  └──────────┬──────────┘                       ▼
                 broken, late, or too large ─▶ CLOSING ─▶ closed

What leaves is a queue: one request runs, those that were pipelined behind it wait, and answers are in their order. An
error of what arrives is the last of these answers.

Closing a socket with unread input resets the connection, which destroys an answer on its way. So where input may be
left, CLOSING *lingers*: the write side is closed, input is discarded for a while, and then the socket is closed.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

from drum_litestar.drum_json import drum_json
from drum_litestar.errors import BadRequestError, BodyTimeoutError, RequestError
from drum_litestar.request_state import WITHDRAW, error_json, request_state
from drum_litestar.server.http.cycle import COMPLETE, HIGH_WATER, NOTHING, App, Cycle
from drum_litestar.server.http.flow import Flow
from drum_litestar.server.http.observers import ConnectionEvents, DisconnectCallbacks
from drum_litestar.server.http.request_parser import RequestParser
from drum_litestar.server.http.response_head import STATUS_LINES, DefaultFields
from drum_litestar.server.http.time_limit import TimeLimit

if TYPE_CHECKING:
    import uvicorn
    from uvicorn.server import ServerState

MAX_PIPELINED: Final = 100
"""Requests of one connection that may wait for the answer to an earlier one."""
LINGER_SECONDS: Final = 5.0
"""Seconds for which the rest of a refused upload is discarded."""

HEAD, BODY, WAIT, CLOSING = range(4)
"""States of a connection; plain numbers, since they are compared several times for each request."""

_EXTENSIONS: Final[dict[str, Any]] = {WITHDRAW: {}}


@dataclass(frozen=True)
class Limits:
    """Limits of a connection; 0 switches one off. See :func:`make_protocol`."""

    header_timeout: float = 30.0
    body_timeout: float = 60.0
    write_timeout: float = 60.0
    max_head_size: int = 65536
    max_connections: int = 0
    max_descriptors: int = 0


class HttpConnection(asyncio.Protocol):
    """The protocol of one connection. uvicorn makes it, with these names, and calls :meth:`shutdown`.

    Of ``uvicorn.Config`` it takes the loaded application, ``root_path`` and ``timeout_keep_alive``.
    """

    __slots__ = (
        "_app",
        "_app_state",
        "_connections",
        "_context",
        "_error",
        "_keep_alive",
        "_last",
        "_newest",
        "_on_disconnect",
        "_parser",
        "_queue",
        "_running",
        "_server_state",
        "_state",
        "_template",
        "_time_limit",
        "flow",
        "loop",
        "transport",
    )

    limits: ClassVar[Limits] = Limits()
    events: ClassVar[ConnectionEvents] = ConnectionEvents()
    defaults: ClassVar[DefaultFields] = DefaultFields()

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.loop = _loop or asyncio.get_running_loop()
        self._app = cast("App", config.loaded_app)
        self._app_state = app_state
        self._server_state = server_state
        self._connections: set[Any] = server_state.connections
        self._keep_alive = config.timeout_keep_alive
        self._template: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": config.asgi_version, "spec_version": "2.3"},
            "root_path": config.root_path,
            "extensions": _EXTENSIONS,
        }
        self._last = False  # the next response is the connection's last
        self._state = HEAD
        self._queue: deque[Cycle] = deque()  # requests that have not begun to run
        self._running: Cycle | None = None
        self._newest: Cycle | None = None  # the running one, or the queue's last
        self._error: RequestError | None = None  # to be sent after all responses
        self._time_limit = TimeLimit(self.loop, self._on_time_limit)

    # asyncio's protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._context = contextvars.copy_context()
        self._template["client"] = _address(transport.get_extra_info("peername"))
        self._template["server"] = _address(transport.get_extra_info("sockname"))
        self._template["scheme"] = "https" if transport.get_extra_info("sslcontext") else "http"
        self._parser: RequestParser | None = RequestParser(self, self._template, self.limits.max_head_size)
        self._on_disconnect = DisconnectCallbacks(self.loop, self.transport)
        self.flow = Flow(self.loop, self.transport, self.limits.write_timeout, self._on_write_stall)
        self._connections.add(self)
        self._time_limit.set(self.limits.header_timeout)
        self.events.opened()
        if 0 < self.limits.max_descriptors < len(self._connections):
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._state = CLOSING
        self._connections.discard(self)
        for cycle in (self._running, self._newest):
            if cycle is not None and cycle.stage != COMPLETE:
                cycle.disconnect()
        # No circles of references: what the connection held is freed at once, not by the next garbage collection.
        self._queue.clear()
        self._running = self._newest = self._error = None
        if self._parser is not None:
            self._parser.close()
            self._parser = None
        self.flow.close()
        self._time_limit.close()
        self.events.closed()
        self._on_disconnect.notify()

    def data_received(self, data: bytes) -> None:
        before, parser = self._state, self._parser
        if before == CLOSING or parser is None or parser.ended:
            return
        if before == WAIT:
            self._state = HEAD
        error = parser.feed(data)
        if error is not None:
            self._fail(error)
        elif self._state == BODY:
            if cast("Cycle", self._newest).stage != COMPLETE:
                self._time_limit.set(self.limits.body_timeout)
        elif self._state == WAIT:
            if parser.in_head:
                self._state = HEAD
                self._time_limit.set(self.limits.header_timeout)
        elif before == WAIT:
            self._time_limit.set(self.limits.header_timeout)

    def pause_writing(self) -> None:
        self.flow.pause_writing()

    def resume_writing(self) -> None:
        self.flow.resume_writing()

    # uvicorn's server

    def shutdown(self) -> None:
        """Close when the requests that have arrived are answered."""
        if self._newest is None or self._newest.stage == COMPLETE:
            self.transport.close()
        else:
            self._newest.keep_alive = False

    def end_keep_alive(self) -> None:
        """Close after the next response, which says so; an idle connection stays open for it."""
        self._last = True
        if self._newest is not None and self._newest.stage == NOTHING:
            self._newest.keep_alive = False

    # the parser's events

    def on_request(self, scope: dict[str, Any], keep_alive: bool, expects_continue: bool) -> None:
        """Run a request, or queue it behind those before it."""
        if len(self._queue) >= MAX_PIPELINED:
            raise BadRequestError("Too many pipelined requests")
        scope["state"] = self._app_state.copy()
        request = request_state(scope)
        request.on_disconnect = self._on_disconnect.register
        request.over_connection_limit = 0 < self.limits.max_connections < len(self._connections)
        self._state = BODY
        self._time_limit.set(0)
        previous = self._newest
        keep_alive = keep_alive and self._keep_alive > 0 and not self._last
        self._newest = cycle = Cycle(self, scope, keep_alive=keep_alive, expects_continue=expects_continue)
        if previous is None or previous.stage == COMPLETE:
            self._run(cycle)
        else:
            self.flow.pause_reading()
            self._queue.append(cycle)

    def on_body(self, data: bytes) -> None:
        """Pass a piece of the body on; a client that is ahead of the application has to wait."""
        cycle = cast("Cycle", self._newest)
        cycle.feed(data)
        if cycle.unread > HIGH_WATER:
            self.flow.pause_reading()

    def on_request_complete(self) -> None:
        """Wait for the next request."""
        cycle = cast("Cycle", self._newest)
        cycle.feed_end()
        request_state(cycle.scope).body_received = True
        if not self._queue:
            self.flow.resume_reading()  # the body may have paused it, and a disconnect is seen only while reading
        self._state = WAIT
        self._time_limit.set(0)
        if cycle.stage == COMPLETE:
            self._time_limit.set(self._keep_alive)  # the end of a body whose response was sent before

    # the cycles

    def _run(self, cycle: Cycle) -> None:
        """Run the application in a copy of the connection's context, without the variables that earlier requests of
        this connection have set (python/cpython#140947)."""
        self._running = cycle
        cycle.task = task = self._context.run(self.loop.create_task, cycle.run(self._app))
        self._server_state.tasks.add(task)

    def on_run_end(self, cycle: Cycle) -> None:
        """The application has ended."""
        self._server_state.tasks.discard(cast("asyncio.Task[None]", cycle.task))

    def default_fields(self) -> bytes:
        """uvicorn's default headers, rendered."""
        return self.defaults.render(self._server_state.default_headers)

    def on_response_complete(self, *, close: bool) -> None:
        """Go on with the next request, the pending error, or the wait for more."""
        self._server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if close:
            self._close()
            return
        self.flow.resume_reading()
        if self._queue:
            self._run(self._queue.popleft())
        elif self._error is not None:
            self._send_and_linger(self._error)
        elif self._state == WAIT:
            self._time_limit.set(self._keep_alive)
        elif self._state == BODY:
            if cast("Cycle", self._newest).expects_continue:
                self._linger()  # the client may not send the body: the next bytes are ambiguous
            else:
                self._time_limit.set(LINGER_SECONDS)

    # the end

    def cut(self) -> None:
        """Close at once: the client sees that the response is not complete."""
        self.transport.close()

    def _close(self) -> None:
        if self._state == BODY or self._queue or self.flow.read_paused:
            self._queue.clear()
            self._linger()
        else:
            self.transport.close()

    def _linger(self) -> None:
        """Close the write side, discard input for :data:`LINGER_SECONDS`, then close."""
        self._state = CLOSING
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._time_limit.set(LINGER_SECONDS)
        self.flow.resume_reading()

    def _fail(self, error: RequestError) -> None:
        """Send ``error`` after the responses to earlier requests, then close."""
        cycle = self._newest
        in_body = self._state == BODY
        self._state = CLOSING
        self._time_limit.set(0)
        if cycle is None or (cycle.stage == COMPLETE and not in_body):
            self._send_and_linger(error)
        elif not in_body:
            self._error = error
        elif self._queue and self._queue[-1] is cycle:
            self._queue.pop()  # not begun: the error is its response
            self._error = error
        elif cycle.stage != NOTHING:
            self.cut()
        else:
            body = error_json(cycle.scope, error.body())
            request_state(cycle.scope).protocol_answer = (error.status, len(body))
            cycle.disconnect()
            self._send_and_linger(error, body)
            self._on_disconnect.notify()

    def _send_and_linger(self, error: RequestError, body: bytes = b"") -> None:
        body = body or drum_json(error.body())
        fields = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close" % len(body)
        self.transport.write(b"%b%b%b\r\n\r\n%b" % (STATUS_LINES[error.status], self.default_fields(), fields, body))
        self._linger()

    def _on_write_stall(self) -> None:
        self.events.slow("response")
        self.transport.abort()

    # the time limits

    def _on_time_limit(self) -> None:
        if self.transport.is_closing():
            return
        if self._state == HEAD:
            self._on_head_timeout()
        elif self._state == BODY:
            self._on_body_timeout()
        else:
            self.transport.close()

    def _on_head_timeout(self) -> None:
        if self.flow.read_paused:
            self._time_limit.set(self.limits.header_timeout)  # the server is not reading
            return
        self.events.slow("head")
        cycle = self._newest
        if self._parser is not None and self._parser.in_head:
            self._fail(BodyTimeoutError("Timeout while reading the request head"))
        elif cycle is not None and cycle.stage != COMPLETE:
            cycle.keep_alive = False
        else:
            self.transport.close()

    def _on_body_timeout(self) -> None:
        cycle = cast("Cycle", self._newest)
        if cycle.stage == COMPLETE:
            self.transport.close()
        elif self.flow.read_paused or cycle.expects_continue or cycle.stage != NOTHING:
            # Not the client's delay: reading is paused, or it waits for 100 Continue, or it has its response.
            self._time_limit.set(self.limits.body_timeout)
        else:
            self.events.slow("body")
            self._fail(BodyTimeoutError("Timeout while reading the request body"))


def _address(name: Any) -> tuple[str, int] | None:
    """Host and port as ASGI has them, from the name of a TCP socket; None for any other."""
    return (str(name[0]), int(name[1])) if isinstance(name, tuple) else None


def make_protocol(
    *,
    header_timeout: float = 30.0,
    body_timeout: float = 60.0,
    write_timeout: float = 60.0,
    max_head_size: int = 65536,
    max_connections: int = 0,
    max_descriptors: int = 0,
    events: ConnectionEvents | None = None,
) -> type[asyncio.Protocol]:
    """Create a protocol class for uvicorn's ``http=``; 0 switches a limit off.

    Args:
        header_timeout: seconds in which a new connection, or one that has begun another request, must deliver a
            complete request head. A connection that sent nothing is closed, one that sent a part gets 408.
        body_timeout: longest silence in seconds while a body uploads; then 408 and close.
        write_timeout: seconds without any progress after which a client that does not read is dropped.
        max_head_size: bytes of request line and headers (32 more for each header), then 431 and close.
        max_connections: open connections; requests that arrive while more are open are marked
            ``RequestState.over_connection_limit``, for the middleware stack to refuse.
        max_descriptors: open connections, above which a new one is closed at once.
        events: observer of the connections.
    """
    attributes: dict[str, Any] = {
        "__slots__": (),
        "limits": Limits(header_timeout, body_timeout, write_timeout, max_head_size, max_connections, max_descriptors),
        "events": events or ConnectionEvents(),
        "defaults": DefaultFields(),
    }
    return type("ConfiguredHttpConnection", (HttpConnection,), attributes)
