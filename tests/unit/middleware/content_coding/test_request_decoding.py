from __future__ import annotations

import asyncio
import gzip
import sys
from typing import Any

import pytest

from asgi_calls import Answer, ask, call, http_scope
from drum_litestar.errors import BadRequestError
from drum_litestar.http.routes import ROUTES
from drum_litestar.middleware.asgi import ASGIApp, Message, Receive, Scope, Send
from drum_litestar.middleware.body_limit import BodyLimitMiddleware
from drum_litestar.middleware.content_coding.codings import available_codings
from drum_litestar.middleware.content_coding.request_decoding import RequestDecodingMiddleware
from drum_litestar.middleware.stack import StackOptions, build_stack
from drum_litestar.route_table import RouteTable
from drum_litestar.settings.groups.limits import UploadSettings
from raw_serving import read_body, reply, serving
from routed import routed

CSV = b"a,b\n" + b"1,2\n" * 1000
LIMIT = 10_000
ACCEPTED = ", ".join(coding.name for coding in available_codings()).encode()
needs_zstd = pytest.mark.skipif(b"zstd" not in ACCEPTED, reason="needs zstd")


async def show(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the names of the headers and the body."""
    body = await read_body(receive) or b""
    names = b",".join(name for name, _ in scope["headers"])
    await reply(send, names + b" " + body)


def decoding(app: ASGIApp = show, limit: int = LIMIT, reasons: list[str] | None = None) -> ASGIApp:
    rejected = None if reasons is None else reasons.append
    counted = BodyLimitMiddleware(app, max_upload_size=limit, on_rejected=rejected).counted
    return routed(RequestDecodingMiddleware(app, counted=counted))


def coded(name: str, *others: tuple[bytes, bytes], path: str = "/predict/") -> Scope:
    return http_scope(path, headers=[(b"content-encoding", name.encode()), *others])


def packed(name: str, data: bytes = CSV) -> bytes:
    return next(coding.compress(data) for coding in available_codings() if coding.name == name)


@pytest.mark.parametrize(
    "name", ["gzip", "x-gzip", "GZIP", " gzip ", "identity, gzip", pytest.param("zstd", marks=needs_zstd)]
)
@pytest.mark.parametrize("size", [1, 3, 1000, 10**6])
def test_a_body_is_undone(name: str, size: int) -> None:
    body = packed("zstd" if name == "zstd" else "gzip")
    chunks = [body[start : start + size] for start in range(0, len(body), size)]
    answer = ask(decoding(), coded(name, (b"content-length", b"%d" % len(body)), (b"host", b"a")), chunks)
    assert answer.body == b"host " + CSV


@pytest.mark.parametrize(
    "path", ["/predict/", "/predictions", "/invocations", "/predictionsStream", "/transform/", "/chat/completions"]
)
def test_routes_that_read_what_was_compressed(path: str) -> None:
    assert ask(decoding(), coded("gzip", path=path), [packed("gzip")]).body == b" " + CSV


@pytest.mark.parametrize("path", ["/predictUnstructured/", "/nim/v1/x", "/own/route"])
def test_other_routes_get_the_body_as_it_was_sent(path: str) -> None:
    body = packed("gzip")
    assert ask(decoding(), coded("gzip", path=path), [body]).body == b"content-encoding " + body


@pytest.mark.parametrize("name", ["", "identity", "utf-8", "UTF8, identity"])
def test_no_coding(name: str) -> None:
    assert ask(decoding(), coded(name), [CSV]).body == b"content-encoding " + CSV


@pytest.mark.parametrize("name", ["gzip", pytest.param("zstd", marks=needs_zstd)])
@pytest.mark.parametrize("chunks", [[CSV], [b"a", b",", b"b\n1,2\n"], [b""], [b"a"]])
def test_a_body_that_is_not_compressed_after_all(name: str, chunks: list[bytes]) -> None:
    """DRUM ignores the header, and some proxies undo a coding without removing it."""
    assert ask(decoding(), coded(name), chunks).body == b" " + b"".join(chunks)


@pytest.mark.parametrize("name", ["br", "deflate", "gzip, gzip", "compress", "rot13"])
def test_codings_that_cannot_be_undone(name: str) -> None:
    async def unread(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError

    answer = ask(decoding(unread), coded(name), [CSV])
    assert answer.status == 415
    assert answer.header(b"accept-encoding") == ACCEPTED
    assert answer.json["accepted"] == ACCEPTED.decode().split(", ")
    assert answer.json["message"].startswith(f"Content-Encoding '{name}' cannot be undone; send the body as it is, or")


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="zstd is a part of Python")
def test_a_coding_whose_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    from drum_litestar.middleware.content_coding import codings

    monkeypatch.setitem(sys.modules, "backports.zstd", None)
    for function in (codings.find_coding, codings.available_codings):
        function.cache_clear()
    try:
        answer = ask(decoding(), coded("zstd"), [CSV])
    finally:
        for function in (codings.find_coding, codings.available_codings):
            function.cache_clear()
    assert (answer.status, answer.header(b"accept-encoding")) == (415, b"gzip")
    assert answer.json["message"].startswith(
        "Content-Encoding 'zstd' cannot be undone; send the body as it is, or as gzip. "
    )
    assert "pip install" in answer.json["message"]


@pytest.mark.parametrize("name", ["gzip", pytest.param("zstd", marks=needs_zstd)])
def test_damaged_bodies(name: str) -> None:
    body = packed(name)
    damaged = {"cut": [body[:-1]], "only a head": [body[:10]], "rubbish behind": [body, b"rubbish behind it"]}
    for chunks in [*damaged.values(), [body[:8], b"\xff" * 500]]:
        with pytest.raises(BadRequestError, match=f"The body is not valid {name}: "):
            ask(decoding(), coded(name), chunks)


def test_a_client_that_leaves() -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.extend([(await receive())["type"] for _ in range(3)])

    async def main() -> None:
        messages: list[Message] = [{"type": "http.request", "body": packed("gzip")[:40], "more_body": True}]

        async def receive() -> Message:
            return messages.pop() if messages else {"type": "http.disconnect"}

        async def send(message: Message) -> None: ...

        await decoding(app)(coded("gzip"), receive, send)

    asyncio.run(main())
    assert seen[-1] == "http.disconnect"


@pytest.mark.parametrize("name", ["gzip", pytest.param("zstd", marks=needs_zstd)])
def test_the_limit_is_that_of_the_body_before_it_was_compressed(name: str) -> None:
    exact, over = packed(name, bytes(LIMIT)), packed(name, bytes(LIMIT + 1))
    reasons: list[str] = []
    assert ask(decoding(reasons=reasons), coded(name), [exact]).status == 200
    answer = ask(decoding(reasons=reasons), coded(name), [over])
    assert (answer.status, answer.header(b"connection"), reasons) == (413, b"close", ["body_too_large"])
    assert "DRUM_FASTAPI_MAX_UPLOAD_SIZE" in answer.json["message"]


def test_a_bomb_is_refused_when_the_limit_is_reached() -> None:
    """A megabyte that would become a gigabyte."""
    read = [0]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            read[0] += len(message["body"])

    limit = 3_000_000
    answer = ask(decoding(app, limit), coded("gzip"), [packed("gzip", bytes(1 << 28))])
    assert answer.status == 413
    assert limit - (1 << 18) <= read[0] <= limit


def test_other_requests_run_between_the_pieces() -> None:
    turns: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while (message := await receive())["more_body"]:
            turns.append("piece")
            assert len(message["body"]) <= 1 << 18
        await reply(send, b"")

    async def others() -> None:
        while True:
            turns.append("other")
            await asyncio.sleep(0)

    async def main() -> None:
        task = asyncio.ensure_future(others())
        await call(decoding(app, 1 << 30), coded("gzip"), [packed("gzip", bytes(1 << 23))])
        task.cancel()

    asyncio.run(main())
    assert turns.count("piece") == 32
    assert "piece,piece" not in ",".join(turns)


class _Place:
    def take(self) -> None: ...

    def give_back(self) -> None: ...


def stacked(**options: Any) -> ASGIApp:
    made = StackOptions(drum_version="1", server_version="1", **options)
    return build_stack(show, made, routes=RouteTable(ROUTES), new_place=_Place)


def test_in_the_stack_a_damaged_body_and_a_bomb_are_answered() -> None:
    app = stacked(uploads=UploadSettings(max_upload_size=LIMIT))
    body = packed("gzip")
    length = (b"content-length", b"%d" % len(body))
    assert ask(app, coded("gzip", length), [body]).body == b" " + CSV
    assert ask(app, coded("gzip", length), [body[:-1]]).status == 400
    assert ask(app, coded("gzip", length), [packed("gzip", bytes(LIMIT + 1))]).status == 413
    too_long = ask(app, coded("gzip", (b"content-length", b"%d" % (LIMIT + 1))), [body])
    assert too_long.status == 413, "the announced size is limited, too"


def test_a_flood_that_becomes_nothing_is_limited_too() -> None:
    """Empty members are undone to nothing, however many there are."""
    app = stacked(uploads=UploadSettings(max_upload_size=LIMIT))
    flood = [gzip.compress(b"")] * (LIMIT // 20 + 1)
    answer: Answer = ask(app, coded("gzip", (b"transfer-encoding", b"chunked")), flood)
    assert answer.status == 413


def test_over_a_connection() -> None:
    with serving(stacked()) as server, server.connect() as client:
        body = packed("gzip")
        head = b"POST /predict/ HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
        for _ in range(2):
            client.send(head + body)
            assert client.response().body == b"host " + CSV
        client.send(head + b"\x1f\x8b" + bytes(len(body) - 2))
        assert client.response().status == 400
