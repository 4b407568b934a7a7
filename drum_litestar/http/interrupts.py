"""Cancellation of a request's task by its deadline or by a client that disconnects."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any, Literal

from litestar.types import Receive

from drum_litestar.request_state import RequestState

Reason = Literal["deadline", "disconnect"]


class Interrupt:
    """Cancels the task that created it, and distinguishes that cancellation from any other.

    The technique of ``asyncio.timeout``, which Python 3.10 lacks, with a reason instead of a clock.
    """

    __slots__ = ("_before", "_task", "reason")

    def __init__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("an Interrupt needs a running task")
        self._task = task
        self.reason: Reason | None = None
        self._before = 0
        if sys.version_info >= (3, 11):
            self._before = task.cancelling()

    def fire(self, reason: Reason) -> None:
        """Cancel the task. Later calls change nothing: the first reason stands."""
        if self.reason is None:
            self.reason = reason
            self._task.cancel()

    def absorb(self) -> bool:
        """For an ``except CancelledError`` block: True when the cancellation is ours alone and must not go on."""
        if self.reason is None:
            return False
        if sys.version_info >= (3, 11):
            return self._task.uncancel() <= self._before
        return True


def watch_disconnect(request: RequestState, receive: Receive, interrupt: Interrupt) -> Callable[[], object]:
    """Fire ``interrupt`` when the client disconnects; returns a function that ends the watch.

    Call it after the whole body was read. Our own server protocol reports the disconnect; under any other server a task
    waits for ``http.disconnect``.
    """
    if request.on_disconnect is not None:
        return request.on_disconnect(lambda: interrupt.fire("disconnect"))

    async def wait() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        interrupt.fire("disconnect")

    return asyncio.get_running_loop().create_task(wait()).cancel


async def while_connected(request: RequestState, receive: Receive, work: Coroutine[Any, Any, None]) -> None:
    """Run ``work`` to its end, or until the client goes away. To be used after the whole body was read."""
    interrupt = Interrupt()
    unwatch = watch_disconnect(request, receive, interrupt)
    try:
        await work
    except asyncio.CancelledError:
        if not interrupt.absorb():
            raise
    finally:
        unwatch()
