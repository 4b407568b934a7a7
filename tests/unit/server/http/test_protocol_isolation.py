"""Isolation of the requests of one connection: disconnects, context variables, upgrade offers, old versions."""

from __future__ import annotations

import asyncio
import logging
import threading
from contextvars import ContextVar

import pytest

from drum_litestar.middleware.asgi import Receive, Scope, Send
from drum_litestar.request_state import request_state
from raw_serving import echo, on_disconnect, read_body, reply, serving

CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
seen: ContextVar[str] = ContextVar("seen", default="")


@pytest.fixture(params=["asyncio", "uvloop"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def get(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET /{path} HTTP/1.1", "Host: a", *headers, "", ""]).encode()


@pytest.mark.parametrize("paths", [["wait"], ["wait", "x"], ["x", "wait", "x"]])
def test_the_running_request_gets_the_disconnect(kind: str, paths: list[str]) -> None:
    waiting, woken = threading.Event(), threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/wait":
            await read_body(receive)
            waiting.set()
            assert (await receive())["type"] == "http.disconnect"
            woken.set()
        else:
            await reply(send, b"x")

    with serving(app, kind=kind) as server, server.connect() as client:
        client.send(b"".join(map(get, paths)))
        assert waiting.wait(60)
        client.sock.close()
        assert woken.wait(60)


def test_an_answer_after_a_disconnect_is_not_logged(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    waiting, done = threading.Event(), threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        gone = asyncio.Event()
        on_disconnect(scope, gone.set)
        await read_body(receive)
        waiting.set()
        await gone.wait()
        await reply(send, b"this is not read")
        done.set()

    with serving(app, kind=kind) as server, server.connect() as client:
        client.send(get("1") + get("2"))
        assert waiting.wait(60)
        client.sock.close()
        assert done.wait(60)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_context_variables_end_with_their_request(kind: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        inherited = seen.get()
        seen.set(scope["path"])
        await read_body(receive)  # a large one pauses and resumes reading, within this request's context
        await reply(send, inherited.encode())

    with serving(app, kind=kind) as server, server.connect() as client:
        client.send(get("1") + get("2"))
        client.send(b"POST /3 HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n" + b"x" * 900_000)
        assert [client.response().body for _ in range(3)] == [b"", b"", b""]
        for path in ("4", "5"):
            client.send(get(path))
            assert client.response().body == b""


def test_no_100_continue_for_an_invalid_body(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    answers: list[object] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        answers.append(await read_body(receive))
        answers.append(request_state(scope).protocol_answer)

    with serving(app, kind=kind) as server, server.connect() as client:
        client.send(CHUNKED + b"Expect: 100-continue\r\n\r\nZZ\r\n")
        refusal = client.response()
        assert refusal.status == 400
        assert client.closed()
    assert answers == [None, (400, len(refusal.body))]
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize("offers", [0, 1, 2])
@pytest.mark.parametrize(
    ("broken", "status", "words"),
    [
        (get("a", "X: " + "x" * 70_000), 431, b"too large"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, b"Repeated host header"),
    ],
)
def test_an_invalid_request_after_an_upgrade_offer_has_its_own_error(
    offers: int, broken: bytes, status: int, words: bytes
) -> None:
    offer = get("u", "Connection: upgrade", "Upgrade: h2c")
    with serving(echo) as server, server.connect() as client:
        client.send(offer * offers + broken)
        for _ in range(offers):
            assert client.response().body == b"GET /u "
        answer = client.response()
        assert (answer.status, words in answer.body) == (status, True), answer


def test_blanks_around_a_value_are_not_part_of_it() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await reply(send, dict(scope["headers"])[b"x-a"] + b"|")

    with serving(app) as server:  # RFC 9110, 5.5
        assert server.ask(get("", "X-A: \t a b \t ")).body == b"a b|"
        assert server.ask(get("", "X-A:   ")).body == b"|"


def test_http_1_0_gets_neither_chunks_nor_100_continue() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert await read_body(receive) == b"abc"
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-a", b"b")]})
        for part in (b"one ", b"", b"two"):
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body"})

    with serving(app) as server, server.connect() as client:
        client.send(b"POST / HTTP/1.0\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc")
        head = client.until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"transfer-encoding" not in head
        assert not client.closed()
        assert client.buffer == b"one two"
