from __future__ import annotations

import contextlib

import pytest

from asgi_calls import ask, http_scope, replying
from drum_litestar.errors import BodyTooLargeError
from drum_litestar.middleware.asgi import Receive, Scope, Send
from drum_litestar.middleware.body_limit import BodyLimitMiddleware
from drum_litestar.middleware.server_error import ServerErrorMiddleware
from raw_serving import RawClient, echo, read_body, reply, serving

REFUSAL = b'{"message":"Request body too large. Maximum size: 10 bytes (DRUM_FASTAPI_MAX_UPLOAD_SIZE)"}\n'


def chunked() -> Scope:
    return http_scope(headers=[(b"transfer-encoding", b"chunked")])


async def unread(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError("the app must not run")


@pytest.mark.parametrize("length", [b"11", b"99999999999999999999999"])
def test_an_announced_body_is_refused_unread(length: bytes) -> None:
    reasons: list[str] = []
    app = BodyLimitMiddleware(unread, max_upload_size=10, on_rejected=reasons.append)
    answer = ask(app, http_scope(headers=[(b"content-length", length)]))
    assert (answer.status, answer.body) == (413, REFUSAL)
    assert answer.header(b"connection") == b"close"
    assert reasons == ["body_too_large"]


@pytest.mark.parametrize("headers", [[(b"transfer-encoding", b"chunked")], [(b"content-length", b"-1")]])
def test_a_body_of_unknown_length_is_counted(headers: list[tuple[bytes, bytes]]) -> None:
    app = BodyLimitMiddleware(echo, max_upload_size=10)
    assert ask(app, http_scope(headers=headers), [b"12345", b"67890"]).body == b"POST /predict/ 1234567890"
    answer = ask(app, http_scope(headers=headers), [b"12345", b"67890", b"1"])
    assert (answer.status, answer.body) == (413, REFUSAL)


def test_http_2_needs_no_header_to_send_a_body() -> None:
    app = BodyLimitMiddleware(echo, max_upload_size=10)
    assert ask(app, http_scope(http_version="2"), [b"x" * 11]).status == 413
    assert ask(app, http_scope(http_version="1.1"), [b""]).status == 200


def test_the_exact_limit_passes() -> None:
    app = BodyLimitMiddleware(echo, max_upload_size=10)
    assert ask(app, http_scope(headers=[(b"content-length", b"10")]), [b"1234567890"]).status == 200


def test_the_client_gets_one_413_whatever_the_app_does() -> None:
    async def swallows(scope: Scope, receive: Receive, send: Send) -> None:
        with contextlib.suppress(BodyTooLargeError):
            await read_body(receive)
        await reply(send, b"my own error", 500)
        await read_body(receive)

    answer = ask(BodyLimitMiddleware(swallows, max_upload_size=10), chunked(), [b"x" * 11])
    assert (answer.status, answer.body) == (413, REFUSAL)


def test_a_response_that_has_begun_is_cut() -> None:
    async def eager(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await read_body(receive)

    with pytest.raises(BodyTooLargeError):
        ask(ServerErrorMiddleware(BodyLimitMiddleware(eager, max_upload_size=10)), chunked(), [b"x" * 11])


def test_an_app_that_does_not_read_is_not_limited() -> None:
    assert ask(BodyLimitMiddleware(replying(), max_upload_size=10), chunked(), [b"x" * 11]).status == 200


def test_a_flood_is_refused_at_the_first_byte_over_and_the_connection_closes() -> None:
    read = [0]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        total = 0
        while True:
            message = await receive()
            total += len(message["body"])
            read[:] = [total]

    with serving(BodyLimitMiddleware(app, max_upload_size=100_000)) as server, server.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        for _ in range(200):  # 13 MB, of which 100 kB are wanted
            client.send(chunk)
        assert client.response().status == 413
        assert client.closed()
        assert read[0] <= 100_000
        with server.connect() as another:
            fine(another)


def fine(client: RawClient) -> None:
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n")
    assert client.response().status == 413
