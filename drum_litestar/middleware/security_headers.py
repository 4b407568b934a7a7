"""Security headers and DRUM's version headers on every response of the application."""

from __future__ import annotations

from collections.abc import Awaitable, Set
from typing import Final

from drum_litestar.middleware.asgi import ASGIApp, Header, Receive, Scope, Send
from drum_litestar.middleware.response_tap import HeaderHook, ResponseTap

HSTS: Final = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")


class SecurityHeadersMiddleware:
    """Adds security and version headers that the app has not set itself, and removes ``Server``.

    ``Strict-Transport-Security`` is sent only for requests over TLS (to the server or to a trusted proxy). Pages of the
    package have their content policy from :mod:`drum_litestar.http.packaged_files`.

    Args:
        app: the wrapped ASGI application.
        drum_version: value of ``X-Drum-Version`` (contract, 3.2 and section 8).
        server_version: version of drum-litestar; ``X-Drum-Server`` becomes ``litestar/<server_version>``.
    """

    def __init__(self, app: ASGIApp, *, drum_version: str, server_version: str) -> None:
        self.app = app
        plain = (
            (b"x-drum-version", drum_version.encode("latin-1")),
            (b"x-drum-server", f"litestar/{server_version}".encode("latin-1")),
            (b"x-frame-options", b"DENY"),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"strict-origin-when-cross-origin"),
            (b"x-xss-protection", b"1; mode=block"),
        )
        self._plain, self._tls = _header_hook(plain), _header_hook((*plain, HSTS))

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http":
            return self.app(scope, receive, send)
        tap = ResponseTap.of(send)
        tap.on_start(self._tls if scope.get("scheme") == "https" else self._plain)
        return self.app(scope, receive, tap)


def _header_hook(ours: tuple[Header, ...]) -> HeaderHook:
    """Make a hook that adds ``ours`` where the app has not set the header, and removes ``Server``."""
    replaced = frozenset((b"server", *(name for name, _ in ours)))

    def set_headers(_status: int, headers: list[Header], names: Set[bytes]) -> None:
        if replaced.isdisjoint(names):
            headers += ours
            return
        headers[:] = [pair for pair in headers if pair[0] != b"server"]
        headers += [pair for pair in ours if pair[0] not in names]

    return set_headers
