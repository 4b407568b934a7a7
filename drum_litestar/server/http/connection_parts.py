"""Small parts of a guarded connection: what it reports, what a response writes to, who watches a stalled reader."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class ConnectionEvents:
    """Told about connections, for metrics. This one ignores everything."""

    def opened(self) -> None:
        """A connection was accepted."""

    def closed(self) -> None:
        """A connection has ended."""

    def slow(self, reason: str) -> None:
        """A connection is being closed for slowness; ``reason`` is ``head``, ``body`` or ``response``."""


class ResponseTransport:
    """The connection as a response sees it: ``close`` leaves the client time to read."""

    __slots__ = ("close", "is_closing", "write")

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.close = close


class DisconnectCallbacks:
    """Who wants to know that the client has gone (``scope.ON_DISCONNECT``)."""

    __slots__ = ("_callbacks", "_loop", "_transport")

    def __init__(self, loop: asyncio.AbstractEventLoop, transport: asyncio.Transport) -> None:
        self._loop = loop
        self._transport = transport
        self._callbacks: dict[object, Callable[[], None]] = {}

    def register(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call ``callback`` when the client has gone (soon, if it has already); returns the undo."""
        if self._transport.is_closing():
            return self._loop.call_soon(callback).cancel
        key = object()
        self._callbacks[key] = callback

        def undo() -> None:
            self._callbacks.pop(key, None)

        return undo

    def tell(self) -> None:
        """The client has gone. Each callback is called once."""
        while self._callbacks:
            self._callbacks.popitem()[1]()


class WriteWatch:
    """Drops a client that does not read: ``on_stall`` when a full write buffer has not moved for ``timeout`` s."""

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
        """The buffer has passed its high-water mark."""
        if self._timeout and self._handle is None:
            self._again(self._transport.get_write_buffer_size())

    def stop(self) -> None:
        """The buffer has drained, or the connection has ended. Idempotent."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _again(self, size: int) -> None:
        self._size = size
        self._handle = self._loop.call_later(self._timeout, self._check)

    def _check(self) -> None:
        self._handle = None
        left = self._transport.get_write_buffer_size()
        if left == self._size:
            self._on_stall()
        else:
            self._again(left)
