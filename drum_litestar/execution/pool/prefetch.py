"""The call that a busy worker already has in its socket, while it still waits in line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drum_litestar.execution.pending import PendingCall
from drum_litestar.execution.pool import wire

if TYPE_CHECKING:
    from drum_litestar.execution.pool.channel import Channel
    from drum_litestar.execution.slots import Slot

LARGEST = 64 * 1024
"""Largest body that is sent ahead: it must fit into the socket's buffer, because the worker is not reading."""


class Preview:
    """Spares a worker with one thread the wait between an answer and the next call.

    It begins the previewed call only after it has answered the one before, and not if it is told to drop it by then.
    So nothing is lost when the call leaves the line, and nothing is run twice when the worker dies: as long as the
    one before is not answered, the previewed one has not begun.
    """

    def __init__(self, slot: Slot, channel: Channel) -> None:
        self._slot = slot
        self._channel = channel
        self._id = 0
        self.entry: PendingCall | None = None

    def send(self, entry: PendingCall, call_id: int) -> None:
        """Bring ``entry`` to the worker, unless another is there or it is too large."""
        call = entry.call
        payloads = (call.body, call.x, call.y, call.colnames)
        if self.entry is None and sum(payload.size for payload in payloads if payload is not None) <= LARGEST:
            self.entry, self._id = entry, call_id
            entry.preview = self._slot
            self._channel.send(wire.call_frame(call_id, call))

    def claim(self, entry: PendingCall) -> int | None:
        """``entry`` gets its turn: its call id if it is here. Another one that is here is dropped."""
        if self.entry is entry:
            self.entry = entry.preview = None
            return self._id
        self.drop()
        return None

    def drop(self) -> None:
        """Tell the worker not to begin what it has; the call still waits in line, or has left it."""
        if self.entry is not None:
            self._channel.send(wire.frame(wire.Cancel(self._id)))
            self.entry.preview = None
            self.entry = None
