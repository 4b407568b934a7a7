"""uvicorn's HTTP/1.1 protocol (httptools) with limits for connections from an open network.

uvicorn has no limit on the time a request head may take, on silence within a body, on a head's size, or on a client
that does not read. Here each connection is in one of four phases, each with at most one timer::

    HEAD ──head complete──▶ BODY ──message complete──▶ WAIT ──first byte──▶ HEAD ...
      │ header_timeout        │ body_timeout              uvicorn's keep-alive timer
      └──────────┬────────────┘
        broken or late ─▶ CLOSING: send pending responses, then the error, discard input, close
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, cast

import httptools

from drum_litestar.errors import BadRequestError, BodyTimeoutError, RequestError
from drum_litestar.request_state import WITHDRAW, request_state
from drum_litestar.server.http.closing import BODY, CLOSING, HEAD, WAIT, ClosingProtocol
from drum_litestar.server.http.connection_parts import ConnectionEvents
from drum_litestar.server.http.request_head import HeadTooLargeError, check_head, complete_scope, head_without_upgrade
from drum_litestar.server.http.response_cycle import SingleWriteCycle

MAX_PIPELINED: Final = 100
"""Requests of one connection that may wait for the answer to an earlier one."""


class _Discarded(list[Any]):
    """List that drops trailers: among the headers they would bypass the checks that were made of those."""

    def append(self, _: Any) -> None:
        """Drop the trailer."""


_TRAILERS: Final = _Discarded()
_EXTENSIONS: Final[dict[str, Any]] = {WITHDRAW: {}}


class GuardedHttpProtocol(ClosingProtocol):
    """uvicorn's protocol with timeouts and limits. The class attributes are set by :func:`make_protocol`."""

    header_timeout = 30.0
    body_timeout = 60.0
    max_head_size = 65536
    max_connections = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._last_byte = 0.0
        self._unfinished = 0  # bytes fed since the last complete head, piece of body or message
        self._offered_upgrade: tuple[bytes, str] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._set_timer(self.header_timeout, self._on_head_timeout)

    def data_received(self, data: bytes) -> None:
        if self._phase == CLOSING:
            return
        if self._phase == WAIT:
            self._phase = HEAD
        self._unfinished += len(data)
        try:
            self._feed(data)
        except httptools.HttpParserError as error:
            cause = error.__context__
            self._fail(cause if isinstance(cause, RequestError) else BadRequestError("Invalid HTTP request received."))
            return
        if self._phase == WAIT and self._head_begun():
            self._phase = HEAD
        if self._phase == WAIT:
            return
        self._last_byte = self.loop.time()
        if self._unfinished > self.max_head_size:
            self._fail(HeadTooLargeError())
        elif self._timer is None and self._phase == HEAD:
            self._set_timer(self.header_timeout, self._on_head_timeout)
        elif self._timer is None:
            self._set_timer(self.body_timeout, self._on_body_timeout)

    def _head_begun(self) -> bool:
        """Whether part of a head has arrived: there is a scope without a cycle."""
        return self.scope is not None and (self.cycle is None or self.cycle.scope is not self.scope)

    def _feed(self, data: bytes) -> None:
        while True:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:
                rest = data[upgrade.args[0] :]
            # The parser takes an upgrade offer as accepted and skips the body: parse the request again without it.
            assert self._offered_upgrade is not None
            method, version = self._offered_upgrade
            self._offered_upgrade = None
            data = head_without_upgrade(method, version, self.url, self.headers) + rest
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does, for pipelining

    def on_header(self, name: bytes, value: bytes) -> None:
        name, value = name.lower(), value.rstrip(b" \t")  # the parser keeps trailing blanks (RFC 9110, 5.5)
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        parser, scope = self.parser, self.scope
        method, version = parser.get_method(), parser.get_http_version()
        check_head(method, version, self.url, self.headers, self.max_head_size)
        if len(self.pipeline) >= MAX_PIPELINED:
            raise BadRequestError("Too many pipelined requests")
        if parser.should_upgrade():
            self._offered_upgrade = (method, version)
            return
        complete_scope(cast("dict[str, Any]", scope), method, version, self.url, self.root_path)
        scope["extensions"] = _EXTENSIONS
        request = request_state(scope)
        request.on_disconnect = self._on_disconnect.register
        if 0 < self.max_connections < len(self.connections):
            request.over_connection_limit = True
        self.headers = _TRAILERS
        self._phase = BODY
        self._unfinished = 0
        if self._timer is not None:
            self._set_timer(0)
        previous = self.cycle
        self.cycle = cycle = SingleWriteCycle(
            scope=scope,
            transport=self._response_transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue and version == "1.1",
            keep_alive=version == "1.1" and self.timeout_keep_alive > 0 and parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        if previous is None or previous.response_complete:
            self._begin(cycle)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))

    def on_body(self, body: bytes) -> None:
        self._unfinished = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._offered_upgrade is not None:
            return
        cycle = self.cycle
        if not cycle.response_complete:
            cycle.more_body = False
            cycle.message_event.set()
        request_state(self.scope).body_received = True
        if self.flow.read_paused and not self.pipeline:
            self.flow.resume_reading()  # the body may have paused it, and a disconnect is seen only while reading
        self._phase = WAIT
        self._unfinished = 0
        if self._timer is not None:
            self._set_timer(0)
        if cycle.response_complete:
            self._now_idle()  # the end of a body whose response was sent before

    def _on_head_timeout(self) -> None:
        self._timer = None
        if self.flow.read_paused:
            self._set_timer(self.header_timeout, self._on_head_timeout)  # the server is not reading
            return
        self.events.slow("head")
        if self._head_begun():
            self._fail(BodyTimeoutError("Timeout while reading the request head"))
        elif self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
        else:
            self.transport.close()

    def _on_body_timeout(self) -> None:
        self._timer = None
        cycle = self.cycle
        silence = self.loop.time() - self._last_byte
        if self.flow.read_paused or cycle.waiting_for_100_continue or cycle.response_started:
            # Not the client's delay: reading is paused, or it waits for 100 Continue, or it has its response.
            self._set_timer(self.body_timeout, self._on_body_timeout)
        elif silence < self.body_timeout:
            self._set_timer(self.body_timeout - silence, self._on_body_timeout)
        else:
            self.events.slow("body")
            self._fail(BodyTimeoutError("Timeout while reading the request body"))


def make_protocol(
    *,
    header_timeout: float = 30.0,
    body_timeout: float = 60.0,
    write_timeout: float = 60.0,
    max_head_size: int = 65536,
    max_connections: int = 0,
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
            ``scope.OVER_CONNECTION_LIMIT``, for the middleware stack to refuse.
        events: observer of the connections.
    """
    attributes: dict[str, Any] = {
        "header_timeout": header_timeout,
        "body_timeout": body_timeout,
        "write_timeout": write_timeout,
        "max_head_size": max_head_size,
        "max_connections": max_connections,
        "events": events or ConnectionEvents(),
    }
    return type("ConfiguredHttpProtocol", (GuardedHttpProtocol,), attributes)
