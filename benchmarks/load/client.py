"""A minimal HTTP/1.1 client: sends prepared bytes, returns the status and passes on chunks of the body."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator
from typing import cast

import httptools

from benchmarks.workload.prediction_request import PredictionRequest

HOST = "127.0.0.1"
OnBody = Callable[[bytes], None]


class LostError(Exception):
    """The connection ended before the answer did."""


class Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self) -> None:
        self.usable = True
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[int] | None = None
        self._on_body: OnBody | None = None
        self._delimited = False
        self._until_close = False
        """The head is complete, and the body ends with the connection."""

    async def send(self, request: bytes, on_body: OnBody | None = None) -> int:
        """Send ``request`` and return the status once the whole answer has arrived. Raises LostError."""
        if self._transport is None or not self.usable:
            raise LostError
        self._answer = asyncio.get_running_loop().create_future()
        self._on_body = on_body
        self._until_close = False
        self._transport.write(request)
        try:
            return await self._answer
        except asyncio.CancelledError:
            self.close()
            raise

    def close(self) -> None:
        self.usable = False
        if self._transport is not None:
            self._transport.abort()

    # asyncio.Protocol
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.usable = False
        if self._answer is None or self._answer.done():
            return
        if exc is None and self._until_close:
            self._answer.set_result(self._parser.get_status_code())
        else:
            self._answer.set_exception(LostError())

    # httptools
    def on_message_begin(self) -> None:
        self._delimited = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self._delimited |= name.lower() in (b"content-length", b"transfer-encoding")

    def on_headers_complete(self) -> None:
        self._until_close = not self._delimited

    def on_body(self, body: bytes) -> None:
        if self._on_body is not None:
            self._on_body(body)

    def on_message_complete(self) -> None:
        if not self._parser.should_keep_alive():
            self.usable = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(self._parser.get_status_code())
        self._parser = httptools.HttpResponseParser(self)


class Client:
    """Keep-alive connections to one port, as many as there are requests at once, up to ``most``."""

    def __init__(self, port: int, most: int = 512) -> None:
        self._port = port
        self._idle: list[Connection] = []
        self._free = asyncio.Semaphore(most)

    async def send(self, request: bytes, on_body: OnBody | None = None) -> int:
        """Send ``request`` and return the status. A request that was lost with an idle connection is sent again.

        Raises LostError or OSError.
        """
        async with self._free:
            while self._idle:
                connection = self._idle.pop()
                if connection.usable:
                    try:
                        return await self._on(connection, request, on_body)
                    except LostError:
                        break
            _, connection = await asyncio.get_running_loop().create_connection(Connection, HOST, self._port)
            return await self._on(connection, request, on_body)

    async def _on(self, connection: Connection, request: bytes, on_body: OnBody | None) -> int:
        status = await connection.send(request, on_body)
        if connection.usable:
            self._idle.append(connection)
        else:
            connection.close()
        return status

    def close(self) -> None:
        """Close the idle connections."""
        for connection in self._idle:
            connection.close()


def posts(request: PredictionRequest) -> Iterator[bytes]:
    """The requests as bytes on the wire, again and again from the first."""
    headers = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    head = f"POST {request.path} HTTP/1.1\r\nHost: {HOST}\r\n{headers}"
    wire = [f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body for body in request.bodies]
    return itertools.cycle(wire)


def get(path: str) -> bytes:
    """A GET as bytes on the wire."""
    return f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
