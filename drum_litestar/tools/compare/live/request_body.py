"""The client's request body: forwarded as it arrives, and kept up to a limit so that it can be sent again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any


class ClientGoneError(Exception):
    """The client disconnected before its request was complete."""


class RequestBody:
    """A request body. ``expected``: the head announces a body. ``copy``: its bytes so far, None above ``limit``.
    ``ended_at``: arrival of its last byte (``time.perf_counter()``)."""

    def __init__(
        self, scope: MutableMapping[str, Any], receive: Callable[[], Awaitable[MutableMapping[str, Any]]], limit: int
    ) -> None:
        headers = dict(scope["headers"])
        self.expected = b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"
        self.ended_at: float | None = None
        self._receive = receive
        self._limit = limit
        self._kept: bytearray | None = bytearray()
        self._ended = asyncio.Event()

    @property
    def copy(self) -> bytes | None:
        return None if self._kept is None else bytes(self._kept)

    @property
    def repeatable(self) -> bool:
        """Whether :meth:`chunks` can start again from the beginning."""
        return self._kept is not None

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the kept bytes, then chunks as they arrive. Raises ClientGoneError."""
        if self._kept:
            yield bytes(self._kept)
        while not self._ended.is_set():
            chunk = await self._next()
            if chunk:
                yield chunk

    async def nothing(self) -> bytes:
        """Read the end of a request without a body; returns no bytes."""
        while not self._ended.is_set():
            await self._next()
        return b""

    async def client_gone(self) -> None:
        """Wait for a disconnect after the end of the request. An earlier disconnect raises in the body's reader."""
        await self._ended.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _next(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        chunk: bytes = message.get("body", b"")
        if self._kept is not None:
            self._kept += chunk
            if len(self._kept) > self._limit:
                self._kept = None
        if not message.get("more_body", False):
            self.ended_at = time.perf_counter()
            self._ended.set()
        return chunk
