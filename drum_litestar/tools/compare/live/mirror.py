"""Copies of live requests to the other server, from a bounded queue; copies that do not fit are dropped."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Final

from drum_litestar.tools.compare.diff import Comparison, Difference
from drum_litestar.tools.compare.live.proxy import Exchange
from drum_litestar.tools.compare.messages import Answer, Request
from drum_litestar.tools.compare.outcomes import SKIPPED, Pair, paired
from drum_litestar.tools.compare.progress import LOGGER
from drum_litestar.tools.compare.upstream import Upstream

QUEUE_BYTES: Final = 64 * 1024 * 1024
"""Memory for the bodies of queued copies."""
DRAIN_SECONDS: Final = 10.0


class Mirror:
    """Sends a copy of each offered exchange to the other of the two servers and compares the answers.

    ``on_pair(pair)`` runs in the event loop. ``not_compared`` counts the exchanges that were not copied, by reason.
    """

    def __init__(
        self,
        baseline: Upstream,
        candidate: Upstream,
        comparison: Comparison,
        on_pair: Callable[[Pair], None],
        not_compared: Counter[str],
        *,
        queue_size: int,
        workers: int,
        queue_bytes: int = QUEUE_BYTES,
    ) -> None:
        self._baseline = baseline
        self._candidate = candidate
        self._comparison = comparison
        self._on_pair = on_pair
        self._not_compared = not_compared
        self._queue: asyncio.Queue[Exchange] = asyncio.Queue(queue_size)
        self._free_bytes = queue_bytes
        self._workers = workers
        self._comparing = asyncio.Lock()
        self._tasks: list[asyncio.Future[None]] = []

    def start(self) -> None:
        self._tasks = [asyncio.ensure_future(self._work()) for _ in range(self._workers)]

    def offer(self, exchange: Exchange) -> bool:
        """Queue a copy without waiting; False when it is dropped. Skipped paths are not copied."""
        if self._comparison.skips(exchange.request):
            self._not_compared[SKIPPED] += 1
            return True
        if not exchange.whole:
            self._not_compared["too large"] += 1
        elif self._queue.full() or self._free_bytes < _size(exchange):
            self._not_compared["dropped, queue full"] += 1
        else:
            self._free_bytes -= _size(exchange)
            self._queue.put_nowait(exchange)
            return True
        return False

    async def drain(self, seconds: float = DRAIN_SECONDS) -> None:
        """Process the queue for at most ``seconds``, then stop."""
        waiting = asyncio.ensure_future(self._queue.join())
        await asyncio.wait({waiting}, timeout=seconds)
        waiting.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, waiting, return_exceptions=True)
        while not self._queue.empty():
            self._queue.get_nowait()
            self._not_compared["still queued at the end"] += 1

    async def _compare(self, request: Request, baseline: Answer, candidate: Answer) -> None:
        """Compare two answers and report the pair."""
        differences: tuple[Difference, ...]
        if baseline.body == candidate.body:
            differences = self._comparison.compare(baseline, candidate)
        else:  # parsing may be slow: in a thread, one at a time, because the comparison keeps state
            async with self._comparing:
                differences = await asyncio.to_thread(self._comparison.compare, baseline, candidate)
        self._on_pair(paired(request, baseline, candidate, differences))

    async def _work(self) -> None:
        while True:
            exchange = await self._queue.get()
            request = exchange.request
            try:
                if exchange.server is self._baseline:
                    await self._compare(request, exchange.answer, await self._candidate.fetch(request))
                else:
                    await self._compare(request, await self._baseline.fetch(request), exchange.answer)
            except Exception:  # the worker must survive any answer
                self._not_compared["comparison failed"] += 1
                LOGGER.exception("cannot compare the answers to %s", request.name)
            finally:
                self._free_bytes += _size(exchange)
                self._queue.task_done()


def _size(exchange: Exchange) -> int:
    return len(exchange.answer.body) + len(exchange.request.body)
