"""Answers that are compressed for clients that accept it. Off unless the operator names a size."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Final

from drum_litestar.media_types import EVENT_STREAM, qualities
from drum_litestar.middleware.asgi import BODY, START, ASGIApp, Header, Message, Receive, Scope, Send
from drum_litestar.middleware.content_coding.codings import Coding, available_codings

_IN_THREAD: Final = 64 * 1024
"""Bytes. Compressing more would keep the event loop for a millisecond."""
_WITHOUT_BODY: Final = frozenset({204, 206, 304})
_TEXTS: Final = (b"text/", b"application/json", b"application/xml", b"application/javascript", b"multipart/form-data")
_SUFFIXES: Final = (b"+json", b"+xml")


class ResponseCompressionMiddleware:
    """Compresses complete answers of ``above`` bytes or more with the coding that the client likes best.

    Only texts (JSON, CSV, a transform's form, ...), and only answers that come in one piece: streams are passed on as
    they come. ``Vary`` says so on each answer that could be compressed, a strong ``ETag`` becomes a weak one.
    """

    def __init__(self, app: ASGIApp, *, above: int) -> None:
        self.app = app
        self.above = above

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http":
            return self.app(scope, receive, send)
        accepted = b",".join([value for name, value in scope["headers"] if name == b"accept-encoding"])
        coding = None if scope["method"] == "HEAD" else choose_coding(accepted.decode("latin-1"))
        return self.app(scope, receive, _Compressing(send, coding, self.above))


class _Compressing:
    """``send`` that holds the head of an answer until its first bytes are there."""

    def __init__(self, send: Send, coding: Coding | None, above: int) -> None:
        self._send = send
        self._coding = coding
        self._above = above
        self._head: Message | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == START:
            if not _compressible(message):
                await self._send(message)
                return
            message = {**message, "headers": [*message.get("headers", ()), (b"vary", b"Accept-Encoding")]}
            if self._coding is None:
                await self._send(message)
            else:
                self._head = message
            return
        head, self._head = self._head, None
        if head is not None and message["type"] == BODY:
            body = message.get("body", b"")
            if self._coding is not None and len(body) >= self._above and not message.get("more_body", False):
                packed = await _compressed(self._coding, body)
                if len(packed) < len(body):
                    head = {**head, "headers": _headers(head["headers"], self._coding.name, len(packed))}
                    message = {**message, "body": packed}
            await self._send(head)
        await self._send(message)


def choose_coding(accepted: str) -> Coding | None:
    """The coding with the highest weight in ``Accept-Encoding``, of equal ones the better; None if the client wants
    none, or likes the plain answer more."""
    if not accepted:
        return None
    weights = qualities(accepted)
    others = weights.get("*", 0.0)
    best = max(available_codings(), key=lambda coding: weights.get(coding.name, others))  # the first of equal ones
    weight = weights.get(best.name, others)
    return best if weight > 0 and weight >= weights.get("identity", 0.0) else None


async def _compressed(coding: Coding, body: bytes) -> bytes:
    if len(body) <= _IN_THREAD:
        return coding.compress(body)
    return await asyncio.get_running_loop().run_in_executor(None, coding.compress, body)


def _compressible(head: Message) -> bool:
    media = b""
    for name, value in head.get("headers", ()):
        lowered = name.lower()
        if lowered == b"content-encoding" or (lowered == b"cache-control" and b"no-transform" in value.lower()):
            return False
        if lowered == b"content-type":
            media = value.partition(b";")[0].strip().lower()
    if head["status"] in _WITHOUT_BODY or media == EVENT_STREAM.encode():
        return False
    return media.startswith(_TEXTS) or media.endswith(_SUFFIXES)


def _headers(headers: list[Header], coding: str, size: int) -> list[Header]:
    """The head of the compressed answer."""
    changed = []
    for name, value in headers:
        if name.lower() == b"content-length":
            continue
        if name.lower() == b"etag" and not value.startswith(b"W/"):
            value = b"W/" + value  # the same content in other bytes
        changed.append((name, value))
    return [*changed, (b"content-encoding", coding.encode("ascii")), (b"content-length", b"%d" % size)]
