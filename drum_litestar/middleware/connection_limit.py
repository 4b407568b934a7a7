"""Refusal of requests on connections beyond the operator's limit."""

from __future__ import annotations

from collections.abc import Awaitable, Container

from drum_litestar import scope as names
from drum_litestar.errors import ConnectionLimitError
from drum_litestar.middleware.asgi import ASGIApp, OnRejected, Receive, Scope, Send, send_error, state


class ConnectionLimitMiddleware:
    """Answers 503 to requests that the protocol has marked ``scope.OVER_CONNECTION_LIMIT``, and closes the connection.

    Only the protocol can count connections. ``open_paths`` (the probes) pass: an orchestrator that cannot reach them
    would restart a server that is merely busy.
    """

    def __init__(self, app: ASGIApp, *, open_paths: Container[str], on_rejected: OnRejected | None = None) -> None:
        self.app = app
        self.open_paths = open_paths
        self.on_rejected = on_rejected

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        over = scope["type"] == "http" and state(scope).get(names.OVER_CONNECTION_LIMIT)
        if not over or scope["path"] in self.open_paths:
            return self.app(scope, receive, send)
        if self.on_rejected is not None:
            self.on_rejected("connection_limit")
        return send_error(send, ConnectionLimitError(), close=True)
