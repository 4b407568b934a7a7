"""Refusal of requests on connections beyond the operator's limit."""

from __future__ import annotations

from collections.abc import Awaitable

from drum_litestar.errors import ConnectionLimitError
from drum_litestar.middleware.asgi import ASGIApp, OnRejected, Receive, Scope, Send, send_error
from drum_litestar.request_state import request_state


class ConnectionLimitMiddleware:
    """Answers 503 to requests that the protocol has marked as over its limit, and closes the connection.

    Only the protocol can count connections. Probes pass: an orchestrator that cannot reach them
    would restart a server that is merely busy.
    """

    def __init__(self, app: ASGIApp, *, on_rejected: OnRejected | None = None) -> None:
        self.app = app
        self.on_rejected = on_rejected

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http":
            return self.app(scope, receive, send)
        request = request_state(scope)
        if not request.over_connection_limit or request.route.access == "probe":
            return self.app(scope, receive, send)
        if self.on_rejected is not None:
            self.on_rejected("connection_limit")
        return send_error(scope, send, ConnectionLimitError(), close=True)
