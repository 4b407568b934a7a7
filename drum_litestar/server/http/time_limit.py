"""One timer for all time limits of a connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

_EARLY: Final = 0.001
"""Seconds by which a timer may be early: event loops round."""


class TimeLimit:
    """A point in time that is moved with each request, most often to a later one.

    The timer is left where it is and looks again when it is due, which is cheaper than a new one for each limit.
    """

    __slots__ = ("_due", "_loop", "_on_expiry", "_timer", "_timer_due")

    def __init__(self, loop: asyncio.AbstractEventLoop, on_expiry: Callable[[], None]) -> None:
        """``on_expiry`` is called once for each limit that is reached."""
        self._loop = loop
        self._on_expiry: Callable[[], None] | None = on_expiry
        self._due = 0.0  # 0: no limit
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0

    def set(self, seconds: float) -> None:
        """Let the limit be ``seconds`` from now, instead of the one before; 0 is none."""
        if not seconds:
            self._due = 0.0
            return
        self._due = self._loop.time() + seconds
        if self._timer is None:
            self._start(seconds)
        elif self._due < self._timer_due:
            self._timer.cancel()
            self._start(seconds)

    def close(self) -> None:
        """Stop the timer, and part from what it would call."""
        self._due = 0.0
        self._on_expiry = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _start(self, seconds: float) -> None:
        self._timer_due = self._due
        self._timer = self._loop.call_later(seconds, self._look)

    def _look(self) -> None:
        self._timer = None
        if not self._due:
            return
        left = self._due - self._loop.time()
        if left > _EARLY:
            self._start(left)
            return
        self._due = 0.0
        if self._on_expiry is not None:
            self._on_expiry()
