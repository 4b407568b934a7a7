"""Waiting for the last requests of a server that admits no new ones."""

from __future__ import annotations

import asyncio


class Drain:
    """Ends when the last ticket is returned, or after a grace that may be shortened but not extended."""

    def __init__(self) -> None:
        self._drained: asyncio.Future[bool] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._end = float("inf")

    def begin(self, grace: float, *, empty: bool) -> asyncio.Future[bool]:
        """Resolves with True when no ticket is left (``empty``: none is now), with False after ``grace`` seconds.

        A later call may only shorten the wait, and returns the same future.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + grace
        if self._drained is None:
            self._drained = loop.create_future()
        if empty:
            self.finish()
        elif not self._drained.done() and end < self._end:
            if self._timer is not None:
                self._timer.cancel()
            self._end = end
            self._timer = loop.call_at(end, self._resolve, False)
        return self._drained

    def finish(self) -> None:
        """No ticket is left. No effect before :meth:`begin`."""
        self._resolve(True)

    def _resolve(self, clean: bool) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(clean)
