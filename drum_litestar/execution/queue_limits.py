"""How many calls may wait, and how much memory their bodies may take together (``DRUM_QUEUE_MEMORY``).

The queue is long, so its length cannot bound memory: a thousand bodies of 5 MB are 5 GB. A body's bytes count from when
they are received until its call has left the queue for a worker, or is gone. What does not fit goes to disk. Everything
here runs on the event loop's thread.
"""

from __future__ import annotations

from typing import Any

DEFAULT_QUEUE_MEMORY = 256 * 1000 * 1000


def default_queue_depth(slots: int) -> int:
    """Calls that may wait when nobody has said how many."""
    return max(1024, 10 * slots)


class QueueMemory:
    """The account of one queue, in bytes."""

    __slots__ = ("limit", "used")

    def __init__(self, limit: int = DEFAULT_QUEUE_MEMORY) -> None:
        self.limit = limit
        self.used = 0
        """Over the limit only by calls that were requeued: their bodies are in memory already."""

    def stats(self) -> dict[str, Any]:
        """Under their ``/stats/`` names."""
        return {"executor_queue_memory": self.used, "executor_max_queue_memory": self.limit}


class MemoryShare:
    """What one call's body takes of the account. It counts until :meth:`leave`."""

    __slots__ = ("_memory", "_queued", "_size")

    def __init__(self, memory: QueueMemory) -> None:
        self._memory = memory
        self._queued = True
        self._size = 0

    def reserve(self, size: int) -> bool:
        """Count ``size`` bytes more; False, with nothing counted, where they do not fit."""
        memory = self._memory
        if size > memory.limit - memory.used:
            return not size
        memory.used += size
        self._size += size
        return True

    def give_back(self, size: int) -> None:
        """``size`` bytes have gone from memory to disk."""
        self._size -= size
        if self._queued:
            self._memory.used -= size

    def leave(self) -> None:
        """The call has left the queue, for a worker or unserved. Idempotent."""
        if self._queued:
            self._queued = False
            self._memory.used -= self._size

    def enter(self) -> None:
        """The call is back in the queue, with its whole body."""
        if not self._queued:
            self._queued = True
            self._memory.used += self._size
