from __future__ import annotations

import asyncio
import json
import threading

import pytest

from drum_litestar.middleware.asgi import Receive, Scope, Send
from drum_litestar.middleware.connection_limit import ConnectionLimitMiddleware
from drum_litestar.request_state import request_state
from drum_litestar.server.http.connection import HttpConnection
from drum_litestar.server.http.observers import ConnectionEvents
from raw_serving import echo, on_disconnect, read_body, reply, serving
from routed import routed
from support.clock import LATER
from support.hostile.in_memory import MemoryServer

GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
SIZE = 50_000_000


class Counter(ConnectionEvents):
    def __init__(self) -> None:
        self.open = 0
        self.reasons: list[str] = []
        self.all_closed = threading.Event()

    def opened(self) -> None:
        self.open += 1
        self.all_closed.clear()

    def closed(self) -> None:
        self.open -= 1
        if not self.open:
            self.all_closed.set()

    def slow(self, reason: str) -> None:
        self.reasons.append(reason)


@pytest.fixture(params=["asyncio", "uvloop"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_silent_connection_is_closed_without_a_word(kind: str) -> None:
    events = Counter()
    with serving(echo, kind=kind, events=events, limits={"header_timeout": 0.2}) as server, server.connect() as client:
        assert client.closed()
        assert events.all_closed.wait(60)
    assert events.reasons == ["head"]


def test_a_head_that_drips_is_refused_in_time() -> None:
    events = Counter()
    limits = {"header_timeout": 2 * LATER}
    with serving(echo, kind="clock", events=events, limits=limits) as server, server.connect() as client:
        server.wait_connected()
        for byte in b"GET / HTTP/1.1\r\nHost":
            client.send(bytes([byte]))
        server.advance(LATER)
        assert events.reasons == []
        client.send(b": a")
        server.advance(LATER)
        answer = client.response()
        assert answer.status == 408
        assert answer.headers["connection"] == "close"
        assert answer.body == b'{"message":"Timeout while reading the request head"}\n'
        assert client.closed()
    assert events.reasons == ["head"]


def test_the_head_limit_holds_for_the_next_request_too() -> None:
    limits = {"header_timeout": LATER}
    with (
        serving(echo, kind="clock", limits=limits, timeout_keep_alive=3 * LATER) as server,
        server.connect() as client,
    ):
        client.send(GET)
        assert client.response().status == 200
        server.advance(2 * LATER)  # idle between requests counts for the keep-alive limit only
        client.send(GET + b"GET /y")
        assert client.response().status == 200
        server.advance(LATER)
        assert client.response().status == 408
        assert client.closed()


def test_a_late_second_head_does_not_cut_the_first_response() -> None:
    begun, go_on = threading.Event(), threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        begun.set()
        await asyncio.to_thread(go_on.wait)
        await reply(send, b"whole")

    with serving(app, kind="clock", limits={"header_timeout": LATER}) as server, server.connect() as client:
        client.send(GET + b"GET /late")
        assert begun.wait(60)
        server.advance(LATER)
        go_on.set()
        assert client.response().body == b"whole"
        assert client.response().status == 408
        assert client.closed()


def test_silence_within_a_body_is_408(kind: str) -> None:
    events = Counter()
    gone = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        on_disconnect(scope, gone.set)
        assert await read_body(receive) is None
        answer = request_state(scope).protocol_answer
        assert answer is not None
        assert answer[0] == 408

    limits = {"body_timeout": 0.3}
    with serving(app, kind=kind, events=events, limits=limits) as server, server.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n")
        answer = client.response()
        assert (answer.status, answer.headers["connection"]) == (408, "close")
        assert client.closed()
        assert gone.wait(60)
    assert events.reasons == ["body"]


def test_a_body_that_drips_is_not_silent() -> None:
    events, came = Counter(), threading.Semaphore(0)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] == "http.request":
            came.release()

    limits = {"body_timeout": 2 * LATER}
    with serving(app, kind="clock", events=events, limits=limits) as server, server.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nx")
        for _ in range(3):
            assert came.acquire(timeout=60)
            server.advance(LATER)
            client.send(b"x")
        assert came.acquire(timeout=60)
        assert events.reasons == []
        server.advance(2 * LATER)
        assert client.response().status == 408
    assert events.reasons == ["body"]


def test_waiting_for_100_continue_is_not_silence() -> None:
    begun, go_on = threading.Event(), threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        begun.set()
        await asyncio.to_thread(go_on.wait)
        await echo(scope, receive, send)

    with serving(app, kind="clock", limits={"body_timeout": LATER}) as server, server.connect() as client:
        client.send(b"POST /e HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert begun.wait(60)
        for _ in range(3):
            server.advance(LATER)
        go_on.set()
        assert client.response().status == 100
        client.send(b"ok")
        assert client.response().body == b"POST /e ok"


def test_the_body_timeout_does_not_count_while_the_app_does_not_read() -> None:
    go_on = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.to_thread(go_on.wait)
        body = await read_body(receive)
        assert body is not None
        await reply(send, str(len(body)).encode())

    def paused() -> bool:
        connections = server.server.server_state.connections
        return any(each.flow.read_paused for each in connections if isinstance(each, HttpConnection))

    with serving(app, kind="clock", limits={"body_timeout": LATER}) as server, server.connect() as client:
        client.send(b"POST /e HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n")
        sender = threading.Thread(target=client.send, args=(b"x" * 300000,))
        sender.start()
        while not server.on_loop(paused):
            pass
        for _ in range(3):
            server.advance(LATER)
        go_on.set()
        assert client.response().body == b"300000"
        sender.join(60)


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"".join(b"a%d: b\r\n" % n for n in range(10000)) + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 70000 + b"\r\n\r\n",
        b"GET /" + b"y" * 70000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 500000,
        b"GET /" + b"y" * 500000,
        b"\r\n" * 400000,
    ],
)
def test_an_oversize_head_is_431(kind: str, head: bytes) -> None:
    with serving(echo, kind=kind) as server, server.connect() as client:
        client.send(head)
        answer = client.response()
        assert (answer.status, answer.headers["connection"]) == (431, "close")
        assert client.closed()


def test_a_large_body_does_not_count_as_head() -> None:
    with serving(echo, limits={"max_head_size": 4096}) as server, server.connect() as client:
        body = b"x" * 200_000
        request = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        client.send(request + request + b"\r\n")
        for _ in range(2):
            assert len(client.response().body) == len(body) + 7
        client.send(GET)
        assert client.response().status == 200


def test_a_client_that_does_not_read_is_dropped() -> None:
    events = Counter()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await reply(send, b"x" * SIZE)

    with serving(app, events=events, limits={"write_timeout": 0.2}) as server, server.connect() as client:
        client.send(GET)
        assert events.all_closed.wait(60)
    assert events.reasons == ["response"]


def test_a_client_that_reads_slowly_is_served() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await reply(send, b"x" * SIZE)

    def unsent() -> int:
        (connection,) = server.server.server_state.connections
        return int(connection.transport.get_write_buffer_size())

    with serving(app, kind="clock", limits={"write_timeout": 2 * LATER}) as server, server.connect() as client:
        client.send(GET)
        client.until(b"\r\n\r\n")
        left = SIZE - len(client.buffer)
        client.buffer = b""
        while not server.on_loop(unsent):
            pass
        for _ in range(5):
            before = server.on_loop(unsent)
            while server.on_loop(unsent) == before:  # until the server has sent more, for this was read
                left -= len(client.sock.recv(2_000_000))
            server.advance(LATER)
        while left > 0:
            left -= len(client.sock.recv(2_000_000))


def test_keep_alive_closes_idle_connections_and_0_closes_each() -> None:
    with serving(echo, timeout_keep_alive=0) as server, server.connect() as client:
        client.send(GET)
        assert client.response().headers["connection"] == "close"
        assert client.closed()
    with serving(echo, timeout_keep_alive=1) as server, server.connect() as client:
        client.send(GET)
        assert "connection" not in client.response().headers
        assert client.closed()


def test_over_the_connection_limit_only_probes_are_answered() -> None:
    app = routed(ConnectionLimitMiddleware(echo))
    with serving(app, limits={"max_connections": 1}) as server, server.connect() as first:
        first.send(GET)
        assert first.response().status == 200
        with server.connect() as second:
            second.send(GET.replace(b"/x", b"/livez"))
            assert second.response().status == 200
            second.send(GET)
            answer = second.response()
            assert (answer.status, answer.headers["connection"]) == (503, "close")
            assert answer.headers["retry-after"] == "5"
            assert "(DRUM_UVICORN_LIMIT_CONCURRENCY)" in json.loads(answer.body)["message"]
            assert second.closed()
        while server.on_loop(lambda: len(server.server.server_state.connections)) > 1:
            pass
        first.send(GET)
        assert first.response().status == 200


def test_connections_that_leave_no_descriptor_free_are_closed_at_once(kind: str) -> None:
    with serving(echo, kind=kind, limits={"max_descriptors": 1}) as server, server.connect() as first:
        first.send(GET)
        assert first.response().status == 200
        with server.connect() as second:
            assert second.closed()
        first.send(GET)
        assert first.response().status == 200


def test_the_last_answer_before_a_stop_says_so_and_an_idle_limit_goes_on() -> None:
    """An answer whose head was sent before does not: the connection stays for one more, as long as it may be idle."""
    app = Streaming()
    with (
        serving(app, kind="clock", timeout_keep_alive=3 * LATER) as server,
        server.connect() as streamed,
        server.connect() as pending,
    ):
        streamed.send(GET.replace(b"/x", b"/stream"))
        assert b"chunked" in streamed.until(b"\r\n\r\n")
        pending.send(GET)
        while not server.on_loop(lambda: app.waiting):
            pass
        server.on_loop(server.server.end_keep_alive)
        server.on_loop(app.go_on.set)
        answer = pending.response()
        assert (answer.body, answer.headers["connection"]) == (b"whole", "close")
        assert pending.closed()
        assert streamed.until(b"0\r\n\r\n") == b"5\r\nwhole\r\n"
        server.advance(2 * LATER)
        streamed.send(GET)
        assert streamed.response().headers["connection"] == "close"
        assert streamed.closed()
        with server.connect() as idle:
            idle.send(GET)
            assert idle.response().headers["connection"] == "close"


def test_an_idle_connection_that_has_no_more_answer_is_closed_in_time() -> None:
    with serving(echo, kind="clock", timeout_keep_alive=3 * LATER) as server, server.connect() as client:
        client.send(GET)
        assert "connection" not in client.response().headers
        server.on_loop(server.server.end_keep_alive)
        server.advance(4 * LATER)
        assert client.closed()


class Streaming:
    """An app that sends the head of a stream at once, and everything else when it is told."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.waiting = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/stream":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await self.go_on.wait()
            await send({"type": "http.response.body", "body": b"whole"})
        else:
            self.waiting = True
            await self.go_on.wait()
            await reply(send, b"whole")


class Waiting:
    """An app that answers when it is told, without reading the request."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.go_on.wait()
        await reply(send, b"whole")


def test_blank_lines_that_nothing_follows_end_the_connection_after_the_answer() -> None:
    app = Waiting()
    with MemoryServer(app) as server:
        transport, _ = server.connect()
        transport.feed(GET)
        server.settle(transport)
        transport.feed(b"\r\n")
        server.advance(transport)
        assert not transport.is_closing()
        app.go_on.set()
        server.settle(transport)
        assert transport.written.endswith(b"connection: close\r\n\r\nwhole")
        assert transport.protocol is None


def test_the_head_timeout_does_not_count_while_the_server_does_not_read() -> None:
    app = Waiting()
    with MemoryServer(app) as server:
        transport, _ = server.connect()
        transport.feed(GET + GET + GET[:-2])  # with a request that waits, reading is paused
        for _ in range(3):
            server.advance(transport)
        assert transport.written == b""
        transport.feed(GET[-2:])
        app.go_on.set()
        server.settle(transport)
        assert transport.written.count(b"whole") == 3


def test_a_shutdown_lets_requests_end_and_closes() -> None:
    app = Waiting()
    with MemoryServer(app) as server:
        transport, held = server.connect()
        transport.feed(GET)
        server.settle(transport)
        held().shutdown()  # type: ignore[union-attr]
        server.settle(transport)
        assert not transport.is_closing()
        app.go_on.set()
        server.settle(transport)
        assert transport.written.endswith(b"connection: close\r\n\r\nwhole")
        assert transport.protocol is None


def test_a_request_that_is_cancelled_is_answered() -> None:
    with MemoryServer(Waiting()) as server:
        transport, _ = server.connect()
        transport.feed(GET)
        server.settle(transport)
        (task,) = server.state.tasks
        task.cancel()
        server.settle(transport)
        assert transport.written.startswith(b"HTTP/1.1 500 ")
        assert transport.protocol is None
        assert task.cancelled()
    assert server.problems == []


def test_limits_can_be_switched_off() -> None:
    limits = {"header_timeout": 0, "body_timeout": 0, "write_timeout": 0}
    with serving(echo, kind="clock", limits=limits) as server, server.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\n")
        server.wait_connected()
        server.advance(LATER)
        client.send(b"Content-Length: 1\r\n\r\n")
        server.advance(LATER)
        client.send(b"x")
        assert client.response().body == b"POST / x"
