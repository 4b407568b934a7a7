"""The limits of the queue: how many requests are admitted, and how much memory their bodies may take together.

The queue is long, so its length cannot bound memory: a thousand bodies of 5 MB are 5 GB. A body's bytes count against
``DRUM_QUEUE_MEMORY`` from when they are received until its call has left the queue, for a worker or unserved. What does
not fit goes to disk. Everything here runs on the event loop's thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def default_queue_depth(slots: int) -> int:
    """Calls that may wait unless the operator has set a number."""
    return max(1024, 10 * slots)


class QueueMemory:
    """The memory account of one queue, in bytes."""

    __slots__ = ("limit", "used")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        """Exceeds the limit only through requeued calls: their bodies are in memory already."""

    def stats(self) -> dict[str, Any]:
        """Under their ``/stats/`` names."""
        return {"executor_queue_memory": self.used, "executor_max_queue_memory": self.limit}


class MemoryShare:
    """The share of one request's body in the queue's memory. It counts until :meth:`dequeue`."""

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
        """Stop counting ``size`` bytes: they have been moved from memory to disk."""
        self._size -= size
        if self._queued:
            self._memory.used -= size

    def dequeue(self) -> None:
        """Stop counting: the call has left the queue, for a worker or unserved. Idempotent."""
        if self._queued:
            self._queued = False
            self._memory.used -= self._size

    def requeue(self) -> None:
        """Count the whole body again: its call is back in the queue. Idempotent."""
        if not self._queued:
            self._queued = True
            self._memory.used += self._size


class Place:
    """A request's place among the calls of the model: taken when it is needed, given back once."""

    __slots__ = ("_admit", "_ticket")

    def __init__(self, admit: Callable[[], Ticket]) -> None:
        self._admit = admit
        self._ticket: Ticket | None = None

    def take(self) -> Ticket:
        """The ticket, taken now unless it has been taken before. Raises as ``Executor.admit``."""
        if self._ticket is None:
            self._ticket = self._admit()
        return self._ticket

    def give_back(self) -> None:
        """The request is answered, refused, or its client is gone. Idempotent."""
        if self._ticket is not None:
            self._ticket.release()


class Ticket:
    """Admits one request. It counts as one of slots and queue entries together.

    It is taken before the body is read (bounded admission) and counts until its holder has released it *and* no call of
    it waits or computes: a call that outlives its client still needs its slot.
    """

    __slots__ = ("_on_return", "_released", "_request_timeout", "calls", "memory", "queued", "taken_at", "waited")

    def __init__(
        self, memory: QueueMemory, taken_at: float, request_timeout: float | None, on_return: Callable[[], None]
    ) -> None:
        """``taken_at`` is event-loop time. ``on_return`` is called once, when the ticket counts no longer."""
        self._request_timeout = request_timeout
        self._on_return = on_return
        self._released = False
        self.calls = 0
        """Calls that wait or compute."""
        self.memory = MemoryShare(memory)
        """Where the collector of the body counts the bytes that it keeps in memory."""
        self.taken_at = taken_at
        self.queued = 0.0
        """Seconds that its call has waited for a slot, once it has one."""
        self.waited = 0.0
        """Seconds of the queue timeout that are used up already, while the model was loading."""

    def allowance(self, deadline: float | None) -> float:
        """Seconds that a request with ``deadline`` was granted in all, for the text of a 504."""
        fixed = self._request_timeout
        return round((deadline or self.taken_at) - self.taken_at, 1) if fixed is None else fixed

    def release(self) -> None:
        """The request is answered, or its client is gone. Idempotent."""
        if not self._released:
            self._released = True
            self.memory.dequeue()
            if not self.calls:
                self._on_return()

    def call_ended(self) -> None:
        """One of :attr:`calls` neither waits nor computes any more."""
        self.calls -= 1
        if self._released and not self.calls:
            self._on_return()
