"""Faults: workers that are killed, crash or hang, and reloads, at constant intervals in every second phase."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

from benchmarks.servers.server_process import Running
from benchmarks.soak_run.request_kinds import Kind, fault
from benchmarks.soak_run.sampling import calls_of, workers_of
from benchmarks.soak_run.traffic import Traffic

SETTLED_AFTER = 30.0
"""Seconds after a fault in which its effects may show in answers, on a busy machine."""
ROUND = ("kill", "segfault") * 7 + ("hang",) + ("kill", "segfault") * 7 + ("reload",)
"""The faults in turn."""


class Faults:
    """Causes the faults of a run. ``counts`` by name."""

    def __init__(self, server: Running, calls: Path, deadline: float, seed: int = 7) -> None:
        self.counts: Counter[str] = Counter()
        self._server = server
        self._calls = calls
        self._deadline = deadline
        self._dice = random.Random(seed)
        self._settled_at = 0.0
        self._tasks: set[asyncio.Future[None]] = set()
        self._segfault = Kind("call that crashes its worker", 0, (fault("segfault"),), expected="503")
        self._hang = Kind("call that hangs", 0, (fault("hang"),), expected="504")

    def unsettled(self) -> bool:
        """Whether a fault may still show in answers."""
        return asyncio.get_running_loop().time() < self._settled_at

    async def run(self, traffic: Traffic, interval: float, seconds: float, faulty: Callable[[], bool]) -> None:
        """Cause a fault every ``interval`` seconds while ``faulty`` says so, for ``seconds``."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        step = 0
        for number in range(1, int(seconds / interval)):
            await asyncio.sleep(max(0.0, began + number * interval - loop.time()))
            if faulty() and self._cause(ROUND[step % len(ROUND)], traffic):
                step += 1
        await asyncio.gather(*self._tasks)

    def _cause(self, name: str, traffic: Traffic) -> bool:
        """Whether the fault could be caused."""
        now = asyncio.get_running_loop().time()
        lasts = 0.0
        if self._tasks:  # one at a time: a kill would end the call that hangs before its deadline does
            return False
        if name == "kill":
            served = [pid for pid in workers_of(self._server) if calls_of(self._calls, pid)]
            if not served:  # one that loads its model would be another fault: see the supervisor's crash loop
                return False
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._dice.choice(served), signal.SIGKILL)
        elif name == "reload":
            self._server.process.send_signal(signal.SIGHUP)
        elif name == "segfault":
            self._start(traffic.send(self._segfault, self._segfault.wire[0], now))
        else:
            lasts = self._deadline
            self._start(traffic.send(self._hang, self._hang.wire[0], now))
        self._settled_at = max(self._settled_at, now + lasts + SETTLED_AFTER)
        self.counts[name] += 1
        return True

    def _start(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
