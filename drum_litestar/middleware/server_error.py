"""Answer to exceptions that the application has not handled: a JSON 500, never a traceback on the wire."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Callable, Set
from typing import Any, Final

from drum_litestar.errors import RETRY_SECONDS, ModelNotReadyError, RequestError
from drum_litestar.middleware.asgi import ASGIApp, Header, Receive, Scope, Send, send_error
from drum_litestar.middleware.response_tap import ResponseTap
from drum_litestar.request_state import request_state

_logger: Final = logging.getLogger(__name__)

_RETRY_LATER: Final = (b"retry-after", str(RETRY_SECONDS).encode())


def add_retry_after(status: int, headers: list[Header], names: Set[bytes]) -> None:
    """Header hook: add ``Retry-After`` to a 503 without one, as hooks, extensions and upstreams send it."""
    if status == 503 and b"retry-after" not in names:
        headers.append(_RETRY_LATER)


class ServerErrorMiddleware:
    """Answers unhandled exceptions of the app, and adds ``Retry-After`` to every 503 without one.

    A ``RequestError`` gets its own status and body; anything else is logged with its traceback and answered with
    500 ``{"message": "Internal server error", "request_id": ...}``. When part of the response has been sent, the
    exception is passed on, so that the server cuts the connection and the client can tell a truncated
    answer from a complete one.

    Args:
        app: the wrapped ASGI application.
        show_stacktrace: ``--show-stacktrace``: puts the traceback into the body, for development.
        mask: masks secrets in that traceback.
    """

    def __init__(self, app: ASGIApp, *, show_stacktrace: bool = False, mask: Callable[[str], str] = str) -> None:
        self.app = app
        self.show_stacktrace = show_stacktrace
        self.mask = mask

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        tap = ResponseTap.of(send)
        tap.on_start(add_retry_after)
        try:
            await self.app(scope, receive, tap)
        except asyncio.CancelledError:
            # The server cancels requests that still run when the grace period is over.
            if not tap.started:
                await send_error(scope, tap, ModelNotReadyError("Server is shutting down"), close=True)
            raise
        except Exception as error:
            if tap.started and not await tap.withdraw(scope):
                raise
            if not isinstance(error, RequestError):
                _logger.exception("Unhandled exception while answering %s %s", scope["method"], scope.get("raw_path"))
                error = self._answer(error, scope)
            await send_error(scope, tap, error)

    def _answer(self, error: Exception, scope: Scope) -> RequestError:
        fields: dict[str, Any] = {"request_id": request_state(scope).request_id or None}
        if self.show_stacktrace:
            text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
            fields["traceback"] = self.mask(text)
        return RequestError("Internal server error", **fields)
