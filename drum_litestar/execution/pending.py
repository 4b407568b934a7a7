"""One submitted call, from the queue to the end of its work."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from drum_litestar.execution.executor import ReplyStream
from drum_litestar.execution.streaming import ChunkStream
from drum_litestar.predictors.protocol import ModelCall, Reply

if TYPE_CHECKING:
    from drum_litestar.execution.admission import Admission, AdmissionTicket
    from drum_litestar.execution.slots import Slot


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
        "preview",
        "queued_at",
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
        self.queued_at = self.loop.time()
        self.stream: ChunkStream | None = None
        self.preview: Slot | None = None
        """The busy slot that knows this waiting call already."""

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

    # While it runs

    def start(self, slot: Slot) -> None:
        """Run on ``slot`` until the work ends; the deadline goes on counting."""
        self._cancel_timer()
        self._slot = slot
        if self.deadline is not None:
            self._timer = self.loop.call_at(self.deadline, self._overdue)
        slot.run(self)

    def _overdue(self) -> None:
        self._admission.timed_out += 1
        self.fail(self._admission.overdue_error(self))
        if self._slot is not None:
            self._slot.overdue(self)

    def begin_stream(self, stream: ChunkStream) -> None:
        """The answer has begun as a stream: from now on its own idle limit counts, not the deadline."""
        self._cancel_timer()
        self.stream = stream
        if self.future.done():
            stream.cancel()
        else:
            self.future.set_result(stream)

    def answer(self, reply: Reply) -> None:
        if not self.future.done():
            self.future.set_result(reply)

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
            self._admission.ended(self)

    def abandon(self) -> None:
        """The caller is gone: leave the line, or let the work end with nobody listening (deadline still applies)."""
        if self in self._admission.line:
            self._cancel_timer()
            self._admission.withdraw(self)
        elif self.stream is not None:
            self.stream.cancel()
        elif self.future.done() and not self.future.cancelled():
            self.future.exception()  # marks it as seen: the caller was cancelled in the same turn

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
