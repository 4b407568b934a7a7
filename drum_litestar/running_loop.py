"""The running event loop, for code that needs it several times in each request."""

from __future__ import annotations

import asyncio


class RunningLoop:
    """What ``asyncio.get_running_loop()`` returns, asked once: before Python 3.12 each call asks the system for the
    process id, which in a sandboxed container takes longer than everything around it. For one loop at a time."""

    __slots__ = ("_loop",)

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    def __call__(self) -> asyncio.AbstractEventLoop:
        loop = self._loop
        if loop is None or loop.is_closed():
            loop = self._loop = asyncio.get_running_loop()
        return loop
