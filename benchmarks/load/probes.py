"""Probes at a constant rate during predictions that hold the GIL."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

import uvloop

from benchmarks.load.client import Client, LostError, get, posts
from benchmarks.load.open_loop import at_rate
from benchmarks.report.result import Figures, latencies
from benchmarks.workload.prediction_request import PredictionRequest

PER_SECOND = 50
TIMEOUT = 5.0
"""Timeout of a probe in seconds; an orchestrator's is shorter."""


def probe_latency(port: int, path: str, request: PredictionRequest, seconds: float) -> Figures:
    """Measure latencies of ``path``, from the time each probe was due, while one client sends predictions."""
    return uvloop.run(_run(port, path, request, seconds))


async def _run(port: int, path: str, request: PredictionRequest, seconds: float) -> Figures:
    probes, predictions = Client(port), Client(port)
    load = asyncio.ensure_future(_predict(predictions, posts(request)))
    await asyncio.sleep(0.2)
    probe = get(path)
    good, failed = await at_rate(PER_SECOND, seconds, lambda: probes.send(probe), TIMEOUT)
    load.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await load
    probes.close()
    predictions.close()
    figures: Figures = {"errors": float(failed), "requests": float(len(good) + failed)}
    return figures | (latencies(good) if good else {})


async def _predict(client: Client, requests: Iterator[bytes]) -> None:
    while True:
        with contextlib.suppress(OSError, LostError):
            await client.send(next(requests))
            continue
        await asyncio.sleep(0.05)
