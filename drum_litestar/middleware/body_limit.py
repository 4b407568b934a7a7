"""Limit of the size of request bodies."""

from __future__ import annotations

from collections.abc import Awaitable

from drum_litestar.errors import BodyTooLargeError
from drum_litestar.middleware.asgi import START, ASGIApp, Message, OnRejected, Receive, Scope, Send, send_error


class BodyLimitMiddleware:
    """Answers 413 to bodies over ``max_upload_size`` bytes and closes the connection.

    A ``Content-Length`` over the limit is refused before anything is read. A body of unknown length is refused at the
    first byte over: the answer is sent at once, reading stops, ``receive`` raises ``BodyTooLargeError`` in the app,
    and what the app sends after that is discarded. If the response has begun, the error reaches the server, which cuts
    the connection.
    """

    def __init__(self, app: ASGIApp, *, max_upload_size: int, on_rejected: OnRejected | None = None) -> None:
        self.app = app
        self.max_upload_size = max_upload_size
        self.on_rejected = on_rejected

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http":
            return self.app(scope, receive, send)
        announced = encoding = None
        for name, value in scope["headers"]:
            if name == b"content-length" and announced is None:
                announced = value
            elif name == b"transfer-encoding":
                encoding = value
        if announced is not None and announced.isdigit():
            if int(announced) > self.max_upload_size:
                return self._refuse(scope, send)
            # The server's parser delivers exactly what was announced.
        elif announced is not None or encoding is not None or scope["http_version"] >= "2":
            return self.counted(scope, receive, send)
        return self.app(scope, receive, send)  # in HTTP/1 neither header means no body

    async def _refuse(self, scope: Scope, send: Send) -> None:
        if self.on_rejected is not None:
            self.on_rejected("body_too_large")
        await send_error(scope, send, BodyTooLargeError(self.max_upload_size), close=True)

    async def counted(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The app for a request whose head does not tell the size of its body."""
        received = 0
        started = False
        refused = False

        async def counting_receive() -> Message:
            nonlocal received, refused
            if refused:
                raise BodyTooLargeError(self.max_upload_size)
            message = await receive()
            if message["type"] == "http.request":
                received += len(message.get("body", b""))
                if received > self.max_upload_size:
                    if not started:
                        refused = True
                        await self._refuse(scope, send)
                    raise BodyTooLargeError(self.max_upload_size)
            return message

        async def watching_send(message: Message) -> None:
            nonlocal started
            if refused:
                return
            if message["type"] == START:
                started = True
            await send(message)

        try:
            await self.app(scope, counting_receive, watching_send)
        except BodyTooLargeError:
            if not refused:
                raise
