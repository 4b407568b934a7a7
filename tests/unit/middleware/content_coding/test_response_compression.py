from __future__ import annotations

import asyncio
import gzip
from typing import Any

import pytest

from asgi_calls import Answer, ask, http_scope, replying
from drum_litestar.middleware.asgi import Message, Receive, Scope, Send
from drum_litestar.middleware.content_coding.codings import available_codings
from drum_litestar.middleware.content_coding.response_compression import ResponseCompressionMiddleware, choose_coding

JSON = (b"content-type", b"application/json")
BODY = b'{"predictions":[' + b"0.5," * 1000 + b"0.5]}"
ZSTD = available_codings()[0].name == "zstd"
BEST = "zstd" if ZSTD else "gzip"


def answer(
    *headers: tuple[bytes, bytes], body: bytes = BODY, accept: str = "gzip", method: str = "POST", **options: Any
) -> Answer:
    app = ResponseCompressionMiddleware(
        replying(body, options.pop("status", 200), [*headers, (b"content-length", b"%d" % len(body))]),
        **{"above": 1000, **options},
    )
    return ask(app, http_scope(method=method, headers=[(b"accept-encoding", accept.encode())] if accept else []))


def test_an_answer_is_compressed() -> None:
    found = answer(JSON, (b"x-own", b"1"))
    assert found.header(b"content-encoding") == b"gzip"
    assert found.header(b"content-length") == b"%d" % len(found.body)
    assert found.header(b"vary") == b"Accept-Encoding"
    assert (found.header(b"content-type"), found.header(b"x-own")) == (b"application/json", b"1")
    assert gzip.decompress(found.body) == BODY
    assert len(found.body) < len(BODY) // 10


def test_a_large_answer_is_compressed_in_a_thread() -> None:
    body = b"0.25\n" * 100_000
    assert gzip.decompress(answer((b"content-type", b"text/csv"), body=body).body) == body


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", None),
        ("identity", None),
        ("gzip", "gzip"),
        ("GZIP;q=0.5", "gzip"),
        ("gzip;q=0", None),
        ("gzip;q=x", None),
        ("deflate, br", None),
        ("*", BEST),
        ("*;q=0", None),
        ("gzip;q=0, *", "zstd" if ZSTD else None),
        ("gzip, deflate, br, zstd", BEST),
        ("gzip;q=1, zstd;q=0.5", "gzip"),
        ("identity;q=1, gzip;q=0.5", None),
        ("identity;q=0.5, gzip;q=0.5", "gzip"),
        ("gzip,", "gzip"),
    ],
)
def test_the_choice(accept: str, chosen: str | None) -> None:
    coding = choose_coding(accept)
    assert (None if coding is None else coding.name) == chosen


def test_sizes() -> None:
    assert answer(JSON, above=len(BODY)).header(b"content-encoding") == b"gzip"
    small = answer(JSON, above=len(BODY) + 1)
    assert (small.header(b"content-encoding"), small.header(b"vary"), small.body) == (None, b"Accept-Encoding", BODY)
    assert answer(JSON, above=1, body=b"x").body == b"x", "what would not become smaller is sent as it is"
    assert answer(JSON, above=1, body=b"").body == b""


@pytest.mark.parametrize(
    "headers",
    [
        [(b"content-type", b"image/png")],
        [(b"content-type", b"application/octet-stream")],
        [(b"content-type", b"text/event-stream; charset=utf-8")],
        [],
        [JSON, (b"content-encoding", b"br")],
        [JSON, (b"Cache-Control", b"private, No-Transform")],
    ],
)
def test_answers_that_stay_as_they_are(headers: list[tuple[bytes, bytes]]) -> None:
    found = answer(*headers)
    assert (found.body, found.header(b"vary")) == (BODY, None)


@pytest.mark.parametrize("status", [204, 206, 304])
def test_statuses_whose_bytes_mean_something(status: int) -> None:
    assert answer(JSON, status=status).body == BODY


@pytest.mark.parametrize(
    "media",
    [
        "text/csv; charset=utf-8",
        "application/problem+json",
        "multipart/form-data; boundary=b",
        "image/svg+xml",
        "TEXT/HTML",
    ],
)
def test_texts_of_all_kinds(media: str) -> None:
    assert answer((b"content-type", media.encode())).header(b"content-encoding") == b"gzip"


def test_a_strong_etag_becomes_weak() -> None:
    assert answer(JSON, (b"etag", b'"x"')).header(b"etag") == b'W/"x"'
    assert answer(JSON, (b"etag", b'W/"x"')).header(b"etag") == b'W/"x"'
    assert answer(JSON, (b"etag", b'"x"'), accept="").header(b"etag") == b'"x"'


def test_head() -> None:
    found = answer(JSON, method="HEAD", body=b"")
    assert (found.header(b"content-encoding"), found.header(b"vary")) == (None, b"Accept-Encoding")


@pytest.mark.parametrize("media", [b"application/json", b"text/plain", b"text/event-stream"])
def test_a_stream_passes_chunk_by_chunk(media: bytes) -> None:
    steps: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", media)]})
        for chunk in (BODY, BODY):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
            steps.append("made")
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def main() -> None:
        async def send(message: Message) -> None:
            steps.append(message.get("body", message["type"]))

        scope = http_scope(headers=[(b"accept-encoding", b"gzip")])
        await ResponseCompressionMiddleware(app, above=10)(scope, None, send)  # type: ignore[arg-type]

    asyncio.run(main())
    assert steps == ["http.response.start", BODY, "made", BODY, "made", b""]


def test_the_head_of_an_event_stream_is_not_held() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        assert len(found) == 1

    found: list[Message] = []

    async def main() -> None:
        async def send(message: Message) -> None:
            found.append(message)

        scope = http_scope(headers=[(b"accept-encoding", b"gzip")])
        await ResponseCompressionMiddleware(app, above=10)(scope, None, send)  # type: ignore[arg-type]

    asyncio.run(main())


def test_other_scopes_pass() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope == {"type": "lifespan"}

    asyncio.run(ResponseCompressionMiddleware(app, above=1)({"type": "lifespan"}, None, None))  # type: ignore[arg-type]
