"""Cross-origin resource sharing (Fetch standard); off unless the operator names origins."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from typing import Final

from drum_litestar.middleware.asgi import BODY, START, ASGIApp, Header, Receive, Scope, Send, header
from drum_litestar.middleware.response_tap import ResponseTap

_METHODS: Final = b"GET, HEAD, POST, PUT, OPTIONS"
_EXPOSED: Final = b"X-Request-ID, X-Response-Time-Ms, X-Drum-Version, Retry-After"
_MAX_AGE: Final = b"600"


class CORSMiddleware:
    """Answers preflights of allowed origins and adds CORS headers to their responses.

    Credentials are allowed only when origins are named: browsers refuse ``*`` with credentials, and echoing any
    origin instead would open the server to every site. A request from another origin is served without CORS
    headers, which is how a browser learns that its page may not read the answer.

    Args:
        app: the wrapped ASGI application.
        origins: allowed origins (``scheme://host[:port]``), or ``*`` alone for all.
    """

    def __init__(self, app: ASGIApp, *, origins: Iterable[str]) -> None:
        self.app = app
        allowed = {origin.strip().rstrip("/") for origin in origins}
        self._any = "*" in allowed
        self._allowed = frozenset(origin.lower().encode("latin-1") for origin in allowed)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        origin = header(scope, b"origin") if scope["type"] == "http" else None
        if origin is None or not (self._any or origin.lower() in self._allowed):
            return self.app(scope, receive, send)
        allow = self._allow_headers(origin)
        if scope["method"] == "OPTIONS" and header(scope, b"access-control-request-method") is not None:
            return self._preflight(scope, send, allow)
        allow.append((b"access-control-expose-headers", _EXPOSED))
        tap = ResponseTap.of(send)
        tap.on_start(lambda _status, headers, _names: headers.extend(allow))
        return self.app(scope, receive, tap)

    def _allow_headers(self, origin: bytes) -> list[Header]:
        if self._any:
            return [(b"access-control-allow-origin", b"*")]
        return [
            (b"access-control-allow-origin", origin),
            (b"access-control-allow-credentials", b"true"),
            (b"vary", b"Origin"),
        ]

    async def _preflight(self, scope: Scope, send: Send, allow: list[Header]) -> None:
        headers = [*allow, (b"access-control-allow-methods", _METHODS), (b"access-control-max-age", _MAX_AGE)]
        wanted = header(scope, b"access-control-request-headers")
        if wanted:
            headers.append((b"access-control-allow-headers", wanted))
            headers.append((b"vary", b"Access-Control-Request-Headers"))
        await send({"type": START, "status": 204, "headers": headers})
        await send({"type": BODY, "body": b""})
