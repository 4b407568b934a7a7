"""Responses: for the executor's replies, whose bytes are not changed, and for JSON of our own."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from itertools import chain
from typing import Any, Final, TypeVar

import msgspec
from litestar import Response
from litestar.datastructures import Cookie
from litestar.types import ASGIApp, Receive, Scope, Send

from drum_litestar.drum_json import drum_json
from drum_litestar.errors import RequestError
from drum_litestar.execution.executor import ReplyStream
from drum_litestar.http.interrupts import while_connected
from drum_litestar.media_types import JSON, is_event_stream
from drum_litestar.messages.server_messages import ProbeAnswer
from drum_litestar.predictors.protocol import Reply, StreamHead
from drum_litestar.request_state import error_json, request_state

logger = logging.getLogger(__name__)

T = TypeVar("T")
Headers = tuple[tuple[str, str], ...]
RawHeaders = list[tuple[bytes, bytes]]

_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_OK: Final = drum_json(msgspec.to_builtins(ProbeAnswer("OK")))
_FRAMING: Final = frozenset(
    {"connection", "content-length", "content-type", "keep-alive", "trailer", "transfer-encoding", "upgrade"}
)
"""Headers that depend on how the response is sent, so a hook cannot set them."""


class UnusableReplyError(ValueError):
    """User code asked for a status or a header that HTTP cannot carry."""


class _WithPairs(Response[T]):
    """A Litestar response with extra headers, repeats allowed, that encodes its own headers."""

    __slots__ = ("pairs",)
    pairs: Headers

    def to_asgi_response(  # type: ignore[override]  # Litestar runs any ASGI application
        self,
        app: Any = None,
        request: Any = None,
        *,
        headers: dict[str, str] | None = None,
        cookies: Iterable[Cookie] | None = None,
        **_: Any,
    ) -> ASGIApp:
        """The ASGI application that Litestar runs. What its layers add (``headers``, ``cookies``) is kept; their
        defaults are not needed."""
        raw = []
        if self.media_type is not None:
            raw.append((b"content-type", self.media_type.encode("latin-1")))
        for name, value in chain(self.pairs, self.headers.items(), headers.items() if headers else ()):
            raw.append((name.lower().encode("latin-1"), str(value).encode("latin-1")))
        raw.extend(cookie.to_encoded_header() for cookie in chain(self.cookies, cookies or ()))
        return self.to_wire(raw)

    def to_wire(self, raw: RawHeaders) -> ASGIApp:
        raise NotImplementedError


class BytesResponse(_WithPairs[bytes]):
    """A complete answer: exactly this body, and exactly this Content-Type (None sends none)."""

    __slots__ = ()

    def __init__(self, body: bytes, *, status: int = 200, content_type: str | None = JSON, pairs: Headers = ()) -> None:
        super().__init__(body, status_code=status, media_type=content_type)
        self.pairs = pairs

    def to_wire(self, raw: RawHeaders) -> ASGIApp:
        if self.status_code in (204, 304):
            return _BytesAnswer(self, raw, b"")
        raw.append((b"content-length", b"%d" % len(self.content)))
        return _BytesAnswer(self, raw, self.content)


def json_response(body: dict[str, Any] | msgspec.Struct, *, status: int = 200, pairs: Headers = ()) -> BytesResponse:
    """Build the response with ``body`` as DRUM's JSON."""
    return BytesResponse(
        drum_json(msgspec.to_builtins(body) if isinstance(body, msgspec.Struct) else body), status=status, pairs=pairs
    )


def error_response(request: Any, body: dict[str, Any], *, status: int, pairs: Headers = ()) -> BytesResponse:
    """Build the response to ``request`` with ``body`` of an error, in the form of its route."""
    return BytesResponse(error_json(request.scope, body), status=status, pairs=pairs)


def ok_response() -> BytesResponse:
    """Build the answer to a probe that passes."""
    return BytesResponse(_OK)


def server_timing(seconds: Mapping[str, float]) -> Headers:
    """The header with the times of a request's steps, in milliseconds."""
    return (("Server-Timing", ", ".join(f"{name};dur={1000 * each:.3f}" for name, each in seconds.items())),)


class StreamResponse(_WithPairs[ReplyStream]):
    """A streamed answer, sent as it is produced. The stream is closed with the request's resources."""

    __slots__ = ()

    def __init__(self, stream: ReplyStream, *, pairs: Headers = ()) -> None:
        super().__init__(stream, status_code=stream.head.status, media_type=stream.head.content_type)
        self.pairs = pairs

    def to_wire(self, raw: RawHeaders) -> ASGIApp:
        return _StreamAnswer(self, raw, self.content)


class NoResponse(Response[None]):
    """No response, for a client that has disconnected."""

    def __init__(self) -> None:
        super().__init__(None)

    def to_asgi_response(self, app: Any = None, request: Any = None, **_: Any) -> ASGIApp:  # type: ignore[override]
        return _send_nothing


class SingleChunk:
    """A complete reply with the interface of a stream (``/predictionsStream/`` of a model that does not stream)."""

    def __init__(self, reply: Reply) -> None:
        self.head = StreamHead(status=reply.status, content_type=reply.content_type or JSON, headers=reply.headers)
        self._body = reply.body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body

    async def aclose(self) -> None:
        """No-op: no generator is running."""


def to_response(reply: Reply | ReplyStream, *, extra: Headers = ()) -> BytesResponse | StreamResponse:
    """Build the response for an executor's reply, with ``extra`` headers of ours.

    Raises UnusableReplyError for a status or header of user code that must not be sent.
    """
    if isinstance(reply, Reply):
        _check(reply.status, reply.content_type, reply.headers)
        pairs = (*_without_framing(reply.headers), *extra)
        return BytesResponse(reply.body, status=reply.status, content_type=reply.content_type, pairs=pairs)
    head = reply.head
    _check(head.status, head.content_type, head.headers)
    return StreamResponse(reply, pairs=(*_without_framing(head.headers), *extra))


def _check(status: int, content_type: str | None, headers: Headers) -> None:
    if not 200 <= status <= 999:
        raise UnusableReplyError(f"unusable response status: {status}")
    if content_type is not None and content_type != JSON and not _VALUE.fullmatch(content_type):
        raise UnusableReplyError(f"unusable response content type: {content_type!r}")
    for name, value in headers:
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise UnusableReplyError(f"unusable response header: {name!r}: {value!r}")


def _without_framing(headers: Headers) -> Headers:
    return tuple([pair for pair in headers if pair[0].lower() not in _FRAMING]) if headers else ()


def sse_error(error: Exception) -> bytes:
    """Encode the event that ends a failed stream (contract, Q-16), in the form that OpenAI clients raise."""
    code = error.status if isinstance(error, RequestError) else 500
    text = str(error) if isinstance(error, RequestError) else "Internal server error"
    body = drum_json({"error": {"code": code, "message": text, "type": "server_error"}})
    return b"data: " + body + b"\n"


class _Answer:
    """An ASGI application that sends one answer, with its headers as they are."""

    __slots__ = ("_background", "_headers", "_status")

    def __init__(self, response: Response[Any], headers: RawHeaders) -> None:
        self._status = response.status_code or 200
        self._headers = headers
        self._background = response.background

    async def _start(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self._status, "headers": self._headers})

    async def _end(self) -> None:
        """Run the background task that a hook of the application has attached to the response."""
        if self._background is not None:
            await self._background()


class _BytesAnswer(_Answer):
    __slots__ = ("_body",)

    def __init__(self, response: Response[Any], headers: RawHeaders, body: bytes) -> None:
        super().__init__(response, headers)
        self._body = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._start(send)
        body = b"" if scope.get("method") == "HEAD" else self._body
        await send({"type": "http.response.body", "body": body, "more_body": False})
        await self._end()


class _StreamAnswer(_Answer):
    """Sends chunks one by one and stops when the client leaves."""

    __slots__ = ("_stream",)

    def __init__(self, response: Response[Any], headers: RawHeaders, stream: ReplyStream) -> None:
        super().__init__(response, headers)
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await while_connected(request_state(scope), receive, self._send(send))
        await self._end()

    async def _send(self, send: Send) -> None:
        """Raises what the stream raised, unless an event stream can carry the error as an event."""
        await self._start(send)
        try:
            async for chunk in self._stream:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            last = b""
        except Exception as error:
            if not is_event_stream(self._stream.head.content_type):
                raise  # the server cuts the connection, so that the client can tell that the answer is truncated
            logger.error("A stream broke off: %s", error, exc_info=not isinstance(error, RequestError))
            last = sse_error(error)
        await send({"type": "http.response.body", "body": last, "more_body": False})


async def _send_nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """An ASGI application that sends nothing: the connection is gone."""
