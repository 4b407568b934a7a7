"""What becomes of metadata, peers, errors and statuses on the way between gRPC and the middleware stack."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest

from drum_litestar.middleware.asgi import START
from drum_litestar.protocols.grpc_inference.exchange import Answer, Exchange
from drum_litestar.protocols.grpc_inference.statuses import LONGEST_TEXT, status_code, status_text, trailing_metadata
from drum_litestar.request_state import request_state


class Context:
    """A call's context, as far as it is read."""

    def __init__(self, peer: str = "ipv4:10.1.2.3:5000") -> None:
        self._peer = peer

    def peer(self) -> str:
        return self._peer

    def invocation_metadata(self) -> Any:
        return (("authorization", "Bearer t"), ("x-bin", b"\1"), ("accept-encoding", "gzip"), ("x-a", "ä"))


async def body() -> bytes:
    return b"message"


def exchange(context: Context | None = None, seconds: float | None = None) -> Exchange:
    return Exchange("/a.B/C", context or Context(), body, seconds=seconds, server=("127.0.0.1", 1))


@pytest.mark.parametrize(
    ("peer", "client"),
    [
        ("ipv4:10.1.2.3:5000", ("10.1.2.3", 5000)),
        ("ipv6:%5B::1%5D:5000", ("::1", 5000)),
        ("ipv6:[::1]:5000", ("::1", 5000)),
        ("unix:/tmp/a:5", None),
        ("unknown", None),
    ],
)
def test_scope(peer: str, client: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["client"] == client
        assert scope["headers"] == [(b"authorization", b"Bearer t"), (b"x-a", b"\xe4")]
        assert request_state(scope).timeout == 2.0
        assert (await receive())["body"] == b"message"
        await send({"type": START, "status": 200, "headers": [(b"a", b"b")]})
        await send({"type": "http.response.body", "body": b"an", "more_body": True})
        await send({"type": "http.response.body", "body": b"swer"})

    async def call() -> Answer:
        return await exchange(Context(peer), 2.0).run(app, set())

    answer = asyncio.run(call())
    assert (answer.status, answer.body) == (200, b"answer")


@pytest.mark.parametrize("seconds", [None, 60.0])
def test_a_client_that_goes(seconds: float | None) -> None:
    """The application hears of it, is not cancelled, and ends later than the call."""
    events: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        gone = asyncio.Event()
        unwatch = request_state(scope).on_disconnect(gone.set)  # type: ignore[misc]
        await receive()
        begun.set()
        await gone.wait()
        unwatch()
        assert (await receive())["type"] == "http.disconnect"
        events.append("ended")

    async def call() -> None:
        tasks: set[asyncio.Task[Any]] = set()
        running = asyncio.ensure_future(exchange(seconds=seconds).run(app, tasks))
        await begun.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await asyncio.gather(*tasks)

    begun = asyncio.Event()
    asyncio.run(call())
    assert events == ["ended"]


def test_a_stack_that_is_cut_off() -> None:
    """At the end of a shutdown's grace period its task is cancelled, and what it has answered is sent."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            await send({"type": START, "status": 503, "headers": []})

    async def call() -> Answer:
        tasks: set[asyncio.Task[Any]] = set()
        running = asyncio.ensure_future(exchange().run(app, tasks))
        await begun.wait()
        for task in tasks:
            task.cancel()
        return await running

    begun = asyncio.Event()
    assert asyncio.run(call()).status == 503


STATUSES = {
    200: "OK", 400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 404: "NOT_FOUND", 413: "RESOURCE_EXHAUSTED",
    415: "INVALID_ARGUMENT", 422: "INVALID_ARGUMENT", 429: "RESOURCE_EXHAUSTED", 499: "CANCELLED", 500: "INTERNAL",
    501: "UNIMPLEMENTED", 502: "UNAVAILABLE", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED", 507: "RESOURCE_EXHAUSTED",
    513: "FAILED_PRECONDITION", 599: "INTERNAL",
}  # fmt: skip


@pytest.mark.parametrize("status", STATUSES)
def test_statuses(status: int) -> None:
    assert status_code(status) is getattr(grpc.StatusCode, STATUSES[status])


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b'{"error": "no"}', "no"),
        (b'{"message": "no", "retry_after": 5}', "no"),
        (b"[1]", "[1]"),
        (b"plain \xff", "plain \ufffd"),
        ("ä".encode() * LONGEST_TEXT, "ä" * (LONGEST_TEXT // 2)),
    ],
)
def test_texts(content: bytes, text: str) -> None:
    assert status_text(Answer(503, (), content)) == text


def test_when_to_try_again() -> None:
    headers = ((b"x-request-id", b"abc"), (b"retry-after", b"5"), (b"content-type", b"application/json"))
    assert trailing_metadata(Answer(503, headers)) == (
        ("x-request-id", "abc"),
        ("retry-after", "5"),
        ("grpc-retry-pushback-ms", "5000"),
    )
