"""One ``send`` wrapper that all middlewares of a request share.

Most middlewares only need to know whether the response has begun, or to change its headers. Nested ``send`` functions
would cost more than that work, so the outermost middleware wraps the server's ``send`` once and the inner ones use
its wrapper. A middleware without others around it makes its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Set

from drum_litestar.middleware.asgi import START, Header, Message, Scope, Send
from drum_litestar.request_state import WITHDRAW

HeaderHook = Callable[[int, list[Header], Set[bytes]], None]
"""``(status, headers, names)``: changes ``headers`` in place just before they are sent. ``names`` are those that the
app has set, in lower case."""


class ResponseTap:
    """An ASGI ``send`` that records the progress of the response and lets hooks change its headers."""

    __slots__ = ("_hooks", "_send", "sent", "started", "status")

    def __init__(self, send: Send) -> None:
        self._send = send
        self._hooks: list[HeaderHook] = []
        self.started = False
        """Whether the response has begun."""
        self.status = 0
        """Status of the response; 0 until it has begun."""
        self.sent = 0
        """Bytes of the response's body so far."""

    @classmethod
    def of(cls, send: Send) -> ResponseTap:
        """Wrap ``send``; returns ``send`` itself when an outer middleware has wrapped it."""
        return send if isinstance(send, ResponseTap) else cls(send)

    def on_start(self, hook: HeaderHook) -> None:
        """Call ``hook`` when the response begins; hooks of inner middlewares run before those of outer ones."""
        self._hooks.append(hook)

    async def withdraw(self, scope: Scope) -> bool:
        """Withdraw a response of which nothing has been sent yet; False when that is no longer possible."""
        if WITHDRAW not in scope.get("extensions", ()):
            return False
        try:
            await self._send({"type": WITHDRAW})
        except RuntimeError:
            return False
        self.started, self.status, self.sent = False, 0, 0
        return True

    def __call__(self, message: Message) -> Awaitable[None]:
        """Send ``message``; runs the hooks on the head of the response."""
        if message["type"] == START:
            self.started = True
            self.status = message["status"]
            headers = list(message.get("headers", ()))
            names = {name for name, _ in headers}
            if not b"".join(names).islower():  # hooks look for names in lower case
                headers = [(name.lower(), value) for name, value in headers]
                names = {name for name, _ in headers}
            for hook in reversed(self._hooks):
                hook(self.status, headers, names)
            message = {**message, "headers": headers}  # a copy: the app may send the same object again
        else:
            self.sent += len(message.get("body", b""))
        return self._send(message)
