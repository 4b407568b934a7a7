"""API token check."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Iterable

from drum_litestar.errors import UnauthorizedError
from drum_litestar.middleware.asgi import ASGIApp, Header, OnRejected, Receive, Scope, Send, send_error
from drum_litestar.request_state import request_state


class AuthMiddleware:
    """Answers 401 to requests without ``Authorization: Bearer <token>`` or ``X-API-Key: <token>``.

    Every offered credential is compared in constant time. Probes need none, because orchestrators cannot send one, nor
    do the files of pages, because a browser sends none. Use a token of 128 random bits or more: failed attempts are not
    limited here.
    Raises ValueError for an empty token.
    """

    def __init__(self, app: ASGIApp, *, api_token: str, on_rejected: OnRejected | None = None) -> None:
        if not api_token:
            raise ValueError("an empty API token would let everyone in")
        self.app = app
        self.on_rejected = on_rejected
        self._token = api_token.encode("utf-8")

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        kind = scope["type"]
        is_open = kind == "http" and request_state(scope).route.access in ("probe", "public")
        if is_open or kind == "lifespan" or self._allowed(scope):
            return self.app(scope, receive, send)
        if self.on_rejected is not None:
            self.on_rejected("unauthorized")
        if kind == "http":
            return send_error(scope, send, UnauthorizedError())
        # ASGI: closing a WebSocket before accepting it makes the server answer 403.
        return send({"type": "websocket.close", "code": 1008})

    def _allowed(self, scope: Scope) -> bool:
        return has_token(scope["headers"], self._token)


def has_token(headers: Iterable[Header], token: bytes) -> bool:
    """Whether ``headers`` of an ASGI scope have the API token."""
    allowed = False
    for name, value in headers:
        if name == b"authorization":
            scheme, _, offered = value.partition(b" ")
            if scheme.lower() != b"bearer":
                continue
        elif name == b"x-api-key":
            offered = value
        else:
            continue
        allowed |= hmac.compare_digest(offered.strip(), token)
    return allowed
