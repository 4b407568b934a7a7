"""Open loop: requests at a constant rate, whether or not the answers keep up.

Latencies count from the moment at which a request was due, and no request waits for another one's answer, so a server
that stalls cannot hide it (no coordinated omission). Written here because neither Debian's wrk nor npm's autocannon
does that: with a rate, autocannon sends each second's requests in one closed-loop burst and then pauses.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable

import uvloop

from benchmarks.load.client import Client, LostError, posts
from benchmarks.report.result import Figures, latencies
from benchmarks.workload.prediction_request import PredictionRequest

TIMEOUT = 30.0
"""Timeout of a request in seconds."""


def open_loop(port: int, request: PredictionRequest, seconds: float, rate: float) -> Figures:
    """``rate`` requests/s for ``seconds``, the bodies in turn; ``rate`` in the figures: those answered with 200, over
    the time until the last of them was answered. ``errors``: other answers, lost connections and timeouts."""
    return uvloop.run(_run(port, request, seconds, rate))


async def _run(port: int, request: PredictionRequest, seconds: float, rate: float) -> Figures:
    client = Client(port)
    data = posts(request)
    began = time.perf_counter()
    good, failed = await at_rate(rate, seconds, lambda: client.send(next(data)), TIMEOUT)
    elapsed = time.perf_counter() - began
    client.close()
    figures: Figures = {"asked": rate, "errors": float(failed), "requests": float(len(good) + failed)}
    return figures | ({"rate": len(good) / elapsed} | latencies(good) if good else {})


async def at_rate(
    rate: float, seconds: float, ask: Callable[[], Awaitable[int]], timeout: float
) -> tuple[list[float], int]:
    """Latencies in s of the answers that were 200, and how many were not."""
    loop = asyncio.get_running_loop()
    good: list[float] = []
    failed = 0
    tasks: set[asyncio.Task[None]] = set()

    async def one(due: float) -> None:
        nonlocal failed
        try:
            status = await asyncio.wait_for(ask(), timeout)
        except (OSError, LostError, asyncio.TimeoutError):
            status = 0
        if status == 200:
            good.append(time.perf_counter() - due)
        else:
            failed += 1

    def start(due: float) -> None:
        tasks.add(asyncio.ensure_future(one(due)))

    def pace() -> None:
        """Runs in a thread, because a loop's timers have a resolution of a millisecond."""
        began = time.perf_counter()
        for number in range(max(1, int(rate * seconds))):
            due = began + number / rate
            time.sleep(max(0.0, due - time.perf_counter()))
            loop.call_soon_threadsafe(start, due)

    pacer = threading.Thread(target=pace)
    pacer.start()
    await asyncio.to_thread(pacer.join)
    await asyncio.gather(*tasks)
    return good, failed
