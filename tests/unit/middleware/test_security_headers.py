from __future__ import annotations

from asgi_calls import Answer, ask, http_scope, replying
from drum_litestar.middleware.security_headers import SecurityHeadersMiddleware


def answer(path: str = "/", scheme: str = "http", **app: object) -> Answer:
    middleware = SecurityHeadersMiddleware(
        replying(**app),  # type: ignore[arg-type]
        drum_version="1.18.1",
        server_version="0.1",
    )
    return ask(middleware, http_scope(path, "GET", scheme=scheme))


def test_plain() -> None:
    assert sorted(answer().headers) == [
        (b"referrer-policy", b"strict-origin-when-cross-origin"),
        (b"x-content-type-options", b"nosniff"),
        (b"x-drum-server", b"litestar/0.1"),
        (b"x-drum-version", b"1.18.1"),
        (b"x-frame-options", b"DENY"),
        (b"x-xss-protection", b"1; mode=block"),
    ]


def test_hsts_under_tls_only() -> None:
    assert answer(scheme="https").header(b"strict-transport-security") == b"max-age=31536000; includeSubDomains"
    assert answer().header(b"strict-transport-security") is None


def test_the_apps_own_values_are_kept_and_server_is_removed() -> None:
    found = answer(headers=[(b"x-frame-options", b"SAMEORIGIN"), (b"server", b"proxied")])
    assert found.header(b"x-frame-options") == b"SAMEORIGIN"
    assert found.header(b"server") is None
    assert found.header(b"referrer-policy") is not None
    found = answer(headers=[(b"X-Frame-Options", b"SAMEORIGIN"), (b"Server", b"proxied")])  # as raw ASGI apps may
    assert found.header(b"x-frame-options") == b"SAMEORIGIN"
    assert found.header(b"server") is None
