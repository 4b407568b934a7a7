"""Calls from the queue to the end of their work, and the interfaces between them, admission and slots.

Admission makes a :class:`PendingCall` for each submitted call and queues it. When it gets a :class:`Slot` from the
:class:`SlotSource`, it starts the call there, alone or as a member of a :class:`BatchedCall`; the slot then feeds in
what the model answers. What happens to a call is reported to its :class:`CallListener`, which is admission.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Literal, Protocol, TypeAlias

from drum_litestar.errors import DeadlineExceededError, QueueTimeoutError
from drum_litestar.execution.counters import Counters
from drum_litestar.execution.executor import ReplyStream
from drum_litestar.execution.invoke import BatchPart
from drum_litestar.execution.queue_limits import Ticket
from drum_litestar.execution.streaming import ChunkStream
from drum_litestar.predictors.protocol import ModelCall, Reply

CallState = Literal["queued", "running", "batched", "streaming", "ended"]
"""``queued``: waits for a slot. ``running``: computes in a slot of its own. ``batched``: computes as a member of a
batch. ``streaming``: computes, and its answer has begun as a stream. ``ended``: its work is over, or it left the queue
unserved. A batch member that is requeued goes from ``batched`` back to ``queued``."""

BatchKey: TypeAlias = "tuple[bytes, str | None, str | None, bool]"
"""Header line, media type, charset, and whether it is a file part; of an ``infer`` call, its kind and encoding. Only
calls with equal keys share a batch."""


class Slot(Protocol):
    """The right to run one call, or one batch."""

    def run(self, entry: PendingCall) -> None:
        """Begin to compute. Whatever happens, ``entry.end()`` follows once the work has really ended."""

    def run_batch(self, batch: BatchedCall) -> None:
        """As :meth:`run`, for a batch."""

    def drop_prefetched(self, entry: PendingCall) -> None:
        """``entry``, which this slot has prefetched (see :meth:`SlotSource.prefetch`), will not run here."""

    def mark_unhealthy(self) -> None:
        """Take no new calls: a call here has missed its deadline and may hang. Other calls may still finish."""

    def timed_out(self, work: PendingCall | BatchedCall) -> None:
        """``work`` is past its deadline, and no caller waits for it any more."""


class SlotSource(Protocol):
    """What computes: threads of this process, or model workers."""

    def acquire(self) -> Slot | None:
        """A free slot, marked as taken; None when all are busy."""

    def prefetch(self, entry: PendingCall) -> None:
        """Send ``entry``, the first in the queue while all slots are busy, to where it will probably run.

        It must not begin there before the call that runs now has ended, and may still leave the queue.
        """


class CallListener(Protocol):
    """Callbacks of pending and batched calls, on the event loop's thread."""

    @property
    def counters(self) -> Counters: ...

    def dispatch(self, entry: PendingCall, slot: Slot) -> None:
        """Take ``entry`` out of the queue and run it on ``slot``, which is taken for it."""

    def left_queue(self, entry: PendingCall) -> None:
        """``entry`` needs no slot any more, though it had none."""

    def requeue(self, entries: Sequence[PendingCall]) -> None:
        """``entries``, members of a failed batch, are to be run once more, one by one."""

    def ended(self, entries: Sequence[PendingCall], *, requeued: int = 0) -> None:
        """The work of one slot is over; ``requeued`` of its calls are not complete with it."""

    def batching_refused(self) -> None:
        """The predictor batches no calls any more."""


class PendingCall:
    """Joins the caller, who awaits ``future``, with the work, which may outlive the caller.

    The caller may be answered before the work ends (deadline) or go away (cancellation); the slot is busy until
    :meth:`end` all the same.
    """

    __slots__ = (
        "_listener",
        "_slot",
        "_started",
        "_timer",
        "batch_key",
        "call",
        "deadline",
        "future",
        "loop",
        "prefetched_by",
        "queued_at",
        "rows",
        "size",
        "state",
        "stream",
        "ticket",
    )

    def __init__(
        self,
        listener: CallListener,
        loop: asyncio.AbstractEventLoop,
        ticket: Ticket,
        call: ModelCall,
        deadline: float | None,
    ) -> None:
        """``deadline`` is event-loop time."""
        self._listener = listener
        self._slot: Slot | None = None
        self._started = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.state: CallState = "queued"
        self.loop = loop
        self.ticket = ticket
        self.call = call
        self.deadline = deadline
        self.future: asyncio.Future[Reply | ReplyStream] = loop.create_future()
        self.queued_at = loop.time() - ticket.waited
        """Event-loop time from which the wait counts; the wait for the model to load is part of it."""
        self.stream: ChunkStream | None = None
        self.prefetched_by: Slot | None = None
        """The busy slot that has this waiting call already."""
        self.batch_key: BatchKey | None = None
        """None: this call is never batched."""
        self.rows = self.size = 0
        """Of a call with a key: about its rows, and its bytes."""

    # queued

    def wait(self, queue_timeout: float) -> None:
        """Wait for a slot, at most ``queue_timeout`` seconds and until the deadline."""
        limit = self.queued_at + queue_timeout
        if self.deadline is None or limit < self.deadline:
            self._timer = self.loop.call_at(limit, self._queue_timed_out)
        else:
            self._timer = self.loop.call_at(self.deadline, self._timed_out_in_queue)

    def _queue_timed_out(self) -> None:
        self._listener.counters.reject("queue_timeout")
        self.fail_waiting(QueueTimeoutError())

    def _timed_out_in_queue(self) -> None:
        self._listener.counters.time_out_in_queue()
        self.fail_waiting(self.timeout_error())

    def fail_waiting(self, error: Exception) -> None:
        """Leave the queue with ``error`` for the caller."""
        self._leave_queue()
        self.fail(error)

    def dispatch(self, slot: Slot) -> None:
        """Leave the queue for ``slot``."""
        self._listener.dispatch(self, slot)

    def join_batch(self) -> None:
        """Leave the queue for a batch, which keeps the deadline from now on."""
        self._cancel_timer()
        self.state = "batched"
        if self.prefetched_by is not None:
            self.prefetched_by.drop_prefetched(self)

    def requeue(self) -> None:
        """Go back from a batch to the queue, never to be batched again. The queue timeout begins again."""
        self.state = "queued"
        self.batch_key = None
        self.ticket.calls += 1
        self.ticket.memory.requeue()
        self.queued_at = self.loop.time()

    def _leave_queue(self) -> None:
        self._cancel_timer()
        self.state = "ended"
        self._listener.left_queue(self)

    # running, streaming

    def start(self, slot: Slot) -> None:
        """Run on ``slot`` until the work ends; the deadline goes on counting."""
        self._cancel_timer()
        self.state = "running"
        self._slot = slot
        self._started = self.loop.time()
        if self.deadline is not None:
            self._timer = self.loop.call_at(self.deadline, self._timed_out)
        slot.run(self)

    def _timed_out(self) -> None:
        self.time_out()
        hangs_from = self._started + self.patience
        if self.loop.time() < hangs_from:
            self._timer = self.loop.call_at(hangs_from, self.stuck)
        else:
            self.stuck()

    @property
    def patience(self) -> float:
        """Seconds of computing before which a call past its deadline does not count as one that hangs: half of the time
        that it was granted in all. If it has waited for most of that, it is only late, and its worker is healthy."""
        return ((self.deadline or 0.0) - self.ticket.taken_at) / 2

    def time_out(self) -> None:
        """Answer 504: the deadline has passed while the call computes."""
        self._listener.counters.timed_out += 1
        self.fail(self.timeout_error())

    def stuck(self) -> None:
        """The work may hang, and no caller waits for it."""
        if self._slot is not None:
            self._slot.mark_unhealthy()
            self._slot.timed_out(self)

    def timeout_error(self) -> DeadlineExceededError:
        return DeadlineExceededError(self.ticket.allowance(self.deadline), self.call.request_id or None)

    def begin_stream(self, stream: ChunkStream) -> None:
        """The answer has begun as a stream: from now on its own idle timeout counts, not the deadline."""
        self._cancel_timer()
        self._listener.counters.answered(stream.head)
        self.state = "streaming"
        self.stream = stream
        if self.future.done():
            stream.cancel()
        else:
            self.future.set_result(stream)

    def feed(self, piece: bytes) -> None:
        """Pass on one more piece of the stream that has begun."""
        if self.stream is not None:
            self.stream.feed(piece)

    def end(self) -> None:
        """The work is really over: free the slot. Idempotent."""
        if self._slot is not None:
            self._slot = None
            self.state = "ended"
            self._cancel_timer()
            if self.stream is not None:
                self.stream.ended()
            self._listener.ended((self,))

    # in any state

    def answer(self, reply: Reply) -> None:
        """Answer with ``reply``. In the queue it comes from the batch that this call was requeued from."""
        self._listener.counters.answered(reply)
        if not self.future.done():
            self.future.set_result(reply)
            if self.state == "queued":
                self._leave_queue()

    def fail(self, error: Exception) -> None:
        """Answer with ``error``, or break the stream that has begun with it."""
        if self.stream is not None:
            self.stream.finish(error)
        elif not self.future.done():
            self.future.set_exception(error)

    def abandon(self) -> None:
        """The caller is gone: leave the queue, or let the work end without a caller (the deadline still applies)."""
        if self.state == "queued":
            self._leave_queue()
        elif self.stream is not None:
            self.stream.cancel()
        elif self.future.done() and not self.future.cancelled():
            self.future.exception()  # marks it as retrieved: the caller was cancelled in the same loop iteration

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class BatchedCall:
    """One call of the model for several members, in one slot. Members keep their ticket, deadline and cancellation.

    One member never affects the others:

    - A member whose caller is gone is only not answered.
    - A member that times out gets its 504. Once the work has taken the member's :attr:`~PendingCall.patience`, its slot
      is marked unhealthy, as for a single call: the work may hang. For the same reason the others are requeued at the
      front, to run alone elsewhere, while the batch goes on; they get whichever answer comes first. The slot is told
      that the batch has timed out once no member waits for it.
    - When the worker dies, the members are requeued too, so that a call that crashes a worker again fails alone.
    """

    def __init__(self, listener: CallListener, members: list[PendingCall]) -> None:
        self.members = members
        self.rows = sum(member.rows for member in members)
        """About: lines, not parsed rows."""
        self._listener = listener
        self._slot: Slot | None = None
        self._started = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._late: list[PendingCall] = []
        """Members that have got their 504."""
        self._answered = 0
        self._requeued = 0

    @property
    def calls(self) -> list[ModelCall]:
        return [member.call for member in self.members]

    def start(self, slot: Slot) -> None:
        """Run on ``slot`` until the work ends."""
        self._slot = slot
        self._started = self.members[0].loop.time()
        self._set_timer()
        slot.run_batch(self)

    def answer(self, part: BatchPart) -> None:
        """Answer some of the members; :meth:`end` follows on the last part."""
        self._answered = part.first + len(part.replies)
        for member, reply in zip(self.members[part.first : self._answered], part.replies, strict=True):
            member.answer(reply)
        self._listener.counters.batch_answered(part, self.rows)
        if not part.batching:
            self._listener.batching_refused()

    def worker_died(self) -> None:
        """Requeue the members that wait for an answer; :meth:`end` follows."""
        self._requeue()

    def end(self) -> None:
        """The work is really over: free the slot. Idempotent."""
        if self._slot is not None:
            self._slot = None
            if self._timer is not None:
                self._timer.cancel()
            for member in self.members:
                if member.state == "batched":
                    member.state = "ended"
            self._listener.ended(self.members, requeued=self._requeued)

    def _set_timer(self) -> None:
        """Set it to the first deadline of the members that are not answered yet, or the first end of patience."""
        times = [
            self._started + member.patience if member in self._late else member.deadline
            for member in self.members[self._answered :]
            if member.deadline is not None
        ]
        self._timer = self.members[0].loop.call_at(min(times), self._deadline_passed) if times else None

    def _deadline_passed(self) -> None:
        assert self._slot is not None
        now = self.members[0].loop.time()
        late = [m for m in self.members[self._answered :] if m.deadline is not None and m.deadline <= now]
        for member in late:
            if member not in self._late:
                self._late.append(member)
                member.time_out()
        if all(now < self._started + member.patience for member in late):  # also when those of the timer are answered
            self._set_timer()
            return
        self._timer = None  # requeued members have timers of their own
        self._slot.mark_unhealthy()
        self._requeue()
        self._check_exhausted()

    def _requeue(self) -> None:
        """Requeue the members that wait for an answer; at most once."""
        if self._requeued:
            return
        waiting = [member for member in self.members if not member.future.done()]
        self._requeued = len(waiting)
        for member in waiting:
            member.future.add_done_callback(self._check_exhausted)
        self._listener.requeue(waiting)

    def _check_exhausted(self, _answered: object = None) -> None:
        """Tell the slot once no member waits for an answer."""
        if self._slot is not None and all(member.future.done() for member in self.members):
            self._slot.timed_out(self)
