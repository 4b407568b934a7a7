from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

import pytest

from drum_litestar.middleware.asgi import Receive, Scope, Send
from raw_serving import echo, on_disconnect, read_body, reply, serving
from support.hostile.in_memory import MemoryServer

HOST = b"Host: a\r\n"
POST = b"POST / HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
NEXT = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture(params=["asyncio", "uvloop"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


BAD = {
    "CL.TE": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + NEXT,
    "TE.CL": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + NEXT,
    "two lengths": POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef" + NEXT,
    "two equal lengths": POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nabcde" + NEXT,
    "length list": POST + b"Content-Length: 5, 5\r\n\r\nabcde" + NEXT,
    "negative length": POST + b"Content-Length: -5\r\n\r\n" + NEXT,
    "signed length": POST + b"Content-Length: +5\r\n\r\nabcde" + NEXT,
    "hex length": POST + b"Content-Length: 0x5\r\n\r\nabcde" + NEXT,
    "empty length": POST + b"Content-Length:\r\n\r\n" + NEXT,
    "huge length": POST + b"Content-Length: 99999999999999999999\r\n\r\n" + NEXT,
    "19 digits": POST + b"Content-Length: 1000000000000000000\r\n\r\n" + NEXT,
    "space before colon": POST + b"Content-Length : 5\r\n\r\nabcde" + NEXT,
    "obs-fold": POST + b"X: a\r\n b\r\n\r\n" + NEXT,
    "folded TE": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + NEXT,
    "bare LF": b"GET / HTTP/1.1\nHost: a\n\n" + NEXT,
    "bare LF in headers": b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n" + NEXT,
    "bare CR": b"GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n" + NEXT,
    "unknown coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + NEXT,
    "identity": POST + b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n" + NEXT,
    "gzip, chunked": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + NEXT,
    "chunked twice": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + NEXT,
    "chunked in 1.0": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + NEXT,
    "empty TE": POST + b"Transfer-Encoding:\r\n\r\n" + NEXT,
    "two hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" + NEXT,
    "HTTP/0.9": b"GET /\r\n\r\n",
    "HTTP/1.2": b"GET / HTTP/1.2\r\n\r\n",
    "HTTP/2 by name": b"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "CONNECT": b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n",
    "unknown method": b"FROB / HTTP/1.1\r\nHost: a\r\n\r\n",
    "lower-case method": b"get / HTTP/1.1\r\nHost: a\r\n\r\n",
    "NUL in path": b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
    "NUL in header": b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n",
    "8-bit path": b"GET /\xff\xfe?\xe9 HTTP/1.1\r\nHost: a\r\n\r\n",
    "space in name": b"GET / HTTP/1.1\r\nHost: a\r\nX Y: b\r\n\r\n",
    "no colon": b"GET / HTTP/1.1\r\nHost: a\r\nfoo\r\n\r\n",
    "TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64,
    "no path": b"GET http://x HTTP/1.1\r\nHost: a\r\n\r\n",
    "chunk size": CHUNKED + b"Z\r\na\r\n0\r\n\r\n" + NEXT,
    "negative chunk": CHUNKED + b"-1\r\na\r\n0\r\n\r\n" + NEXT,
    "chunk overflow": CHUNKED + b"fffffffffffffffff\r\na\r\n0\r\n\r\n" + NEXT,
    "chunk too long": CHUNKED + b"1\r\nabc\r\n0\r\n\r\n" + NEXT,
    "chunk with LF": CHUNKED + b"1\na\n0\n\n" + NEXT,
    "LF in extension": CHUNKED + b"1;a=b\nxx\r\na\r\n0\r\n\r\n" + NEXT,
}


@pytest.mark.parametrize("name", BAD)
def test_ambiguous_requests_are_400_and_closed(name: str) -> None:
    with serving(echo) as server:
        with server.connect() as client:
            client.send(BAD[name])
            answer = client.response()
            assert (answer.status, answer.headers["connection"]) == (400, "close"), answer
            assert answer.headers["content-type"] == "application/json"
            assert b"smuggled" not in answer.body
            assert client.closed()
        assert server.ask(b"GET /fine HTTP/1.1\r\nHost: a\r\n\r\n").body == b"GET /fine "


def test_requests_are_answered_in_order_when_pipelined(kind: str) -> None:
    requests = [b"POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" % n for n in range(50)]
    with serving(echo, kind=kind) as server, server.connect() as client:
        client.send(b"".join(requests))
        assert [client.response().body for _ in requests] == [b"POST /%d abc" % n for n in range(50)]


def test_pipelining_is_bounded() -> None:
    go_on = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.to_thread(go_on.wait)
        await reply(send, b"")

    with serving(app) as server, server.connect() as client:
        client.send(NEXT * 1000)
        go_on.set()
        statuses: list[int] = []
        while not statuses or statuses[-1] == 200:
            statuses.append(client.response().status)
        assert statuses == [200] * 101 + [400]
        assert client.closed()


def test_an_invalid_head_is_answered_after_the_requests_before_it(kind: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0)
        await echo(scope, receive, send)

    with serving(app, kind=kind) as server, server.connect() as client:
        client.send(b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\nnonsense\r\n\r\n" + NEXT)
        assert client.response().body == b"GET /1 "
        assert client.response().body == b"GET /2 "
        assert client.response().status == 400
        assert client.closed()


def test_an_invalid_body_of_a_queued_request_is_answered_in_order() -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["path"])
        await asyncio.sleep(0)
        await echo(scope, receive, send)

    with serving(app) as server, server.connect() as client:
        client.send(b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n" + CHUNKED + b"Z\r\n")
        assert client.response().body == b"GET /1 "
        assert client.response().status == 400
        assert client.closed()
    assert seen == ["/1"]


def test_a_body_that_becomes_invalid_while_the_app_runs_is_400() -> None:
    gone = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert await read_body(receive) is None
        await reply(send, b"too late")
        gone.set()

    with serving(app) as server, server.connect() as client:
        client.send(CHUNKED + b"1\r\na\r\n")
        client.send(b"nonsense")
        assert client.response().status == 400
        assert client.closed()
        assert gone.wait(60)


def test_a_body_that_becomes_invalid_after_the_response_began_cuts_the_connection() -> None:
    begun = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"part", "more_body": True})
        begun.set()
        assert await read_body(receive) is None

    with serving(app) as server, server.connect() as client:
        client.send(CHUNKED + b"1\r\na\r\n")
        assert begun.wait(60)
        client.send(b"nonsense")
        with pytest.raises(EOFError):
            client.response()


def test_expect_100_continue(kind: str) -> None:
    request = b"POST /e HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
    with serving(echo, kind=kind) as server, server.connect() as client:
        for _ in range(2):
            client.send(request)
            assert client.response().status == 100
            client.send(b"abc")
            assert client.response().body == b"POST /e abc"


def test_a_refused_expectation_closes_the_connection() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await reply(send, b"no", 417)

    with serving(app) as server, server.connect() as client:
        client.send(b"POST /e HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n")
        assert client.response().status == 417
        client.send(NEXT)  # body or request: ambiguous for the server
        assert client.closed()


def test_an_early_answer_after_100_continue_keeps_the_connection() -> None:
    """The client sends the body that it was asked for, so what comes next is not ambiguous."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/early":
            await receive()
            await reply(send, b"no", 429)
        else:
            await echo(scope, receive, send)

    with serving(app) as server, server.connect() as client:
        client.send(b"POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nExpect: 100-continue\r\n\r\n")
        assert client.response().status == 100
        client.send(b"abc")
        assert client.response().status == 429
        client.send(b"def" + NEXT)
        assert client.response().body == b"GET /smuggled "


def test_a_close_before_pipelined_requests_leaves_time_to_read_the_answer() -> None:
    """A socket that is closed with unread input is reset, which may destroy the answer."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await reply(send, b"last", 503, ((b"connection", b"close"),))

    with MemoryServer(app) as server:
        transport, _ = server.connect()
        transport.feed(NEXT * 3)
        server.settle(transport)
        assert transport.written.count(b"HTTP/1.1 503") == 1
        assert transport.ended
        assert not transport.is_closing()
        server.advance(transport)
        assert transport.protocol is None


def test_an_early_answer_reaches_a_client_that_still_uploads(kind: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await reply(send, b"no", 413, ((b"connection", b"close"),))

    with serving(app, kind=kind) as server, server.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20000000\r\n\r\n")
        client.send(b"x" * 20_000_000)
        assert client.response().status == 413


def test_the_connection_goes_on_after_an_early_answer_to_a_small_body() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/early":
            await reply(send, b"no", 429)
        else:
            await echo(scope, receive, send)

    with serving(app, timeout_keep_alive=1) as server, server.connect() as client:
        client.send(b"POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab")
        assert client.response().status == 429
        client.send(b"cde" + NEXT)
        assert client.response().body == b"GET /smuggled "
        client.send(b"POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab")
        assert client.response().status == 429
        client.send(b"cde")
        assert client.closed()  # by the keep-alive timeout


def test_a_large_body_that_nobody_reads_does_not_stop_the_connection(kind: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/early":
            await receive()
            begun.set()
            await asyncio.to_thread(paused.wait)
            await reply(send, b"no", 507)
        else:
            await echo(scope, receive, send)

    begun, paused = threading.Event(), threading.Event()
    with serving(app, kind=kind) as server, server.connect() as client:
        client.send(b"POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 20000000\r\n\r\n")
        sender = threading.Thread(target=client.send, args=(b"x" * 20_000_000 + NEXT,))
        sender.start()
        assert begun.wait(60)
        connections: Any = server.server.server_state.connections
        while not server.on_loop(lambda: next(iter(connections)).flow.read_paused):
            pass
        paused.set()
        assert client.response().status == 507
        assert client.response().body == b"GET /smuggled "
        sender.join(60)


def test_trailers_do_not_become_headers() -> None:
    seen: list[list[tuple[bytes, bytes]]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await echo(scope, receive, send)
        seen.append(scope["headers"])

    with serving(app) as server:
        answer = server.ask(CHUNKED + b"1\r\na\r\n0\r\nAuthorization: Bearer x\r\n\r\n")
        assert answer.body == b"POST / a"
    assert seen == [[(b"host", b"a"), (b"transfer-encoding", b"chunked")]]


def test_endless_trailers_are_refused() -> None:
    with serving(echo) as server, server.connect() as client:
        client.send(CHUNKED + b"1\r\na\r\n0\r\n" + b"X: y\r\n" * 50000)
        assert client.response().status == 431
        assert client.closed()


@pytest.mark.parametrize("framing", ["length", "chunked", "later"])
def test_an_upgrade_offer_is_ignored_and_the_body_kept(framing: str, caplog: pytest.LogCaptureFixture) -> None:
    """Java's HTTP client offers h2c with each first request, uploads included."""
    offer = (
        b"POST /u HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n"
    )
    with serving(echo) as server, server.connect() as client, caplog.at_level(logging.WARNING):
        if framing == "chunked":
            client.send(offer + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
        elif framing == "length":
            client.send(offer + b"Content-Length: 3\r\n\r\nabc")
        else:
            client.send(offer + b"Content-Length: 3\r\n\r\n")
            client.send(b"abc")
        assert client.response().body == b"POST /u abc"
        client.send(NEXT)
        assert client.response().body == b"GET /smuggled "
        client.send(offer.replace(b"Upgrade, ", b"Upgrade, close, ") + b"Content-Length: 0\r\n\r\n")
        assert client.response().headers["connection"] == "close"
        assert client.closed()


def test_a_websocket_offer_without_websockets_is_a_plain_request() -> None:
    request = (
        b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    with serving(echo) as server:
        assert server.ask(request).body == b"GET /ws "


def test_http_1_0_and_connection_close() -> None:
    with serving(echo) as server:
        for request in (b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"):
            with server.connect() as client:
                client.send(request)
                assert client.response().headers["connection"] == "close"
                assert client.closed()


@pytest.mark.parametrize("how", ["leave", "reset"])
def test_disconnect_callbacks_are_called(kind: str, how: str) -> None:
    import socket
    import struct

    waiting, gone, undone = threading.Event(), threading.Event(), threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        left = asyncio.Event()
        on_disconnect(scope, left.set)
        undo = on_disconnect(scope, undone.set)
        undo()
        undo()
        waiting.set()
        await left.wait()
        on_disconnect(scope, gone.set)  # registered after the disconnect: called at once

    with serving(app, kind=kind) as server, server.connect() as client:
        client.send(NEXT)
        assert waiting.wait(60)
        if how == "reset":
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.sock.close()
        assert gone.wait(60)
    assert not undone.is_set()
