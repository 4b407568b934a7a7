"""One ``send`` for all layers of a request.

Most layers want little of the response: to know whether it has begun, or to touch its headers. Wrapped around each
other, their ``send`` functions cost more than what they do, so the outermost layer wraps the server's ``send`` once
and the ones inside find that wrapper and share it. A layer used alone makes its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Set

from drum_litestar.middleware.asgi import START, Header, Message, Scope, Send
from drum_litestar.scope import WITHDRAW

HeaderHook = Callable[[int, list[Header], Set[bytes]], None]
"""Changes the response's headers in place, just before they are sent. It gets the status, the headers, and the names
that the app has set."""


class Responder:
    """A ``send`` that knows how far the response is."""

    __slots__ = ("_hooks", "_send", "sent", "started", "status")

    def __init__(self, send: Send) -> None:
        self._send = send
        self._hooks: list[HeaderHook] = []
        self.started = False
        self.status = 0
        """Status of the response; 0 until it has begun."""
        self.sent = 0
        """Bytes of the response's body so far."""

    @classmethod
    def of(cls, send: Send) -> Responder:
        """``send`` itself when an outer layer has made it a responder."""
        return send if isinstance(send, Responder) else cls(send)

    def on_start(self, hook: HeaderHook) -> None:
        """Call ``hook`` when the response begins; inner layers' hooks run before outer ones'."""
        self._hooks.append(hook)

    async def withdrawn(self, scope: Scope) -> bool:
        """Take back a response of which the client has seen nothing; False when it is too late for another one."""
        if WITHDRAW not in scope.get("extensions", ()):
            return False
        try:
            await self._send({"type": WITHDRAW})
        except RuntimeError:
            return False
        self.started, self.status, self.sent = False, 0, 0
        return True

    def __call__(self, message: Message) -> Awaitable[None]:
        if message["type"] == START:
            self.started = True
            self.status = message["status"]
            headers = list(message.get("headers", ()))
            names = {name for name, _ in headers}
            if not b"".join(names).islower():  # else hooks would not find what they replace
                headers = [(name.lower(), value) for name, value in headers]
                names = {name for name, _ in headers}
            for hook in reversed(self._hooks):
                hook(self.status, headers, names)
            message = {**message, "headers": headers}  # a copy: the app may send the same object again
        else:
            self.sent += len(message.get("body", b""))
        return self._send(message)
