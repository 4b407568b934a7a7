"""Calls that arrive before the model is there: they wait for its card, because only that says what the model serves."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from drum_litestar.errors import DeadlineExceededError, ModelNotReadyError

if TYPE_CHECKING:
    from drum_litestar.execution.admission import Admission
    from drum_litestar.execution.ticket import AdmissionTicket


class LoadQueue:
    """The queue in front of the queue, from the start until the first worker is ready or it is known that none will be.

    Whoever waits here holds a place, which :meth:`Admission.take` bounds as always: places are the slots (those that
    the operator asked for, or one for each worker, as long as the model has not said how many it wants) and the
    queue's depth. The body is not read meanwhile: the connection stops reading once it holds 64 KiB of it (with what
    one read brings, 200 KiB are seen), the rest stays with the kernel and the client, and a client that asked for ``100
    Continue`` has not sent it. So a thousand waiting uploads of any size cost at most 200 MB and no disk, for a model
    that may never be ready. The price: a client that leaves is noticed at once only when its whole body fits there; the
    place of another one is free when its timeout is over.

    The queue's timeout counts from arrival here, and what is left of it is the wait for a slot.
    """

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._waiting: dict[asyncio.Future[None], None] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    async def wait(self, ticket: AdmissionTicket, deadline: float | None) -> None:
        """Return when :meth:`end` is called; ``deadline`` is event-loop time.

        Raises DeadlineExceededError, or ModelNotReadyError when the queue's timeout ends first. Cancelling the
        awaiting task leaves the queue.
        """
        admission = self._admission
        loop = asyncio.get_running_loop()
        arrived = loop.time()
        limit = arrived + admission.queue_timeout
        released: asyncio.Future[None] = loop.create_future()
        self._waiting[released] = None
        admission.tally.note_depth(admission.depth)
        if deadline is None or limit < deadline:
            timer = loop.call_at(limit, self._refuse, released)
        else:
            timer = loop.call_at(deadline, self._expire, released, ticket, deadline)
        try:
            await released
        finally:
            timer.cancel()
            self._waiting.pop(released, None)
            ticket.waited = loop.time() - arrived

    def end(self, *, loaded: bool) -> None:
        """Let everyone go on: to the model, or (not ``loaded``) to the reason why there is none."""
        waiting, self._waiting = self._waiting, {}
        for released in waiting:
            if not released.done():
                released.set_result(None)
                if not loaded:
                    self._admission.tally.reject("not_ready")

    # Either may be due in the same iteration of the loop in which the caller has gone, or was let go on.

    def _refuse(self, released: asyncio.Future[None]) -> None:
        if not released.done():
            timeout = self._admission.queue_timeout
            self._admission.tally.reject("queue_timeout")
            text = f"Model is still loading: the request has waited {timeout:g} s (DRUM_FASTAPI_EXECUTOR_QUEUE_TIMEOUT)"
            released.set_exception(ModelNotReadyError(text))

    def _expire(self, released: asyncio.Future[None], ticket: AdmissionTicket, deadline: float) -> None:
        if not released.done():
            self._admission.tally.expire()
            released.set_exception(DeadlineExceededError(ticket.allowance(deadline)))
