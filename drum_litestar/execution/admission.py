"""Admission: who may come in, who waits, who runs. The one owner of every count of calls.

A *place* is taken by :meth:`Admission.take` before a body is read and covers the call until its work has really
ended; there are as many places as slots and queue entries together. A *slot* is the right to compute, and belongs to
whatever computes (:mod:`drum_litestar.execution.slots`). A call without a slot waits in a first-in first-out line
until one comes free, its deadline passes, or the queue's patience ends.

Everything here runs on the event loop's thread, so no lock is needed; no task or thread is made for a call.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from drum_litestar.errors import DeadlineExceededError, ModelNotReadyError, QueueFullError, QueueTimeoutError
from drum_litestar.execution.batching import Batcher
from drum_litestar.execution.counters import Tally
from drum_litestar.execution.drain import Drain
from drum_litestar.execution.executor import ReplyStream
from drum_litestar.execution.load_queue import LoadQueue
from drum_litestar.execution.merged import MergedCall
from drum_litestar.execution.observer import ExecutorObserver, NullObserver
from drum_litestar.execution.pending import PendingCall
from drum_litestar.execution.queue_limits import DEFAULT_QUEUE_MEMORY, QueueMemory, default_queue_depth
from drum_litestar.execution.slots import Slot, SlotSource
from drum_litestar.execution.ticket import AdmissionTicket
from drum_litestar.predictors.protocol import ModelCall, ModelCard, Reply


class Admission:
    """Places, the waiting line and the counters behind ``/stats/``."""

    def __init__(
        self,
        slots: SlotSource,
        *,
        slot_count: int = 1,
        queue_depth: int | None = None,
        queue_memory: int = DEFAULT_QUEUE_MEMORY,
        queue_timeout: float = 30.0,
        max_in_flight: int | None = None,
        request_timeout: float | None = None,
        batch_max_rows: int = 1,
        batch_max_wait: float = 0.0,
        observer: ExecutorObserver | None = None,
    ) -> None:
        """``queue_depth`` None is :func:`default_queue_depth`; ``queue_memory`` is in bytes, ``batch_max_wait`` in
        seconds. ``request_timeout`` is the allowance in seconds named in the text of a 504; None derives it from the
        deadline. With ``batch_max_rows`` above 1 calls are merged once the :attr:`batcher` knows that they can be."""
        self._slots = slots
        self._queue_depth = queue_depth
        self._max_in_flight = max_in_flight
        self.queue_timeout = queue_timeout
        self.request_timeout = request_timeout
        self.batcher = Batcher(batch_max_rows, batch_max_wait, self.pump) if batch_max_rows > 1 else None
        self.tally = Tally(observer or NullObserver())
        self.line: OrderedDict[PendingCall, None] = OrderedDict()
        """Calls that wait, oldest first."""
        self.loading = LoadQueue(self)
        self.running = 0
        """Slots in use."""
        self.in_flight = 0
        """Calls that compute; several may share a slot."""
        self.places_taken = 0
        self.memory = QueueMemory(queue_memory)
        self._drain = Drain()
        self.resize(slot_count)

    def resize(self, slot_count: int) -> None:
        """Set the number of slots that the places are counted from (not those free at the moment)."""
        self.slot_count = slot_count if self._max_in_flight is None else min(slot_count, self._max_in_flight)
        depth = self._queue_depth
        self.queue_depth = default_queue_depth(self.slot_count) if depth is None else depth

    def card_changed(self, card: ModelCard, slot_count: int) -> None:
        """A model with this card serves ``slot_count`` slots."""
        self.resize(slot_count)
        if self.batcher is not None:
            self.batcher.model_loaded(card)

    def take(self) -> AdmissionTicket:
        """A place for one request. Raises QueueFullError."""
        if self.places_taken >= self.slot_count + self.queue_depth:
            self.tally.reject("queue_full")
            raise QueueFullError
        self.places_taken += 1
        self.tally.accepted += 1
        return AdmissionTicket(self, asyncio.get_running_loop().time())

    def refuse_not_ready(self, message: str) -> ModelNotReadyError:
        """The counted error for a call that nothing could serve."""
        self.tally.reject("not_ready")
        return ModelNotReadyError(message)

    @property
    def depth(self) -> int:
        """Calls that wait: for a slot, or while the model loads."""
        return len(self.line) + len(self.loading)

    async def submit(self, call: ModelCall, ticket: AdmissionTicket, deadline: float | None) -> Reply | ReplyStream:
        """Run ``call`` when its turn comes; see :meth:`drum_litestar.execution.executor.Executor.submit`."""
        entry = PendingCall(self, ticket, call, deadline)
        ticket.busy += 1
        now = entry.queued_at + ticket.waited
        if deadline is not None and deadline <= now:
            self._leave(entry)
            raise self.expired(entry)
        mergeable = self.batcher is not None and self.batcher.measure(entry)
        slot = None if self.line or mergeable else self._acquire()
        if slot is not None:
            self._dispatch(entry, slot, now)
        else:
            self._line_up(entry)
        try:
            return await entry.future
        except asyncio.CancelledError:
            entry.abandon()
            raise

    def _line_up(self, entry: PendingCall) -> None:
        first = not self.line
        self.line[entry] = None
        self.tally.note_depth(self.depth)
        entry.wait(entry.queued_at + self.queue_timeout)
        if self.batcher is not None:
            self.batcher.joined(entry, first=first)
        if first:
            self._preview(entry)

    def send_back(self, entries: Sequence[PendingCall]) -> None:
        """To the head of the line with calls of a merged one that has gone wrong; from now on each is alone."""
        for entry in reversed(entries):
            entry.merge_key = None
            entry.ticket.busy += 1
            entry.ticket.memory.enter()
            entry.queued_at = entry.loop.time()
            self.line[entry] = None
            self.line.move_to_end(entry, last=False)
            entry.wait(entry.queued_at + self.queue_timeout)
        self.tally.note_depth(self.depth)
        self.pump()

    def pump(self) -> None:
        """Give free slots to those who wait; to be called whenever a slot has come free."""
        while self.line:
            entries = [next(iter(self.line))] if self.batcher is None else self.batcher.choose(self.line)
            if not entries:
                return
            slot = self._acquire()
            if slot is None:
                self._preview(entries[0])
                return
            if len(entries) == 1:
                self.dispatch(entries[0], slot)
            else:
                self._dispatch_merged(entries, slot)

    def _preview(self, entry: PendingCall) -> None:
        """Only where it is not better to see first who can be merged with it."""
        if entry.merge_key is None:
            self._slots.preview(entry)

    def _acquire(self) -> Slot | None:
        if self._max_in_flight is not None and self.running >= self._max_in_flight:
            return None
        return self._slots.acquire()

    def dispatch(self, entry: PendingCall, slot: Slot) -> None:
        """Take a waiting call out of the line and run it on ``slot``."""
        del self.line[entry]
        self._dispatch(entry, slot, entry.loop.time())

    def _dispatch(self, entry: PendingCall, slot: Slot, now: float) -> None:
        self.running += 1
        self.in_flight += 1
        entry.ticket.memory.leave()
        self.tally.dispatch(entry.call, now - entry.queued_at)
        entry.start(slot)

    def _dispatch_merged(self, entries: list[PendingCall], slot: Slot) -> None:
        self.running += 1
        self.in_flight += len(entries)
        now = entries[0].loop.time()
        for entry in entries:
            del self.line[entry]
            entry.ticket.memory.leave()
            self.tally.dispatch(entry.call, now - entry.queued_at)
            entry.merged()
        MergedCall(self, entries).start(slot)

    # What entries report

    def expired(self, entry: PendingCall) -> DeadlineExceededError:
        """The counted 504 of a call that its deadline caught in the queue."""
        self.tally.expire()
        return entry.overdue_error()

    def waited_too_long(self) -> QueueTimeoutError:
        self.tally.reject("queue_timeout")
        return QueueTimeoutError()

    def withdraw(self, entry: PendingCall) -> None:
        """Take a waiting call out of the line, unserved."""
        del self.line[entry]
        if entry.preview is not None:
            entry.preview.forget(entry)
            if self.line:
                self._preview(next(iter(self.line)))
        self._leave(entry)

    def ended(self, entries: Sequence[PendingCall], *, sent_back: int = 0) -> None:
        """The work of a running call, or of merged ones, is over: free the slot and let the next one run.

        ``sent_back`` of them count elsewhere.
        """
        self.running -= 1
        self.in_flight -= len(entries)
        self.tally.completed += len(entries) - sent_back
        for entry in entries:
            self._leave(entry)
        if self.line:
            self.pump()

    def fail_waiting(self, message: str) -> None:
        """Answer everyone in line with 503: nothing will serve them."""
        while self.line:
            entry = next(iter(self.line))
            entry.fail_waiting(self.refuse_not_ready(message))

    @staticmethod
    def _leave(entry: PendingCall) -> None:
        entry.ticket.busy -= 1
        entry.ticket.settle()

    def place_freed(self) -> None:
        self.places_taken -= 1
        if not self.places_taken:
            self._drain.finish()

    def drain(self, grace: float) -> asyncio.Future[bool]:
        """See :meth:`Drain.begin`. The caller refuses new requests itself."""
        return self._drain.begin(grace, empty=not self.places_taken)

    def stats(self) -> dict[str, Any]:
        """State and counters under their ``/stats/`` names."""
        return {
            "executor_slots": self.slot_count,
            "executor_max_queue": self.queue_depth,
            "executor_pending": self.places_taken,
            "executor_in_flight": self.in_flight,
            "executor_queue_depth": self.depth,
            "executor_queue_available": max(0, self.slot_count + self.queue_depth - self.places_taken),
            "backpressure_queue_depth": self.depth,
            **self.memory.stats(),
            **self.tally.stats(),
        }
