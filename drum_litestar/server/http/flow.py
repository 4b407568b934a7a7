"""Flow control of a connection: neither side may be ahead of the other by more than a bounded number of bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Flow:
    """Pauses reading while the application is behind, and writing while the client is.

    A client that reads nothing at all is dropped: ``on_stall`` is called when a full write buffer has not changed for
    ``write_timeout`` seconds (0: never).
    """

    __slots__ = (
        "_on_stall",
        "_stall_timer",
        "_transport",
        "_unsent",
        "_writable",
        "_write_timeout",
        "loop",
        "read_paused",
        "write_paused",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        transport: asyncio.Transport,
        write_timeout: float,
        on_stall: Callable[[], None],
    ) -> None:
        self.loop = loop
        self.read_paused = False
        self.write_paused = False
        self._transport = transport
        self._write_timeout = write_timeout
        self._on_stall: Callable[[], None] | None = on_stall
        self._writable: asyncio.Future[None] | None = None
        self._stall_timer: asyncio.TimerHandle | None = None
        self._unsent = 0

    def pause_reading(self) -> None:
        """Stop reading from the client. Idempotent."""
        if not self.read_paused:
            self.read_paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read from the client again. Idempotent."""
        if self.read_paused:
            self.read_paused = False
            self._transport.resume_reading()

    def pause_writing(self) -> None:
        """The write buffer has passed its high-water mark."""
        self.write_paused = True
        if self._write_timeout and self._stall_timer is None:
            self._watch(self._transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """The write buffer has drained. Idempotent."""
        self.write_paused = False
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None
        if self._writable is not None:
            if not self._writable.done():
                self._writable.set_result(None)
            self._writable = None

    def close(self) -> None:
        """The connection has ended: nobody waits any longer, and nothing is referred to."""
        self.resume_writing()
        self._on_stall = None

    async def drain(self) -> None:
        """Wait until writing is not paused."""
        while self.write_paused:
            if self._writable is None:
                self._writable = self.loop.create_future()
            await asyncio.shield(self._writable)  # a cancelled sender leaves it to the others

    def _watch(self, unsent: int) -> None:
        self._unsent = unsent
        self._stall_timer = self.loop.call_later(self._write_timeout, self._check_progress)

    def _check_progress(self) -> None:
        self._stall_timer = None
        unsent = self._transport.get_write_buffer_size()
        if unsent != self._unsent:
            self._watch(unsent)
        elif self._on_stall is not None:
            self._on_stall()
