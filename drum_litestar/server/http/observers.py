"""Who is told of a connection: an observer of all of them, and callbacks for a client that disconnects."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class ConnectionEvents:
    """Observer interface of connections, for metrics. This base class ignores all events."""

    def opened(self) -> None:
        """Called when a connection was accepted."""

    def closed(self) -> None:
        """Called when a connection has ended."""

    def slow(self, reason: str) -> None:
        """Called when a connection is closed by a timeout; ``reason`` is ``head``, ``body`` or ``response``."""


class DisconnectCallbacks:
    """Callbacks for a client that disconnects (``RequestState.on_disconnect``)."""

    __slots__ = ("_callbacks", "_loop", "_transport")

    def __init__(self, loop: asyncio.AbstractEventLoop, transport: asyncio.Transport) -> None:
        self._loop = loop
        self._transport = transport
        self._callbacks: dict[object, Callable[[], None]] = {}

    def register(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call ``callback`` when the client disconnects (soon, if it already has).

        Returns a function that removes the callback.
        """
        if self._transport.is_closing():
            return self._loop.call_soon(callback).cancel
        key = object()
        self._callbacks[key] = callback

        def undo() -> None:
            self._callbacks.pop(key, None)

        return undo

    def notify(self) -> None:
        """Call and forget all callbacks: the client has disconnected."""
        while self._callbacks:
            self._callbacks.popitem()[1]()
