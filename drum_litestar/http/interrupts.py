"""Cancellation of a request's task by its deadline or by a client that disconnects."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any, Literal

from litestar.types import Receive

from drum_litestar.scope import ON_DISCONNECT

Reason = Literal["deadline", "disconnect"]


class Interrupt:
    """Cancels the task that created it, and distinguishes that cancellation from any other.

    The technique of ``asyncio.timeout``, which Python 3.10 lacks, with a reason instead of a clock.
    """

    __slots__ = ("_before", "_task", "reason")

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """``loop``: the running one, where the caller has it."""
        task = asyncio.current_task(loop)
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


def watch_disconnect(state: dict[str, Any], receive: Receive, interrupt: Interrupt) -> Callable[[], object]:
    """Fire ``interrupt`` when the client disconnects; returns a function that ends the watch.

    Call it after the whole body was read. Our own server protocol reports the disconnect through ``ON_DISCONNECT``;
    under any other server a task waits for ``http.disconnect``.
    """
    register: Callable[[Callable[[], None]], Callable[[], None]] | None = state.get(ON_DISCONNECT)
    if register is not None:
        return register(lambda: interrupt.fire("disconnect"))

    async def wait() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        interrupt.fire("disconnect")

    return asyncio.get_running_loop().create_task(wait()).cancel
