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
from typing import Any

from drum_litestar.errors import DeadlineExceededError, ModelNotReadyError, QueueFullError, QueueTimeoutError
from drum_litestar.execution.executor import ReplyStream
from drum_litestar.execution.observer import ExecutorObserver, NullObserver, RejectReason
from drum_litestar.execution.pending import PendingCall
from drum_litestar.execution.slots import Slot, SlotSource
from drum_litestar.predictors.protocol import ModelCall, Reply

DEFAULT_QUEUE_PER_SLOT = 10


class AdmissionTicket:
    """A place in line. It is free again when its holder has released it *and* no call of it still computes."""

    __slots__ = ("_admission", "_released", "busy", "taken_at")

    def __init__(self, admission: Admission, taken_at: float) -> None:
        self._admission = admission
        self._released = False
        self.busy = 0
        self.taken_at = taken_at

    def release(self) -> None:
        if not self._released:
            self._released = True
            self.settle()

    def settle(self) -> None:
        """Free the place if nothing needs it any more; called when the last call of the ticket has ended."""
        if self._released and not self.busy:
            self._admission.place_freed()


class Admission:
    """Places, the waiting line and the counters behind ``/stats/``."""

    def __init__(
        self,
        slots: SlotSource,
        *,
        slot_count: int = 1,
        queue_depth: int | None = None,
        queue_timeout: float = 30.0,
        max_in_flight: int | None = None,
        request_timeout: float | None = None,
        observer: ExecutorObserver | None = None,
    ) -> None:
        """``queue_depth`` None is ten places for each slot. ``request_timeout`` is the allowance in seconds named in
        the text of a 504; None derives it from the deadline."""
        self._slots = slots
        self._queue_depth = queue_depth
        self._max_in_flight = max_in_flight
        self.queue_timeout = queue_timeout
        self.request_timeout = request_timeout
        self.observer: ExecutorObserver = observer or NullObserver()
        self.line: OrderedDict[PendingCall, None] = OrderedDict()
        """Calls that wait, oldest first."""
        self.running = 0
        self.places_taken = 0
        self.accepted = self.rejected = self.dispatched = self.completed = self.timed_out = 0
        self.peak_depth = 0
        self._wait_total = 0.0
        self._drained: asyncio.Future[bool] | None = None
        self._drain_timer: asyncio.TimerHandle | None = None
        self._drain_end = float("inf")
        self.resize(slot_count)

    def resize(self, slot_count: int) -> None:
        """Set the number of slots that the places are counted from (not those free at the moment)."""
        self.slot_count = slot_count if self._max_in_flight is None else min(slot_count, self._max_in_flight)
        self.queue_depth = self.slot_count * DEFAULT_QUEUE_PER_SLOT if self._queue_depth is None else self._queue_depth

    def take(self) -> AdmissionTicket:
        """A place for one request. Raises QueueFullError."""
        if self.places_taken >= self.slot_count + self.queue_depth:
            self.reject("queue_full")
            raise QueueFullError
        self.places_taken += 1
        self.accepted += 1
        return AdmissionTicket(self, asyncio.get_running_loop().time())

    def refuse_not_ready(self, message: str) -> ModelNotReadyError:
        """The counted error for a call that nothing could serve."""
        self.reject("not_ready")
        return ModelNotReadyError(message)

    def reject(self, reason: RejectReason) -> None:
        self.rejected += 1
        self.observer.rejected(reason)

    async def submit(self, call: ModelCall, ticket: AdmissionTicket, deadline: float | None) -> Reply | ReplyStream:
        """Run ``call`` when its turn comes; see :meth:`drum_litestar.execution.executor.Executor.submit`."""
        entry = PendingCall(self, ticket, call, deadline)
        ticket.busy += 1
        now = entry.queued_at
        if deadline is not None and deadline <= now:
            self._leave(entry)
            raise self.expired(entry)
        slot = None if self.line else self._acquire()
        if slot is not None:
            self._dispatch(entry, slot, now)
        else:
            self.line[entry] = None
            self.peak_depth = max(self.peak_depth, len(self.line))
            entry.wait(now + self.queue_timeout)
            if len(self.line) == 1:
                self._slots.preview(entry)
        try:
            return await entry.future
        except asyncio.CancelledError:
            entry.abandon()
            raise

    def pump(self) -> None:
        """Give free slots to those who wait; to be called whenever a slot has come free.

        The seam for micro-batching: this is the only place where a waiting call is chosen for a slot.
        """
        while self.line:
            entry = next(iter(self.line))
            slot = self._acquire()
            if slot is None:
                self._slots.preview(entry)
                return
            self.dispatch(entry, slot)

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
        self.dispatched += 1
        wait = now - entry.queued_at
        self._wait_total += wait
        self.observer.queue_wait(wait)
        entry.start(slot)

    # What entries report

    def expired(self, entry: PendingCall) -> DeadlineExceededError:
        """The counted 504 of a call that its deadline caught in the queue."""
        self.timed_out += 1
        self.reject("deadline")
        return self.overdue_error(entry)

    def overdue_error(self, entry: PendingCall) -> DeadlineExceededError:
        allowance = self.request_timeout
        if allowance is None:
            allowance = round((entry.deadline or entry.ticket.taken_at) - entry.ticket.taken_at, 1)
        return DeadlineExceededError(allowance, entry.call.request_id or None)

    def waited_too_long(self) -> QueueTimeoutError:
        self.reject("queue_timeout")
        return QueueTimeoutError()

    def withdraw(self, entry: PendingCall) -> None:
        """Take a waiting call out of the line, unserved."""
        del self.line[entry]
        if entry.preview is not None:
            entry.preview.forget(entry)
            if self.line:
                self._slots.preview(next(iter(self.line)))
        self._leave(entry)

    def ended(self, entry: PendingCall) -> None:
        """The work of a running call is over: free its slot's share and let the next one run."""
        self.running -= 1
        self.completed += 1
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
        if not self.places_taken and self._drained is not None:
            self._end_drain(True)

    # Shutdown

    def drain(self, grace: float) -> asyncio.Future[bool]:
        """Resolves when the last place is free (True) or ``grace`` seconds are over (False).

        A later call may only shorten the wait, and returns the same future. The caller refuses new requests itself.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + grace
        if self._drained is None:
            self._drained = loop.create_future()
        if self.places_taken == 0:
            self._end_drain(True)
        elif not self._drained.done() and end < self._drain_end:
            if self._drain_timer is not None:
                self._drain_timer.cancel()
            self._drain_end = end
            self._drain_timer = loop.call_at(end, self._end_drain, False)
        return self._drained

    def _end_drain(self, clean: bool) -> None:
        if self._drain_timer is not None:
            self._drain_timer.cancel()
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(clean)

    def stats(self) -> dict[str, Any]:
        """The counters under their ``/stats/`` names; times in milliseconds."""
        return {
            "executor_max_queue": self.queue_depth,
            "executor_pending": self.places_taken,
            "executor_in_flight": self.running,
            "executor_queue_depth": len(self.line),
            "executor_queue_available": max(0, self.slot_count + self.queue_depth - self.places_taken),
            "executor_completed": self.completed,
            "executor_rejected": self.rejected,
            "executor_timed_out": self.timed_out,
            "backpressure_accepted": self.accepted,
            "backpressure_rejected": self.rejected,
            "backpressure_queue_depth": len(self.line),
            "backpressure_peak_queue_depth": self.peak_depth,
            "backpressure_avg_wait_ms": round(1000 * self._wait_total / self.dispatched, 3) if self.dispatched else 0.0,
        }
