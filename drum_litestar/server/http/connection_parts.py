"""Parts of a connection: observer, transport of responses, disconnect callbacks, timeout of writes."""

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


class ResponseTransport:
    """Transport of a response: ``close`` is the connection's own, which leaves the client time to read."""

    __slots__ = ("close", "is_closing", "write")

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.close = close


class DisconnectCallbacks:
    """Callbacks for a client that disconnects (``scope.ON_DISCONNECT``)."""

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


class WriteWatch:
    """Timeout of writes: calls ``on_stall`` when a full write buffer has not changed for ``timeout`` seconds."""

    __slots__ = ("_handle", "_loop", "_on_stall", "_size", "_timeout", "_transport")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        transport: asyncio.Transport,
        timeout: float,
        on_stall: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._transport = transport
        self._timeout = timeout
        self._on_stall = on_stall
        self._handle: asyncio.TimerHandle | None = None
        self._size = 0

    def start(self) -> None:
        """Start the timer: the buffer has passed its high-water mark."""
        if self._timeout and self._handle is None:
            self._schedule(self._transport.get_write_buffer_size())

    def stop(self) -> None:
        """Stop the timer: the buffer has drained, or the connection has ended. Idempotent."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _schedule(self, size: int) -> None:
        self._size = size
        self._handle = self._loop.call_later(self._timeout, self._check)

    def _check(self) -> None:
        self._handle = None
        left = self._transport.get_write_buffer_size()
        if left == self._size:
            self._on_stall()
        else:
            self._schedule(left)
