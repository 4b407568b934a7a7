"""Request spans, named as DRUM names them (contract, 5.6)."""

from __future__ import annotations

from drum_litestar.middleware.asgi import ASGIApp, Receive, Scope, Send
from drum_litestar.observability.tracing.request_tracer import Tracing
from drum_litestar.request_state import request_state


class SpanMiddleware:
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
            await self.app(scope, receive, send)
