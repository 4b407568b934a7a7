"""The proxy between real servers on loopback: streaming both ways, kept copies, disconnects of both sides."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import uvicorn

from drum_litestar.tools.compare.diff import Comparison
from drum_litestar.tools.compare.live.mirror import Mirror
from drum_litestar.tools.compare.live.proxy import Exchange, Proxy, Route
from drum_litestar.tools.compare.messages import Request
from drum_litestar.tools.compare.outcomes import Pair
from drum_litestar.tools.compare.upstream import Upstream

App = Callable[..., Awaitable[None]]
START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


@contextlib.asynccontextmanager
async def served(app: App) -> AsyncIterator[str]:
    config = uvicorn.Config(app, lifespan="off", log_config=None, log_level="critical", timeout_graceful_shutdown=1)
    server = _Server(config)
    with socket.create_server(("127.0.0.1", 0)) as bound:
        running = asyncio.ensure_future(server.serve([bound]))
        try:
            yield f"http://127.0.0.1:{bound.getsockname()[1]}"
        finally:
            server.should_exit = True
            await running


class Recording:
    """A policy that records its calls."""

    def __init__(self, *route: Any, **options: Any) -> None:
        self.chosen = Route(*route, **options)
        self.exchanges: list[Exchange] = []
        self.heard = asyncio.Event()

    def route(self, request_id: str) -> Route:
        return self.chosen

    def finished(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)
        self.heard.set()


async def read(receive: Any) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    return body


async def echo(scope: Any, receive: Any, send: Any) -> None:
    body = await read(receive)
    headers = [(b"x-target", scope["raw_path"] + b"?" + scope["query_string"]), *scope["headers"]]
    await send({"type": "http.response.start", "status": 207, "headers": [(b"x-" + n, v) for n, v in headers]})
    await send({"type": "http.response.body", "body": body})


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 120))


@contextlib.asynccontextmanager
async def proxied(app: App, prefix: str = "", **options: Any) -> AsyncIterator[tuple[httpx.AsyncClient, Recording]]:
    async with served(app) as url:
        upstream = Upstream("baseline", url + prefix)
        policy = Recording(upstream)
        async with (
            served(Proxy(policy, **options)) as front,
            httpx.AsyncClient(base_url=front, trust_env=False) as client,
        ):
            yield client, policy
        await upstream.close()


def test_request_and_answer_pass_unchanged() -> None:
    async def test() -> None:
        async with proxied(echo, "/prefix") as (client, policy):
            headers = {"X-Request-ID": "id-1", "Connection": "keep-alive, X-Hop", "X-Hop": "1", "Host": "model.example"}
            answer = await client.post("/a%2Fb//c?x=%20&x=2", content=b"\x00\xff" * 1000, headers=headers)
            assert answer.status_code == 207
            assert answer.content == b"\x00\xff" * 1000
            # One X- is the echo's own.
            assert answer.headers["x-x-target"] == "/prefix/a%2Fb//c?x=%20&x=2"
            assert answer.headers["x-host"] == "model.example"
            assert answer.headers["x-x-request-id"] == "id-1"
            assert "x-x-hop" not in answer.headers
            (exchange,) = policy.exchanges
            assert exchange.request.id == "id-1"
            assert exchange.request.target == "/a%2Fb//c?x=%20&x=2"
            assert exchange.request.body == exchange.answer.body == answer.content
            assert exchange.whole

    run(test)


def test_a_request_id_is_made_when_there_is_none() -> None:
    async def test() -> None:
        async with proxied(echo) as (client, policy):
            made = (await client.get("/")).headers["x-x-request-id"]
            assert len(made) == 32
            assert policy.exchanges[0].request.id == made

    run(test)


def test_both_directions_stream() -> None:
    """The server answers each chunk of the body before it gets the next one."""

    async def conversation(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        more = True
        while more:
            message = await receive()
            more = message.get("more_body", False)
            await send({"type": "http.response.body", "body": message.get("body", b"").upper(), "more_body": more})

    async def test() -> None:
        async with proxied(conversation) as (client, policy):
            # httpx sends the whole body before it reads, so the two ends are seen on the socket itself.
            reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
            writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
            writer.write(b"0\r\n\r\n")
            await reader.readuntil(b"ONE")
            writer.close()
            await writer.wait_closed()
            await policy.heard.wait()
            assert policy.exchanges[0].answer.body == b"ONE"

    run(test)


def test_answer_arrives_as_it_is_made() -> None:
    release = asyncio.Event()

    async def stream(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        await release.wait()
        await send({"type": "http.response.body", "body": b"second"})

    async def test() -> None:
        async with proxied(stream) as (client, _), client.stream("GET", "/") as answer:
            chunks = answer.aiter_raw()
            assert await anext(chunks) == b"first"
            release.set()
            assert await anext(chunks) == b"second"

    run(test)


def test_bodies_over_the_limit_pass_but_are_not_kept() -> None:
    async def test() -> None:
        async with proxied(echo, copy_limit=1000) as (client, policy):
            answer = await client.post("/", content=b"x" * 5000)
            assert len(answer.content) == 5000
            (exchange,) = policy.exchanges
            assert not exchange.whole
            assert (exchange.request.body, exchange.answer.body) == (b"", b"")

    run(test)


def test_client_that_leaves_ends_the_servers_work() -> None:
    gone = asyncio.Event()

    async def endless(scope: Any, receive: Any, send: Any) -> None:
        await read(receive)
        await send(START)
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass
        gone.set()

    async def test() -> None:
        async with proxied(endless) as (client, policy):
            async with client.stream("GET", "/") as answer:
                await anext(answer.aiter_raw())
            await gone.wait()
            assert not policy.exchanges

    run(test)


def test_hanging_server_is_seen_through_though_its_client_leaves() -> None:
    asked, release = asyncio.Event(), asyncio.Event()

    async def hanging(scope: Any, receive: Any, send: Any) -> None:
        asked.set()
        await release.wait()
        await echo(scope, receive, send)

    async def test() -> None:
        async with served(hanging) as url:
            candidate = Upstream("candidate", url)
            policy = Recording(candidate, ignore_disconnect=True)
            async with served(Proxy(policy)) as front, httpx.AsyncClient(trust_env=False) as client:
                asking = asyncio.ensure_future(client.post(front, content=b"x", timeout=None))
                await asked.wait()
                asking.cancel()
                await asyncio.wait([asking])
                release.set()
                await policy.heard.wait()
                assert policy.exchanges[0].answer.status == 207
            await candidate.close()

    run(test)


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        return int(bound.getsockname()[1])


def test_fallback_gets_the_whole_request() -> None:
    async def test() -> None:
        async with served(echo) as url:
            baseline, dead = Upstream("baseline", url), Upstream("candidate", f"http://127.0.0.1:{closed_port()}")
            policy = Recording(dead, baseline)
            async with served(Proxy(policy)) as front, httpx.AsyncClient(trust_env=False) as client:
                answer = await client.post(front, content=b"y" * 300_000)
                assert answer.content == b"y" * 300_000
                (exchange,) = policy.exchanges
                assert exchange.server is baseline
                assert exchange.failure is not None
                assert exchange.failure.error == "cannot connect: Connection refused"
                policy.chosen = Route(dead)
                refused = await client.post(front, content=b"y")
                assert refused.status_code == 502
                assert "Connection refused" in refused.json()["message"]
            await baseline.close()
            await dead.close()

    run(test)


def test_answer_that_is_cut_is_cut_for_the_client_too() -> None:
    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        await writer.drain()
        writer.close()

    async def test() -> None:
        server = await asyncio.start_server(cut, "127.0.0.1", 0)
        upstream = Upstream("baseline", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        policy = Recording(upstream)
        async with served(Proxy(policy)) as front, httpx.AsyncClient(trust_env=False) as client:
            try:
                await client.get(front)
            except httpx.RemoteProtocolError:
                pass
            else:
                raise AssertionError("the client was told that the answer is whole")
            assert policy.exchanges[0].answer.failed
            assert policy.exchanges[0].answer.status == 200
        answer = await upstream.fetch(Request("1", "GET", "/"))
        assert answer.failed
        assert answer.body == b"half"
        await upstream.close()
        server.close()

    run(test)


def test_fetch_is_bounded_in_time() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def test() -> None:
        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        upstream = Upstream("baseline", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", timeout=0.05)
        answer = await upstream.fetch(Request("1", "GET", "/"))
        assert answer.failed
        assert "timeout" in str(answer.error).lower() or "within 0.05 s" in str(answer.error)
        await upstream.close()
        server.close()

    run(test)


def test_mirror_drops_what_does_not_fit() -> None:
    async def test() -> None:
        async with served(echo) as url:
            baseline, candidate = Upstream("baseline", url), Upstream("candidate", url)
            settled: list[Pair] = []
            lost: Counter[str] = Counter()
            mirror = Mirror(baseline, candidate, Comparison(), settled.append, lost,
                            queue_size=2, workers=1, queue_bytes=1000)  # fmt: skip
            request = Request("1", "POST", "/", (), b"x" * 100)
            exchange = Exchange(request, baseline, await baseline.fetch(request))
            size = len(exchange.answer.body) + 100
            assert size == 200
            assert mirror.offer(exchange)
            assert mirror.offer(exchange)
            assert not mirror.offer(exchange)  # two may wait
            large = Request("2", "POST", "/", (), b"x" * 700)
            mirror.start()
            await mirror._queue.join()
            assert not mirror.offer(Exchange(large, baseline, await baseline.fetch(large)))  # 1400 bytes
            assert not mirror.offer(Exchange(request, baseline, exchange.answer, None, False))
            assert mirror.offer(Exchange(Request("3", "GET", "/stats/"), baseline, exchange.answer))
            await mirror.drain()
            assert lost == {"dropped, queue full": 2, "too large": 1, "skipped paths": 1}
            assert len(settled) == 2
            assert not any(pair.mismatch or pair.new_error for pair in settled)
            await baseline.close()
            await candidate.close()

    run(test)
