"""Admission: which request may enter, which call waits, which runs. It owns every count of calls.

:meth:`Admission.admit` gives a request its ticket before the body is read; there are as many tickets as slots and queue
entries together. A slot is the right to compute, and belongs to an executor
(:class:`drum_litestar.execution.pending.Slot`). A call without a slot waits in a first-in first-out queue until a slot
is free, its deadline passes, or the queue timeout ends.

Everything here runs on the event loop's thread, so no lock is needed; no task or thread is made for a call.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from drum_litestar.errors import ModelNotReadyError, QueueFullError
from drum_litestar.execution.batching import Batcher
from drum_litestar.execution.counters import Counters
from drum_litestar.execution.drain import Drain
from drum_litestar.execution.executor import ExecutorOptions, ReplyStream
from drum_litestar.execution.loading_queue import LoadingQueue
from drum_litestar.execution.pending import BatchedCall, PendingCall, Slot, SlotSource
from drum_litestar.execution.queue_limits import QueueMemory, Ticket, default_queue_depth
from drum_litestar.predictors.protocol import ModelCall, ModelCard, Reply


class Admission:
    """Tickets, the queue and the counters behind ``/stats/``.

    It is the :class:`drum_litestar.execution.pending.CallListener` of its calls.
    """

    def __init__(self, slots: SlotSource, options: ExecutorOptions, slot_count: int) -> None:
        """``slot_count``: all slots, busy or free; :meth:`card_changed` may change it."""
        self._slots = slots
        limits = self._limits = options.admission
        self._request_timeout = options.timeouts.request_timeout or None
        rows, wait = limits.batch_max_rows, limits.batch_max_wait_ms / 1000
        self.batcher = None if rows == 1 else Batcher(rows, wait, self.dispatch_waiting)
        self.counters = Counters(options.observer)
        self.queue: OrderedDict[PendingCall, None] = OrderedDict()
        """Calls that wait for a slot, oldest first."""
        self.load_queue = LoadingQueue(self.counters, limits.queue_timeout, self._note_depth)
        self.running = 0
        """Slots in use."""
        self.in_flight = 0
        """Calls that compute; several may share a slot."""
        self.tickets = 0
        """Tickets that count at present."""
        self.memory = QueueMemory(limits.queue_memory)
        self._drain = Drain()
        self._resize(slot_count)

    def _resize(self, slot_count: int) -> None:
        """Set the number of slots that tickets are counted from (not those free at the moment)."""
        self.slot_count = min(slot_count, self._limits.max_concurrent or slot_count)
        depth = self._limits.queue_depth
        self.queue_depth = default_queue_depth(self.slot_count) if depth is None else depth

    def card_changed(self, card: ModelCard, slot_count: int) -> None:
        """A model with this card serves ``slot_count`` slots."""
        self._resize(slot_count)
        if self.batcher is not None:
            self.batcher.model_loaded(card)

    def admit(self) -> Ticket:
        """A ticket for one request. Raises QueueFullError."""
        if self.tickets >= self.slot_count + self.queue_depth:
            self.counters.reject("queue_full")
            raise QueueFullError
        self.tickets += 1
        self.counters.accepted += 1
        loop_time = asyncio.get_running_loop().time()
        return Ticket(self.memory, loop_time, self._request_timeout, self._ticket_returned)

    def refuse_not_ready(self, message: str) -> ModelNotReadyError:
        """The counted error for a call that nothing could serve."""
        self.counters.reject("not_ready")
        return ModelNotReadyError(message)

    @property
    def depth(self) -> int:
        """Calls that wait: for a slot, or for the model to load."""
        return len(self.queue) + len(self.load_queue)

    async def submit(self, call: ModelCall, ticket: Ticket, deadline: float | None) -> Reply | ReplyStream:
        """Run ``call`` when its turn comes; see :meth:`drum_litestar.execution.executor.Executor.submit`."""
        entry = PendingCall(self, asyncio.get_running_loop(), ticket, call, deadline)
        ticket.calls += 1
        now = entry.queued_at + ticket.waited
        if deadline is not None and deadline <= now:
            entry.state = "ended"
            ticket.call_ended()
            self.counters.time_out_in_queue()
            raise entry.timeout_error()
        held = self.batcher is not None and self.batcher.classify(entry) and self.batcher.holds
        slot = None if self.queue or held else self._acquire()
        if slot is not None:
            self._start(entry, slot, now)
        else:
            self._enqueue(entry)
        try:
            return await entry.future
        except asyncio.CancelledError:
            entry.abandon()
            raise
        finally:
            del entry, slot  # an error's traceback has this frame: both, and the call's body, would live in a cycle

    def _enqueue(self, entry: PendingCall) -> None:
        first = not self.queue
        self.queue[entry] = None
        self._note_depth()
        entry.wait(self._limits.queue_timeout)
        if self.batcher is not None:
            self.batcher.enqueued(entry, first=first)
        if first:
            self._prefetch(entry)

    def _note_depth(self) -> None:
        self.counters.note_depth(self.depth)

    def dispatch_waiting(self) -> None:
        """Give free slots to waiting calls; to be called whenever a slot has become free."""
        while self.queue:
            if self.batcher is None:
                entries = [next(iter(self.queue))]
            else:
                entries = self.batcher.next_batch(self.queue, self.slot_count)
            if not entries:
                return
            slot = self._acquire()
            if slot is None:
                self._prefetch(entries[0])
                return
            if len(entries) == 1:
                self.dispatch(entries[0], slot)
            else:
                self._dispatch_batch(entries, slot)

    def _prefetch(self, entry: PendingCall) -> None:
        """A call that may be batched is not prefetched: its batch is not known yet."""
        if entry.batch_key is None:
            self._slots.prefetch(entry)

    def _acquire(self) -> Slot | None:
        if self._limits.max_concurrent is not None and self.running >= self._limits.max_concurrent:
            return None
        return self._slots.acquire()

    def _start(self, entry: PendingCall, slot: Slot, now: float) -> None:
        self.running += 1
        self.in_flight += 1
        entry.ticket.memory.dequeue()
        entry.ticket.queued = now - entry.queued_at
        self.counters.dispatch(entry.call, entry.ticket.queued)
        entry.start(slot)

    def _dispatch_batch(self, entries: list[PendingCall], slot: Slot) -> None:
        self.running += 1
        self.in_flight += len(entries)
        now = entries[0].loop.time()
        for entry in entries:
            del self.queue[entry]
            entry.ticket.memory.dequeue()
            self.counters.dispatch(entry.call, now - entry.queued_at)
            entry.join_batch()
        BatchedCall(self, entries).start(slot)

    # CallListener

    def dispatch(self, entry: PendingCall, slot: Slot) -> None:
        """Take a waiting call out of the queue and run it on ``slot``."""
        del self.queue[entry]
        self._start(entry, slot, entry.loop.time())

    def left_queue(self, entry: PendingCall) -> None:
        """Take ``entry`` out of the queue, and prefetch another call where it was prefetched."""
        del self.queue[entry]
        if entry.prefetched_by is not None:
            entry.prefetched_by.drop_prefetched(entry)
            if self.queue:
                self._prefetch(next(iter(self.queue)))
        entry.ticket.call_ended()

    def requeue(self, entries: Sequence[PendingCall]) -> None:
        """Requeue the members of a failed batch at the front; from now on each runs alone."""
        for entry in reversed(entries):
            entry.requeue()
            self.queue[entry] = None
            self.queue.move_to_end(entry, last=False)
            entry.wait(self._limits.queue_timeout)
        self._note_depth()
        self.dispatch_waiting()

    def ended(self, entries: Sequence[PendingCall], *, requeued: int = 0) -> None:
        """Count the calls of one slot as complete, but for those that were requeued, and give the slot to the next."""
        self.running -= 1
        self.in_flight -= len(entries)
        self.counters.completed += len(entries) - requeued
        for entry in entries:
            entry.ticket.call_ended()
        if self.queue:
            self.dispatch_waiting()

    def batching_refused(self) -> None:
        if self.batcher is not None:
            self.batcher.disable()

    # The end of the service

    def fail_waiting(self, message: str) -> None:
        """Answer all calls in the queue with 503: nothing will serve them."""
        while self.queue:
            entry = next(iter(self.queue))
            entry.fail_waiting(self.refuse_not_ready(message))

    def _ticket_returned(self) -> None:
        self.tickets -= 1
        if not self.tickets:
            self._drain.finish()

    def drain(self, grace: float) -> asyncio.Future[bool]:
        """See :meth:`Drain.begin`. The caller refuses new requests itself."""
        return self._drain.begin(grace, empty=not self.tickets)

    def stats(self) -> dict[str, Any]:
        """State and counters under their ``/stats/`` names."""
        return {
            "executor_slots": self.slot_count,
            "executor_max_queue": self.queue_depth,
            "executor_pending": self.tickets,
            "executor_in_flight": self.in_flight,
            "executor_queue_depth": self.depth,
            "executor_queue_available": max(0, self.slot_count + self.queue_depth - self.tickets),
            "backpressure_queue_depth": self.depth,
            **self.memory.stats(),
            **self.counters.stats(),
        }
