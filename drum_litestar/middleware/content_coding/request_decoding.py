"""Request bodies that are compressed: undone while they arrive."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from typing import Final

from drum_litestar.errors import BadRequestError, MissingExtraError, UnsupportedCodingError
from drum_litestar.middleware.asgi import ASGIApp, Message, Receive, Scope, Send, send_error
from drum_litestar.middleware.content_coding.codings import Coding, CodingError, available_codings, find_coding
from drum_litestar.request_state import request_state

_NO_CODING: Final = frozenset({"", "identity", "utf-8", "utf8", "ascii", "us-ascii", "iso-8859-1", "latin-1"})
"""``Content-Encoding`` of bodies that are as they are. DRUM ignores the header, so clients may name a charset in it."""
_DROPPED: Final = frozenset({b"content-encoding", b"content-length"})
_LONGEST_MAGIC: Final = 4


class RequestDecodingMiddleware:
    """Undoes the ``Content-Encoding`` of bodies, for the routes whose row says so.

    The app gets the body as it was before, in pieces of bounded size between which other requests run, and neither
    ``Content-Encoding`` nor ``Content-Length``. A coding that cannot be undone here gets 415 with the possible ones in
    ``Accept-Encoding`` (RFC 9110, 12.5.3); a damaged body raises BadRequestError in ``receive``. A body that does not
    begin as its coding does is passed on as it is: DRUM ignores the header, and proxies undo codings without removing
    it.

    Args:
        app: the wrapped ASGI application.
        counted: the same, which counts bytes as they pass and refuses a body that grows too large.
    """

    def __init__(self, app: ASGIApp, *, counted: ASGIApp) -> None:
        self.app = app
        self.counted = counted

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http":
            return self.app(scope, receive, send)
        for name, _ in scope["headers"]:
            if name == b"content-encoding":
                break
        else:
            return self.app(scope, receive, send)
        if not request_state(scope).route.decodes:
            return self.app(scope, receive, send)
        names = [value.decode("latin-1") for name, value in scope["headers"] if name == b"content-encoding"]
        named = [word.strip().lower() for word in ",".join(names).split(",")]
        codings = [name for name in named if name not in _NO_CODING]
        return self._decoded(codings, scope, receive, send) if codings else self.app(scope, receive, send)

    async def _decoded(self, codings: list[str], scope: Scope, receive: Receive, send: Send) -> None:
        try:
            coding = find_coding(codings[0]) if len(codings) == 1 else None
        except MissingExtraError as error:
            await send_error(scope, send, _unsupported(codings, str(error)))
            return
        if coding is None:
            await send_error(scope, send, _unsupported(codings))
            return
        # in place: outer parts look into this scope after the request
        scope["headers"] = [pair for pair in scope["headers"] if pair[0] not in _DROPPED]
        await self.counted(scope, _Decoding(coding, receive), send)


class _Decoding:
    """``receive`` of the body before it was compressed."""

    def __init__(self, coding: Coding, receive: Receive) -> None:
        self._coding = coding
        self._receive = receive
        self._decoder = coding.decoder()
        self._pieces: Iterator[bytes] = iter(())
        self._more = True
        self._began = False
        self._ended = False

    async def __call__(self) -> Message:
        if self._ended:
            return await self._receive()
        try:
            return await self._next()
        except CodingError as error:
            self._ended = True
            raise BadRequestError(f"The body is not valid {self._coding.name}: {error}") from error

    async def _next(self) -> Message:
        while True:
            await asyncio.sleep(0)  # a small body can be a long one, or take long: let other requests run
            piece = next(self._pieces, None)
            if piece is not None:
                return {"type": "http.request", "body": piece, "more_body": True}
            if not self._more:
                if self._began and not self._decoder.complete:
                    raise CodingError("it ends too early")
                self._ended = True
                return {"type": "http.request", "body": b"", "more_body": False}
            data = b""
            while self._more and len(data) < (1 if self._began else _LONGEST_MAGIC):
                message = await self._receive()
                if message["type"] != "http.request":
                    self._ended = True
                    return message
                data += message.get("body", b"")
                self._more = message.get("more_body", False)
            if not self._began:
                if not data.startswith(self._coding.magic):
                    self._ended = True
                    return {"type": "http.request", "body": data, "more_body": self._more}
                self._began = True
            self._pieces = self._decoder.pieces(data)


def _unsupported(codings: list[str], problem: str = "") -> UnsupportedCodingError:
    return UnsupportedCodingError(", ".join(codings), [coding.name for coding in available_codings()], problem)
