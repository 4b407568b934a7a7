"""One submitted call, from the queue to the end of its work."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from drum_litestar.errors import DeadlineExceededError
from drum_litestar.execution.executor import ReplyStream
from drum_litestar.execution.streaming import ChunkStream
from drum_litestar.predictors.protocol import ModelCall, Reply

if TYPE_CHECKING:
    from drum_litestar.execution.admission import Admission
    from drum_litestar.execution.batching import MergeKey
    from drum_litestar.execution.slots import Slot
    from drum_litestar.execution.ticket import AdmissionTicket


class PendingCall:
    """Joins the caller, who waits for ``future``, with the work, which may outlive the caller.

    The caller may be answered before the work ends (deadline) or go away (cancellation); the slot is busy until
    :meth:`end` all the same.
    """

    __slots__ = (
        "_admission",
        "_slot",
        "_timer",
        "call",
        "deadline",
        "future",
        "loop",
        "merge_key",
        "preview",
        "queued_at",
        "rows",
        "size",
        "stream",
        "ticket",
    )

    def __init__(self, admission: Admission, ticket: AdmissionTicket, call: ModelCall, deadline: float | None) -> None:
        self._admission = admission
        self._slot: Slot | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.loop = asyncio.get_running_loop()
        self.ticket = ticket
        self.call = call
        self.deadline = deadline
        self.future: asyncio.Future[Reply | ReplyStream] = self.loop.create_future()
        self.queued_at = self.loop.time() - ticket.waited
        """Event-loop time from which its wait counts; that for the model's loading is part of it."""
        self.stream: ChunkStream | None = None
        self.preview: Slot | None = None
        """The busy slot that knows this waiting call already."""
        self.merge_key: MergeKey | None = None
        """Calls with the same key may be merged; None is alone."""
        self.rows = self.size = 0
        """Of a call with a key: about its rows, and its bytes."""

    @property
    def running(self) -> bool:
        return self._slot is not None

    # While it waits

    def wait(self, limit: float) -> None:
        """Wait for a slot until ``limit`` (event-loop time) or the deadline."""
        if self.deadline is None or limit < self.deadline:
            self._timer = self.loop.call_at(limit, self._waited_too_long)
        else:
            self._timer = self.loop.call_at(self.deadline, self._expired)

    def _waited_too_long(self) -> None:
        self.fail_waiting(self._admission.waited_too_long())

    def _expired(self) -> None:
        self.fail_waiting(self._admission.expired(self))

    def fail_waiting(self, error: Exception) -> None:
        """Leave the line with ``error`` for the caller."""
        self._cancel_timer()
        self._admission.withdraw(self)
        self.fail(error)

    def dispatch(self, slot: Slot) -> None:
        """Leave the line for ``slot``."""
        self._admission.dispatch(self, slot)

    def merged(self) -> None:
        """Leave the line for a merged call, which keeps the deadline from now on."""
        self._cancel_timer()
        if self.preview is not None:
            self.preview.forget(self)

    # While it runs

    def start(self, slot: Slot) -> None:
        """Run on ``slot`` until the work ends; the deadline goes on counting."""
        self._cancel_timer()
        self._slot = slot
        if self.deadline is not None:
            self._timer = self.loop.call_at(self.deadline, self._overdue)
        slot.run(self)

    def expire(self) -> None:
        """The deadline has passed while it computes."""
        self._admission.tally.timed_out += 1
        self.fail(self.overdue_error())

    def overdue_error(self) -> DeadlineExceededError:
        return DeadlineExceededError(self.ticket.allowance(self.deadline), self.call.request_id or None)

    def _overdue(self) -> None:
        self.expire()
        if self._slot is not None:
            self._slot.overdue(self)

    def begin_stream(self, stream: ChunkStream) -> None:
        """The answer has begun as a stream: from now on its own idle limit counts, not the deadline."""
        self._cancel_timer()
        self._admission.tally.answered(self.call, stream.head)
        self.stream = stream
        if self.future.done():
            stream.cancel()
        else:
            self.future.set_result(stream)

    def answer(self, reply: Reply) -> None:
        self._admission.tally.answered(self.call, reply)
        if not self.future.done():
            self.future.set_result(reply)
            self._leave_line()

    def fail(self, error: Exception) -> None:
        """Answer with ``error``, or break the stream that has begun with it."""
        if self.stream is not None:
            self.stream.finish(error)
        elif not self.future.done():
            self.future.set_exception(error)

    def feed(self, piece: bytes) -> None:
        """One more piece of the stream that has begun."""
        if self.stream is not None:
            self.stream.feed(piece)

    def end(self) -> None:
        """The work is really over: the slot is free. Idempotent."""
        if self._slot is not None:
            self._slot = None
            self._cancel_timer()
            if self.stream is not None:
                self.stream.ended()
            self._admission.ended((self,))

    def abandon(self) -> None:
        """The caller is gone: leave the line, or let the work end with nobody listening (deadline still applies)."""
        if self._leave_line():
            return
        if self.stream is not None:
            self.stream.cancel()
        elif self.future.done() and not self.future.cancelled():
            self.future.exception()  # marks it as seen: the caller was cancelled in the same turn

    def _leave_line(self) -> bool:
        """Unserved, or served by a merged call after it was sent back here."""
        if self not in self._admission.line:
            return False
        self._cancel_timer()
        self._admission.withdraw(self)
        return True

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
