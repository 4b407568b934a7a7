"""The queue of calls that arrive before the model is loaded: only its card says what it serves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from drum_litestar.errors import DeadlineExceededError, ModelNotReadyError
from drum_litestar.execution.counters import Counters
from drum_litestar.execution.queue_limits import Ticket


class LoadingQueue:
    """Requests that wait until the first worker is ready, or it is known that none will be.

    A request that waits here holds a ticket, and tickets are bounded as always: by the slots (those that the operator
    asked for, or one for each worker, as long as the model has not said how many it wants) and the queue's depth. The
    body is not read meanwhile: the connection stops reading once it holds 64 KiB of it (with what one read brings,
    200 KiB are seen), the rest stays with the kernel and the client, and a client that asked for ``100 Continue`` has
    not sent it. So a thousand waiting uploads of any size cost at most 200 MB and no disk, for a model that may never
    be ready. The price: a client that leaves is noticed at once only when its whole body fits there; the ticket of
    another one is returned when its queue timeout is over.

    The queue timeout counts from arrival here, and what is left of it limits the wait for a slot.
    """

    def __init__(self, counters: Counters, queue_timeout: float, on_enqueued: Callable[[], None]) -> None:
        """``queue_timeout`` is in seconds; ``on_enqueued`` is called when one more request waits."""
        self._counters = counters
        self._queue_timeout = queue_timeout
        self._on_enqueued = on_enqueued
        self._waiting: dict[asyncio.Future[None], None] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    async def wait(self, ticket: Ticket, deadline: float | None) -> None:
        """Return when :meth:`end` is called; ``deadline`` is event-loop time.

        Raises DeadlineExceededError, or ModelNotReadyError when the queue timeout ends first. Cancelling the awaiting
        task leaves the queue.
        """
        loop = asyncio.get_running_loop()
        arrived = loop.time()
        limit = arrived + self._queue_timeout
        released: asyncio.Future[None] = loop.create_future()
        self._waiting[released] = None
        self._on_enqueued()
        if deadline is None or limit < deadline:
            timer = loop.call_at(limit, self._queue_timed_out, released)
        else:
            timer = loop.call_at(deadline, self._deadline_passed, released, ticket, deadline)
        try:
            await released
        finally:
            timer.cancel()
            self._waiting.pop(released, None)
            ticket.waited = loop.time() - arrived
            del released  # an error's traceback has this frame: its callers' would live in a cycle

    def end(self, *, loaded: bool) -> None:
        """Release all waiting requests: to the model, or (not ``loaded``) to the reason why there is none."""
        waiting, self._waiting = self._waiting, {}
        for released in waiting:
            if not released.done():
                released.set_result(None)
                if not loaded:
                    self._counters.reject("not_ready")

    # Either may be due in the same loop iteration in which the request was cancelled or released.

    def _queue_timed_out(self, released: asyncio.Future[None]) -> None:
        if not released.done():
            timeout = self._queue_timeout
            self._counters.reject("queue_timeout")
            text = f"Model is still loading: the request has waited {timeout:g} s (DRUM_FASTAPI_EXECUTOR_QUEUE_TIMEOUT)"
            released.set_exception(ModelNotReadyError(text))

    def _deadline_passed(self, released: asyncio.Future[None], ticket: Ticket, deadline: float) -> None:
        if not released.done():
            self._counters.time_out_in_queue()
            released.set_exception(DeadlineExceededError(ticket.allowance(deadline)))
