"""ASGI types, helpers for scopes, and the function with which every middleware answers an error."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final

from drum_litestar.errors import RequestError
from drum_litestar.request_state import error_json

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]
"""A middleware with nothing to do after the app may be a plain function that returns the app's awaitable: a coroutine
around a coroutine costs more than most of them do. (uvicorn takes such a function for ASGI 2 without ``asgi3``.)"""
Header = tuple[bytes, bytes]
OnRejected = Callable[[str], None]
"""Called when a middleware refuses a request, for metrics; the argument is one of a few fixed words."""

START: Final = "http.response.start"
BODY: Final = "http.response.body"

CLIENT_CLOSED: Final = 499
"""Status recorded (never sent) for a request whose client left before its answer began; nginx's number."""


def header(scope: Scope, name: bytes) -> bytes | None:
    """Return the first request header ``name`` (lower case, as ASGI servers deliver names); None when absent."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value)
    return None


def encode_headers(pairs: Iterable[tuple[str, str]]) -> list[Header]:
    """Encode header pairs for ASGI: names in lower case, latin-1 bytes."""
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in pairs]


async def send_error(scope: Scope, send: Send, error: RequestError, *, close: bool = False) -> None:
    """Answer the request with ``error``'s status, headers and body.

    ``close`` asks the server to close the connection: for answers given while the client still uploads.
    """
    body = error_json(scope, error.body())
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode("ascii")),
        *encode_headers(error.headers),
    ]
    if close:
        headers.append((b"connection", b"close"))
    await send({"type": START, "status": error.status, "headers": headers})
    await send({"type": BODY, "body": body})
