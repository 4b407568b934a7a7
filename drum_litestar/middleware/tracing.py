"""Request spans, named as DRUM names them (contract, 5.6)."""

from __future__ import annotations

import time
from typing import Any

from drum_litestar.middleware.asgi import ASGIApp, Receive, Scope, Send
from drum_litestar.observability.tracing.request_tracer import Tracing
from drum_litestar.request_state import request_state


class TracingMiddleware:
    """Opens a span for each request whose route has the name of one.

    The span ends with the last byte of the response. Other routes, probes among them, are not traced. Installed only
    when spans are exported.
    """

    def __init__(self, app: ASGIApp, tracing: Tracing) -> None:
        self.app = app
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or (name := request_state(scope).route.span) is None:
            await self.app(scope, receive, send)
            return
        with self._tracing.request_span(name, scope["headers"]) as span:
            request_state(scope).span = span
            if not span.recorded:
                await self.app(scope, receive, send)
                return
            chunks = _Chunks(send)
            try:
                await self.app(scope, receive, chunks)
            finally:
                if chunks.count:
                    span.span.set_attributes(chunks.attributes())


class _Chunks:
    """Counts the chunks of a streamed response on their way to ``send``."""

    __slots__ = ("_began", "_first", "_send", "count")

    def __init__(self, send: Send) -> None:
        self._send = send
        self._began = time.perf_counter()
        self._first = 0.0
        self.count = 0

    async def __call__(self, message: Any) -> None:
        if message.get("more_body"):
            if not self.count:
                self._first = time.perf_counter() - self._began
            self.count += 1
        await self._send(message)

    def attributes(self) -> dict[str, float]:
        """Of the request's span: time to the first chunk, and number of chunks."""
        return {"drum.stream.first_chunk_ms": round(self._first * 1000, 3), "drum.stream.chunks": self.count}
