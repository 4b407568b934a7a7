"""Calls that hang among others: how many of the others are answered, and how late."""

from __future__ import annotations

import asyncio
import math
import time

import uvloop

from benchmarks.load.client import Client, LostError, posts
from benchmarks.report.result import Figures, latencies
from benchmarks.workload.prediction_request import PredictionRequest

TIMEOUT = 5.0
"""Seconds after which a client gives its request up, closes the connection and sends its next one."""
_PAUSE = 0.01
"""Seconds before the next request when the server did not take the last one, so that a client is no busy loop."""


def storm(port: int, request: PredictionRequest, connections: int, seconds: float, timeout: float = TIMEOUT) -> Figures:
    """``connections`` clients for ``seconds``, the bodies in turn; the last one of them is for the call that hangs.

    ``goodput``: answers with 200 to the other requests per second, ``late``: in the last third of the time; ``p50``...:
    latencies of these; ``requests``: other requests that ended; ``errors``: those without a 200; ``hung``: requests
    whose calls hang; ``ended``: those that the server ended before ``timeout``. What is under way at the end is left
    out.
    """
    return uvloop.run(_Storm(port, request, timeout).run(connections, seconds))


class _Storm:
    def __init__(self, port: int, request: PredictionRequest, timeout: float) -> None:
        self._client = Client(port)
        self._turns = enumerate(posts(request), 1)
        self._hangs_every = len(request.bodies)
        self._timeout = timeout
        self._over = False
        """``asyncio.wait_for`` of Python 3.11 ignores a cancellation that comes together with the answer."""
        self._good: list[float] = []
        self._late_from = math.inf
        self._late = 0
        self._errors = self._hung = self._ended = 0

    async def run(self, connections: int, seconds: float) -> Figures:
        began = time.perf_counter()
        self._late_from = began + seconds * 2 / 3
        clients = [asyncio.ensure_future(self._ask_on()) for _ in range(connections)]
        failed, _ = await asyncio.wait(clients, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
        elapsed = time.perf_counter() - began
        self._over = True
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        self._client.close()
        for client in failed:
            client.result()
        figures: Figures = {
            "goodput": len(self._good) / elapsed,
            "late": self._late / (elapsed - seconds * 2 / 3),
            "errors": float(self._errors),
            "requests": float(len(self._good) + self._errors),
            "hung": float(self._hung),
            "ended": float(self._ended),
        }
        return figures | (latencies(self._good) if self._good else {})

    async def _ask_on(self) -> None:
        while not self._over:
            number, request = next(self._turns)
            hangs = number % self._hangs_every == 0
            began = time.perf_counter()
            try:
                status = await asyncio.wait_for(self._client.send(request), self._timeout)
            except asyncio.TimeoutError:
                self._hung += hangs
                self._errors += not hangs
                continue
            except (OSError, LostError):
                status = 0
            if hangs:
                self._hung += 1
                self._ended += 1
            elif status == 200:
                now = time.perf_counter()
                self._good.append(now - began)
                self._late += now >= self._late_from
            else:
                self._errors += 1
            if status == 0:
                await asyncio.sleep(_PAUSE)
