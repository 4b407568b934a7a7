"""Responses: whole ones in one write, streams as they come, none that could be taken for another."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from drum_litestar.middleware.asgi import Receive, Scope, Send
from drum_litestar.middleware.server_error import ServerErrorMiddleware
from drum_litestar.server.http.connection import make_protocol
from raw_serving import RawClient, reply, serving
from support.hostile.in_memory import MemoryTransport

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
HEAD = b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"


def sends(*messages: dict[str, Any]) -> Any:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    return app


def start(*headers: Any, status: int = 200) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def body(data: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


def length(size: int) -> tuple[bytes, bytes]:
    return (b"content-length", b"%d" % size)


def wire(client: RawClient) -> bytes:
    """Read all bytes until the server closes."""
    while client._more():
        pass
    return client.buffer


async def written(app: Any, request: bytes) -> list[bytes]:
    """The writes of the answer to ``request``."""
    config = uvicorn.Config(app, http=make_protocol(), log_config=None, interface="asgi3", proxy_headers=False)
    config.load()
    state = ServerState()
    protocol: Any = config.http_protocol_class
    transport = MemoryTransport(asyncio.get_running_loop(), protocol(config, state, {}))
    transport.feed(request)
    await asyncio.gather(*state.tasks)
    transport.lose()
    return transport.writes


@pytest.mark.parametrize("close", [(), ((b"connection", b"close"),)])
@pytest.mark.parametrize("request_", [GET, HEAD, b"GET / HTTP/1.0\r\n\r\n"], ids=["get", "head", "1.0"])
def test_a_whole_answer_is_one_write(request_: bytes, close: Any) -> None:
    writes = asyncio.run(written(sends(start(length(3), (b"x-a", b"b"), *close), body(b"abc")), request_))
    assert len(writes) == 1
    assert writes[0].endswith(b"\r\n\r\n" if request_ is HEAD else b"\r\n\r\nabc")


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 3_000_000])
def test_bodies_of_all_sizes(size: int) -> None:
    with serving(sends(start(length(size)), body(b"x" * size))) as server, server.connect() as client:
        for _ in range(3):
            client.send(GET)
            assert client.response().body == b"x" * size


def test_the_head_of_a_stream_does_not_wait_for_its_first_chunk() -> None:
    go = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        await asyncio.to_thread(go.wait, 10)
        await send(body(b"late", more=True))
        await send(body(b""))

    with serving(app) as server, server.connect() as client:
        client.send(GET)
        assert client.until(b"\r\n\r\n").startswith(b"HTTP/1.1 200")
        go.set()
        assert client.until(b"0\r\n\r\n") == b"4\r\nlate\r\n"


def test_a_body_of_known_length_in_pieces() -> None:
    with serving(sends(start(length(6)), body(b"abc", more=True), body(b"def"))) as server:
        assert server.ask(GET).body == b"abcdef"


def test_head_has_no_body() -> None:
    with serving(sends(start(length(3)), body(b"abc"))) as server, server.connect() as client:
        client.send(HEAD)
        assert client.response(head=True).headers["content-length"] == "3"
        client.send(GET)
        assert client.response().body == b"abc"


@pytest.mark.parametrize(
    "pair",
    [
        (b"x-a", b"b\r\nx-evil: c"),
        (b"x-a", b"b\nx-evil: c"),
        (b"x-a", b"b\x00c"),
        (b"x-a\r\nx-evil", b"c"),
        (b"x a", b"c"),
        (b"x:a", b"c"),
        (b"x\na", b"c"),
        (b"", b"c"),
    ],
)
def test_no_header_forges_another(pair: tuple[bytes, bytes]) -> None:
    with serving(sends(start(length(3), pair), body(b"abc"))) as server:
        for request in (GET, GET, HEAD):  # nor the second time
            with server.connect() as client:
                client.send(request)
                assert wire(client).startswith(b"HTTP/1.1 500")


@pytest.mark.parametrize("pair", [(b"X-Upper", b"v"), [b"x-upper", b"v"], (b"x-upper", b"v")])
def test_headers_in_other_shapes(pair: Any) -> None:
    with serving(sends(start(length(2), pair), body(b"ok"))) as server:
        answer = server.ask(GET)
    assert (answer.headers["x-upper"], answer.body) == ("v", b"ok")


@pytest.mark.parametrize("headers", [[length(3), length(3)], [(b"content-length", b"three")], [length(9)], [length(1)]])
def test_a_content_length_that_the_body_does_not_match_closes_the_connection(
    headers: list[tuple[bytes, bytes]],
) -> None:
    with serving(sends(start(*headers), body(b"abc"))) as server, server.connect() as client:
        client.send(GET)
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert wire(client).count(b"HTTP/1.1 200") <= 1 or len(headers) == 2


def test_connection_close_of_the_app_closes() -> None:
    with serving(sends(start(length(2), (b"connection", b"close")), body(b"ok"))) as server, server.connect() as client:
        client.send(GET)
        assert wire(client).endswith(b"\r\n\r\nok")


def test_connection_close_of_the_client_is_confirmed() -> None:
    with serving(sends(start(length(2)), body(b"ok"))) as server, server.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert b"connection: close\r\n\r\nok" in wire(client)


@pytest.mark.parametrize("status", [204, 304])
def test_answers_without_a_body(status: int) -> None:
    with serving(sends(start(status=status), body(b""))) as server, server.connect() as client:
        client.send(GET)
        assert client.response(head=True).status == status


def test_an_app_that_fails_between_head_and_body_cuts_the_connection() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(length(5)))
        raise RuntimeError("between")

    with serving(app) as server, server.connect() as client:
        client.send(GET)
        assert b"Internal" not in wire(client)


BROKEN = {
    "head only": [start(length(5))],
    "header value": [start(length(5), (b"x-a", b"b\r\nc"))],
    "header name": [start(length(5), (b"x a", b"b"))],
    "length": [start((b"content-length", b"-5"))],
    "status": [start(length(5), status=1000)],
    "two lengths": [start(length(5), length(5))],
    "length and coding": [start(length(5), (b"transfer-encoding", b"chunked"))],
    "coding": [start((b"transfer-encoding", b"gzip"))],
    "too long": [start(length(1), (b"connection", b"close")), body(b"abc")],
    "too short": [start(length(5)), body(b"abc")],
    "body of 204": [start(status=204), body(b"abc")],
}


@pytest.mark.parametrize("name", BROKEN)
def test_an_unsent_response_is_withdrawn(name: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in BROKEN[name]:
            await send(message)
        raise RuntimeError("now")

    with serving(ServerErrorMiddleware(app)) as server, server.connect() as client:
        for _ in range(2):  # the connection goes on
            client.send(GET)
            answer = client.response()
            assert (answer.status, b"Internal server error" in answer.body) == (500, True)
            assert "x-a" not in answer.headers


@pytest.mark.parametrize("messages", [[start()], [start(length(5)), body(b"par", more=True)]])
def test_a_response_that_is_partly_sent_is_not_withdrawn(messages: list[dict[str, Any]]) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)
        raise RuntimeError("now")

    with serving(ServerErrorMiddleware(app)) as server, server.connect() as client:
        client.send(GET)
        assert b"Internal" not in wire(client)


def test_not_modified_may_name_the_length_that_it_does_not_send() -> None:
    app = sends(start(length(5), status=304), body(b""))
    with serving(app) as server, server.connect() as client:
        for _ in range(2):
            client.send(GET)
            assert client.response(head=True).headers["content-length"] == "5"


def test_pipelined_answers_are_in_order_and_separate() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await reply(send, scope["path"].encode())

    with serving(app) as server, server.connect() as client:
        client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(20)))
        assert [client.response().body for _ in range(20)] == [b"/%d" % number for number in range(20)]
