"""Base of the live modes recorder, shadow and canary: their end, and a periodic status line."""

from __future__ import annotations

import asyncio
from typing import Final

from drum_litestar.tools.compare.progress import LOGGER

STATUS_SECONDS: Final = 60.0


class Live:
    """Counts requests and sets ``done`` after ``max_requests`` of them, or ``duration`` seconds (None: no end)."""

    def __init__(self, *, max_requests: int | None = None, duration: float | None = None) -> None:
        self.requests = 0
        self._max_requests = max_requests
        self._duration = duration
        self._timers: list[asyncio.TimerHandle] = []
        self.done = asyncio.Event()

    async def start(self) -> None:
        """Called in the loop, before the first request."""
        if self._duration is not None:
            self._timers.append(asyncio.get_running_loop().call_later(self._duration, self.done.set))
        self._report_later()

    async def stop(self) -> None:
        """Called after the last request."""
        for timer in self._timers:
            timer.cancel()

    def status(self) -> str:
        """Status as one line."""
        return f"{self.requests} requests"

    def counted(self) -> None:
        self.requests += 1
        if self.requests == self._max_requests:
            self.done.set()

    def _report_later(self) -> None:
        self._timers = [timer for timer in self._timers if not timer.cancelled() and timer.when() > _now()]
        self._timers.append(asyncio.get_running_loop().call_later(STATUS_SECONDS, self._report))

    def _report(self) -> None:
        LOGGER.info("%s", self.status())
        self._report_later()


def _now() -> float:
    return asyncio.get_running_loop().time()
