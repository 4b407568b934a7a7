"""Admission before the body is read: a full server refuses a request without taking its upload."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Container
from typing import Protocol

from drum_litestar import scope as names
from drum_litestar.errors import QueueFullError, RequestError
from drum_litestar.middleware.asgi import ASGIApp, OnRejected, Receive, Scope, Send, send_error, state


class Ticket(Protocol):
    """Admits one request; see ``drum_litestar.execution.queue_limits.Ticket``."""

    def release(self) -> None:
        """Return the ticket. Idempotent."""


Admit = Callable[[], "Ticket | None"]
"""Issues a ticket. Raises a ``RequestError`` (queue full, model not ready); None lets the request through without a
ticket, for an app that answers without the model (error server)."""


class BackpressureMiddleware:
    """Takes a ticket for each POST or PUT to ``model_paths``, and releases it when the response has ended or failed.

    The ticket is in ``scope["state"]`` under ``scope.TICKET``, for the controller's ``executor.submit``. A refused
    request gets 503 and ``on_rejected`` is called with ``queue_full`` or ``not_ready``.
    """

    def __init__(
        self, app: ASGIApp, *, admit: Admit, model_paths: Container[str], on_rejected: OnRejected | None = None
    ) -> None:
        self.app = app
        self.on_rejected = on_rejected
        self.admit = admit
        self.model_paths = model_paths

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http" or scope["method"] not in ("POST", "PUT") or scope["path"] not in self.model_paths:
            return self.app(scope, receive, send)
        return self._admitted(scope, receive, send)

    async def _admitted(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            ticket = self.admit()
        except RequestError as error:
            if self.on_rejected is not None:
                self.on_rejected("queue_full" if isinstance(error, QueueFullError) else "not_ready")
            await send_error(send, error)
            return
        if ticket is None:
            await self.app(scope, receive, send)
            return
        state(scope)[names.TICKET] = ticket
        try:
            await self.app(scope, receive, send)
        finally:
            ticket.release()
