"""Orderly close of a connection: after pending responses, with an error that the client can still read.

Closing a socket with unread input resets the connection and destroys a response on its way. So a refusal of an upload
is sent, then the write side is closed, then input is discarded for a while, and then the socket is closed.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from drum_litestar.drum_json import drum_json
from drum_litestar.errors import RequestError
from drum_litestar.request_state import request_state
from drum_litestar.server.http.connection_parts import (
    ConnectionEvents,
    DisconnectCallbacks,
    ResponseTransport,
    WriteWatch,
)

LINGER_SECONDS: Final = 5.0
"""Seconds for which the rest of a refused upload is discarded."""

HEAD, BODY, WAIT, CLOSING = range(4)
"""Phases of a connection; plain numbers, since they are compared several times for each request."""


class ClosingProtocol(HttpToolsProtocol):
    """uvicorn's protocol with phases, one timer for each, an orderly close, and a timeout of writes."""

    write_timeout = 60.0
    """Seconds; see :class:`WriteWatch`."""
    events = ConnectionEvents()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._phase = HEAD
        self._timer: asyncio.TimerHandle | None = None
        self._idle_timer: asyncio.TimerHandle | None = None
        self._idle_since = 0.0
        self._pending_error: RequestError | None = None
        self._running: RequestResponseCycle | None = None  # uvicorn's ``cycle`` is the last one, which may be queued

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._context = contextvars.copy_context()
        self._response_transport: Any = ResponseTransport(transport, self._close_after_response)
        self._on_disconnect = DisconnectCallbacks(self.loop, transport)
        self._write_watch = WriteWatch(self.loop, transport, self.write_timeout, self._on_write_stall)
        self.events.opened()

    def connection_lost(self, exc: Exception | None) -> None:
        self._phase = CLOSING
        self._set_timer(0)
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        self._write_watch.stop()
        super().connection_lost(exc)
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()
        self.pipeline.clear()
        self.events.closed()
        self._on_disconnect.notify()

    def _set_timer(self, seconds: float, callback: Callable[[], None] | None = None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if seconds and callback is not None:
            self._timer = self.loop.call_later(seconds, callback)

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self._phase == CLOSING and not self.pipeline:
            if self._pending_error is not None:
                self._send_and_close(self._pending_error)
            return
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._begin(self.pipeline.pop()[0])
        elif self._phase == BODY and self.cycle.response_complete:
            self._await_rest_of_body()
        else:
            self._now_idle()

    def _begin(self, cycle: RequestResponseCycle) -> None:
        """Start the application in a copy of the connection's context, without the variables that earlier requests of
        this connection have set (python/cpython#140947)."""
        self._running = cycle
        task = self._context.run(self.loop.create_task, cycle.run_asgi(self.app))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    def _now_idle(self) -> None:
        """Begin keep-alive. One timer that checks the clock is cheaper than one for each request."""
        self._idle_since = self.loop.time()
        if self._idle_timer is None:
            self._idle_timer = self.loop.call_later(self.timeout_keep_alive, self._on_idle_timer)

    def _on_idle_timer(self) -> None:
        self._idle_timer = None
        if self._phase != WAIT or not self.cycle.response_complete:
            return  # busy: the end of the response starts the timer again
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._idle_timer = self.loop.call_later(left, self._on_idle_timer)
        else:
            self.timeout_keep_alive_handler()

    def _await_rest_of_body(self) -> None:
        """Wait for the rest of a request whose response is complete."""
        if self.expect_100_continue:
            self._linger()  # the client may not send the body: the next bytes are ambiguous
        else:
            self._set_timer(LINGER_SECONDS, self.transport.close)

    def _close_after_response(self) -> None:
        """Close after a response that asked for it, or that was not completed."""
        if self._phase == BODY and self.cycle.response_complete:
            self._linger()
        else:
            self.transport.close()

    def _linger(self) -> None:
        """Close the write side, discard input for :data:`LINGER_SECONDS`, then close."""
        self._phase = CLOSING
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._set_timer(LINGER_SECONDS, self.transport.close)
        self.flow.resume_reading()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_watch.start()

    def resume_writing(self) -> None:
        self._write_watch.stop()
        super().resume_writing()

    def _on_write_stall(self) -> None:
        self.events.slow("response")
        self.transport.abort()

    def _fail(self, error: RequestError) -> None:
        """Send ``error`` after the responses to earlier requests, then close."""
        cycle = self.cycle
        in_body = self._phase == BODY
        self._phase = CLOSING
        self._set_timer(0)
        if in_body and self.pipeline and self.pipeline[0][0] is cycle:
            self.pipeline.popleft()  # not started: the error is its response
            self._pending_error = error
        elif in_body and cycle.response_started:
            self.transport.close()
        elif in_body:
            request_state(cycle.scope).protocol_answer = (error.status, len(drum_json(error.body())))
            cycle.disconnected = True
            cycle.waiting_for_100_continue = False
            cycle.message_event.set()
            self._send_and_close(error)
            self._on_disconnect.notify()
        elif cycle is not None and not cycle.response_complete:
            self._pending_error = error
        else:
            self._send_and_close(error)

    def _send_and_close(self, error: RequestError) -> None:
        if self.transport.is_closing():
            return
        body = drum_json(error.body())
        head = [STATUS_LINE[error.status]]
        head += [name + b": " + value + b"\r\n" for name, value in self.server_state.default_headers]
        head.append(b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body))
        self.transport.write(b"".join(head) + body)
        self._linger()
