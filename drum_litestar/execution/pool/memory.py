"""Whether a second copy of the model fits into memory, and whether a worker has grown too large."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import psutil

_log = logging.getLogger(__name__)

CHECK_INTERVAL = 1.0
"""Least seconds between two checks of a worker's memory, which follow a call."""
MARGIN = 1.1
"""A new copy is estimated to need this multiple of what a running one uses."""


def resident(pid: int) -> int:
    """Resident bytes of a process; 0 when it is gone."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


class MemoryGuard:
    """Decides whether workers may be added or have to be replaced. All sizes are in bytes."""

    def __init__(self, headroom: Callable[[], int | None] | None, limit: int) -> None:
        """``headroom`` gives the bytes that may still be allocated, None when unknown. ``limit`` 0 means no limit."""
        self._headroom = headroom
        self._limit = limit
        self._checked: dict[int, float] = {}
        self._warned = False

    def fits(self, pid: int, copies: int = 1) -> bool:
        """Whether ``copies`` more of the process ``pid`` fit. True where the headroom is unknown."""
        available = self._headroom() if self._headroom is not None else None
        return available is None or available >= resident(pid) * MARGIN * copies

    def warn_once(self, what: str) -> None:
        if not self._warned:
            self._warned = True
            _log.warning("%s is put off: a second model worker does not fit into memory beside the old one", what)

    def too_large(self, pid: int) -> bool:
        """Whether ``pid`` is over the limit; False without a check within :data:`CHECK_INTERVAL` of the last one."""
        if not self._limit:
            return False
        now = asyncio.get_running_loop().time()
        if now - self._checked.get(pid, -CHECK_INTERVAL) < CHECK_INTERVAL:
            return False
        self._checked[pid] = now
        return resident(pid) > self._limit

    def forget(self, pid: int) -> None:
        self._checked.pop(pid, None)
