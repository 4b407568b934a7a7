"""A transport without a socket, for tests that decide which bytes arrive together."""

from __future__ import annotations

import asyncio
from typing import Any


class MemoryTransport(asyncio.Transport):
    """Keeps what is written. The connection is lost, as with a socket, in the loop's next turn after ``close``."""

    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: asyncio.Protocol) -> None:
        super().__init__({"peername": ("192.0.2.1", 50000), "sockname": ("192.0.2.2", 80)})
        self.loop = loop
        self.protocol = protocol
        self.writes: list[bytes] = []
        self.ended = False
        """The write side is closed."""
        self.lost = False
        self.reading = True
        self._closing = False
        self._unread: list[bytes] = []
        protocol.connection_made(self)

    @property
    def written(self) -> bytes:
        return b"".join(self.writes)

    def feed(self, data: bytes) -> None:
        """Bytes of the client; those that come while reading is paused are delivered when it goes on."""
        self._unread.append(data)
        self._deliver()

    def _deliver(self) -> None:
        while self.reading and self._unread and not self._closing:
            self.protocol.data_received(self._unread.pop(0))

    def lose(self, error: Exception | None = None) -> None:
        """The client closes, or resets (``error``), the connection."""
        if not self.lost:
            self._closing = self.lost = True
            self.protocol.connection_lost(error)

    def write(self, data: Any) -> None:
        assert not self.ended, "a write after the end"
        if not self._closing:
            self.writes.append(bytes(data))

    def write_eof(self) -> None:
        self.ended = True

    def can_write_eof(self) -> bool:
        return True

    def get_write_buffer_size(self) -> int:
        return 0

    def is_reading(self) -> bool:
        return self.reading

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True
        self.loop.call_soon(self._deliver)

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._closing = self.ended = True
            self.loop.call_soon(self.lose)

    def abort(self) -> None:
        self.close()
