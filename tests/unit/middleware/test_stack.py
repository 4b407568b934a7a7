from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

import httpx
import pytest

from asgi_calls import Answer, ask, http_scope, raising, replying
from drum_litestar.errors import QueueFullError
from drum_litestar.http.app_options import normalize_prefix
from drum_litestar.http.routes import ROUTES
from drum_litestar.middleware.asgi import ASGIApp, Message, Receive, Scope, Send
from drum_litestar.middleware.stack import StackOptions, build_stack
from drum_litestar.route_table import RouteTable
from drum_litestar.settings.groups.edge import AccessSettings, AnswerSettings, CorsSettings, RateLimitSettings
from drum_litestar.settings.groups.limits import UploadSettings
from raw_serving import echo, serving
from routed import OPERATORS, PROBES


class FreePlace:
    def take(self) -> None: ...

    def give_back(self) -> None: ...


class NoPlace(FreePlace):
    def take(self) -> None:
        raise QueueFullError


def stack(
    app: ASGIApp, *, place: Any = FreePlace, hooks: dict[str, Any] | None = None, prefix: str = "", **options: Any
) -> ASGIApp:
    return build_stack(
        app,
        StackOptions(drum_version="1.18.1", server_version="0.1", **options),
        routes=RouteTable(ROUTES, normalize_prefix(prefix)),
        new_place=place,
        **(hooks or {}),
    )


EVERYTHING: dict[str, Any] = {
    "uploads": UploadSettings(max_upload_size=100),
    "rate_limit": RateLimitSettings(enabled=True, burst=1),
    "cors": CorsSettings(enabled=True, origins=("https://app.example",)),
    "access": AccessSettings(api_token="t"),
    "answers": AnswerSettings(compress_above=10),
}
KEY = (b"x-api-key", b"t")


ALWAYS = {
    b"x-request-id",
    b"x_request_id",
    b"x-response-time-ms",
    b"x-drum-version",
    b"x-drum-server",
    b"x-frame-options",
    b"x-content-type-options",
    b"referrer-policy",
    b"x-xss-protection",
}


@pytest.mark.parametrize("status", [200, 401, 413, 429, 500, 503])
def test_answers_of_all_middlewares_have_the_outer_headers(status: int) -> None:
    ended: list[int] = []
    hooks = {"on_request_end": lambda *args: ended.append(args[3])}
    app: ASGIApp = raising(RuntimeError()) if status == 500 else replying()
    stacked = stack(app, place=NoPlace if status == 503 else FreePlace, hooks=hooks, **EVERYTHING)
    headers = [] if status == 401 else [KEY]
    if status == 413:
        headers.append((b"content-length", b"101"))
    if status == 429:
        ask(stacked, http_scope(headers=[*headers]))
    answer = ask(stacked, http_scope(headers=[*headers, (b"origin", b"https://app.example")]))
    assert answer.status == ended[-1] == status
    assert {name for name, _ in answer.headers} >= ALWAYS
    assert answer.header(b"access-control-allow-origin") == b"https://app.example"


def test_the_order_of_refusals() -> None:
    """The outermost middleware answers: each request breaks one rule less than the one before."""
    stacked = stack(replying(), place=NoPlace, **EVERYTHING)
    large = (b"content-length", b"101")
    assert ask(stacked, http_scope(headers=[large])).status == 401
    assert ask(stacked, http_scope(headers=[KEY])).status == 503
    assert ask(stacked, http_scope(headers=[KEY, large])).status == 413
    assert ask(stacked, http_scope(headers=[KEY])).status == 429


def test_middlewares_that_are_switched_off_are_absent() -> None:
    names = []
    app: Any = stack(replying())
    while hasattr(app, "app"):
        names.append(type(app).__name__.removesuffix("Middleware"))
        app = app.app
    assert names == ["RequestId", "AccessLog", "SecurityHeaders", "ServerError", "BodyLimit", "Admission",
                     "RequestDecoding", "Deadline"]  # fmt: skip
    names.clear()
    app = stack(replying(), **EVERYTHING)
    while hasattr(app, "app"):
        names.append(type(app).__name__.removesuffix("Middleware"))
        app = app.app
    assert names == [
        "RequestId",
        "AccessLog",
        "SecurityHeaders",
        "ServerError",
        "CORS",
        "Auth",
        "BodyLimit",
        "RateLimit",
        "Admission",
        "RequestDecoding",
        "Deadline",
        "ResponseCompression",
    ]


@pytest.mark.parametrize("prefix", ["", "/pfx", "/pfx/"])
def test_exempt_paths_in_both_spellings(prefix: str) -> None:
    stacked = stack(replying(), place=NoPlace, prefix=prefix, **{**EVERYTHING, "access": AccessSettings()})
    bare = prefix.rstrip("/")
    for path in [*PROBES, *OPERATORS]:
        for spelling in {bare + path, (bare + path).rstrip("/") + "/", (bare + path).rstrip("/") or "/"}:
            statuses = {ask(stacked, http_scope(spelling, "GET")).status for _ in range(3)}
            assert statuses == {200}, spelling
    assert ask(stacked, http_scope(f"{bare}/predict/")).status == 503
    assert ask(stacked, http_scope(f"{bare}/predict/")).status == 429


@pytest.mark.parametrize("kind", ["lifespan", "websocket"])
def test_other_scopes_pass_through_untouched(kind: str) -> None:
    seen: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((scope, receive, send))

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        raise AssertionError

    scope: Scope = {"type": kind, "path": "/x", "headers": [KEY]}

    async def main() -> None:
        await stack(app, **EVERYTHING)(scope, receive, send)

    asyncio.run(main())
    assert seen == [({"type": kind, "path": "/x", "headers": [KEY]}, receive, send)]
    assert seen[0][0] is scope


def test_a_stream_passes_chunk_by_chunk() -> None:
    steps: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for n in range(3):
            steps.append(f"chunk {n}")
            await send({"type": "http.response.body", "body": b"%d" % n, "more_body": True})
        await send({"type": "http.response.body"})

    async def main() -> None:
        async def send(message: Message) -> None:
            steps.append(f"sent {'head' if 'status' in message else message.get('body', b'end').decode()}")

        await stack(app, **EVERYTHING)(http_scope(headers=[KEY]), None, send)  # type: ignore[arg-type]

    asyncio.run(main())
    assert steps == ["sent head", "chunk 0", "sent 0", "chunk 1", "sent 1", "chunk 2", "sent 2", "sent end"]


def test_over_the_wire(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with serving(stack(echo, **{**EVERYTHING, "rate_limit": RateLimitSettings()})) as server:
        with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", headers={"X-API-Key": "t"}) as client:
            answer = client.post("/predict/", content=b"abc", headers={"X-Request-ID": "RID1"})
            assert answer.text == "POST /predict/ abc"
            assert answer.headers["X-Request-ID"] == answer.headers["X_Request_ID"] == "RID1"
            assert float(answer.headers["X-Response-Time-Ms"]) > 0
            assert "server" not in answer.headers
            assert client.post("/predict/", content=b"x" * 101).status_code == 413
            assert client.post("/predict/", content=iter([b"x" * 99] * 3)).status_code == 413
            assert client.get("/ping", headers={"X-API-Key": ""}).status_code == 200
        split = server.ask(b"GET /ping HTTP/1.1\r\nHost: a\r\nX-Request-ID: a\tSet-Cookie: b\r\n\r\n")
        assert "set-cookie" not in split.headers
        assert len(split.headers["x-request-id"]) == 36
        while len(access := accesses(caplog)) < 2:
            time.sleep(0.01)  # they are written together, a moment later
    assert [line.split('"')[1:3] for line in access[:2]] == [
        ["POST /predict/ HTTP/1.1", " 200 18 "],
        ["POST /predict/ HTTP/1.1", " 413 93 "],
    ]


def accesses(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "drum_litestar.access"]


def test_a_body_that_stops_is_logged_as_the_client_saw_it(caplog: pytest.LogCaptureFixture) -> None:
    ended: list[Any] = []
    stacked = stack(echo, hooks={"on_request_end": lambda *args: ended.append(args[3])})
    with serving(stacked, limits={"body_timeout": 0.1}) as server:
        answer = server.ask(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nx")
        assert answer.status == 408
    assert ended == [408]


def test_answers_helper_is_strict() -> None:
    with pytest.raises(AssertionError):
        _ = Answer([{"type": "http.response.body", "body": b""}]).body
