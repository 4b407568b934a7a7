"""The proxy of recording, shadow and canary: an ASGI app that streams both ways.

A :class:`Policy` routes each request and is called with the result. Bodies are forwarded as they arrive, a copy of them
is kept up to a limit, and a client's disconnect cancels its request.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, Protocol

import httpx
import msgspec

from drum_litestar.media_types import is_event_stream
from drum_litestar.tools.compare.live.request_body import ClientGoneError, RequestBody
from drum_litestar.tools.compare.messages import (
    REQUEST_ID,
    Answer,
    Headers,
    Request,
    decode_headers,
    encode_headers,
    end_to_end,
)
from drum_litestar.tools.compare.upstream import Upstream, describe

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

COPY_LIMIT: Final = 10 * 1024 * 1024
"""Bytes of one body that are kept for the policy; larger bodies are only forwarded."""


_ANSWERED_HERE: Final = frozenset(("expect",))


class Route(msgspec.Struct, frozen=True):
    """Server of a request; ``fallback`` gets the request when that server gives no answer at all.

    With ``ignore_disconnect`` a client that disconnects before the answer has begun does not end the request: otherwise
    clients with a timeout below the proxy's would hide a server that hangs.
    """

    server: Upstream
    fallback: Upstream | None = None
    ignore_disconnect: bool = False


class Exchange(msgspec.Struct, frozen=True):
    """A finished request. ``server`` gave ``answer``; ``failure`` is the first server's when the fallback answered.
    ``request_whole``: the body is kept; one that was too large is empty."""

    request: Request
    server: Upstream
    answer: Answer
    failure: Answer | None = None
    request_whole: bool = True

    @property
    def whole(self) -> bool:
        """Whether both bodies are complete."""
        return self.request_whole and self.answer.complete


class Policy(Protocol):
    """Interface of recorder, shadow and canary. Both methods run in the event loop and must not block."""

    def route(self, request_id: str) -> Route: ...

    def finished(self, exchange: Exchange) -> None:
        """Called once for each finished request: its client stayed connected, or its disconnect was ignored."""
        ...


class Proxy:
    """The ASGI app. ``sticky_header`` is the header of the request id; a missing one is generated and forwarded."""

    def __init__(self, policy: Policy, *, sticky_header: str = REQUEST_ID, copy_limit: int = COPY_LIMIT) -> None:
        self._policy = policy
        self._sticky_header = sticky_header
        self._copy_limit = copy_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        call = _Call(
            self._policy, self._head(scope), RequestBody(scope, receive, self._copy_limit), send, self._copy_limit
        )
        relay = asyncio.ensure_future(call.run())
        gone = asyncio.ensure_future(call.body.client_gone())
        try:
            await asyncio.wait({relay, gone}, return_when=asyncio.FIRST_COMPLETED)
            call.client_left = gone.done()
            if call.ignore_disconnect:
                await asyncio.wait({relay})
            if relay.done():
                relay.result()
        finally:
            for task in (relay, gone):
                task.cancel()
            await asyncio.gather(relay, gone, return_exceptions=True)

    def _head(self, scope: Scope) -> Request:
        """The request without its body. Host is kept, because servers build redirects from it."""
        headers = end_to_end(decode_headers(scope["headers"]), drop=_ANSWERED_HERE)
        known = (value for name, value in headers if name.lower() == self._sticky_header.lower())
        request_id = next(known, "")
        if not request_id:
            request_id = uuid.uuid4().hex
            headers += ((self._sticky_header, request_id),)
        target = scope["raw_path"].decode("latin-1")
        if scope["query_string"]:
            target += "?" + scope["query_string"].decode("latin-1")
        return Request(request_id, scope["method"], target, headers)


class _Call:
    """One proxied request."""

    def __init__(self, policy: Policy, head: Request, body: RequestBody, send: Send, copy_limit: int) -> None:
        self.policy = policy
        self.head = head
        self.body = body
        self.send = send
        self.copy_limit = copy_limit
        self.ignore_disconnect = False
        self.client_left = False

    async def run(self) -> None:
        route = self.policy.route(self.head.id)
        self.ignore_disconnect = route.ignore_disconnect
        failure: Answer | None = None
        try:
            server, opened = route.server, await self._open(route.server)
            if isinstance(opened, Answer) and route.fallback is not None and self.body.repeatable:
                server, failure = route.fallback, opened
                opened = await self._open(server)
            self.ignore_disconnect = False
            answer = await (self._refuse(opened) if isinstance(opened, Answer) else self._relay(opened))
        except ClientGoneError:
            return
        copy = self.body.copy
        request = msgspec.structs.replace(self.head, body=copy or b"")
        self.policy.finished(Exchange(request, server, answer, failure, copy is not None))

    async def _open(self, server: Upstream) -> httpx.Response | Answer:
        self.started = time.perf_counter()
        content = self.body.chunks() if self.body.expected else await self.body.nothing()
        try:
            return await server.open(self.head.method, self.head.target, self.head.headers, content)
        except (httpx.TransportError, OSError) as failure:
            return Answer(0, seconds=self._elapsed(), error=describe(failure))

    async def _relay(self, response: httpx.Response) -> Answer:
        headers = decode_headers(response.headers.raw)
        if self.client_left and is_event_stream(response.headers.get("content-type", "")):
            await response.aclose()  # it may be endless, and has no reader
            raise ClientGoneError
        passed: Headers = end_to_end(headers)
        kept: bytearray | None = bytearray()
        error: str | None = None
        try:
            await self._start(response.status_code, passed)
            async for chunk in response.aiter_raw():
                await self.send({"type": "http.response.body", "body": chunk, "more_body": True})
                if kept is not None:
                    kept += chunk
                    if len(kept) > self.copy_limit:
                        kept = None
        except (httpx.TransportError, OSError) as failure:
            error = describe(failure)  # the response stays incomplete, so the client's connection is closed too
        finally:
            await response.aclose()
        seconds = self._elapsed()
        if error is None:
            await self.send({"type": "http.response.body", "body": b""})
        return Answer(response.status_code, headers, bytes(kept or b""), seconds, error, kept is not None)

    async def _refuse(self, failure: Answer) -> Answer:
        body = msgspec.json.encode({"message": f"ERROR: no answer from the server behind this proxy: {failure.error}"})
        await self._start(502, (("Content-Type", "application/json"), ("Content-Length", str(len(body)))))
        await self.send({"type": "http.response.body", "body": body})
        return failure

    async def _start(self, status: int, headers: Headers) -> None:
        await self.send({"type": "http.response.start", "status": status, "headers": encode_headers(headers)})

    def _elapsed(self) -> float:
        """Seconds since the request was sent completely: a slow upload is not the server's latency."""
        return time.perf_counter() - max(self.started, self.body.ended_at or 0.0)
