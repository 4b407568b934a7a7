from __future__ import annotations

import pytest

from asgi_calls import Answer, ask, http_scope, replying
from drum_litestar.middleware.cors import CORSMiddleware

HERE = b"https://app.example"


def answer(origins: tuple[str, ...], method: str = "POST", headers: dict[bytes, bytes] | None = None) -> Answer:
    app = CORSMiddleware(replying(b"app"), origins=origins)
    return ask(app, http_scope(method=method, headers=list((headers or {}).items())))


def preflight(origins: tuple[str, ...], origin: bytes = HERE) -> Answer:
    headers = {
        b"origin": origin,
        b"access-control-request-method": b"POST",
        b"access-control-request-headers": b"content-type,x-api-key",
    }
    return answer(origins, "OPTIONS", headers)


def test_named_origins_may_send_credentials() -> None:
    found = answer(("https://app.example/", "https://b.example"), headers={b"origin": HERE})
    assert found.body == b"app"
    assert found.header(b"access-control-allow-origin") == HERE
    assert found.header(b"access-control-allow-credentials") == b"true"
    assert found.header(b"vary") == b"Origin"
    assert b"X-Request-ID" in (found.header(b"access-control-expose-headers") or b"")


def test_any_origin_is_without_credentials() -> None:
    for origins in (("*",), ("*", "https://app.example")):
        found = answer(origins, headers={b"origin": HERE})
        assert found.header(b"access-control-allow-origin") == b"*"
        assert found.header(b"access-control-allow-credentials") is None


def test_preflight_is_answered_here() -> None:
    found = preflight(("https://app.example",))
    assert (found.status, found.body) == (204, b"")
    headers = dict(found.headers)
    assert headers[b"access-control-allow-origin"] == HERE
    assert headers[b"access-control-allow-methods"] == b"GET, HEAD, POST, PUT, OPTIONS"
    assert headers[b"access-control-allow-headers"] == b"content-type,x-api-key"
    assert headers[b"access-control-max-age"] == b"600"


@pytest.mark.parametrize(
    "origin", [b"https://evil.example", b"null", b"https://app.example.evil", b"http://app.example"]
)
def test_other_origins_are_served_without_cors_headers(origin: bytes) -> None:
    for found in (
        answer(("https://app.example",), headers={b"origin": origin}),
        preflight(("https://app.example",), origin),
    ):
        assert found.body == b"app"
        assert found.headers == []


def test_requests_without_an_origin_and_plain_options_go_to_the_app() -> None:
    assert answer(("*",)).headers == []
    assert answer(("*",), "OPTIONS", {b"origin": HERE}).body == b"app"
