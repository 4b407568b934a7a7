"""Helpers for tests of single middlewares: one request to an ASGI app, without a server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from drum_litestar.middleware.asgi import ASGIApp, Message, Receive, Scope, Send
from drum_litestar.request_state import request_state


@dataclass
class Answer:
    messages: list[Message] = field(default_factory=list)

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        return list(self.messages[0]["headers"])

    def header(self, name: bytes) -> bytes | None:
        values = [value for key, value in self.headers if key == name]
        assert len(values) < 2, values
        return values[0] if values else None

    @property
    def body(self) -> bytes:
        assert self.messages[0]["type"] == "http.response.start"
        assert {message["type"] for message in self.messages[1:]} == {"http.response.body"}
        assert not self.messages[-1].get("more_body")
        return b"".join(message.get("body", b"") for message in self.messages[1:])

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def http_scope(path: str = "/predict/", method: str = "POST", **fields: Any) -> Scope:
    scope: dict[str, Any] = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [],
        "client": ("192.0.2.1", 4711),
        "state": {},
    }
    return {**scope, **fields}


def carrying(**fields: Any) -> dict[str, Any]:
    """The ``state`` of a scope whose request carries ``fields``."""
    scope: Scope = {}
    request = request_state(scope)
    for name, value in fields.items():
        setattr(request, name, value)
    state: dict[str, Any] = scope["state"]
    return state


async def call(app: ASGIApp, scope: Scope, body: Iterable[bytes] = (b"",)) -> Answer:
    """Call ``app`` with ``body`` chunk by chunk; after its end ``receive`` returns a disconnect."""
    chunks = list(body)
    answer = Answer()

    async def receive() -> Message:
        if not chunks:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": chunks.pop(0), "more_body": bool(chunks)}

    async def send(message: Message) -> None:
        answer.messages.append(message)

    await app(scope, receive, send)
    return answer


def ask(app: ASGIApp, scope: Scope | None = None, body: Iterable[bytes] = (b"",)) -> Answer:
    return asyncio.run(call(app, http_scope() if scope is None else scope, body))


def replying(
    body: bytes = b"ok", status: int = 200, headers: Iterable[tuple[bytes, bytes]] = ()
) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """Make an app that always sends the same message objects: a middleware must not change them."""
    start: Message = {"type": "http.response.start", "status": status, "headers": list(headers)}
    end: Message = {"type": "http.response.body", "body": body}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start)
        await send(end)

    return app


def raising(error: BaseException, *, after_start: bool = False) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if after_start:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        raise error

    return app
