"""An event loop whose clock a test can put forward: its timers are due when the test says so, not when a busy machine
gets round to it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

LATER = 3600.0
"""Seconds of a timer that must not be due before the test puts the clock forward: no test runs for so long."""


class ClockLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is the monotonic clock's and what the test has skipped."""

    skipped = 0.0

    def time(self) -> float:
        return super().time() + self.skipped


async def advance(seconds: float) -> None:
    """Put the running loop's clock forward. What became due has run, and whom that woke has had a turn."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, ClockLoop)
    loop.skipped += seconds
    for _ in range(4):
        await asyncio.sleep(0)


def run(main: Coroutine[Any, Any, T]) -> T:
    """``asyncio.run`` on a :class:`ClockLoop` (Python 3.10 has no other way to name the loop)."""
    loop = ClockLoop()
    try:
        return loop.run_until_complete(_to_the_end(main))
    finally:
        loop.close()


async def _to_the_end(main: Coroutine[Any, Any, T]) -> T:
    loop = asyncio.get_running_loop()
    try:
        return await main
    finally:
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await loop.shutdown_asyncgens()
        await loop.shutdown_default_executor()
