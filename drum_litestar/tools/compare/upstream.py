"""Client of one of the two servers: sends requests unchanged, streamed or whole."""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx

from drum_litestar.errors import UsageError
from drum_litestar.tools.compare.messages import Answer, Headers, Request, decode_headers, encode_headers

IDLE_SECONDS: Final = 1.0
"""Idle connections are closed before the server closes them: a request on a closing connection would count as the
server's failure."""
CONNECT_SECONDS: Final = 5.0


class Upstream:
    """The server at ``url``, whose path, if any, is put before each target.

    ``timeout`` (seconds) limits each read, and in :meth:`fetch` the whole call. ``ca_file``: trusted
    certificates for https, the system's by default. Proxies from the environment are not used.
    """

    def __init__(self, name: str, url: str, *, timeout: float = 60.0, ca_file: Path | None = None) -> None:
        self.name = name
        self.url = url
        self._timeout = timeout
        split = urlsplit(url)
        self._prefix = split.path.rstrip("/")
        self._base = httpx.URL(f"{split.scheme}://{split.netloc}/")
        verify: ssl.SSLContext | bool = False
        if split.scheme == "https":
            try:
                verify = ssl.create_default_context(cafile=ca_file)
            except (OSError, ssl.SSLError) as error:
                raise UsageError(f"--ca-file {ca_file}: cannot be used: {error}") from error
        self._client = httpx.AsyncClient(
            verify=verify,
            trust_env=False,
            timeout=httpx.Timeout(timeout, connect=min(timeout, CONNECT_SECONDS), pool=None),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=64, keepalive_expiry=IDLE_SECONDS),
        )

    async def open(
        self, method: str, target: str, headers: Headers, body: AsyncIterator[bytes] | bytes
    ) -> httpx.Response:
        """Send and return the head of the answer; the caller reads ``aiter_raw()`` and calls ``aclose()``.

        The target is sent byte for byte. Raises httpx.TransportError or OSError.
        """
        request = httpx.Request(
            method,
            self._base,
            headers=encode_headers(headers),
            content=body,
            extensions={
                "target": (self._prefix + target).encode("latin-1"),
                "timeout": self._client.timeout.as_dict(),
            },
        )
        return await self._client.send(request, stream=True)

    async def fetch(self, request: Request) -> Answer:
        """Send ``request`` and return the whole answer. Never raises: a failure is in ``Answer.error``."""
        started = time.perf_counter()
        try:
            return await asyncio.wait_for(self._fetch(request, started), self._timeout)
        except asyncio.TimeoutError:
            return Answer(0, seconds=time.perf_counter() - started, error=f"no answer within {self._timeout:g} s")

    async def _fetch(self, request: Request, started: float) -> Answer:
        status = 0
        headers: Headers = ()
        body = bytearray()  # kept up to a failure
        error: str | None = None
        try:
            response = await self.open(request.method, request.target, request.headers, request.body)
            status, headers = response.status_code, decode_headers(response.headers.raw)
            try:
                async for chunk in response.aiter_raw():
                    body += chunk
            finally:
                await response.aclose()
        except (httpx.TransportError, OSError) as failure:
            error = describe(failure)
        return Answer(status, headers, bytes(body), time.perf_counter() - started, error)

    async def check_reachable(self) -> str | None:
        """Return None when the server answers ``/ping/`` and is ready, else the reason."""
        answer = await self.fetch(Request("reachable", "GET", "/ping/"))
        return f"not ready: {answer.summary()} for /ping/" if answer.unavailable and not answer.failed else answer.error

    async def close(self) -> None:
        await self._client.aclose()


def _root(failure: BaseException) -> str:
    """The operating system's error text, which the client's exceptions wrap."""
    deeper: BaseException | None = failure
    while deeper is not None:
        if isinstance(deeper, OSError) and deeper.errno is not None and deeper.errno > 0:  # not a code of the resolver
            return os.strerror(deeper.errno)
        deeper = deeper.__cause__ or deeper.__context__
    return str(failure)


def describe(failure: Exception) -> str:
    """Describe a transport failure in one line."""
    if isinstance(failure, httpx.ConnectError):
        return f"cannot connect: {_root(failure)}"
    if isinstance(failure, httpx.TimeoutException):
        return f"timeout ({type(failure).__name__})"
    return f"{type(failure).__name__}: {failure}".rstrip(": ")
