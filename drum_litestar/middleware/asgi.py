"""ASGI types, and the one way in which the stack answers an error."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final

from drum_litestar.drum_json import drum_json
from drum_litestar.errors import RequestError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]
"""A layer with nothing to do after the app may be a plain function that returns the app's own awaitable: a coroutine
around a coroutine costs more than most layers do. (uvicorn takes such a function for ASGI 2 unless told: ``asgi3``.)"""
Header = tuple[bytes, bytes]
OnRejected = Callable[[str], None]
"""Told when a layer refuses a request, for metrics; the argument is one of a few fixed words."""

START: Final = "http.response.start"
BODY: Final = "http.response.body"


def header(scope: Scope, name: bytes) -> bytes | None:
    """The first request header called ``name`` (lower case, as ASGI servers deliver names); None when absent."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value)
    return None


def state(scope: Scope) -> dict[str, Any]:
    """``scope["state"]``, created where the server left it out."""
    found: dict[str, Any] | None = scope.get("state")
    if found is None:
        found = scope["state"] = {}
    return found


def encode_headers(pairs: Iterable[tuple[str, str]]) -> list[Header]:
    """Header pairs as ASGI wants them: names in lower case, latin-1 bytes."""
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in pairs]


async def send_error(send: Send, error: RequestError, *, close: bool = False) -> None:
    """Answer with ``error``'s status, headers and body (DRUM's JSON).

    ``close`` asks the server to close the connection: for answers given while the client still uploads.
    """
    body = drum_json(error.body())
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode("ascii")),
        *encode_headers(error.headers),
    ]
    if close:
        headers.append((b"connection", b"close"))
    await send({"type": START, "status": error.status, "headers": headers})
    await send({"type": BODY, "body": body})
