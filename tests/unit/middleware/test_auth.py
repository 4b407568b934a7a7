from __future__ import annotations

import asyncio

import pytest

from asgi_calls import ask, http_scope, replying
from drum_litestar.middleware.auth import AuthMiddleware
from drum_litestar.middleware.stack import StackOptions
from drum_litestar.settings.groups.edge import AccessSettings
from routed import routed


def status(path: str, *headers: tuple[bytes, bytes]) -> int:
    app = routed(AuthMiddleware(replying(), api_token="s3cret-ü"), "/pfx")
    return ask(app, http_scope(path, headers=list(headers))).status


TOKEN = "s3cret-ü".encode()


@pytest.mark.parametrize(
    "header",
    [(b"authorization", b"Bearer " + TOKEN), (b"authorization", b"bearer  " + TOKEN), (b"x-api-key", TOKEN)],
)
def test_the_token_is_accepted(header: tuple[bytes, bytes]) -> None:
    assert status("/pfx/predict/", header) == 200
    assert status("/pfx/predict/", (b"x-api-key", b"wrong"), header) == 200


@pytest.mark.parametrize(
    "header",
    [
        (b"authorization", b"Bearer s3cret"),
        (b"authorization", b"Bearer "),
        (b"authorization", b"Bearer"),
        (b"authorization", TOKEN),
        (b"authorization", b"Basic " + TOKEN),
        (b"x-api-key", b""),
        (b"x-api-key", TOKEN + b"x"),
        (b"api-key", TOKEN),
    ],
)
def test_other_credentials_are_refused(header: tuple[bytes, bytes]) -> None:
    assert status("/pfx/predict/", header) == 401


def test_a_refusal_has_a_www_authenticate_header() -> None:
    answer = ask(AuthMiddleware(replying(), api_token="t"))
    assert answer.header(b"www-authenticate") == b'Bearer realm="drum"'
    assert answer.json == {"message": "Missing or invalid API token"}


def test_only_probes_need_no_token() -> None:
    for path in (
        "/pfx",
        "/pfx/",
        "/pfx/ping",
        "/pfx/ping/",
        "/pfx/livez",
        "/pfx/readyz/",
        "/pfx/health/",
        "/pfx//ping",
    ):
        assert status(path) == 200
    for path in ("/", "/ping/", "/pfx/info/", "/pfx/metrics", "/pfx/stats/", "/pfx/ping/x", "/pfx/PING"):
        assert status(path) == 401


def test_websockets_are_closed_before_they_are_accepted() -> None:
    sent = []

    async def send(message: object) -> None:
        sent.append(message)

    app = AuthMiddleware(replying(), api_token="t")
    scope = http_scope(type="websocket")
    asyncio.run(app(scope, None, send))  # type: ignore[arg-type]
    assert sent == [{"type": "websocket.close", "code": 1008}]


def test_the_token_is_not_shown() -> None:
    assert "s3cret" not in repr(
        StackOptions(drum_version="1", server_version="1", access=AccessSettings(api_token="s3cret"))
    )
    with pytest.raises(ValueError):
        AuthMiddleware(replying(), api_token="")
