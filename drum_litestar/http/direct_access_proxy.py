"""``/directAccess/<path>`` and ``/nim/<path>``: a transparent streaming proxy to the LLM server (contract, 3.15, Q-13).

Nothing is buffered or decoded, redirects are not followed: the upstream's response is relayed unchanged except for
hop-by-hop headers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import quote, unquote_to_bytes

import httpx
from litestar import Response
from litestar.types import ASGIApp, Receive, Scope, Send

from drum_litestar.errors import BadRequestError, RequestError, UpstreamError, UpstreamTimeoutError
from drum_litestar.http.app_options import AnyRequest, AnyResponse, normalize_prefix
from drum_litestar.http.bodies import BodyStream, ClientGoneError
from drum_litestar.http.interrupts import Interrupt, watch_disconnect, while_connected
from drum_litestar.http.replies import NoResponse
from drum_litestar.http.routes import DIRECT_ACCESS
from drum_litestar.observability.tracing.request_tracer import Tracing, upstream_answered
from drum_litestar.observability.tracing.spans import mark_failed
from drum_litestar.request_state import request_state

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT: Final = 10.0
IDLE_CONNECTIONS: Final = 20
_ROUTES: Final = tuple(name.encode() for name in DIRECT_ACCESS)
_HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
_REQUEST_ONLY: Final = frozenset({b"host", b"expect"})
"""The upstream has its own host name, and our server handles ``Expect: 100-continue``."""

Headers = list[tuple[bytes, bytes]]


class DirectAccessProxy:
    """Forwards requests through one pooled client, created on first use and bound to one event loop."""

    def __init__(self, *, timeout: float, url_prefix: str = "", tracing: Tracing | None = None) -> None:
        """``timeout``: seconds without data from the upstream (``NIM_DIRECT_ACCESS_REQUEST_TIMEOUT``), at most 10 to
        connect."""
        self._timeout = httpx.Timeout(timeout, connect=min(timeout, CONNECT_TIMEOUT))
        self._tracing = tracing or Tracing()
        self._prefix = [part.encode() for part in normalize_prefix(url_prefix).split("/") if part]
        self._client: httpx.AsyncClient | None = None

    async def __call__(self, request: AnyRequest, base_url: str) -> AnyResponse:
        """Forward ``request`` and return the upstream's response, its body still unread.

        Raises BadRequestError for a path that could leave the upstream's tree, UpstreamError (502),
        UpstreamTimeoutError (504), BodyTooLargeError.
        """
        scope: Any = request.scope
        state = request_state(scope)
        body = BodyStream(scope, request.receive)
        interrupt = Interrupt()
        unwatch: Callable[[], object] | None = None

        async def chunks() -> AsyncIterator[bytes]:
            nonlocal unwatch
            while chunk := await body.read():
                yield chunk
            unwatch = watch_disconnect(state, request.receive, interrupt)

        with_body = _has_body(scope["headers"])
        outbound = self._outbound(scope, base_url, chunks() if with_body else None)
        if not with_body:
            unwatch = watch_disconnect(state, request.receive, interrupt)
        try:
            upstream = await self._send(outbound)
        except ClientGoneError:
            return NoResponse()
        except asyncio.CancelledError:
            if not interrupt.absorb():
                raise
            return NoResponse()
        finally:
            if unwatch is not None:
                unwatch()
        state.resources = upstream  # the application closes it, however the request ends
        return _UpstreamResponse(upstream)

    async def aclose(self, _: object = None) -> None:
        """Close the pool. Idempotent."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def _outbound(self, scope: Any, base_url: str, content: AsyncIterator[bytes] | None) -> httpx.Request:
        target = self._path(scope.get("raw_path") or quote(scope["path"]).encode())
        if scope["query_string"]:
            target += b"?" + scope["query_string"]
        if not target.isascii():
            raise BadRequestError("The path and the query must be ASCII")
        # Not through the client's build_request: that adds headers of its own.
        return httpx.Request(
            scope["method"],
            httpx.URL(base_url).copy_with(raw_path=target),
            headers=_end_to_end(scope["headers"], _REQUEST_ONLY),
            content=content,
            extensions={"timeout": self._timeout.as_dict()},
        )

    def _path(self, raw: bytes) -> bytes:
        """Return the raw path after the route's name, checked to stay below the upstream's root."""
        lead, rest = len(self._prefix) + 1, raw.split(b"?", 1)[0]
        found: list[bytes] = []
        while rest and len(found) < lead:
            segment, _, rest = rest.partition(b"/")
            if segment:
                found.append(unquote_to_bytes(segment))
        if found[:-1] != self._prefix or not found or found[-1] not in _ROUTES:
            raise BadRequestError("The path cannot be forwarded")
        # Some servers decode slashes and backslashes: relative segments between them would leave the root.
        decoded = unquote_to_bytes(rest).replace(b"\\", b"/")
        if any(part in (b".", b"..") for part in decoded.split(b"/")):
            raise BadRequestError("The path must not contain relative segments")
        return b"/" + rest.lstrip(b"/")  # two slashes at the front would name another host

    async def _send(self, outbound: httpx.Request) -> Upstream:
        url = outbound.url.copy_with(query=None, userinfo=b"")  # without secrets
        with self._tracing.upstream_call(outbound.method, str(url), outbound.headers) as span:
            try:
                with _upstream_errors():
                    response = await self._pool().send(outbound, stream=True, follow_redirects=False)
            except RequestError as error:
                logger.warning("%s %s: %s", outbound.method, url, error)
                if isinstance(error, (UpstreamError, UpstreamTimeoutError)):
                    mark_failed(span, error)
                raise
            upstream_answered(span, response.status_code)
        return Upstream(response)

    def _pool(self) -> httpx.AsyncClient:
        if self._client is None:
            limits = httpx.Limits(max_connections=None, max_keepalive_connections=IDLE_CONNECTIONS)
            # Proxies and .netrc of the environment do not apply: the upstream is the model's own sidecar.
            self._client = httpx.AsyncClient(limits=limits, trust_env=False)
        return self._client


class Upstream:
    """The upstream's response, whose head has arrived, with its connection."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response

    async def aclose(self) -> None:
        """Return the connection to the pool, or close it if the body was not read to its end. Idempotent."""
        await self.response.aclose()


class _UpstreamResponse(Response[Upstream]):
    """An upstream's answer as a response of Litestar's, to which its layers may add headers."""

    def __init__(self, upstream: Upstream) -> None:
        super().__init__(upstream, status_code=upstream.response.status_code)

    def to_asgi_response(self, app: Any = None, request: Any = None, **_: Any) -> ASGIApp:  # type: ignore[override]
        added = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in self.headers.items()]
        return _UpstreamAnswer(self.content, added)


class _UpstreamAnswer:
    """Sends the upstream's bytes as they come, and stops when the client leaves."""

    def __init__(self, upstream: Upstream, added: Headers) -> None:
        self._upstream = upstream.response
        self._added = added

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await while_connected(request_state(scope), receive, self._relay(send))

    async def _relay(self, send: Send) -> None:
        upstream = self._upstream
        headers = [*_end_to_end((name.lower(), value) for name, value in upstream.headers.raw), *self._added]
        await send({"type": "http.response.start", "status": upstream.status_code, "headers": headers})
        # Not caught: the server cuts the connection, so that the client sees a truncated answer.
        with _upstream_errors():
            async for chunk in upstream.aiter_raw():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


@contextmanager
def _upstream_errors() -> Iterator[None]:
    """Raise httpx's exceptions as ours."""
    try:
        yield
    except httpx.ConnectTimeout as error:
        raise UpstreamTimeoutError("The LLM server does not accept connections") from error
    except httpx.TimeoutException as error:
        raise UpstreamTimeoutError("The LLM server did not answer in time") from error
    except httpx.ConnectError as error:
        raise UpstreamError(f"The LLM server cannot be reached: {error}") from error
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
        raise UpstreamError(f"The LLM server's answer cannot be used: {error}") from error


def _has_body(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    return any(name in (b"content-length", b"transfer-encoding") for name, _ in headers)


def _end_to_end(headers: Iterable[tuple[bytes, bytes]], also: frozenset[bytes] = frozenset()) -> Headers:
    """Return ``headers`` (lower-case names) without hop-by-hop headers, those named by ``Connection``, and ``also``."""
    pairs = list(headers)
    listed = {token.strip().lower() for name, value in pairs if name == b"connection" for token in value.split(b",")}
    dropped = _HOP_BY_HOP | also | listed
    return [(name, value) for name, value in pairs if name not in dropped]
