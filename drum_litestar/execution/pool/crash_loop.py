"""When to try again after a worker died before it was ready, and when to give up."""

from __future__ import annotations

from collections import deque


class CrashLoop:
    """Counts deaths before ready; a worker that becomes ready clears the count. Times are seconds."""

    def __init__(self, *, deaths: int, window: float, backoff: float, backoff_limit: float) -> None:
        self._deaths: deque[float] = deque(maxlen=deaths)
        self._window = window
        self._backoff = backoff
        self._limit = backoff_limit
        self._count = 0

    def died(self, now: float) -> float:
        """Note a death; returns the wait before the next attempt."""
        self._deaths.append(now)
        self._count += 1
        return min(self._limit, self._backoff * 2.0 ** min(self._count - 1, 20))

    def cleared(self) -> None:
        self._deaths.clear()
        self._count = 0

    @property
    def hopeless(self) -> bool:
        """The cap is reached: as many deaths as allowed within the window."""
        return len(self._deaths) == self._deaths.maxlen and self._deaths[-1] - self._deaths[0] <= self._window
