"""The client's body: passed on as it arrives, and kept up to a limit so that it can be sent again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any


class ClientGoneError(Exception):
    """The client left before its request was complete."""


class RequestBody:
    """``expected``: the head announces a body. ``copy``: its bytes so far, None once they are more than ``limit``.
    ``ended_at``: when its last byte came (``time.perf_counter()``)."""

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
        """Whether :meth:`chunks` can start from the beginning once more."""
        return self._kept is not None

    async def chunks(self) -> AsyncIterator[bytes]:
        """What has come already (another server may have had it), then what comes. Raises ClientGoneError."""
        if self._kept:
            yield bytes(self._kept)
        while not self._ended.is_set():
            chunk = await self._next()
            if chunk:
                yield chunk

    async def nothing(self) -> bytes:
        """For a request without a body: takes its end from the connection, returns no bytes."""
        while not self._ended.is_set():
            await self._next()
        return b""

    async def client_gone(self) -> None:
        """Return when the client leaves after its request was complete. Earlier, whoever reads the body finds out."""
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
