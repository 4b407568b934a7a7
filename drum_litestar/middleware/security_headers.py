"""Security headers and DRUM's version headers on every response of the application."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Set
from typing import Final

from drum_litestar.middleware.asgi import ASGIApp, Header, Receive, Scope, Send
from drum_litestar.middleware.response_tap import HeaderHook, ResponseTap

HSTS: Final = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")

DOCS_POLICY: Final = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; connect-src 'self'; "
    "img-src 'self' data: https:; font-src 'self' data: https://cdn.jsdelivr.net https://fonts.gstatic.com; "
    "script-src 'self' 'unsafe-inline' https://cdn.jsdelivr.net; worker-src 'self' blob:; "
    "style-src 'self' 'unsafe-inline' https://cdn.jsdelivr.net https://fonts.googleapis.com"
)
"""Content-Security-Policy of the OpenAPI pages: Litestar's UIs come from one CDN with an inline boot script."""


class SecurityHeadersMiddleware:
    """Adds security and version headers that the app has not set itself, and removes ``Server``.

    ``Strict-Transport-Security`` is sent only for requests over TLS (to the server or to a trusted proxy), the content
    policy only for paths that begin with one of ``docs_prefixes``.

    Args:
        app: the wrapped ASGI application.
        drum_version: value of ``X-Drum-Version`` (contract, 3.2 and section 8).
        server_version: version of drum-litestar; ``X-Drum-Server`` becomes ``litestar/<server_version>``.
        docs_prefixes: path prefixes of the OpenAPI pages; empty when they are off.
        docs_policy: the Content-Security-Policy of those pages.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        drum_version: str,
        server_version: str,
        docs_prefixes: Iterable[str] = (),
        docs_policy: str = DOCS_POLICY,
    ) -> None:
        self.app = app
        plain = (
            (b"x-drum-version", drum_version.encode("latin-1")),
            (b"x-drum-server", f"litestar/{server_version}".encode("latin-1")),
            (b"x-frame-options", b"DENY"),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"strict-origin-when-cross-origin"),
            (b"x-xss-protection", b"1; mode=block"),
        )
        docs = (b"content-security-policy", docs_policy.encode("latin-1"))
        self._docs_prefixes = tuple(docs_prefixes)
        self._plain, self._plain_docs = _header_hook(plain), _header_hook((*plain, docs))
        self._tls, self._tls_docs = _header_hook((*plain, HSTS)), _header_hook((*plain, HSTS, docs))

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http":
            return self.app(scope, receive, send)
        tls = scope.get("scheme") == "https"
        if self._docs_prefixes and scope["path"].startswith(self._docs_prefixes):
            hook = self._tls_docs if tls else self._plain_docs
        else:
            hook = self._tls if tls else self._plain
        tap = ResponseTap.of(send)
        tap.on_start(hook)
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
