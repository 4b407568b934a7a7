"""The call that a busy worker already has in its socket, while it still waits in the queue."""

from __future__ import annotations

from drum_litestar.execution.pending import PendingCall, Slot
from drum_litestar.execution.pool import memory_file, wire
from drum_litestar.execution.pool.channel import Channel

LARGEST = memory_file.LARGEST - 64 * 1024 if memory_file.AVAILABLE else memory_file.SMALLEST
"""Bytes of the largest body that is prefetched. The socket must take all of it, because the worker is not reading."""


class Prefetch:
    """Spares a worker with one thread the wait between an answer and the next call.

    The worker begins the prefetched call only after it has answered the one before, and not if it is told to drop it by
    then. So nothing is lost when the call leaves the queue, and nothing is run twice when the worker dies: as long as
    the call before is not answered, the prefetched one has not begun.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._id = 0
        self.entry: PendingCall | None = None

    def send(self, entry: PendingCall, call_id: int, slot: Slot) -> None:
        """Send ``entry`` to the worker of ``slot``, unless it has prefetched another call or the body is too large."""
        call = entry.call
        payloads = (call.body, call.x, call.y, call.colnames)
        if self.entry is None and sum(payload.size for payload in payloads if payload is not None) <= LARGEST:
            self.entry, self._id = entry, call_id
            entry.prefetched_by = slot
            self._channel.send(wire.call_frame(call_id, call))

    def claim(self, entry: PendingCall) -> int | None:
        """The call id of ``entry``, which runs now, if it is prefetched. Another prefetched call is dropped."""
        if self.entry is entry:
            self.entry = entry.prefetched_by = None
            return self._id
        self.drop()
        return None

    def drop(self) -> None:
        """Tell the worker not to begin the prefetched call, which still waits in the queue or has left it."""
        if self.entry is not None:
            self._channel.send(wire.frame(wire.Cancel(self._id)))
            self.entry.prefetched_by = None
            self.entry = None
