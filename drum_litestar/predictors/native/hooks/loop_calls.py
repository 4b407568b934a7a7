"""Synchronous code in an event loop's thread that lets the loop go on while it waits for an awaitable.

A call of the model is synchronous code around hooks that may be ``async def``. In a greenlet, which keeps its stack
while others run, such a call waits without a thread of its own: it hands the awaitable to the task that drives it, and
goes on with the result. Thousands of calls then cost what tasks cost. Without the package ``greenlet``, which an
interpreter for the model need not have, each call has a thread.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any

try:
    from greenlet import getcurrent, greenlet
except ImportError:
    AVAILABLE = False
else:
    AVAILABLE = hasattr(greenlet, "gr_context")  # from 1.0 on: without it a call would lose its context variables

    class _LoopCall(greenlet):
        """A job in the context of the task that drives it, so that both see the same context variables."""

        def __init__(self, job: Callable[[], None]) -> None:
            driver = getcurrent()
            super().__init__(job, driver)
            self.gr_context = driver.gr_context


async def drive(job: Callable[[], None]) -> None:
    """Run ``job``, which must not raise, in the running loop's thread; await what it passes to :func:`wait`."""
    call = _LoopCall(job)
    awaited = call.switch()
    while not call.dead:
        try:
            result = await awaited
        except BaseException:  # noqa: PERF203 - each round awaits another object
            awaited = call.throw(*sys.exc_info())
        else:
            awaited = call.switch(result)


def inside() -> bool:
    """Whether the caller is part of a job that :func:`drive` runs, and may :func:`wait`."""
    return AVAILABLE and isinstance(getcurrent(), _LoopCall)


def wait(awaitable: Awaitable[Any]) -> Any:
    """The result of ``awaitable``, or its exception; the loop goes on meanwhile. Only :func:`inside` a job."""
    driver = getcurrent().parent
    assert driver is not None
    return driver.switch(awaitable)


def wait_for_thread(future: Any) -> Any:
    """The same of a ``concurrent.futures.Future``."""
    return wait(asyncio.wrap_future(future))
